//! A service asks for a pause, up to an hour. The integration says what it waits for and until
//! when. Each employee who waits has an object that says so, and the log has one line. Access that
//! can be taken is taken.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    attempts::{begin, deliver, hooked, until_status},
    budgets::leave,
    providers::ENTRA,
    support::{Controller, Story, condition, expected::expected, ready, until},
};

/// Returns reason and message of a condition of the integration.
async fn says(story: &Story, kind: &str) -> (String, String) {
    let conditions = story.integration().await.status.unwrap_or_default().conditions;
    let found = conditions.into_iter().find(|condition| condition.type_ == kind);
    found.map(|found| (found.reason, found.message)).unwrap_or_default()
}

/// Waits until the integration says that it waits for this service. Returns until when.
async fn waits_for(story: &Story, reason: &str, name: &str) -> Timestamp {
    until("the wait is told", || async {
        let (said, message) = says(story, "Ready").await;
        let end = message.strip_prefix("Waiting until ").and_then(|rest| rest.split_once(": "));
        match end {
            Some((at, rest)) if said == reason && rest.contains(name) => {
                Ok(at.parse().expect("a time"))
            }
            _ => Err(format!("{said}: {message}")),
        }
    })
    .await
}

/// Returns the lines of the log about waits.
fn lines(controller: &Controller) -> Vec<String> {
    controller
        .log()
        .lines()
        .filter(|line| line.contains("Waiting until"))
        .map(str::to_owned)
        .collect()
}

fn is_in(at: Timestamp, seconds: i64) {
    let left = at.duration_since(Timestamp::now()).as_secs();
    assert!(
        (seconds - 60..=seconds + 1).contains(&left),
        "{left} s, and {seconds} s were asked for"
    );
}

/// Checks that every employee who should have an account has an object, and that those without an
/// account wait.
async fn everybody_waits(story: &Story) {
    let (employees, now) = (story.simulated.employees().await, Timestamp::now());
    until("everybody who waits has an object that says so", || async {
        let (people, accounts) = (story.everybody().await, story.simulated.accounts().await);
        for employee in employees.iter().filter(|employee| expected(employee, now).is_some()) {
            let id = employee["root.id"].as_str().unwrap();
            let Some(person) = people.iter().find(|person| person.spec.employee_id == id) else {
                return Err(format!("{id} has no object"));
            };
            let said = ready(person);
            let made = accounts.iter().any(|account| account["external_id"] == id);
            if said.1 != if made { "InSync" } else { "Pending" } {
                let message = condition(person, "Ready").map(|(.., message)| message);
                return Err(format!("{id}: {said:?}, {made}, {message:?}"));
            }
        }
        Ok(())
    })
    .await;
}

/// Starts a controller that waits for no Lease of a killed one.
async fn alone(story: &Story) -> Controller {
    Controller::with(story, &["--leader-elect=false"]).await
}

fn pause(method: &str, after: u64, headers: &Value) -> Value {
    json!({"kind": "status", "status": 429, "method": method, "pathPrefix": "/api/2/users", "after": after, "times": 1, "headers": headers})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_pass_that_has_to_wait_for_an_hour_says_so_and_everybody_has_an_object() {
    let story = Story::begin("told-wait", 120).await;
    // Accounts without an employee in Bob: the listing has two pages.
    let strangers: Vec<Value> =
        (0..110).map(|n| json!({"email": format!("stranger{n}@elsewhere.example"), "username": format!("stranger{n}")})).collect();
    story.simulated.post("/onelogin/users", json!(strangers)).await;
    let hour = json!({"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3599"});
    story.simulated.post("/onelogin/faults", pause("GET", 1, &hour)).await;
    let controller = alone(&story).await;
    let began = Instant::now();
    story.integrate(json!({})).await;
    // The second page of the listing waits.
    is_in(waits_for(&story, "ProviderUnavailable", "OneLogin asked for a pause").await, 3599);
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "a wait is told when it begins: {:?}",
        began.elapsed()
    );
    everybody_waits(&story).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let person = story.everybody().await.into_iter().next().unwrap();
    assert_eq!(person.status.as_ref().unwrap().access, None, "what the provider has is not known");
    assert!(
        condition(&person, "Ready")
            .unwrap()
            .2
            .starts_with("Waiting until OneLogin's accounts are read")
    );
    assert_eq!(says(&story, "ProviderConnected").await.0, "ProviderUnavailable");
    assert_eq!(lines(&controller).len(), 1, "{:?}", lines(&controller));

    // Another process does not know that wait. It lists, and new accounts are refused after a
    // while.
    controller.kill();
    story.simulated.post("/onelogin/faults", pause("POST", 20, &hour)).await;
    let controller = alone(&story).await;
    let began = Instant::now();
    until("accounts are made", || async {
        let accounts = story.simulated.accounts().await.len();
        if accounts >= 110 + 20 { Ok(()) } else { Err(accounts.to_string()) }
    })
    .await;
    is_in(waits_for(&story, "ProviderUnavailable", "OneLogin asked for a pause").await, 3599);
    everybody_waits(&story).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(lines(&controller).len(), 1, "{:?}", lines(&controller));
    until("a change that waits says what it will do", || async {
        let pending =
            story.everybody().await.into_iter().filter(|person| ready(person).1 == "Pending");
        let said: Vec<String> =
            pending.map(|person| condition(&person, "Ready").unwrap().2).collect();
        let right = said
            .iter()
            .all(|message| message.starts_with("Waiting for its turn to create the account"));
        if right && said.len() > 50 {
            Ok(())
        } else {
            Err(format!("{} {:?}", said.len(), said.first()))
        }
    })
    .await;

    controller.kill();
    let _controller = alone(&story).await;
    let integration = story.ready("Converged").await;
    assert!(
        integration
            .status
            .unwrap()
            .conditions
            .iter()
            .all(|condition| !condition.message.contains("Waiting until"))
    );
    assert!(story.everybody().await.iter().all(|person| ready(person).0 == "True"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_may_not_begin_is_told_and_the_message_goes_with_the_wait() {
    let story = Story::begin("told-entra", 12).await;
    let provider = ENTRA.prepare(&story).await;
    let limited = json!({"kind": "status", "status": 429, "method": "GET", "pathPrefix": "/v1.0/users", "times": 1, "headers": {"Retry-After": "25"}});
    story.simulated.post("/entra/faults", limited).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provider": provider})).await;
    let end = waits_for(&story, "ProviderUnavailable", "Entra ID asked for a pause").await;
    everybody_waits(&story).await;
    let (mut told, mut after) = (0, None);
    while Timestamp::now() < end + SignedDuration::from_secs(20) && after.is_none() {
        let ready = says(&story, "Ready").await;
        if ready.1.contains("Waiting until") {
            told += 1;
        } else {
            after = Some((ready, Timestamp::now()));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (said, at) = after.expect("the message goes");
    assert!(
        told > 20 && at.duration_since(end).abs() < SignedDuration::from_secs(3),
        "{told} looks, {said:?} at {at}, and not at {end}"
    );
    story.ready("Converged").await;
    assert_eq!(lines(&controller).len(), 1, "{:?}", lines(&controller));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_hides_no_leaver_and_ends_without_a_trace() {
    let (story, people, controller) = begin("told-leaver", 12, hooked(json!({}))).await;
    // The provider is in trouble and names a time: a leaver does not wait for it.
    let trouble = json!({"kind": "status", "status": 503, "method": "PUT", "pathPrefix": "/api/2/users", "times": 2, "headers": {"Retry-After": "35"}});
    story.simulated.post("/onelogin/faults", trouble).await;
    for id in &people[..2] {
        story.simulated.change(id, json!({"work.title": "Keeper of Lamps"})).await;
    }
    story.ask().await;
    let end = waits_for(&story, "ProviderUnavailable", "OneLogin is in trouble").await;
    leave(&story, &people[2..3]).await;
    assert_eq!(
        deliver(&controller, "employee.left", &people[2], Timestamp::now()).await,
        Some(200)
    );
    until_status(&story, &people[2], 2).await;
    assert!(Timestamp::now() < end, "it did not wait");
    until("a change that waits is told", || async {
        let reasons = [story.reason(&people[0]).await, story.reason(&people[1]).await];
        if reasons.iter().all(|reason| reason == "Pending") {
            Ok(())
        } else {
            Err(format!("{reasons:?}"))
        }
    })
    .await;
    assert!(Timestamp::now() < end, "it is told while it waits");
    story.ready("Converged").await;
    assert!(
        Timestamp::now() > end - SignedDuration::from_secs(1),
        "the time is a whole second, rounded up"
    );
    assert_eq!(
        says(&story, "ProviderConnected").await,
        ("Connected".to_owned(), "The last call succeeded.".to_owned())
    );

    // Bob asks for a pause: evidence needs no answer of Bob.
    let limited =
        json!({"kind": "status", "status": 429, "times": 1, "headers": {"Retry-After": "20"}});
    story.simulated.post("/bob/faults", limited).await;
    story.ask().await;
    let end = waits_for(&story, "BobUnavailable", "Bob asked for a pause").await;
    assert_eq!(says(&story, "BobConnected").await.0, "BobUnavailable");
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", &people[3], Timestamp::now())
            .await,
        Some(200)
    );
    until_status(&story, &people[3], 2).await;
    assert!(Timestamp::now() < end, "it did not wait");
    story.ready("Converged").await;
    let integration = story.integration().await.status.unwrap();
    assert!(
        integration.conditions.iter().all(|condition| !condition.message.contains("Waiting until"))
    );
    assert_eq!(lines(&controller).len(), 2, "{:?}", lines(&controller));
}

/// What `Ready` says of the next try, which `status.nextTryAt` says as well: when it is due, and the rest of the message.
async fn next_try(story: &Story, reason: &str) -> (Timestamp, String) {
    let status = story.ready(reason).await.status.unwrap();
    let at = status.next_try_at.expect("status.nextTryAt").0;
    for kind in ["Ready", if reason.ends_with("Unavailable") { "Reconciling" } else { "Stalled" }] {
        let message = &status
            .conditions
            .iter()
            .find(|condition| condition.type_ == kind)
            .expect("the condition")
            .message;
        assert!(message.contains(&format!(" Next try at {at}")), "{kind}: {message}");
    }
    let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
    (at, ready.message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_says_when_it_is_tried_again_and_a_refused_credential_where_it_is_from() {
    let (story, _controller) = Story::converged("next-try", 6, json!({})).await;
    assert_eq!(story.integration().await.status.unwrap().next_try_at, None);
    story.simulated.post("/bob/faults", json!({"kind": "status", "status": 503})).await;
    story.ask().await;
    let (first, message) = next_try(&story, "BobUnavailable").await;
    let left = first.duration_since(Timestamp::now()).as_secs();
    assert!((0..=11).contains(&left), "{left} s: {message}");
    assert!(says(&story, "BobConnected").await.1.contains("Next try at"));
    until("the next try is told after this one", || async {
        let (second, message) = next_try(&story, "BobUnavailable").await;
        if second > first { Ok(()) } else { Err(message) }
    })
    .await;
    assert!(
        Timestamp::now() > first - SignedDuration::from_secs(1),
        "the time is a whole second, rounded up"
    );
    story.simulated.delete("/bob/faults").await;
    let status = story.ready("Converged").await.status.unwrap();
    assert_eq!(status.next_try_at, None);
    assert!(
        status.conditions.iter().all(|condition| !condition.message.contains("Next try")),
        "{:?}",
        status.conditions
    );

    story.secret("onelogin", &[("clientId", "client-1"), ("clientSecret", "another-secret")]).await;
    let (_, message) = next_try(&story, "ProviderUnauthorized").await;
    assert!(
        message
            .contains("Correct it in the Secret onelogin, keys clientId, clientSecret. Next try"),
        "{message}"
    );
    story.secret("onelogin", &[("clientId", "client-1"), ("clientSecret", "secret-1")]).await;
    story.ready("Converged").await;
    story
        .secret("bob", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "another-token")])
        .await;
    let (at, message) = next_try(&story, "BobUnauthorized").await;
    assert!(
        message.contains(
            "Correct it in the Secret bob, keys serviceUserId, serviceUserToken. Next try"
        ),
        "{message}"
    );
    assert!(message.ends_with(", and within a minute when the Secret changes."), "{message}");
    is_in(at, 3600);
    let connected = says(&story, "BobConnected").await;
    assert!(connected.0 == "BobUnauthorized" && connected.1 == message, "{connected:?}");
}
