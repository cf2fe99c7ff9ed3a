//! A refusal for one employee, account or value concerns only that one: everything else goes on,
//! and a leaver loses access. The same at every provider.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    budgets::{leave, staff},
    providers::{ENTRA, GOOGLE, JUMPCLOUD, OKTA, ONE_LOGIN, Provider, SCIM},
    support::{Controller, Moving, Story, condition, ready, until},
};

/// Returns the e-mail of the employee with this number, as [`staff`] makes them.
pub(crate) fn email(number: usize) -> String {
    format!("robin.{number}@example.com")
}

/// Begins a story with a company of this size, and the Secret of this provider.
pub(crate) async fn begin(at: Provider, name: &str, count: usize) -> (Story, Vec<String>) {
    let story = Story::begin(&format!("{name}-{}", at.name()), 0).await;
    at.prepare(&story).await;
    let people = staff(&story, count).await;
    (story, people)
}

async fn until_suspended(
    story: &Story,
    at: Provider,
    numbers: impl IntoIterator<Item = usize> + Clone,
) {
    until("whoever leaves gets out", || async {
        let mut open = Vec::new();
        for number in numbers.clone() {
            let account = at.account(story, &email(number)).await.unwrap_or_default();
            if !at.is_suspended(&account) {
                open.push(number);
            }
        }
        if open.is_empty() { Ok(()) } else { Err(format!("open: {open:?}")) }
    })
    .await;
}

/// Sets this time, and waits until a full pass that began then has ended.
async fn interval(story: &Story, moving: &Moving, now: &str) {
    moving.to(story, now).await;
    until("the interval has brought a full pass", || async {
        let last =
            serde_json::to_value(story.integration().await.status.unwrap_or_default().last_pass)
                .unwrap();
        if last["finishedAt"] == now { Ok(()) } else { Err(last["finishedAt"].to_string()) }
    })
    .await;
}

/// Returns reason and message of the integration's `Ready`.
async fn said(story: &Story) -> (String, String) {
    let conditions = story.integration().await.status.unwrap_or_default().conditions;
    conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready")
        .map(|ready| (ready.reason, ready.message))
        .unwrap_or_default()
}

/// The credential may not change three accounts, and there is nothing else to do: the integration
/// works on.
async fn three_refused_accounts_silence_nothing(at: Provider) {
    let (story, people) = begin(at, "three", 12).await;
    let moving = Moving::start(&story, "2026-12-01T10:00:00Z").await;
    let safety = json!({"disables": {"max": "100%", "atLeast": 12}});
    story
        .integrate(json!({"interval": "10m", "provider": at.provider(&story), "safety": safety}))
        .await;
    story.ready("Converged").await;
    let mut accounts = Vec::new();
    for number in 0..3 {
        accounts.push(at.account(&story, &email(number)).await.expect("an account"));
    }
    at.protect(&story, &accounts).await;
    for id in &people[..3] {
        story.simulated.change(id, json!({"work.title": "Keeper of Lamps"})).await;
    }
    // In the second pass there is only what failed before.
    for _ in 0..2 {
        story.sync().await;
        let (reason, message) = said(&story).await;
        assert_eq!(reason, "Converged", "{message}");
        for id in &people[..3] {
            assert_eq!(
                ready(&story.person(id).await.unwrap()),
                ("False".into(), "Forbidden".into())
            );
        }
    }
    let failing = story.integration().await.status.unwrap().employees.map(|counts| counts.failing);
    assert_eq!(failing, Some(3));
    // Without a request the interval comes, and the next one too.
    for (leaver, now) in [(5, "2026-12-01T10:11:00Z"), (6, "2026-12-01T10:22:00Z")] {
        leave(&story, &people[leaver..=leaver]).await;
        interval(&story, &moving, now).await;
        until_suspended(&story, at, [leaver]).await;
    }
    // The refused ones leave as well: they are reported, and do not keep another leaver's access
    // open.
    leave(&story, &people[..3]).await;
    leave(&story, &people[7..=7]).await;
    interval(&story, &moving, "2026-12-01T10:33:00Z").await;
    until_suspended(&story, at, [7]).await;
    until("an open account is told", || async {
        let person = story.person(&people[0]).await.unwrap();
        let (status, ..) = condition(&person, "AccessSynced").unwrap();
        let told = (ready(&person), status.as_str());
        if told == (("False".into(), "SuspendByHand".into()), "False") {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await;
    assert_eq!(said(&story).await.0, "Converged");
    moving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refused_accounts_silence_nothing_at_onelogin() {
    Box::pin(three_refused_accounts_silence_nothing(ONE_LOGIN)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refused_accounts_silence_nothing_at_google() {
    Box::pin(three_refused_accounts_silence_nothing(GOOGLE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refused_accounts_silence_nothing_at_entra() {
    Box::pin(three_refused_accounts_silence_nothing(ENTRA)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refused_accounts_silence_nothing_at_jumpcloud() {
    Box::pin(three_refused_accounts_silence_nothing(JUMPCLOUD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refused_accounts_silence_nothing_at_okta() {
    Box::pin(three_refused_accounts_silence_nothing(OKTA)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_refused_accounts_silence_nothing_at_scim() {
    Box::pin(three_refused_accounts_silence_nothing(SCIM)).await;
}

/// Without the right to end sessions every leaver of a day is still disabled, and the right is
/// noticed by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_end_sessions_every_leaver_is_disabled_and_the_right_is_noticed_by_itself()
 {
    let at = ENTRA;
    let (story, people) = begin(at, "sessions", 30).await;
    story.simulated.put("/entra/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    let _controller = Controller::start(&story).await;
    let safety = json!({"disables": {"max": "100%", "atLeast": 30}});
    story
        .integrate(json!({"interval": "1m", "provider": at.provider(&story), "safety": safety}))
        .await;
    story.ready("Converged").await;
    leave(&story, &people[..24]).await;
    story.sync().await;
    until_suspended(&story, at, 0..24).await;
    assert_eq!(said(&story).await.0, "Converged");
    for id in &people[..24] {
        let person = story.person(id).await.unwrap();
        let (_, reason, message) = condition(&person, "Ready").unwrap();
        assert!(
            reason == "Forbidden" && message.contains("User.RevokeSessions.All"),
            "{reason}: {message}"
        );
    }
    // An administrator gives consent at the provider, and nothing changes here.
    story
        .simulated
        .put(
            "/entra/app",
            json!({"permissions": ["User.ReadWrite.All", "User.RevokeSessions.All"]}),
        )
        .await;
    until("the sessions of all of them are ended", || async {
        let ended = story.simulated.get("/entra/sessions").await.as_array().map_or(0, Vec::len);
        if ended >= 24 { Ok(()) } else { Err(format!("{ended} of 24")) }
    })
    .await;
}

/// A token contains the rights of its issue. It is dropped when a right is missing, so a consent is
/// noticed by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_given_back_at_the_provider_is_noticed_by_itself() {
    let at = ENTRA;
    let (story, people) = begin(at, "consent", 8).await;
    let grant = async |permissions: &[&str]| {
        drop(story.simulated.put("/entra/app", json!({"permissions": permissions})).await)
    };
    let tokens = async || story.simulated.calls("entra", "POST /{tenant}/oauth2/v2.0/token").await;
    grant(&[]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "1m", "provider": at.provider(&story)})).await;
    // No call is allowed.
    story.ready("ProviderForbidden").await;
    let before = tokens().await;
    grant(&["User.ReadWrite.All"]).await;
    story.ready("Converged").await;
    assert!(before > 0 && tokens().await > before, "another token was asked for");
    // Only reads are allowed, and the current token says so.
    grant(&["User.Read.All"]).await;
    story.simulated.post("/entra/tokens/revoke", json!({})).await;
    leave(&story, &people[..1]).await;
    story.sync().await;
    assert_eq!(story.reason(&people[0]).await, "SuspendByHand");
    assert!(!at.is_suspended(&at.account(&story, &email(0)).await.unwrap()));
    let before = tokens().await;
    grant(&["User.ReadWrite.All", "User.RevokeSessions.All"]).await;
    let began = Instant::now();
    until_suspended(&story, at, [0]).await;
    assert!(began.elapsed() < Duration::from_secs(60), "within an interval");
    assert!(
        (1..=2).contains(&(tokens().await - before)),
        "another token, and not one for each call"
    );
    until("all is well", || async {
        let reason = story.reason(&people[0]).await;
        if reason == "InSync" { Ok(()) } else { Err(reason) }
    })
    .await;
}

/// New accounts that Google refuses for their domain, before others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_creates_are_told_in_the_words_of_the_provider_and_keep_neither_joiners_nor_leavers_waiting()
 {
    let at = GOOGLE;
    let (story, people) = begin(at, "creates", 6).await;
    let moving = Moving::start(&story, "2026-12-01T10:00:00Z").await;
    story.integrate(json!({"interval": "10m", "provider": at.provider(&story)})).await;
    story.ready("Converged").await;
    story.simulated.put("/google/quirks", json!({"foreignDomainIsForbidden": true})).await;
    let join = async |email: String| {
        let person = json!({"root.firstName": "Noa", "root.surname": "Lind", "root.email": email, "work.startDate": "2026-11-01",
            "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null});
        story.simulated.hire(person).await
    };
    let mut typos = Vec::new();
    for number in 0..10 {
        typos.push(join(format!("typo.{number}@typo.example")).await);
    }
    for number in 0..10 {
        join(format!("noa.{number}@example.com")).await;
    }
    story.sync().await;
    for number in 0..10 {
        assert!(
            at.account(&story, &format!("noa.{number}@example.com")).await.is_some(),
            "{number} has an account"
        );
    }
    let (reason, message) = said(&story).await;
    assert_eq!(reason, "Converged", "{message}");
    for id in &typos {
        let (_, reason, message) = condition(&story.person(id).await.unwrap(), "Ready").unwrap();
        assert!(
            reason == "Forbidden"
                && message.contains("domain of primaryEmail")
                && message.contains("Google said"),
            "{message}"
        );
    }
    // Only creates that were refused before are left, and an employee leaves.
    leave(&story, &people[..1]).await;
    interval(&story, &moving, "2026-12-01T10:11:00Z").await;
    until_suspended(&story, at, [0]).await;
    // HR corrects one address: it needs no request.
    story.simulated.change(&typos[0], json!({"root.email": "corrected@example.com"})).await;
    moving.to(&story, "2026-12-01T10:22:00Z").await;
    until("the corrected one has an account", || async {
        at.account(&story, "corrected@example.com").await.map(drop).ok_or_else(|| "none".to_owned())
    })
    .await;
    moving.stop().await;
}

/// A directory without room for another user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_directory_keeps_no_leaver_in_and_joiners_are_made_once_there_is_room() {
    let at = ENTRA;
    let (story, people) = begin(at, "full", 30).await;
    let moving = Moving::start(&story, "2026-12-01T10:00:00Z").await;
    let room = async |most: usize| {
        drop(story.simulated.put("/entra/directory", json!({"quota": most})).await)
    };
    room(4).await;
    story.integrate(json!({"interval": "10m", "provider": at.provider(&story)})).await;
    until("some have an account, and the others are refused", || async {
        let count = at.all(&story).await.len();
        let mut refused = 0;
        for id in &people {
            let Some(person) = story.person(id).await else { continue };
            let (_, reason, message) = condition(&person, "Ready").unwrap_or_default();
            refused += usize::from(
                reason == "Forbidden"
                    && message.contains("quota")
                    && !message.contains("User.ReadWrite.All"),
            );
        }
        if (count, refused) == (4, 26) {
            Ok(())
        } else {
            Err(format!("{count} made, {refused} refused: {:?}", said(&story).await))
        }
    })
    .await;
    let made: Vec<usize> = {
        let users = at.all(&story).await;
        (0..30)
            .filter(|number| users.iter().any(|user| user["userPrincipalName"] == email(*number)))
            .collect()
    };
    leave(&story, &people[made[0]..=made[0]]).await;
    moving.to(&story, "2026-12-01T10:11:00Z").await;
    until_suspended(&story, at, [made[0]]).await;
    room(100).await;
    moving.to(&story, "2026-12-01T10:40:00Z").await;
    until("all have an account", || async {
        let count = at.all(&story).await.len();
        if count == 30 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    moving.to(&story, "2026-12-01T10:59:00Z").await;
    story.ready("Converged").await;
    moving.stop().await;
}

/// A leaver has a value that breaks the provider: access is written alone, with the second write.
async fn a_value_that_breaks_the_provider_keeps_no_leaver_in(at: Provider) {
    let (story, people) = begin(at, "breaks", 6).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "provider": at.provider(&story)})).await;
    story.ready("Converged").await;
    let (method, path) = (at.update(), format!("{}/", at.users()));
    let broken = json!({"kind": "status", "status": 500, "method": method, "pathPrefix": path, "bodyContains": "Xylophonist"});
    story.simulated.post(&format!("/{}/faults", at.name()), broken).await;
    let log = async || {
        story
            .simulated
            .get(&format!("/{}/log?since=0", at.name()))
            .await
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = log().await.len();
    story.simulated.change(&people[0], json!({"work.title": "Chief Xylophonist"})).await;
    leave(&story, &people[..1]).await;
    story.sync().await;
    assert!(at.is_suspended(&at.account(&story, &email(0)).await.unwrap()));
    let writes: Vec<Value> =
        log().await.split_off(before).into_iter().filter(|call| call["method"] == method).collect();
    let holds_title = |call: &Value| call["body"].to_string().contains("Xylophonist");
    assert!(holds_title(&writes[0]) && at.is_suspended(&writes[0]["body"]), "{:?}", writes[0]);
    assert!(!holds_title(&writes[1]) && at.is_suspended(&writes[1]["body"]), "{:?}", writes[1]);
    let person = story.person(&people[0]).await.unwrap();
    assert_eq!(serde_json::to_value(person.status.as_ref().unwrap().access).unwrap(), "Suspended");
    assert_eq!(condition(&person, "AccessSynced").unwrap().0, "True");
    let (status, reason, message) = condition(&person, "Ready").unwrap();
    assert!(
        status == "False"
            && reason == "Retrying"
            && message.contains(at.title())
            && message.contains("500"),
        "{message}"
    );
    assert!(!message.contains("Xylophonist"), "{message}");
    // It is tried again, and succeeds when the provider does not break any more.
    story.simulated.delete(&format!("/{}/faults", at.name())).await;
    until("the title is there", || async {
        let account = at.account(&story, &email(0)).await.unwrap();
        if account.to_string().contains("Chief Xylophonist") {
            Ok(())
        } else {
            Err(account.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_breaks_the_provider_keeps_no_leaver_in_at_onelogin() {
    Box::pin(a_value_that_breaks_the_provider_keeps_no_leaver_in(ONE_LOGIN)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_breaks_the_provider_keeps_no_leaver_in_at_google() {
    Box::pin(a_value_that_breaks_the_provider_keeps_no_leaver_in(GOOGLE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_breaks_the_provider_keeps_no_leaver_in_at_entra() {
    Box::pin(a_value_that_breaks_the_provider_keeps_no_leaver_in(ENTRA)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_breaks_the_provider_keeps_no_leaver_in_at_jumpcloud() {
    Box::pin(a_value_that_breaks_the_provider_keeps_no_leaver_in(JUMPCLOUD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_breaks_the_provider_keeps_no_leaver_in_at_scim() {
    Box::pin(a_value_that_breaks_the_provider_keeps_no_leaver_in(SCIM)).await;
}

/// At Google a rename is written alone before the suspension, and may never succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_that_never_gets_through_keeps_no_leaver_in() {
    let at = GOOGLE;
    let (story, people) = begin(at, "rename", 6).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "provider": at.provider(&story)})).await;
    story.ready("Converged").await;
    let not_met = json!({"error": {"code": 412, "message": "User creation is not complete.", "errors": [{"reason": "conditionNotMet"}]}});
    for (number, status, body) in [(0, 503, Value::Null), (1, 412, not_met)] {
        let mut broken = json!({"kind": "status", "status": status, "method": "PUT", "bodyContains": "primaryEmail"});
        if !body.is_null() {
            broken["body"] = body;
        }
        story.simulated.post("/google/faults", broken).await;
        story
            .simulated
            .change(&people[number], json!({"root.email": format!("renamed.{number}@example.com")}))
            .await;
        leave(&story, &people[number..=number]).await;
        story.sync().await;
        until_suspended(&story, at, [number]).await;
        let (_, reason, message) =
            condition(&story.person(&people[number]).await.unwrap(), "Ready").unwrap();
        assert!(
            reason == "Retrying" && message.contains("primaryEmail"),
            "{status}: {reason} {message}"
        );
        story.simulated.delete("/google/faults").await;
    }
}

/// The integration's status and reason of `kind`, its message, and how many employees fail and wait.
async fn stands(story: &Story, kind: &str) -> (String, String, String, (u32, u32)) {
    let status = story.integration().await.status.unwrap_or_default();
    let counts = status.employees.map_or((0, 0), |counts| (counts.failing, counts.pending));
    let condition =
        status.conditions.into_iter().find(|condition| condition.type_ == kind).expect(kind);
    (condition.status, condition.reason, condition.message, counts)
}

/// A refused value is no outage: the provider is connected, and a person has to act.
async fn refused_and_connected(story: &Story, share: &str) {
    let (connected, _, message, _) = stands(story, "ProviderConnected").await;
    assert_eq!(connected, "True", "{message}");
    let (status, reason, ..) = stands(story, "Stalled").await;
    assert_eq!((&*status, &*reason), ("True", "InvalidSettings"));
    let (status, reason, message, _) = stands(story, "Ready").await;
    assert_eq!((&*status, &*reason), ("False", "InvalidSettings"), "{message}");
    assert!(message.contains(share), "{message}");
}

/// The mapping makes a value that the provider refuses for every employee.
async fn a_value_that_is_refused_for_all_is_no_outage(at: Provider) {
    const COUNT: usize = 48;
    let (story, people) = begin(at, "for-all", COUNT).await;
    let refuse = async |rules: Value| {
        drop(story.simulated.put(&format!("/{}/refuse", at.name()), json!({"rules": rules})).await)
    };
    refuse(json!([{"field": at.title(), "contains": "Xylophonist"}])).await;
    for id in &people {
        story.simulated.change(id, json!({"work.title": "Chief Xylophonist"})).await;
    }
    let controller = Controller::start(&story).await;
    let much = json!({"max": "100%", "atLeast": 100});
    story
        .integrate(json!({"interval": "24h", "provider": at.provider(&story), "safety": {"updates": much, "fieldBlackout": much}}))
        .await;
    story.ready("InvalidSettings").await;
    assert_eq!(at.all(&story).await.len(), COUNT, "the accounts are made without it");
    for turn in 0..3 {
        story.sync().await;
        refused_and_connected(&story, &format!("{COUNT} of {COUNT} employees in scope")).await;
        assert_eq!(stands(&story, "Ready").await.3, (48, 0), "{turn}");
        for id in &people {
            let (status, reason, message) =
                condition(&story.person(id).await.unwrap(), "Ready").unwrap();
            assert_eq!((&*status, &*reason), ("False", "Rejected"), "{message}");
            assert!(message.contains(at.title()) && !message.contains("Xylophonist"), "{message}");
        }
    }
    leave(&story, &people[COUNT - 1..]).await;
    story.sync().await;
    until_suspended(&story, at, [COUNT - 1]).await;
    // Another process knows only what the statuses say.
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    story.sync().await;
    refused_and_connected(&story, "employees in scope").await;
    assert_eq!(stands(&story, "Ready").await.3, (48, 0));
    refuse(json!([])).await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(stands(&story, "Ready").await.3, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_refused_for_all_is_no_outage_at_onelogin() {
    Box::pin(a_value_that_is_refused_for_all_is_no_outage(ONE_LOGIN)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_refused_for_all_is_no_outage_at_google() {
    Box::pin(a_value_that_is_refused_for_all_is_no_outage(GOOGLE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_refused_for_all_is_no_outage_at_entra() {
    Box::pin(a_value_that_is_refused_for_all_is_no_outage(ENTRA)).await;
}

/// The domain of every address is not the customer's: no account is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_refused_for_all_is_no_outage_and_counts_do_not_go_back() {
    let at = GOOGLE;
    let (story, _) = begin(at, "domain", 60).await;
    let refuse = async |rules: Value| {
        drop(story.simulated.put("/google/refuse", json!({"rules": rules})).await)
    };
    refuse(json!([{"field": "primaryEmail", "contains": "example.com"}])).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "provider": at.provider(&story)})).await;
    story.ready("InvalidSettings").await;
    let mut most = 0;
    for _ in 0..4 {
        refused_and_connected(&story, "of 60 employees in scope fail.").await;
        let (.., (failing, pending)) = stands(&story, "Ready").await;
        assert!(failing >= most && failing >= 20, "{failing} after {most}");
        assert_eq!(failing + pending, 60);
        most = failing;
        story.sync().await;
    }
    assert_eq!(most, 60, "those that were not tried come first");
    refuse(json!([])).await;
    story.sync().await;
    // Partial passes make some of them.
    until("all have an account", || async {
        let count = at.all(&story).await.len();
        if count == 60 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    story.ready("Converged").await;
}
