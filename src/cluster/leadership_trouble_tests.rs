//! The same election while the API server or a process has a problem.

use super::*;

// In an earlier version, every error began the wait for a missing Lease again, and the wait never
// ended.
#[tokio::test(start_paused = true)]
async fn a_busy_api_server_delays_the_first_claim_and_does_not_prevent_it() {
    for seed in 1..=20_u64 {
        for (past, most) in [(BeforeStart::Untouched, 40), (BeforeStart::Unknown, 240)] {
            let store = Store::default();
            store.world().busy = Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let first = store.join_after("first", past);
            let waited = until_leads(&first).await;
            assert!(waited < Duration::from_secs(most), "{seed} {past:?}: {waited:?}");
            for _ in 0..300 {
                seconds(1).await;
                assert!(first.is_leader(), "{seed} {past:?}");
            }
        }
    }
}

// An admission webhook on Leases that is dead delays each write by its time-out, here 5 s, and then
// lets it pass.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_answers_late_is_waited_for() {
    let store = Store::default();
    store.world().slow = Duration::from_secs(9);
    let first = store.join("first");
    assert!(until_leads(&first).await < Duration::from_secs(20));
    for _ in 0..300 {
        seconds(1).await;
        assert!(
            first.may_start(Duration::from_secs(30)),
            "a write of 30 s always fits while it answers"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_process_of_a_pod_does_not_wait_for_the_one_before() {
    let pod = |store: &Store, uid| {
        let identity = ProcessIdentity::of("bobsync-7d9f", uid);
        Leadership::run(
            store.client("pod"),
            "people",
            identity,
            Terms::default(),
            BeforeStart::Unknown,
            |_| (),
        )
    };
    let store = Store::default();
    let killed = pod(&store, Some("1f3c"));
    until_leads(&killed).await;
    assert!(store.holder().starts_with("bobsync-7d9f_1f3c_"), "{}", store.holder());
    drop(killed);
    let other = pod(&store, Some("1f3c9"));
    let nameless = pod(&store, None);
    let next = pod(&store, Some("1f3c"));
    assert!(until_leads(&next).await < Duration::from_secs(1));
    assert!(!other.is_leader() && !nameless.is_leader(), "it is another pod, or may be");
    drop(next);
    let began = Instant::now();
    tokio::select! {
        () = other.wait_to_lead() => {}
        () = nameless.wait_to_lead() => {}
    }
    assert!((50..70).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_given_back_only_after_work_has_ended() {
    let within = Duration::from_secs(50);
    for (lasts, given_back) in [(20, true), (70, false)] {
        let store = Store::default();
        let first = store.join("first");
        until_leads(&first).await;
        let second = store.join("second");
        let work = tokio::spawn(seconds(lasts));
        let release = first.release_after(work, within);
        let watched = async {
            seconds(lasts.min(49)).await;
            assert_eq!(store.holder(), "first", "a write is under way");
        };
        let (ended, ()) = tokio::join!(release, watched);
        assert_eq!(ended.is_some(), given_back);
        assert!(!first.is_leader() && !first.may_start(Duration::ZERO), "nothing more begins");
        drop(first);
        let waited = until_leads(&second).await;
        assert_eq!(waited < Duration::from_secs(5), given_back, "{waited:?}");
    }
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    let failed = tokio::spawn(async { panic!("and what it wrote was cut off") });
    assert!(first.release_after::<()>(failed, within).await.expect("it ended").is_err());
    assert_eq!(store.holder(), "first");
}

thread_local! {
    static LOGGED: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Writes into the log of this thread.
struct Pen;

impl std::io::Write for Pen {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns what this thread has logged since the last call.
fn lines() -> Vec<String> {
    // A subscriber of only one thread would miss lines that another thread has reached first.
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let format = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(|| Pen);
        tracing::subscriber::set_global_default(format.finish()).expect("no other test sets one");
    });
    let text = LOGGED.with_borrow_mut(std::mem::take);
    String::from_utf8(text).expect("text").lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_line_every_ten_seconds_says_what_is_waited_for() {
    lines();
    let store = Store::default();
    let first = store.join("first");
    until_leads(&first).await;
    lines();
    let second = store.join("second");
    seconds(60).await;
    assert_eq!(
        lines(),
        ["INFO another process holds the lease; waiting until it releases the lease or does not \
            renew it for so long holder=\"first\" at_most_s=60"],
        "it says once which process it follows"
    );
    drop(first);
    until_leads(&second).await;
    let told = lines();
    let waits = told.iter().filter(|line| {
        line.contains(
            "INFO the holder of the lease has not renewed it; waiting for its end holder=\"first\"",
        )
    });
    assert!((4..=5).contains(&waits.count()), "{told:#?}");
    assert!(told.last().is_some_and(|line| line.contains("leading")), "{told:#?}");

    // The Lease is missing, and is then made again.
    let store = Store::default();
    let third = store.join_after("third", BeforeStart::Unknown);
    until_leads(&third).await;
    let told = lines();
    let of = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert!(
        (2..=3).contains(&of(
            "the lease does not exist, and its last holder may not have noticed; waiting"
        )),
        "{told:#?}"
    );
    assert!((5..=7).contains(&of("the lease was created again")), "{told:#?}");
}

/// Answers each list of integrations with the next of these codes, and then with an empty list.
#[derive(Clone)]
struct Scripted(Arc<Mutex<Vec<u16>>>);

impl tower_service::Service<Request> for Scripted {
    type Response = Response;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Response, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        assert!(request.uri().path().ends_with("/provisioningintegrations"), "{}", request.uri());
        let code = self.0.lock().pop().unwrap_or(200);
        let body = match code {
            200 => json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
                "items": []})
            .to_string(),
            // A kind that is not served is refused in plain text.
            404 => "404 page not found\n".to_owned(),
            code => json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                "reason": "X", "code": code})
            .to_string(),
        };
        Box::pin(async move {
            Ok(axum::http::Response::builder()
                .status(code)
                .body(Body::from(body.into_bytes()))
                .expect("a response"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_api_server_is_asked_again_whether_anybody_has_led() {
    for (codes, expected, most) in [
        (vec![], BeforeStart::Untouched, 1),
        (vec![429], BeforeStart::Untouched, 2),
        (vec![429, 503, 429, 503], BeforeStart::Untouched, 6),
        (vec![404], BeforeStart::Untouched, 1),
        (vec![503, 404], BeforeStart::Untouched, 3),
        (vec![403], BeforeStart::Unknown, 1),
        (vec![500], BeforeStart::Unknown, 1),
        (vec![429; 100], BeforeStart::Unknown, 40),
    ] {
        let began = Instant::now();
        let client = Client::new(Scripted(Arc::new(Mutex::new(codes.clone()))), "people");
        assert_eq!(past(&client, &[]).await, expected, "{codes:?}");
        assert!(began.elapsed() <= Duration::from_secs(most), "{codes:?}: {:?}", began.elapsed());
    }
}
