//! Faults, the record of calls, the clock and the binary itself.

mod callers;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use callers::{BobCaller, OneLoginCaller, world};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::client::Service;
use simulators::{Control, Fault, FaultKind};

const USERS: &str = "/api/2/users";

fn ann() -> Value {
    json!({"username": "ann", "email": "ann@example.com", "status": 1})
}

#[tokio::test]
async fn the_journal_tells_what_was_applied_and_not_what_was_answered() {
    let world = world(0).await;
    let (control, caller) = (world.control(), OneLoginCaller::of(&world).await);
    control
        .fault(
            Service::OneLogin,
            &Fault::new(FaultKind::Status).method("POST").path(USERS).times(1),
        )
        .await
        .unwrap();
    assert_eq!(create(&caller).await, Some(503));
    assert!(control.journal(0).await.unwrap().is_empty(), "nothing was applied");
    control
        .fault(
            Service::OneLogin,
            &Fault::new(FaultKind::ResetAfterApply).method("POST").path(USERS).times(1),
        )
        .await
        .unwrap();
    assert_eq!(create(&caller).await, None);
    assert_eq!(create(&caller).await, Some(422), "a duplicate changes nothing");
    let journal = control.journal(0).await.unwrap();
    assert_eq!(
        (journal.len(), &journal[0].before, &journal[0].after["email"]),
        (1, &Value::Null, &json!("ann@example.com"))
    );
    control.change_user(journal[0].id, json!({"title": "Keeper"})).await.unwrap();
    let gone = caller
        .http
        .delete(format!("{}{USERS}/{}", caller.base, journal[0].id))
        .bearer_auth(&caller.token)
        .send()
        .await
        .unwrap();
    assert_eq!(gone.status().as_u16(), 204);
    let journal = control.journal(journal[0].seq).await.unwrap();
    assert_eq!(
        (journal.len(), &journal[0].before["title"], &journal[0].after),
        (1, &json!("Keeper"), &Value::Null),
        "an edit is not in it"
    );
}

/// Returns the create's outcome: a status, or a broken connection.
async fn create(caller: &OneLoginCaller) -> Option<u16> {
    let request =
        caller.http.post(format!("{}{USERS}", caller.base)).bearer_auth(&caller.token).json(&ann());
    request.send().await.ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn a_call_that_is_held_is_let_go_when_the_faults_are_taken_away() {
    let world = world(0).await;
    let (control, caller) = (world.control(), OneLoginCaller::of(&world).await);
    control
        .fault(Service::OneLogin, &Fault::new(FaultKind::Hold).method("POST").path(USERS))
        .await
        .unwrap();
    let take_away = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        control.clear_faults(Service::OneLogin).await.unwrap();
    };
    let began = std::time::Instant::now();
    let (outcome, ()) = tokio::join!(create(&caller), take_away);
    let held = began.elapsed();
    assert!(
        outcome.is_none() && held >= Duration::from_millis(300) && held < Duration::from_secs(20),
        "{outcome:?} {held:?}"
    );
    assert_eq!(create(&caller).await, Some(201));
}

#[tokio::test]
async fn what_is_applied_and_what_is_answered_under_each_fault() {
    let cases = [
        (FaultKind::Status, Some(503), 0),
        (FaultKind::Html, Some(200), 0),
        (FaultKind::ErrorObject, Some(200), 0),
        (FaultKind::Reset, None, 0),
        (FaultKind::ResetAfterApply, None, 1),
        (FaultKind::StatusAfterApply, Some(503), 1),
        (FaultKind::Truncate, Some(201), 1),
        (FaultKind::Delay, Some(201), 1),
    ];
    for (kind, outcome, users) in cases {
        let world = world(0).await;
        let caller = OneLoginCaller::of(&world).await;
        let fault = Fault::new(kind).method("POST").path(USERS).times(1).delay_ms(1);
        caller.control.fault(Service::OneLogin, &fault).await.unwrap();
        assert_eq!(caller.get(USERS).await.status, 200, "{kind:?} is for creates only");
        assert_eq!(create(&caller).await, outcome, "{kind:?}");
        assert_eq!(caller.control.users().await.unwrap().len(), users, "{kind:?}");
        let calls = caller.control.calls(Service::OneLogin).await.unwrap();
        assert_eq!((calls.writes, calls.applied_writes), (1, users as u64), "{kind:?}");
        let log = caller.control.log(Service::OneLogin, 0).await.unwrap();
        assert_eq!(log.last().unwrap().status, outcome.unwrap_or(0), "{kind:?}");
        assert_eq!(
            create(&caller).await,
            Some(if users == 1 { 422 } else { 201 }),
            "{kind:?} strikes once"
        );
    }
}

#[tokio::test]
async fn a_held_call_is_never_answered_and_is_applied_or_not_as_ordered() {
    for (kind, applied) in [(FaultKind::Hold, 0), (FaultKind::HoldAfterApply, 1)] {
        let world = world(0).await;
        let (control, caller) = (world.control(), OneLoginCaller::of(&world).await);
        control
            .fault(Service::OneLogin, &Fault::new(kind).method("POST").path(USERS).times(1))
            .await
            .unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(300), create(&caller)).await;
        assert!(waited.is_err(), "{kind:?}: {waited:?}");
        // It is in the log while it is held, and nothing happens once the caller has gone.
        let log = control.log(Service::OneLogin, 0).await.unwrap();
        assert!(
            log.iter().any(|call| call.method == "POST" && call.path == USERS && call.status == 0),
            "{kind:?}"
        );
        assert_eq!(control.users().await.unwrap().len(), applied, "{kind:?}");
        assert_eq!(control.journal(0).await.unwrap().len(), applied, "{kind:?}");
        assert!(
            control.fault(Service::OneLogin, &Fault::new(kind).status(503)).await.is_err(),
            "there is no answer to have a status"
        );
    }
}

#[tokio::test]
async fn an_injected_answer_is_as_ordered() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let fault = Fault::new(FaultKind::Status)
        .status(429)
        .header("Retry-After", "7")
        .body(json!({"slow": "down"}));
    caller.control.fault(Service::OneLogin, &fault).await.unwrap();
    let answer = caller.get(USERS).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after"), answer.json()),
        (429, Some("7"), json!({"slow": "down"}))
    );
    caller.control.clear_faults(Service::OneLogin).await.unwrap();
    assert_eq!(caller.get(USERS).await.status, 200);
    caller
        .control
        .fault(Service::OneLogin, &Fault::new(FaultKind::Html).status(502))
        .await
        .unwrap();
    let page = caller.get(USERS).await;
    assert_eq!(page.status, 502);
    assert!(page.is_html());
    assert!(
        caller
            .control
            .fault(Service::OneLogin, &Fault::new(FaultKind::Status).status(42))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_cut_body_is_an_error_for_sized_and_for_streamed_answers() {
    for people in [20, 3_000] {
        let world = world(people).await;
        let bob = BobCaller::of(&world);
        bob.control.fault(Service::Bob, &Fault::new(FaultKind::Truncate).times(1)).await.unwrap();
        let search = || {
            let request = bob
                .http
                .post(format!("{}/v1/people/search", bob.base))
                .basic_auth("SERVICE-1", Some("bob-token-1"));
            request.json(&json!({"showInactive": true})).send()
        };
        let cut = search().await.unwrap();
        assert_eq!(cut.status(), 200);
        assert!(cut.bytes().await.is_err(), "{people}");
        assert!(search().await.unwrap().bytes().await.is_ok());
    }
}

#[tokio::test]
async fn calls_are_counted_by_route_and_logged_without_secrets() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id = caller.create("ann", json!({"title": "T"})).await;
    caller.update(id, json!({"title": "U", "colour": "red"})).await;
    caller.get("/api/2/users?limit=100&page=1").await;
    caller.call(Method::GET, "/nowhere", None).await;
    let calls = caller.control.calls(Service::OneLogin).await.unwrap();
    for route in [
        "POST /auth/oauth2/v2/token",
        "POST /api/2/users",
        "PUT /api/2/users/{id}",
        "GET /api/2/users",
        "GET (unknown)",
    ] {
        assert_eq!(calls.by_route.get(route), Some(&1), "{route} in {calls:?}");
    }
    assert_eq!((calls.total, calls.writes, calls.applied_writes), (5, 2, 1));
    let log = caller.control.log(Service::OneLogin, 0).await.unwrap();
    assert_eq!((log[0].path.as_str(), &log[0].body), ("/auth/oauth2/v2/token", &Value::Null));
    assert_eq!(
        (log[2].body_keys.as_slice(), log[2].status),
        (["colour".to_owned(), "title".to_owned()].as_slice(), 400)
    );
    assert_eq!(log[3].query, "limit=100&page=1");
    assert_eq!(caller.control.log(Service::OneLogin, log[3].seq).await.unwrap().len(), 1);
    caller.control.reset_calls(Service::OneLogin).await.unwrap();
    assert_eq!(caller.control.calls(Service::OneLogin).await.unwrap().total, 0);
}

#[tokio::test]
async fn the_clock_goes_where_it_is_told_and_runs_on() {
    let world = world(0).await;
    let control = world.control();
    let start = control.now().await.unwrap();
    assert!(start.to_string().starts_with("2026-11-24T09:00:"), "{start}");
    control.advance(86_400).await.unwrap();
    assert!(control.now().await.unwrap() > start);
    control.set_clock("2020-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert!(control.now().await.unwrap().to_string().starts_with("2020-01-01T00:00:"));
}

#[tokio::test]
async fn a_dropped_world_is_gone() {
    let world = world(0).await;
    let control = world.control();
    control.now().await.unwrap();
    drop(world);
    // The listener closes as soon as its task is next polled.
    tokio::task::yield_now().await;
    let mut gone = false;
    for _ in 0..100 {
        gone = gone || control.now().await.is_err();
        tokio::task::yield_now().await;
    }
    assert!(gone);
}

#[tokio::test]
async fn mistakes_in_control_calls_are_told() {
    let world = world(0).await;
    let control = world.control();
    assert!(control.create_employee(json!({"work.startDate": "soon"})).await.is_err());
    assert!(control.create_user(json!({"title": 5})).await.is_err());
    assert!(control.change_user(1, json!({})).await.is_err());
    assert!(control.onelogin_quirks(json!({"licenses": 5})).await.is_err());
    assert!(control.onelogin_credentials("a", "b", "Everything").await.is_err());
}

/// The binary, as a demo or a script starts it. Killed when dropped.
struct Binary {
    child: Child,
    addresses: Value,
}

impl Binary {
    fn serve(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simulators"))
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, addresses: serde_json::from_str(&line).unwrap() }
    }

    fn control(&self) -> Control {
        Control::new(self.addresses["control"].as_str().unwrap())
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_binary_tells_its_addresses_and_ends_on_a_signal() {
    let mut binary = Binary::serve(&["--employees", "5", "--today", "2026-11-24T09:00:00Z"]);
    for name in ["bob", "oneLogin", "control"] {
        assert!(
            binary.addresses[name].as_str().unwrap().starts_with("http://127.0.0.1:"),
            "{}",
            binary.addresses
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(binary.control().company()).unwrap().employees, 5);
    let killed =
        Command::new("kill").args(["-TERM", &binary.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = binary.child.try_wait().unwrap() {
            break status;
        }
        assert!(waited < Duration::from_secs(10), "still running");
        std::thread::sleep(Duration::from_millis(20));
        waited += Duration::from_millis(20);
    };
    assert!(status.success());
}

// A process of its own: no TLS provider is set before Bob makes a call.
#[tokio::test]
async fn the_binary_pushes_what_changes_in_bob() {
    let binary = Binary::serve(&[]);
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let hear = async move |headers: axum::http::HeaderMap, body: String| {
        heard.send((headers.contains_key("bob-signature"), body)).unwrap()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async {
        axum::serve(listener, axum::Router::new().route("/hook", axum::routing::post(hear))).await
    });
    let control = binary.control();
    control.push_to(&url, "s3cret").await.unwrap();
    assert_eq!(hears.recv().await.unwrap(), (false, "Ping test".to_owned()));
    let id = control.create_employee(json!({})).await.unwrap();
    let (signed, body) = hears.recv().await.unwrap();
    assert!(signed && body.contains(&id), "{body}");
}
