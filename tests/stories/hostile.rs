//! Answers that must not be believed, outages, lost answers, refused credentials.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::budgets::staff;
use crate::support::{Controller, Moving, Story, condition, ready, until};

/// Returns how many accounts are active.
async fn active(story: &Story) -> usize {
    story.simulated.accounts().await.iter().filter(|account| account["status"] == 1).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_of_bob_is_taken_for_nobody_works_here() {
    let (story, _controller) = Story::converged("hostile", 60, json!({})).await;
    let before = active(&story).await;
    story.simulated.forget_calls().await;
    for (fault, reason) in [
        (json!({"kind": "html"}), "BobUnavailable"),
        (json!({"kind": "truncate"}), "BobUnavailable"),
        (json!({"kind": "errorObject"}), "BobUnavailable"),
        (json!({"kind": "status", "status": 500}), "BobUnavailable"),
        (
            json!({"kind": "status", "status": 302, "headers": {"location": "http://127.0.0.1:1/"}}),
            "BobUnavailable",
        ),
        (json!({"kind": "reset"}), "BobUnavailable"),
    ] {
        story.simulated.post("/bob/faults", fault.clone()).await;
        story.integrate(json!({"retention": format!("{}h", fault.to_string().len())})).await;
        let integration = story.ready(reason).await;
        let conditions = integration.status.unwrap().conditions;
        let bob = conditions.iter().find(|c| c.type_ == "BobConnected").unwrap();
        assert_eq!((bob.status.as_str(), bob.reason.as_str()), ("False", reason), "{fault}");
        story.simulated.delete("/bob/faults").await;
    }
    assert_eq!(story.simulated.writes().await, 0, "nothing is written to OneLogin without Bob");
    assert_eq!(active(&story).await, before);
    story.integrate(json!({"retention": "9999h"})).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_answer_is_suspect_and_positive_facts_still_act() {
    let (story, _controller) = Story::converged("short", 60, json!({})).await;
    let before = active(&story).await;
    let first = story.simulated.employees().await[..20]
        .iter()
        .find(|e| {
            e["internal.lifecycleStatus"]
                .as_str()
                .unwrap_or_default()
                .eq_ignore_ascii_case("employed")
                && e["internal.status"] == "Active"
        })
        .unwrap()["root.id"]
        .as_str()
        .unwrap()
        .to_owned();
    for shown in [20, 0] {
        story.simulated.put("/bob/serve", json!({"first": shown})).await;
        story.integrate(json!({"retention": format!("{}h", 100 + shown)})).await;
        story.ready("SourceSuspect").await;
        assert_eq!(active(&story).await, before, "{shown} answered");
    }
    story.simulated.put("/bob/serve", json!({"first": 20})).await;
    story
        .simulated
        .change(
            &first,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&first).await.unwrap()["status"], 2);
    assert_eq!(active(&story).await, before - 1);
    // First no employees, then 20: the answers do not agree. Asked a second time, a person says
    // that so many are left.
    story.ready("SourceSuspect").await;
    story.sync().await;
    let integration = story.ready("Converged").await;
    assert_eq!(integration.status.unwrap().employees.unwrap().in_bob, 20);
    assert_eq!(
        active(&story).await,
        before - 1,
        "who is missing from the search can still be read by id"
    );
    story.simulated.put("/bob/serve", json!({"first": null})).await;
    story.sync().await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_from_the_search_is_nothing_and_a_deleted_file_suspends() {
    let story = Story::begin("missing", 30).await;
    let moving = Moving::start(&story, "2026-11-24T09:00:00Z").await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    // The last one is missing from the search and can still be read by id.
    let employees = story.simulated.employees().await;
    let shown = employees.len() - 1;
    story.simulated.put("/bob/serve", json!({"first": shown})).await;
    let before = active(&story).await;
    story.sync().await;
    assert_eq!(active(&story).await, before);
    story.simulated.put("/bob/serve", json!({"first": null})).await;

    let (id, _) = story.simulated.somebody().await;
    story.simulated.delete(&format!("/bob/employees/{id}")).await;
    story.simulated.forget_calls().await;
    story.sync().await;
    story.sync().await;
    assert_eq!(
        story.simulated.account(&id).await.unwrap()["status"],
        1,
        "one 404 is a suspicion, however often it is looked"
    );
    assert_eq!(
        story.simulated.calls("bob", "POST /v1/people/{id}").await,
        1,
        "and Bob is not asked again before that can tell more"
    );
    // Half an interval later, without a request.
    moving.to(&story, "2026-11-24T09:05:30Z").await;
    until("the second 404 takes access", || async {
        let status = story.simulated.account(&id).await.unwrap()["status"].clone();
        let recorded = story.person(&id).await.and_then(|person| person.status?.evidence).is_some();
        if status == 2 && recorded { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/{id}").await, 2);
    let person = story.person(&id).await.unwrap();
    assert!(condition(&person, "AccessSynced").unwrap().2.contains("deleted"), "{person:?}");
    let status = person.status.unwrap();
    assert!(status.evidence.is_some() && status.username.is_some());
    // The evidence stays: there is no other read.
    story.sync().await;
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/{id}").await, 2);
    // After the retention the object is deleted; the account stays as it is.
    story.integrate(json!({"retention": "0s"})).await;
    until("the object is gone", || async {
        match story.person(&id).await {
            None => Ok(()),
            Some(_) => Err("still there".to_owned()),
        }
    })
    .await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    moving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_make_no_second_account_and_lose_no_change() {
    let story = Story::begin("lost", 60).await;
    let _controller = Controller::start(&story).await;
    for fault in [
        json!({"method": "POST", "pathPrefix": "/api/2/users", "times": 5, "kind": "resetAfterApply"}),
        json!({"method": "POST", "pathPrefix": "/api/2/users", "times": 5, "kind": "statusAfterApply", "status": 502}),
        json!({"method": "POST", "pathPrefix": "/api/2/users", "times": 3, "kind": "reset"}),
        json!({"method": "POST", "pathPrefix": "/api/2/users", "times": 3, "kind": "status", "status": 503}),
        json!({"method": "POST", "pathPrefix": "/api/2/users", "times": 2, "kind": "html"}),
    ] {
        story.simulated.post("/onelogin/faults", fault).await;
    }
    story.integrate(json!({})).await;
    // A create that was sent twice without success is tried again for that employee alone.
    until("every employee is in sync", || async {
        let (all, failing): (usize, Vec<_>) = {
            let people = story.everybody().await;
            (people.len(), people.iter().map(ready).filter(|(ready, _)| ready != "True").collect())
        };
        if all > 30 && failing.is_empty() { Ok(()) } else { Err(format!("{all}: {failing:?}")) }
    })
    .await;
    let accounts = story.simulated.accounts().await;
    let mut marks: Vec<_> = accounts
        .iter()
        .map(|account| account["external_id"].as_str().unwrap().to_owned())
        .collect();
    let all = marks.len();
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), all, "one account for each person");

    // The same for updates, including a suspension.
    let (id, _) = story.simulated.somebody().await;
    story.simulated.delete("/onelogin/faults").await;
    story
        .simulated
        .post("/onelogin/faults", json!({"method": "PUT", "times": 1, "kind": "resetAfterApply"}))
        .await;
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    assert_eq!(story.reason(&id).await, "InSync");
    let puts = story.simulated.calls("onelogin", "PUT /api/2/users/{id}").await;
    assert_eq!(puts, 2, "made again, because nothing shows whether sessions were ended");
    assert_eq!(story.simulated.calls("onelogin", "PUT /api/1/users/{id}/logout").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_is_obeyed_and_nothing_is_lost() {
    let story = Story::begin("throttle", 30).await;
    let _controller = Controller::start(&story).await;
    story
        .simulated
        .post("/onelogin/faults", json!({"method": "POST", "pathPrefix": "/api/2/users", "times": 2, "kind": "status", "status": 429, "headers": {"Retry-After": "2"}}))
        .await;
    story
        .simulated
        .post(
            "/bob/faults",
            json!({"times": 1, "kind": "status", "status": 429, "headers": {"Retry-After": "1"}}),
        )
        .await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert!(story.everybody().await.iter().all(|person| ready(person).0 == "True"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_bob_credential_is_tried_once_and_a_rotation_is_seen() {
    let story = Story::begin("bob-secret", 20).await;
    story
        .secret("bob", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "a-wrong-token")])
        .await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let integration = story.ready("BobUnauthorized").await;
    let conditions = integration.status.unwrap().conditions;
    assert!(
        conditions
            .iter()
            .any(|c| c.type_ == "Stalled" && c.status == "True" && c.reason == "BobUnauthorized")
    );
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(
        story.simulated.calls("bob", "POST /v1/people/search").await,
        1,
        "401 is final until the Secret changes"
    );
    story
        .secret("bob", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "bob-token-1")])
        .await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 2);
    assert!(!controller.log().contains("a-wrong-token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_one_login_credential_is_told_and_a_missing_secret_is_named() {
    let story = Story::begin("ol-secret", 20).await;
    story.secret("onelogin", &[("clientId", "client-1"), ("clientSecret", "a-wrong-secret")]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("ProviderUnauthorized").await;
    let tokens = story.simulated.calls("onelogin", "POST /auth/oauth2/v2/token").await;
    assert!(tokens <= 2, "{tokens} calls with a refused credential");
    story.secret("onelogin", &[("clientId", "client-1"), ("clientSecret", "secret-1")]).await;
    story.ready("Converged").await;
    // A credential without the right scope.
    story
        .simulated
        .put(
            "/onelogin/credentials",
            json!({"clientId": "client-1", "clientSecret": "secret-1", "scope": "Read Users"}),
        )
        .await;
    let id = story
        .simulated
        .hire(json!({"root.email": "kept.out@example.com", "work.title": "Keeper", "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed",
                     "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null}))
        .await;
    story.sync().await;
    // One refused create concerns one employee; the integration stays as it is.
    story.ready("Converged").await;
    assert_eq!(story.reason(&id).await, "Forbidden");
    story
        .simulated
        .put(
            "/onelogin/credentials",
            json!({"clientId": "client-1", "clientSecret": "secret-1", "scope": "Manage users"}),
        )
        .await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Keeper");
    // A Secret that does not exist.
    story.integrate(json!({"bob": {"credentialsSecretRef": {"name": "nowhere"}}})).await;
    let integration = story.ready("SecretNotFound").await;
    let ready =
        integration.status.unwrap().conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
    assert!(ready.message.contains("nowhere"), "{}", ready.message);
    story
        .secret("nowhere", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "bob-token-1")])
        .await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_die_are_renewed() {
    let (story, _controller) = Story::converged("token", 20, json!({})).await;
    story.simulated.post("/onelogin/tokens/revoke", json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Keeper"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Keeper");
    assert_eq!(story.simulated.calls("onelogin", "POST /auth/oauth2/v2/token").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_listings_in_a_row_make_no_second_account_and_forget_none() {
    let (story, controller) = Story::converged("shortlist", 30, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let before = story.simulated.accounts().await.len();
    let recorded = story.person(&id).await.unwrap().status.unwrap().account;
    let short = json!({
        "kind": "status", "status": 200, "headers": {"Content-Type": "application/json"}, "body": "[]", "method": "GET", "pathPrefix": "/api/2/users", "times": 1,
    });
    story.simulated.change(&id, json!({"root.email": "another.address@example.com"})).await;
    for round in 0..3 {
        story.simulated.forget_calls().await;
        story.simulated.post("/onelogin/faults", short.clone()).await;
        story.sync().await;
        // Each account was looked up by its id, and all of them exist.
        story.ready("Converged").await;
        assert_eq!(
            story.simulated.writes().await,
            u64::from(round == 0),
            "round {round}: the new address, and nothing else"
        );
        assert_eq!(
            story.person(&id).await.unwrap().status.unwrap().account,
            recorded,
            "round {round}"
        );
    }
    // A restart in between: the process knows the accounts from the statuses.
    assert!(controller.stop().await);
    story.simulated.post("/onelogin/faults", short.clone()).await;
    let _controller = Controller::start(&story).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.accounts().await.len(), before);
    assert_eq!(story.simulated.account(&id).await.unwrap()["email"], "another.address@example.com");
}

/// Starts a story in which eight of more than forty accounts are deleted at the provider, a
/// manager's among them.
async fn eight_deleted(name: &str, interval: &str) -> (Story, Controller, Vec<String>) {
    let story = Story::begin(name, 4).await;
    let people = staff(&story, 40).await;
    for report in &people[1..8] {
        story.simulated.change(report, json!({"work.manager": people[0]})).await;
    }
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": interval})).await;
    story.ready("Converged").await;
    for id in &people[..8] {
        let account = story.simulated.account(id).await.expect("an account")["id"].clone();
        story.simulated.delete(&format!("/onelogin/users/{account}")).await;
    }
    (story, controller, people)
}

async fn with_accounts(story: &Story, people: &[String]) -> usize {
    let accounts = story.simulated.accounts().await;
    people
        .iter()
        .filter(|id| accounts.iter().any(|account| account["external_id"] == ***id))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deleted_accounts_are_made_again_when_a_person_asks_after_it_was_shown_and_on_no_path_before()
 {
    let (story, _controller, people) = eight_deleted("gone", "24h").await;
    story.sync_ends_in("TargetSuspect").await;
    // A look at one of them, or at the manager, does nothing else.
    for id in &people[..2] {
        let asked = json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "one"}}});
        story
            .people()
            .patch(&format!("onelogin-{id}"), &PatchParams::default(), &Patch::Merge(asked))
            .await
            .unwrap();
        until("the sync request is answered", || async {
            let handled = story
                .person(id)
                .await
                .and_then(|person| person.status)
                .and_then(|status| status.last_handled_sync_at);
            if handled.as_deref() == Some("one") { Ok(()) } else { Err(format!("{handled:?}")) }
        })
        .await;
    }
    assert_eq!(with_accounts(&story, &people).await, 32);
    story.ready("TargetSuspect").await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(with_accounts(&story, &people).await, 40);
    let manager = story.simulated.account(&people[0]).await.unwrap()["id"].clone();
    until("the reports have their manager", || async {
        let mut wrong = 0;
        for id in &people[1..8] {
            wrong += usize::from(
                story.simulated.account(id).await.unwrap()["manager_user_id"] != manager,
            );
        }
        if wrong == 0 { Ok(()) } else { Err(format!("{wrong} have another")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deleted_accounts_are_made_again_by_a_pass_half_an_interval_later() {
    let (story, _controller, people) = eight_deleted("gonelater", "1m").await;
    story.sync_ends_in("TargetSuspect").await;
    assert_eq!(with_accounts(&story, &people).await, 32);
    let began = std::time::Instant::now();
    loop {
        if with_accounts(&story, &people).await == 40 {
            break;
        }
        assert!(began.elapsed().as_secs() < 150, "they are not made again");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(began.elapsed().as_secs() >= 25, "made again after {:?}", began.elapsed());
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whom_the_listing_leaves_out_loses_access_all_the_same() {
    let (story, _controller) = Story::converged("leftout", 10, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let account = story.simulated.account(&id).await.unwrap();
    let others: Vec<_> = story
        .simulated
        .accounts()
        .await
        .into_iter()
        .filter(|other| other["id"] != account["id"])
        .collect();
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    let listing = json!({
        "kind": "status", "status": 200, "headers": {"Content-Type": "application/json"}, "body": others, "method": "GET", "pathPrefix": "/api/2/users", "times": 1,
    });
    story.simulated.post("/onelogin/faults", listing).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    let person = story.person(&id).await.unwrap();
    assert_eq!(serde_json::to_value(person.status.as_ref().unwrap().access).unwrap(), "Suspended");
    // An account that was deleted at the provider is looked up once, and then counts as gone.
    let next = story.simulated.employees().await.into_iter().find(|employee| {
        employee["root.id"] != id.as_str()
            && employee["internal.lifecycleStatus"]
                .as_str()
                .is_some_and(|word| word.eq_ignore_ascii_case("employed"))
            && employee["internal.status"] == "Active"
    });
    let next = next.unwrap()["root.id"].as_str().unwrap().to_owned();
    let account = story.simulated.account(&next).await.unwrap()["id"].clone();
    story.simulated.delete(&format!("/onelogin/users/{account}")).await;
    story
        .simulated
        .change(
            &next,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    let person = story.person(&next).await.unwrap();
    let status = person.status.unwrap();
    assert_eq!(
        (serde_json::to_value(status.access).unwrap(), status.account.is_none()),
        (json!("Absent"), true)
    );
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(
        story.simulated.get("/onelogin/calls").await["total"],
        1,
        "the listing and nothing else"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_on_a_tenant_without_a_mapped_attribute_is_no_failure() {
    let (story, _controller) = Story::converged("lostcustom", 6, json!({})).await;
    story.simulated.put("/onelogin/custom-attributes", json!({"shortnames": []})).await;
    let hire = json!({
        "root.email": "lost.answer@example.com", "work.startDate": "2022-03-01", "work.workMobile": "+44 7700 900555",
        "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
    });
    let id = story.simulated.hire(hire).await;
    story
        .simulated
        .post("/onelogin/faults", json!({"kind": "resetAfterApply", "method": "POST", "pathPrefix": "/api/2/users", "times": 1}))
        .await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "InSync");
    assert_eq!(
        story
            .simulated
            .accounts()
            .await
            .iter()
            .filter(|account| account["external_id"] == id.as_str())
            .count(),
        1
    );
}
