//! Events against a server on loopback that keeps what it receives.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
};
use parking_lot::Mutex;
use serde_json::Value;

use super::*;
use crate::{
    cluster::connect::with_settings,
    server::front::{self, Limits},
};

#[derive(Clone, Default)]
struct Seen {
    calls: Arc<Mutex<Vec<(String, String, Value)>>>,
    refuse: bool,
}

/// Returns a client of a server that answers every write with what was written (or 403), and the
/// requests that the server received.
async fn server(refuse: bool) -> (Client, Seen) {
    async fn answer(
        State(seen): State<Seen>,
        request: Request,
    ) -> Result<(StatusCode, Json<Value>), StatusCode> {
        let (head, body) = request.into_parts();
        let body: Bytes =
            axum::body::to_bytes(body, 1 << 20).await.map_err(|_| StatusCode::BAD_REQUEST)?;
        let body: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        let call = (head.method.to_string(), head.uri.path().to_owned(), body.clone());
        seen.calls.lock().push(call);
        if seen.refuse {
            return Err(StatusCode::FORBIDDEN);
        }
        let mut event = body;
        event["metadata"]["name"] = "x".into();
        event["eventTime"] = "2026-01-01T00:00:00.000000Z".into();
        Ok((StatusCode::CREATED, Json(event)))
    }
    let seen = Seen { refuse, ..Seen::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(front::serve(
        listener,
        Router::new().fallback(answer).with_state(seen.clone()),
        Limits::default(),
        std::future::pending(),
    ));
    let config = kube::Config::new(format!("http://{address}").parse().expect("an address"));
    (with_settings(config).expect("a client"), seen)
}

fn about(name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("bobsync.dev/v1alpha1".to_owned()),
        kind: Some("EmployeeSync".to_owned()),
        namespace: Some("people".to_owned()),
        name: Some(name.to_owned()),
        uid: Some("0b5e".to_owned()),
        ..ObjectReference::default()
    }
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_event_says_who_what_and_why() {
    let (client, seen) = server(false).await;
    let events = Events::start(client, Leadership::always());
    events.publish(
        about("onelogin-1"),
        false,
        "AccountUpdated",
        "Update",
        "Updated the account (title).".to_owned(),
    );
    events.publish(about("onelogin-1"), true, "Rejected", "Update", "é".repeat(1_000));
    events.flush(SOON).await;
    let calls = seen.calls.lock().clone();
    assert_eq!(calls.len(), 2);
    let (method, path, event) =
        calls.iter().find(|(_, _, event)| event["reason"] == "AccountUpdated").expect("there");
    assert_eq!(
        (method.as_str(), path.as_str()),
        ("POST", "/apis/events.k8s.io/v1/namespaces/people/events")
    );
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["action"], "Update");
    assert_eq!(event["note"], "Updated the account (title).");
    assert_eq!(event["reportingController"], "bobsync");
    assert_eq!(event["regarding"]["uid"], "0b5e");
    assert!(event["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("onelogin-1.")));
    let (.., warning) =
        calls.iter().find(|(_, _, event)| event["reason"] == "Rejected").expect("there");
    assert_eq!(warning["type"], "Warning");
    assert_eq!(warning["note"].as_str().map(str::len), Some(1_024));
}

#[tokio::test]
async fn the_same_again_is_counted_and_not_repeated() {
    let (client, seen) = server(false).await;
    let events = Events::start(client, Leadership::always());
    for _ in 0..3 {
        events.publish(
            about("onelogin-1"),
            false,
            "Rejected",
            "Update",
            "The provider refused title.".to_owned(),
        );
        events.flush(SOON).await;
    }
    events.publish(
        about("onelogin-1"),
        false,
        "Rejected",
        "Update",
        "The provider refused phone.".to_owned(),
    );
    events.publish(
        about("onelogin-2"),
        false,
        "Rejected",
        "Update",
        "The provider refused title.".to_owned(),
    );
    events.flush(SOON).await;
    let calls = seen.calls.lock().clone();
    let methods: Vec<_> = calls.iter().map(|(method, ..)| method.as_str()).collect();
    assert_eq!(methods, ["POST", "PATCH", "PATCH", "POST", "POST"]);
    assert!(calls[1].1.ends_with(calls[0].2["metadata"]["name"].as_str().expect("a name")));
    assert_eq!(calls[2].2["series"]["count"], 3);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let (client, seen) = server(true).await;
    let events = Events::start(client, Leadership::always());
    // There is no await in between: on this runtime of one thread the sending task cannot run, as
    // if it hung.
    for index in 0..1_500 {
        events.publish(
            about(&format!("onelogin-{index}")),
            false,
            "AccountCreated",
            "Create",
            String::new(),
        );
    }
    assert_eq!(events.dropped(), 500);
    events.flush(Duration::from_mins(1)).await;
    assert_eq!(events.failed(), 1_000, "refused events are counted");
    assert_eq!(seen.calls.lock().len(), 1_000, "and not sent again");
}

#[test]
fn a_cut_never_halves_a_character() {
    assert_eq!(cut("aé".to_owned(), 2), "a");
    assert_eq!(cut("aé".to_owned(), 3), "aé");
    assert_eq!(cut(String::new(), 0), "");
}
