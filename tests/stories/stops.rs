//! Whatever stops a pass: it is tried again, events that were answered with 200 are looked at, and
//! evidence takes access without waiting for anything else.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    attempts::{
        annotate, answered, begin, deliver, hooked, paused, pin, seen, status, until_reason,
        until_status,
    },
    budgets::{leave, staff, suspended},
    providers::ENTRA,
    support::{Controller, Moving, Story, until},
};

const REVOKED: &str = "employee.access.revoked.immediately";

/// Waits until `look` succeeds, and fails the story if that takes longer than `most`.
async fn within<T, F: Future<Output = Result<T, String>>>(
    most: Duration,
    what: &str,
    look: impl Fn() -> F,
) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) => {
                assert!(began.elapsed() < most, "waited {most:?} until {what}; last seen: {seen}")
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn suspended_within(most: Duration, story: &Story, id: &str) {
    within(most, "the account is suspended", || async {
        let status = status(story, id).await;
        if status == 2 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

async fn bob_calls(story: &Story) -> u64 {
    story.simulated.get("/bob/calls").await["total"].as_u64().unwrap_or(0)
}

async fn searched(story: &Story) {
    until("Bob is searched", || async {
        let calls = story.simulated.calls("bob", "POST /v1/people/search").await;
        if calls > 0 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}

/// Delays the provider's listing by this time.
async fn slow_listing(story: &Story, milliseconds: u64) {
    let fault = json!({"kind": "delay", "method": "GET", "pathPrefix": "/api/2/users", "delayMs": milliseconds, "times": 1});
    story.simulated.post("/onelogin/faults", fault).await;
}

async fn bob_token(story: &Story, token: &str) {
    story.secret("bob", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", token)]).await;
}

async fn bob_is_down(story: &Story) {
    story.simulated.post("/bob/faults", json!({"kind": "status", "status": 503})).await;
}

/// Returns the reason of the integration's `Ready` once it is stable.
async fn reason_of(story: &Story) -> String {
    let conditions = story.integration().await.status.unwrap_or_default().conditions;
    conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready")
        .map(|ready| ready.reason)
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_while_bob_refused_the_service_user_is_looked_at_once_it_does_not() {
    let (story, people, controller) = begin("line-kept", 12, hooked(json!({}))).await;
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
    // While no call is allowed, an event, a changed EmployeeSync and a request wait in line.
    assert_eq!(
        deliver(&controller, "employee.left", &people[0], Timestamp::now()).await,
        Some(200)
    );
    pin(&story, &people[1], json!({"attributes": {"title": "Head of Nothing"}})).await;
    // The pass that finds the corrected token reads Bob, and then lists for a while. Everything
    // else happens after its read.
    slow_listing(&story, 6000).await;
    story.simulated.forget_calls().await;
    bob_token(&story, "bob-token-2").await;
    searched(&story).await;
    leave(&story, &people[..1]).await;
    leave(&story, &people[2..3]).await;
    assert_eq!(
        deliver(&controller, "employee.left", &people[2], Timestamp::now()).await,
        Some(200)
    );
    pin(&story, &people[3], json!({"suspend": true})).await;
    annotate(&story, &people[4], "request-1").await;
    story.ready("Converged").await;
    for id in [&people[0], &people[2]] {
        suspended_within(Duration::from_secs(10), &story, id).await;
    }
    answered(&story, &people[4], "request-1").await;
    until_reason(&story, &people[3], "HandsOff").await;
    seen(&story, &people[1]).await;
    assert_eq!(story.simulated.account(&people[1]).await.unwrap()["title"], "Head of Nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_that_comes_while_bob_refuses_the_service_user_is_acted_on_once_it_does_not() {
    let story = Story::begin("date-kept", 2).await;
    let moving = Moving::start(&story, "2026-12-01T10:00:00Z").await;
    let people = staff(&story, 3).await;
    story.simulated.change(&people[0], json!({"internal.terminationDate": "2026-12-01"})).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
    // The pass that finds the corrected token reads Bob, and then lists for a while. The date comes
    // after its decision.
    slow_listing(&story, 4000).await;
    story.simulated.forget_calls().await;
    bob_token(&story, "bob-token-2").await;
    moving.to(&story, "2026-12-01T23:59:50Z").await;
    searched(&story).await;
    moving.to(&story, "2026-12-02T00:00:01Z").await;
    until_status(&story, &people[0], 2).await;
    // Another date comes while no call is allowed.
    story.simulated.change(&people[1], json!({"internal.terminationDate": "2026-12-02"})).await;
    story.sync().await;
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-3"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
    moving.to(&story, "2026-12-03T00:00:01Z").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bob_token(&story, "bob-token-3").await;
    moving.to(&story, "2026-12-03T00:00:40Z").await;
    until_status(&story, &people[1], 2).await;
    moving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bob_s_refusal_is_tried_again_once_an_hour_and_at_once_when_a_person_asks() {
    let story = Story::begin("hourly", 4).await;
    let moving = Moving::start(&story, "2026-12-01T10:00:00Z").await;
    bob_token(&story, "bob-token-2").await;
    story.integrate(json!({"interval": "1m"})).await;
    story.ready("BobUnauthorized").await;
    story.simulated.forget_calls().await;
    for minute in [2, 15, 30, 58] {
        moving.to(&story, &format!("2026-12-01T10:{minute:02}:00Z")).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(bob_calls(&story).await, 0, "Bob blocks addresses that keep trying");
    moving.to(&story, "2026-12-01T11:01:00Z").await;
    searched(&story).await;
    until("the pass has ended, and the next hour begins", || async {
        let next = story.integration().await.status.and_then(|status| status.next_try_at);
        let noon = "2026-12-01T12:00:00Z".parse().expect("a time");
        if next.as_ref().is_some_and(|next| next.0 > noon) {
            Ok(())
        } else {
            Err(format!("{next:?}"))
        }
    })
    .await;
    // The Secret was right from the start: Bob needed some time to know it.
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    moving.to(&story, "2026-12-01T12:02:00Z").await;
    story.ready("Converged").await;
    // A request for one employee counts as a request.
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-3"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    moving.to(&story, "2026-12-01T12:03:00Z").await;
    let (id, _) = story.simulated.somebody().await;
    annotate(&story, &id, "request-1").await;
    answered(&story, &id, "request-1").await;
    story.ready("Converged").await;
    moving.stop().await;
}

/// Reports an immediate revocation, and expects it to be carried out at once.
async fn revoke(story: &Story, controller: &Controller, id: &str) {
    assert_eq!(deliver(controller, REVOKED, id, Timestamp::now()).await, Some(200));
    suspended_within(Duration::from_secs(5), story, id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_does_not_wait_for_bob() {
    let (story, people, controller) = begin("evidence", 12, hooked(json!({}))).await;
    // Bob does not answer.
    bob_is_down(&story).await;
    revoke(&story, &controller, &people[0]).await;
    until_reason(&story, &people[0], "InSync").await;
    let person = story.person(&people[0]).await.unwrap().status.unwrap();
    assert!(
        person.username.is_some() && person.evidence.is_some(),
        "what only a row tells is not forgotten"
    );
    // Bob keeps the connection open and says nothing.
    story.simulated.delete("/bob/faults").await;
    story.simulated.post("/bob/faults", json!({"kind": "hold"})).await;
    revoke(&story, &controller, &people[1]).await;
    revoke(&story, &controller, &people[2]).await;
    story.simulated.delete("/bob/faults").await;
    // Bob asks for a pause.
    let limited =
        json!({"kind": "status", "status": 429, "times": 1, "headers": {"Retry-After": "6"}});
    story.simulated.post("/bob/faults", limited).await;
    story.sync_ends_in("BobUnavailable").await;
    story.simulated.forget_calls().await;
    revoke(&story, &controller, &people[3]).await;
    assert_eq!(bob_calls(&story).await, 0);
    story.ready("Converged").await;
    // Bob refuses the service user: it is not asked again.
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
    story.simulated.forget_calls().await;
    revoke(&story, &controller, &people[4]).await;
    assert_eq!(bob_calls(&story).await, 0);
    bob_token(&story, "bob-token-2").await;
    story.ready("Converged").await;
    // The start date at that time comes with the next row that is read. A later one ends the
    // revocation.
    until("the evidence is whole", || async {
        let status = story.person(&people[4]).await.unwrap().status.unwrap();
        let start = status.evidence.and_then(|evidence| evidence.start_date);
        if start.is_some() { Ok(()) } else { Err("no start date".to_owned()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_revocation_nor_a_leaver_waits_for_a_listing() {
    let (story, people, controller) = begin("unlisted", 12, hooked(json!({}))).await;
    slow_listing(&story, 20_000).await;
    story.simulated.forget_calls().await;
    story
        .integrate(hooked(
            json!({"provisioning": {"scope": "employee.work.site != 'Contractors'"}}),
        ))
        .await;
    searched(&story).await;
    revoke(&story, &controller, &people[0]).await;
    assert_eq!(reason_of(&story).await, "Progressing", "the listing is still under way");
    // Bob's own event for an employee who left.
    leave(&story, &people[1..2]).await;
    assert_eq!(
        deliver(&controller, "employee.left", &people[1], Timestamp::now()).await,
        Some(200)
    );
    suspended_within(Duration::from_secs(5), &story, &people[1]).await;
    assert_eq!(reason_of(&story).await, "Progressing", "the listing is still under way");
    // A target that no listing has shown does not delay a leaver, and neither does a process that
    // has just begun.
    story.ready("Converged").await;
    assert!(controller.stop().await);
    slow_listing(&story, 20_000).await;
    story.simulated.forget_calls().await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    searched(&story).await;
    leave(&story, &people[2..3]).await;
    assert_eq!(
        deliver(&controller, "employee.left", &people[2], Timestamp::now()).await,
        Some(200)
    );
    suspended_within(Duration::from_secs(5), &story, &people[2]).await;
    revoke(&story, &controller, &people[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_changes_while_a_long_listing_is_under_way_does_not_wait_for_its_end() {
    let (story, people, controller) = begin("newer-spec", 6, hooked(json!({}))).await;
    slow_listing(&story, 30_000).await;
    story.simulated.forget_calls().await;
    story.ask().await;
    searched(&story).await;
    story
        .integrate(hooked(
            json!({"provisioning": {"scope": "employee.work.site != 'Contractors'"}}),
        ))
        .await;
    within(Duration::from_secs(10), "the newer spec is through", || async {
        let reason = reason_of(&story).await;
        let object = story.integration().await;
        let observed = object.status.unwrap_or_default().observed_generation;
        if reason == "Converged" && observed == object.metadata.generation {
            Ok(())
        } else {
            Err(reason)
        }
    })
    .await;
    assert_eq!(deliver(&controller, REVOKED, &people[0], Timestamp::now()).await, Some(200));
    suspended_within(Duration::from_secs(5), &story, &people[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_a_dead_process_could_not_act_on_is_acted_on_by_the_next_without_bob() {
    let (story, people, controller) = begin("evidence-kept", 6, hooked(json!({}))).await;
    bob_is_down(&story).await;
    story
        .simulated
        .post(
            "/onelogin/faults",
            json!({"kind": "status", "status": 503, "pathPrefix": "/api/2/users"}),
        )
        .await;
    assert_eq!(deliver(&controller, REVOKED, &people[0], Timestamp::now()).await, Some(200));
    drop(controller);
    story.simulated.delete("/onelogin/faults").await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    suspended_within(Duration::from_secs(10), &story, &people[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_and_hands_off_hold_for_what_evidence_takes_without_bob() {
    let spec = hooked(json!({"safety": {"disables": {"max": "0%", "atLeast": 2, "per": "24h"}}}));
    let (story, people, controller) = begin("evidence-held", 8, spec).await;
    pin(&story, &people[0], json!({"suspend": true})).await;
    seen(&story, &people[0]).await;
    bob_is_down(&story).await;
    for id in &people[..5] {
        assert_eq!(deliver(&controller, REVOKED, id, Timestamp::now()).await, Some(200));
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    until("two are suspended", || async {
        let count = suspended(&story, &people).await;
        if count == 2 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(suspended(&story, &people).await, 2, "the window has room for two");
    assert_eq!(status(&story, &people[0]).await, 1, "hands off");
    // A paused integration writes nothing.
    paused(&story, true).await;
    assert_eq!(deliver(&controller, REVOKED, &people[6], Timestamp::now()).await, Some(200));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(status(&story, &people[6]).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_provider_knows_only_after_a_while_converges_by_itself() {
    let story = Story::begin("late-secret", 6).await;
    let provider = ENTRA.prepare(&story).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "1m", "provider": provider})).await;
    story.ready("Converged").await;
    story.simulated.put("/entra/app", json!({"clientSecret": "another~Secret-1"})).await;
    let body = json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": [7_000_215]});
    let fault = json!({"kind": "status", "status": 401, "times": 3, "method": "POST", "pathPrefix": "/example.com/oauth2",
        "headers": {"Content-Type": "application/json"}, "body": body.to_string()});
    story.simulated.post("/entra/faults", fault).await;
    ENTRA.prepare(&story).await;
    story.ready("ProviderUnauthorized").await;
    within(Duration::from_secs(60), "the integration converges by itself", || async {
        let reason = reason_of(&story).await;
        if reason == "Converged" { Ok(()) } else { Err(reason) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_read_of_bob_is_tried_again_by_itself() {
    let story = Story::begin("forbidden", 6).await;
    story.simulated.put("/bob/permissions", json!({"status": 403})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "1m"})).await;
    story.ready("BobForbidden").await;
    story.simulated.put("/bob/permissions", json!({})).await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_during_a_wait_that_bob_asked_for_do_not_lengthen_it() {
    let (story, people, controller) = begin("silence", 6, hooked(json!({}))).await;
    let limited =
        json!({"kind": "status", "status": 429, "times": 1, "headers": {"Retry-After": "12"}});
    story.simulated.post("/bob/faults", limited).await;
    story.sync_ends_in("BobUnavailable").await;
    let began = Instant::now();
    leave(&story, &people[..1]).await;
    for _ in 0..6 {
        story.ask().await;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let asked = story.ask().await;
    suspended_within(Duration::from_secs(17).saturating_sub(began.elapsed()), &story, &people[0])
        .await;
    assert!(began.elapsed() > Duration::from_secs(9), "Bob asked for silence");
    story.answered(&asked).await;
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_during_a_wait_that_the_provider_asked_for_do_not_lengthen_it() {
    let (story, people, controller) = begin("provider-silence", 6, hooked(json!({}))).await;
    let limited = json!({"kind": "status", "status": 429, "times": 1, "method": "GET", "pathPrefix": "/api/2/users", "headers": {"Retry-After": "30"}});
    story.simulated.post("/onelogin/faults", limited).await;
    leave(&story, &people[..1]).await;
    let began = Instant::now();
    for _ in 0..7 {
        story.ask().await;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    suspended_within(Duration::from_secs(36).saturating_sub(began.elapsed()), &story, &people[0])
        .await;
    assert!(began.elapsed() > Duration::from_secs(27), "the provider asked for silence");
    drop(controller);
}

/// Returns the number of writes to one account.
async fn puts(story: &Story) -> u64 {
    story.simulated.calls("onelogin", "PUT /api/2/users/{id}").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_write_is_tried_three_times_in_twenty_seconds_and_lands_once_it_is_not_refused() {
    let (story, people, controller) = begin("refused-write", 6, hooked(json!({}))).await;
    story
        .simulated
        .put("/onelogin/refuse", json!({"rules": [{"field": "title", "contains": "Xylophonist"}]}))
        .await;
    story.simulated.change(&people[0], json!({"work.title": "Xylophonist"})).await;
    story.simulated.forget_calls().await;
    let began = Instant::now();
    assert_eq!(
        deliver(&controller, "employee.updated", &people[0], Timestamp::now()).await,
        Some(200)
    );
    until_reason(&story, &people[0], "Rejected").await;
    tokio::time::sleep(Duration::from_secs(20).saturating_sub(began.elapsed())).await;
    let tried = puts(&story).await;
    assert!((2..=3).contains(&tried), "{tried} tries in the first 20 s");
    story.simulated.put("/onelogin/refuse", json!({"rules": []})).await;
    within(Duration::from_secs(30), "the title lands", || async {
        let account = story.simulated.account(&people[0]).await.unwrap();
        if account["title"] == "Xylophonist" { Ok(()) } else { Err(account["title"].to_string()) }
    })
    .await;
    until_reason(&story, &people[0], "InSync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_comes_while_another_pass_writes_to_the_person_is_not_dropped() {
    let (story, people, _controller) = begin("busy", 6, hooked(json!({}))).await;
    let id = &people[0];
    let slow = json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 5000, "times": 1});
    story.simulated.post("/onelogin/faults", slow).await;
    story.simulated.change(id, json!({"work.title": "Keeper of Lamps"})).await;
    story.simulated.forget_calls().await;
    // A full pass writes: the write follows the read at once, and takes five seconds.
    story.ask().await;
    searched(&story).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Meanwhile the spec of the EmployeeSync changes, and a sync is requested.
    pin(&story, id, json!({"attributes": {"department": "Lamps"}})).await;
    annotate(&story, id, "request-1").await;
    within(Duration::from_secs(12), "the request is answered", || async {
        let status = story.person(id).await.and_then(|person| person.status).unwrap_or_default();
        if status.last_handled_sync_at.as_deref() == Some("request-1") {
            Ok(())
        } else {
            Err(format!("{:?}", status.last_handled_sync_at))
        }
    })
    .await;
    within(Duration::from_secs(5), "the pin is carried out", || async {
        let account = story.simulated.account(id).await.unwrap();
        let as_pinned = account["department"] == "Lamps" && account["title"] == "Keeper of Lamps";
        if as_pinned { Ok(()) } else { Err(account.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_whom_a_pass_over_everybody_finds_being_written_to_is_looked_at_again() {
    let (story, people, controller) = begin("busy-whole", 6, hooked(json!({}))).await;
    let id = &people[0];
    let slow = json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 5000, "times": 1});
    story.simulated.post("/onelogin/faults", slow).await;
    story.simulated.change(id, json!({"work.title": "Keeper of Lamps"})).await;
    story.simulated.forget_calls().await;
    assert_eq!(deliver(&controller, "employee.updated", id, Timestamp::now()).await, Some(200));
    searched(&story).await;
    // The write follows the read at once, and takes five seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    // No event reports this one: only the full pass sees it, and cannot write.
    story.simulated.change(id, json!({"work.title": "Keeper of Keys"})).await;
    story.sync().await;
    within(Duration::from_secs(12), "the newer title is there", || async {
        let account = story.simulated.account(id).await.unwrap();
        if account["title"] == "Keeper of Keys" {
            Ok(())
        } else {
            Err(account["title"].to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_cannot_be_carried_out_are_not_looked_at_every_few_seconds() {
    let story = Story::begin("invalid", 2).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provisioning": {"scope": "employee.work.site ="}})).await;
    story.ready("InvalidSettings").await;
    let passes = async || {
        let metrics = controller.metrics().await;
        metrics
            .lines()
            .filter(|line| line.starts_with("bobsync_passes_total"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = passes().await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!before.is_empty() && passes().await == before, "{before:?}");
    story.integrate(json!({"provisioning": {"scope": "employee.work.site == 'Nowhere'"}})).await;
    story.ready("Converged").await;
    // A Secret is missing, and then exists.
    story.integrate(json!({"bob": {"credentialsSecretRef": {"name": "nowhere"}}})).await;
    story.ready("SecretNotFound").await;
    story
        .secret("nowhere", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "bob-token-1")])
        .await;
    within(Duration::from_secs(15), "the Secret is noticed", || async {
        let reason = reason_of(&story).await;
        if reason == "Converged" { Ok(()) } else { Err(reason) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_concerns_one_person_keeps_no_other_event_waiting() {
    let (story, people, controller) = begin("one-refused", 6, hooked(json!({}))).await;
    let account = story.simulated.account(&people[0]).await.unwrap()["id"].clone();
    let refused = json!({"kind": "status", "status": 403, "method": "PUT", "pathPrefix": format!("/api/2/users/{account}")});
    story.simulated.post("/onelogin/faults", refused).await;
    leave(&story, &people[..1]).await;
    assert_eq!(
        deliver(&controller, "employee.left", &people[0], Timestamp::now()).await,
        Some(200)
    );
    until_reason(&story, &people[0], "SuspendByHand").await;
    leave(&story, &people[1..3]).await;
    for id in &people[1..3] {
        assert_eq!(deliver(&controller, "employee.left", id, Timestamp::now()).await, Some(200));
        suspended_within(Duration::from_secs(5), &story, id).await;
    }
    story.simulated.delete("/onelogin/faults").await;
    suspended_within(Duration::from_secs(40), &story, &people[0]).await;
}

/// A refused listing does not delay the suspension of an employee on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_always_fails_keeps_no_leaver_waiting() {
    let (story, people, controller) = begin("no-listing", 6, hooked(json!({}))).await;
    story
        .simulated
        .post(
            "/onelogin/faults",
            json!({"kind": "status", "status": 503, "method": "GET", "exactPath": "/api/2/users"}),
        )
        .await;
    story.sync_ends_in("ProviderUnavailable").await;
    leave(&story, &people[..1]).await;
    assert_eq!(
        deliver(&controller, "employee.left", &people[0], Timestamp::now()).await,
        Some(200)
    );
    suspended_within(Duration::from_secs(5), &story, &people[0]).await;
}
