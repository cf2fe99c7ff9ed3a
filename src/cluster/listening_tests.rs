//! Tests listening to an API server in memory with faults, in virtual time.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, http::Request, response::Response};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::telemetry::health::Health;

/// The fault of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The request is never answered.
    Never,
    /// The request is refused with this code.
    Code(u16),
    /// The answer is the page of another server.
    Page,
    /// The answer ends in the middle: a list in its text, a watch in its first event.
    Half,
    /// The answer comes late.
    Late(Duration),
    /// The request is accepted, and its only event is this error.
    Error(u16),
    /// The connection is refused.
    Refused,
}

#[derive(Default)]
struct World {
    version: u64,
    objects: BTreeMap<&'static str, u64>,
    /// The fault of lists, and of watches that begin, and how often it occurs.
    lists: Option<(Fault, u32)>,
    watches: Option<(Fault, u32)>,
    /// When requests came, and whether each was a watch.
    asked: Vec<(Instant, bool)>,
    /// Whether a page has only one object.
    small: bool,
}

#[derive(Clone)]
struct Server {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
    /// Connections before this number are dead: their end is never reported.
    dead: watch::Sender<u64>,
}

impl Server {
    fn start() -> Self {
        let server = Self {
            world: Arc::default(),
            changed: watch::Sender::new(0),
            dead: watch::Sender::new(0),
        };
        server.change("a");
        server.change("b");
        server
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }

    fn change(&self, name: &'static str) -> u64 {
        let mut world = self.world();
        world.version += 1;
        let version = world.version;
        world.objects.insert(name, version);
        drop(world);
        self.changed.send_replace(version);
        version
    }

    fn answer(
        &self,
        watching: bool,
        query: &str,
    ) -> BoxFuture<'static, Result<Response, std::io::Error>> {
        let server = self.clone();
        let mut world = self.world();
        world.asked.push((Instant::now(), watching));
        let fault = if watching { &mut world.watches } else { &mut world.lists };
        let strikes = fault.as_mut().filter(|(_, times)| *times > 0).map(|(fault, times)| {
            *times -= 1;
            *fault
        });
        drop(world);
        let value = |key: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let (since, page) = (
            value("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0),
            value("continue"),
        );
        let lasts: u64 = value("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(290);
        Box::pin(async move {
            match strikes {
                Some(Fault::Never) => std::future::pending().await,
                Some(Fault::Code(code)) => return Ok(refusal(code)),
                Some(Fault::Page) => {
                    return Ok(Response::new(Body::from(
                        "<html>\n<body>It works!</body>\n</html>\n",
                    )));
                }
                Some(Fault::Late(by)) => tokio::time::sleep(by).await,
                Some(Fault::Refused) => return Err(std::io::ErrorKind::ConnectionRefused.into()),
                Some(Fault::Half | Fault::Error(_)) | None => {}
            }
            let half = strikes == Some(Fault::Half);
            if !watching {
                let list = server.list(page.as_deref()).to_string();
                return Ok(Response::new(Body::from(if half {
                    list[..list.len() / 2].to_owned()
                } else {
                    list
                })));
            }
            let first = match strikes {
                Some(Fault::Error(code)) => {
                    Some(json!({"type": "ERROR", "object": status(code)}).to_string() + "\n")
                }
                _ => half.then(|| "{\"type\":\"MODIFIED\",\"obj".to_owned()),
            };
            Ok(Response::new(server.changes(since, Duration::from_secs(lasts), first)))
        })
    }

    fn list(&self, page: Option<&str>) -> Value {
        let world = self.world();
        let all: Vec<_> =
            world.objects.iter().map(|(name, version)| object(name, *version)).collect();
        let version = world.version.to_string();
        let at: usize = page.and_then(|page| page.parse().ok()).unwrap_or(0);
        let next = (world.small && at + 1 < all.len()).then(|| (at + 1).to_string());
        let items = if world.small { vec![all[at].clone()] } else { all };
        json!({"kind": "ConfigMapList", "apiVersion": "v1",
            "metadata": {"resourceVersion": version, "continue": next}, "items": items})
    }

    /// Returns what a watch sends, until it has lasted this long. Nothing follows after `first`,
    /// because the watch was cut there.
    fn changes(&self, since: u64, lasts: Duration, first: Option<String>) -> Body {
        let server = self.clone();
        let number = *self.dead.borrow();
        let (mut news, ends) = (self.changed.subscribe(), Instant::now() + lasts);
        let stream = async_stream(move |send| async move {
            if let Some(first) = first {
                let error = first.contains("ERROR");
                send.send(first).await.ok();
                if !error {
                    std::future::pending::<()>().await;
                }
                return;
            }
            let mut told = since;
            loop {
                let mut fresh: Vec<_> = server
                    .world()
                    .objects
                    .iter()
                    .map(|(name, at)| (*at, *name))
                    .filter(|(at, _)| *at > told)
                    .collect();
                fresh.sort_unstable();
                for (version, name) in fresh {
                    told = version;
                    let event = json!({"type": "MODIFIED", "object": object(name, version)})
                        .to_string()
                        + "\n";
                    if *server.dead.borrow() > number {
                        std::future::pending::<()>().await;
                    }
                    send.send(event).await.ok();
                }
                tokio::select! {
                    _ = news.changed() => {}
                    () = tokio::time::sleep_until(ends) => {
                        if *server.dead.borrow() > number {
                            std::future::pending::<()>().await;
                        }
                        return;
                    }
                }
            }
        });
        Body::from_stream(stream)
    }

    fn client(&self) -> Client {
        Client::new(Connection(self.clone()), "people")
    }
}

/// Returns the stream of what a task sends.
fn async_stream<F>(
    task: impl FnOnce(tokio::sync::mpsc::Sender<String>) -> F,
) -> impl Stream<Item = Result<String, std::io::Error>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (send, receive) = tokio::sync::mpsc::channel(16);
    tokio::spawn(task(send));
    futures::stream::unfold(receive, |mut receive| async {
        Some((Ok(receive.recv().await?), receive))
    })
}

fn object(name: &str, version: u64) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "people", "resourceVersion": version.to_string()}})
}

fn status(code: u16) -> Value {
    let details = if code == 429 { json!({"retryAfterSeconds": 1}) } else { json!({}) };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
        "code": code, "details": details})
}

fn refusal(code: u16) -> Response {
    let mut response = Response::new(Body::from(status(code).to_string()));
    *response.status_mut() = axum::http::StatusCode::from_u16(code).expect("a code");
    response
}

#[derive(Clone)]
struct Connection(Server);

impl tower_service::Service<Request<kube::client::Body>> for Connection {
    type Response = Response;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Response, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default().to_owned();
        self.0.answer(query.contains("watch="), &query)
    }
}

/// Starts a listener, and returns the newest version that it has reported.
fn heard(server: &Server, health: &Health) -> watch::Receiver<u64> {
    let (tell, told) = watch::channel(0);
    let ear = health.register_within("the watch", DEAF);
    let stream = listen(Api::<ConfigMap>::namespaced(server.client(), "people"), ear, None);
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            if let Ok(
                ListenEvent::Apply(object)
                | ListenEvent::InitApply(object)
                | ListenEvent::Delete(object),
            ) = event
            {
                let version =
                    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0);
                tell.send_if_modified(|newest| {
                    std::mem::replace(newest, (*newest).max(version)) < version
                });
            }
        }
    });
    told
}

/// Returns how long it takes until this version is reported; waits at most ten minutes.
async fn until(told: &mut watch::Receiver<u64>, version: u64) -> Duration {
    let began = Instant::now();
    let wait = told.wait_for(|told| *told >= version);
    tokio::time::timeout(Duration::from_mins(10), wait)
        .await
        .expect("it is told of")
        .expect("a listener");
    began.elapsed()
}

/// Returns a server with a listener that has reported everything.
async fn listening() -> (Server, Health, watch::Receiver<u64>) {
    let (server, health) = (Server::start(), Health::new());
    let mut told = heard(&server, &health);
    assert!(until(&mut told, 2).await < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(5)).await;
    (server, health, told)
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_at_once_and_a_calm_watch_is_begun_again_before_it_counts_as_dead() {
    let (server, health, mut told) = listening().await;
    let version = server.change("a");
    assert!(until(&mut told, version).await < Duration::from_millis(10));
    let before = server.world().asked.len();
    tokio::time::sleep(Duration::from_mins(60)).await;
    let asked = server.world().asked.split_off(before);
    assert!(asked.iter().all(|(_, watching)| *watching), "nothing is listed anew");
    assert!((100..=121).contains(&asked.len()), "{}", asked.len());
    assert_eq!(health.alive(), Ok(()));
    let version = server.change("b");
    assert!(until(&mut told, version).await < Duration::from_millis(10));
}

// The fault of the next requests, how often it occurs, and within which time a change made at that
// moment is reported.
#[tokio::test(start_paused = true)]
async fn whatever_is_wrong_with_a_watch_a_change_is_told_within_its_bound() {
    let ever = u32::MAX;
    for (fault, times, within) in [
        (Fault::Never, 1, 46 + 15),
        (Fault::Never, ever, 46 + 32),
        (Fault::Half, 1, 46 + 45),
        (Fault::Page, 1, 46),
        (Fault::Page, ever, 46 + 16),
        (Fault::Late(Duration::from_secs(3)), ever, 46 + 3),
        (Fault::Code(429), 2, 46 + 5),
        (Fault::Code(503), 2, 46 + 5),
        (Fault::Code(429), ever, 46 + 20),
        (Fault::Code(410), 1, 46 + 1),
        (Fault::Code(504), 1, 46 + 1),
        (Fault::Error(410), 1, 46 + 1),
        (Fault::Error(500), 1, 46 + 1),
        (Fault::Refused, 3, 46 + 5),
    ] {
        let (server, health, mut told) = listening().await;
        // The watch under way is dead, and this is noticed late. The following requests have the
        // fault of the row.
        server.world().watches = Some((fault, times));
        server.dead.send_modify(|dead| *dead += 1);
        let version = server.change("a");
        let took = until(&mut told, version).await;
        assert!(took <= Duration::from_secs(within), "{fault:?} {times}: {took:?}");
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(health.alive(), Ok(()), "{fault:?} {times}: lists are answered");
        }
        let version = server.change("b");
        let took = until(&mut told, version).await;
        assert!(
            took <= Duration::from_secs(within),
            "{fault:?} {times}, the second time: {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_wrong_with_the_first_list_it_is_asked_for_again_within_its_bound() {
    for (fault, times, within) in [
        (Fault::Never, 1, 32),
        (Fault::Half, 1, 1),
        (Fault::Page, 2, 3),
        (Fault::Late(Duration::from_secs(3)), 1, 4),
        (Fault::Code(429), 1, 2),
        (Fault::Code(503), 3, 8),
        (Fault::Code(404), 3, 8),
        (Fault::Refused, 3, 8),
    ] {
        let (server, health) = (Server::start(), Health::new());
        server.world().lists = Some((fault, times));
        let mut told = heard(&server, &health);
        let took = until(&mut told, 2).await;
        assert!(took <= Duration::from_secs(within), "{fault:?} {times}: {took:?}");
        let version = server.change("b");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(*told.borrow() == version, "it is watched");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_hears_nothing_is_unhealthy_and_one_that_is_refused_is_not() {
    for (fault, healthy) in [
        (Fault::Never, false),
        (Fault::Code(500), true),
        (Fault::Refused, true),
        (Fault::Page, true),
    ] {
        let (server, health, mut told) = listening().await;
        server.world().lists = Some((fault, u32::MAX));
        server.world().watches = Some((fault, u32::MAX));
        server.dead.send_modify(|dead| *dead += 1);
        let version = server.change("a");
        tokio::time::sleep(DEAF - Duration::from_secs(10)).await;
        assert_eq!(health.alive(), Ok(()), "{fault:?}");
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert_eq!(health.alive().is_ok(), healthy, "{fault:?}");
        server.world().lists = None;
        server.world().watches = None;
        assert!(until(&mut told, version).await <= Duration::from_secs(50), "{fault:?}");
        assert_eq!(health.alive(), Ok(()), "{fault:?}: it has recovered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_failed_is_asked_for_again_and_the_list_does_not_begin_anew() {
    for (fault, pages) in [(Fault::Code(500), 3), (Fault::Never, 3), (Fault::Code(410), 4)] {
        let (server, health) = (Server::start(), Health::new());
        server.world().small = true;
        let ear = health.register_within("the watch", DEAF);
        let mut stream = std::pin::pin!(listen(
            Api::<ConfigMap>::namespaced(server.client(), "people"),
            ear,
            None
        ));
        let mut told = Vec::new();
        loop {
            let event = stream.next().await.expect("a stream without end");
            if matches!(event, Ok(ListenEvent::InitApply(_))) && told.len() == 1 {
                server.world().lists = Some((fault, 1));
            }
            told.push(match event {
                Ok(ListenEvent::Init) => "init".to_owned(),
                Ok(ListenEvent::InitApply(object)) => object.name_any(),
                Ok(ListenEvent::InitDone) => break,
                Ok(event) => panic!("{event:?}"),
                Err(trouble) => {
                    assert!(trouble.listing);
                    "failed".to_owned()
                }
            });
        }
        let expected: &[&str] = if fault == Fault::Code(410) {
            &["init", "a", "failed", "init", "a", "b"]
        } else {
            &["init", "a", "failed", "b"]
        };
        assert_eq!(told, expected, "{fault:?}");
        assert_eq!(server.world().asked.len(), pages, "{fault:?}");
    }
}
