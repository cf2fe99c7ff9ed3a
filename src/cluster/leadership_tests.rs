//! Tests the election against a Lease in memory, in virtual time: partitions, lost answers,
//! deletions. The Lease compares versions as the API server does. `tests/leadership.rs` tests the
//! same against a real API server.

use std::{
    collections::HashSet,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use super::*;

type Request = axum::http::Request<Body>;
type Response = axum::http::Response<Body>;

/// A Lease, its versions, and the contenders that cannot reach it.
#[derive(Default)]
struct World {
    lease: Option<Lease>,
    version: u64,
    /// The contenders with requests that hang.
    cut_off: HashSet<&'static str>,
    /// The contenders with requests that are carried out and never answered.
    unheard: HashSet<&'static str>,
    /// Another process writes to the Lease right before every write of a contender.
    meddler: bool,
    creates: u32,
    /// Half of all requests are refused with "too many requests"; the value is the state of the
    /// random numbers.
    busy: Option<u64>,
    /// How long an answer takes.
    slow: Duration,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<World>>);

impl Store {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock()
    }

    fn client(&self, name: &'static str) -> Client {
        Client::new(Connection { store: self.clone(), name }, "people")
    }

    /// Returns a contender with this name.
    fn join(&self, name: &'static str) -> Leadership {
        self.join_after(name, BeforeStart::Untouched)
    }

    fn join_after(&self, name: &'static str, past: BeforeStart) -> Leadership {
        Leadership::run(
            self.client(name),
            "people",
            name.to_owned(),
            Terms::default(),
            past,
            |_| (),
        )
    }

    fn holder(&self) -> String {
        self.world()
            .lease
            .as_ref()
            .and_then(|lease| lease.spec.clone())
            .and_then(|spec| spec.holder_identity)
            .unwrap_or_default()
    }
}

impl World {
    fn touch(&mut self) {
        self.version += 1;
        let version = self.version.to_string();
        if let Some(lease) = &mut self.lease {
            lease.metadata.resource_version = Some(version);
        }
    }

    fn carry_out(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let failure = |code: u16, reason: &str| {
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
                    "code": code}),
            )
        };
        if let Some(dice) = &mut self.busy {
            *dice ^= *dice << 13;
            *dice ^= *dice >> 7;
            *dice ^= *dice << 17;
            if dice.is_multiple_of(2) {
                return failure(429, "TooManyRequests");
            }
        }
        if self.meddler && method != "GET" {
            self.touch();
        }
        match method {
            "GET" => match &self.lease {
                Some(lease) => (200, serde_json::to_value(lease).expect("JSON")),
                None => failure(404, "NotFound"),
            },
            "POST" => {
                assert!(path.ends_with("/namespaces/people/leases"), "{path}");
                if self.lease.is_some() {
                    return failure(409, "AlreadyExists");
                }
                let mut lease: Lease = serde_json::from_slice(body).expect("a Lease");
                assert_eq!(
                    lease.metadata.resource_version, None,
                    "the API server refuses a version on a create"
                );
                self.creates += 1;
                lease.metadata.uid = Some(format!("uid-{}", self.creates));
                self.lease = Some(lease);
                self.touch();
                (201, serde_json::to_value(&self.lease).expect("JSON"))
            }
            "PUT" => {
                let lease: Lease = serde_json::from_slice(body).expect("a Lease");
                assert!(path.ends_with("/namespaces/people/leases/bobsync"), "{path}");
                let Some(before) = &self.lease else { return failure(404, "NotFound") };
                assert!(lease.metadata.resource_version.is_some(), "a blind write");
                if before.metadata.resource_version != lease.metadata.resource_version
                    || before.metadata.uid != lease.metadata.uid
                {
                    return failure(409, "Conflict");
                }
                self.lease = Some(lease);
                self.touch();
                (200, serde_json::to_value(&self.lease).expect("JSON"))
            }
            other => panic!("a contender used {other}"),
        }
    }
}

struct Connection {
    store: Store,
    name: &'static str,
}

impl tower_service::Service<Request> for Connection {
    type Response = Response;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Response, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (store, name) = (self.store.clone(), self.name);
        Box::pin(async move {
            let (method, path) =
                (request.method().as_str().to_owned(), request.uri().path().to_owned());
            let body =
                request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
            tokio::time::sleep(Duration::from_millis(20)).await;
            if store.world().cut_off.contains(name) {
                std::future::pending::<()>().await;
            }
            let slow = store.world().slow;
            tokio::time::sleep(slow).await;
            let (code, answer) = store.world().carry_out(&method, &path, &body);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if store.world().unheard.contains(name) || store.world().cut_off.contains(name) {
                std::future::pending::<()>().await;
            }
            let answer = Body::from(serde_json::to_vec(&answer).expect("JSON"));
            Ok(axum::http::Response::builder().status(code).body(answer).expect("a response"))
        })
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

/// Returns how long it takes until `leadership` leads; waits at most five minutes.
async fn until_leads(leadership: &Leadership) -> Duration {
    let began = Instant::now();
    tokio::time::timeout(Duration::from_mins(5), leadership.wait_to_lead())
        .await
        .expect("leads at last");
    began.elapsed()
}

async fn until_lost(leadership: &Leadership) -> Duration {
    let began = Instant::now();
    tokio::time::timeout(Duration::from_mins(5), leadership.lost()).await.expect("lost at last");
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_at_once_and_the_second_follows() {
    let store = Store::default();
    let first = store.join("first");
    assert!(until_leads(&first).await < Duration::from_secs(1));
    let second = store.join("second");
    for _ in 0..300 {
        seconds(1).await;
        assert!(first.is_leader() && !second.is_leader());
        assert!(
            first.may_start(Duration::from_secs(30)),
            "a write of 30 s always fits while all is well"
        );
        assert!(!second.may_start(Duration::ZERO));
    }
    let spec = store.world().lease.clone().and_then(|lease| lease.spec).expect("a spec");
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(60), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_within_a_look() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    let second = store.join("second");
    seconds(30).await;
    first.release().await;
    assert!(!first.is_leader() && !first.may_start(Duration::ZERO));
    assert_eq!(store.holder(), "");
    assert!(until_leads(&second).await < Duration::from_secs(4));
    seconds(100).await;
    assert!(!first.is_leader() && second.is_leader(), "who released does not come back");
    assert_eq!(
        store
            .world()
            .lease
            .clone()
            .and_then(|lease| lease.spec)
            .and_then(|spec| spec.lease_transitions),
        Some(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_cut_off_stops_before_another_leads() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    let second = store.join("second");
    seconds(33).await;
    store.world().cut_off.insert("first");
    // The last renewal was at most 10 s ago. No write of 30 s begins that could outlive the lease.
    seconds(30).await;
    assert!(first.is_leader() && !first.may_start(Duration::from_secs(30)));
    let (lost, taken) = tokio::join!(
        async {
            until_lost(&first).await;
            Instant::now()
        },
        async {
            until_leads(&second).await;
            Instant::now()
        }
    );
    assert!(lost < taken, "lost {:?} after the other led", lost.saturating_duration_since(taken));
    assert!(taken - lost < Duration::from_secs(5));
    // After the contact is back, it finds the other holder and does not lead.
    store.world().cut_off.clear();
    seconds(100).await;
    assert!(!first.is_leader() && second.is_leader());
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_renewal_counts_for_nothing() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    seconds(5).await;
    // Every renewal is carried out, but the holder never receives an answer. It must stop, although
    // the record looks fresh.
    store.world().unheard.insert("first");
    let lost = until_lost(&first).await;
    assert!(lost <= Duration::from_secs(60), "{lost:?}");
    store.world().unheard.clear();
    // The unanswered request ends first.
    assert!(
        until_leads(&first).await < Duration::from_secs(15),
        "the lease was its own all the time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_ends_nothing() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    for _ in 0..5 {
        store.world().cut_off.insert("first");
        seconds(30).await;
        assert!(first.is_leader());
        store.world().cut_off.clear();
        // A request that hangs takes ten seconds, and a short wait follows.
        seconds(14).await;
    }
    tokio::time::timeout(Duration::from_secs(100), first.lost()).await.expect_err("one long term");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again_by_its_holder_only() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    let second = store.join("second");
    for _ in 0..20 {
        seconds(13).await;
        store.world().lease = None;
        assert!(first.is_leader() && !second.is_leader());
    }
    seconds(13).await;
    assert_eq!(store.holder(), "first");
    // The holder dies and the Lease is deleted: the other contender waits as long as the holder
    // could still assume that it leads.
    store.world().cut_off.insert("first");
    store.world().lease = None;
    let (lost, taken) = tokio::join!(
        async {
            until_lost(&first).await;
            Instant::now()
        },
        async {
            until_leads(&second).await;
            Instant::now()
        }
    );
    assert!(lost < taken);
    assert_eq!(store.holder(), "second");
}

#[tokio::test(start_paused = true)]
async fn two_that_find_no_lease_race_and_one_wins() {
    for _ in 0..20 {
        let store = Store::default();
        let (first, second) = (store.join("first"), store.join("second"));
        seconds(1).await;
        assert!(first.is_leader() != second.is_leader());
        seconds(200).await;
        assert!(first.is_leader() != second.is_leader());
        assert_eq!(store.world().creates, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn conflicts_on_every_write_make_the_holder_stop_in_time() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    store.world().meddler = true;
    let lost = until_lost(&first).await;
    assert!(lost <= Duration::from_secs(60), "{lost:?}");
    assert!(!first.is_leader());
    store.world().meddler = false;
    until_leads(&first).await;
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_name_in_the_lease_ends_it_at_once() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    {
        let mut world = store.world();
        if let Some(spec) = world.lease.as_mut().and_then(|lease| lease.spec.as_mut()) {
            spec.holder_identity = Some("usurper".to_owned());
        }
        world.touch();
    }
    assert!(until_lost(&first).await <= Duration::from_secs(12), "seen at the next renewal");
    assert!(
        until_leads(&first).await >= Duration::from_secs(58),
        "and the other's time is respected"
    );
}

// One record comes from a machine with a clock that is years behind or ahead, and one promises more
// than the own term.
#[tokio::test(start_paused = true)]
async fn the_remote_clock_means_nothing() {
    for renewed in ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"] {
        let store = Store::default();
        let lease = json!({"metadata": {"name": "bobsync", "uid": "u", "resourceVersion": "1"},
            "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 90, "renewTime": renewed,
            "acquireTime": renewed}});
        store.world().lease = Some(serde_json::from_value(lease).expect("a Lease"));
        store.world().version = 1;
        let waited = until_leads(&store.join("first")).await;
        assert!((90..95).contains(&waited.as_secs()), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_election_one_leads_until_it_releases() {
    let leadership = Leadership::always();
    leadership.wait_to_lead().await;
    assert!(leadership.is_leader() && leadership.may_start(Duration::from_hours(1)));
    tokio::time::timeout(Duration::from_hours(1), leadership.lost()).await.expect_err("never");
    leadership.release().await;
    assert!(!leadership.is_leader() && !leadership.may_start(Duration::ZERO));
    leadership.lost().await;
    tokio::time::timeout(Duration::from_hours(1), leadership.wait_to_lead())
        .await
        .expect_err("never again");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_leaves_the_lease_to_run_out() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    drop(first);
    assert_eq!(store.holder(), "first");
    let waited = until_leads(&store.join("second")).await;
    assert!((58..70).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_what_is() {
    let store = Store::default();
    let told: Arc<Mutex<Vec<bool>>> = Arc::default();
    let heard = told.clone();
    let first = Leadership::run(
        store.client("first"),
        "people",
        "first".to_owned(),
        Terms::default(),
        BeforeStart::Untouched,
        move |leads| {
            heard.lock().push(leads);
        },
    );
    until_leads(&first).await;
    store.world().cut_off.insert("first");
    until_lost(&first).await;
    seconds(10).await;
    store.world().cut_off.clear();
    until_leads(&first).await;
    first.release().await;
    assert_eq!(*told.lock(), [false, true, false, true, false]);
}

#[test]
fn a_suspended_machine_does_not_believe_its_monotonic_clock() {
    let terms = Terms::default();
    let claimed =
        ClaimMoment { at: Instant::now(), wall: SystemTime::now() - Duration::from_secs(61) };
    assert_eq!(LeaseState::Leads { term: 1, claimed }.left(&terms), Duration::ZERO);
    // A wall clock that was set back has no effect.
    let claimed =
        ClaimMoment { at: Instant::now(), wall: SystemTime::now() + Duration::from_hours(1) };
    let left = LeaseState::Leads { term: 1, claimed }.left(&terms);
    assert!(left > Duration::from_secs(58) && left <= Duration::from_millis(58_800), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_a_deleted_lease_waits_out_a_holder_who_cannot_be_reached() {
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    seconds(13).await;
    store.world().cut_off.insert("first");
    store.world().lease = None;
    let second = store.join_after("second", BeforeStart::Unknown);
    let (lost, taken) = tokio::join!(
        async {
            until_lost(&first).await;
            Instant::now()
        },
        async {
            until_leads(&second).await;
            Instant::now()
        }
    );
    assert!(lost < taken);
}

/// Three contenders are cut off, unheard, restarted and connected again at random, and the Lease is
/// deleted by hand. There are never two leaders, and no permitted write of 30 s reaches into the
/// term of another contender.
#[tokio::test(start_paused = true)]
async fn never_two_leaders_and_no_write_outlives_its_lease() {
    const NAMES: [&str; 3] = ["first", "second", "third"];
    let write = Duration::from_secs(30);
    let mut took_over = 0;
    for seed in 1..=30_u64 {
        let store = Store::default();
        let all = NAMES.map(|name| store.join_after(name, BeforeStart::Unknown));
        let mut writes: Vec<(usize, Instant)> = Vec::new();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let mut last = None;
        for _ in 0..12_000 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let name = NAMES[usize::try_from(roll(3)).expect("small")];
            match roll(800) {
                0..=9 => drop(store.world().cut_off.insert(name)),
                10..=15 => drop(store.world().unheard.insert(name)),
                36..=39 => store.world().lease = None,
                16..=35 => {
                    store.world().cut_off.remove(name);
                    store.world().unheard.remove(name);
                }
                _ => {}
            }
            let leaders: Vec<usize> = (0..3).filter(|&index| all[index].is_leader()).collect();
            assert!(leaders.len() <= 1, "seed {seed}: {leaders:?}");
            writes.retain(|(_, end)| *end > Instant::now());
            if let Some(&leader) = leaders.first() {
                assert!(
                    writes.iter().all(|(writer, _)| *writer == leader),
                    "seed {seed}: a write of another is still under way"
                );
                if last.is_some_and(|last| last != leader) {
                    took_over += 1;
                }
                last = Some(leader);
                if all[leader].may_start(write) {
                    writes.push((leader, Instant::now() + write));
                }
            }
        }
    }
    assert!(took_over > 60, "the troubles have to be troubling: {took_over} changes");
}

#[path = "leadership_trouble_tests.rs"]
mod trouble;
