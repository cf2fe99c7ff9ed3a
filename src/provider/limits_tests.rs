use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use futures::{StreamExt as _, stream};
use tokio::time::{advance, sleep};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A provider with a window that begins with its first call, and headers in whole seconds.
struct Server {
    limit: u32,
    began: Option<Instant>,
    used: u32,
    refused: u32,
}

impl Server {
    fn new(limit: u32) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { limit, began: None, used: 0, refused: 0 }))
    }

    /// Returns the calls left and the time to the reset.
    fn call(&mut self) -> (u32, Duration) {
        let now = Instant::now();
        if self.began.is_none_or(|began| now >= began + HOUR) {
            (self.began, self.used) = (Some(now), 0);
        }
        if self.used == self.limit {
            self.refused += 1;
        } else {
            self.used += 1;
        }
        let reset = self.began.unwrap() + HOUR - now;
        (self.limit - self.used, Duration::from_secs(reset.as_secs()))
    }
}

async fn call(pacer: &Pacer, server: &RefCell<Server>, urgency: Urgency) {
    let ticket = pacer.admit(urgency).await;
    sleep(Duration::from_millis(40)).await;
    let (remaining, reset) = server.borrow_mut().call();
    sleep(Duration::from_millis(60)).await;
    ticket.learn(5000, remaining, reset);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_normal_calls_take_the_rate_s_floor_and_never_pass_the_limit() {
    let (pacer, server) = (Pacer::new(5000, HOUR), Server::new(5000));
    let start = Instant::now();
    stream::iter(0..10_000)
        .for_each_concurrent(16, |_| call(&pacer, &server, Urgency::Normal))
        .await;
    let ratio = start.elapsed().as_secs_f64() / 7200.0;
    assert!(ratio <= 1.05, "{ratio}");
    assert_eq!(server.borrow().refused, 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_part_of_a_window_goes_at_full_speed_and_the_reserve_is_spread() {
    let pacer = Pacer::new(5000, HOUR);
    let start = Instant::now();
    for _ in 0..4250 {
        drop(pacer.admit(Urgency::Normal).await);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let mut last = start;
    for _ in 0..700 {
        drop(pacer.admit(Urgency::Normal).await);
        let gap = last.elapsed().as_secs_f64();
        assert!((4.7..4.9).contains(&gap), "{gap}");
        last = Instant::now();
    }
}

#[tokio::test(start_paused = true)]
async fn an_urgent_call_never_waits_while_anything_is_left() {
    let (pacer, server) = (Rc::new(Pacer::new(5000, HOUR)), Server::new(5000));
    let backlog =
        stream::iter(0..6_000).for_each_concurrent(16, |_| call(&pacer, &server, Urgency::Normal));
    let leavers = async {
        for _ in 0..400 {
            sleep(Duration::from_secs(7)).await;
            let asked = Instant::now();
            drop(pacer.admit(Urgency::Urgent).await);
            assert_eq!(asked.elapsed(), Duration::ZERO);
        }
    };
    futures::join!(backlog, leavers);
    assert_eq!(server.borrow().refused, 0);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_left_all_wait_for_the_reset_and_the_urgent_go_first() {
    let pacer = Pacer::new(10, HOUR);
    let first = pacer.admit(Urgency::Normal).await;
    first.learn(10, 0, Duration::from_secs(100));
    drop(first);
    let order = RefCell::new(VecDeque::new());
    let start = Instant::now();
    let wait = async |urgency, name| {
        let _ticket = pacer.admit(urgency).await;
        order.borrow_mut().push_back((name, start.elapsed().as_secs()));
    };
    futures::join!(
        wait(Urgency::Normal, "a"),
        wait(Urgency::Normal, "b"),
        wait(Urgency::Urgent, "c"),
        wait(Urgency::Urgent, "d")
    );
    assert_eq!(order.into_inner(), [("c", 101), ("d", 101), ("a", 101), ("b", 101)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_all_calls_for_the_time_it_says() {
    let pacer = Pacer::new(5000, HOUR);
    drop(pacer.admit(Urgency::Normal).await);
    let start = Instant::now();
    let both = async || {
        let normal = async { drop(pacer.admit(Urgency::Normal).await) };
        let urgent = async { drop(pacer.admit(Urgency::Urgent).await) };
        futures::select_biased! {
            () = std::pin::pin!(futures::FutureExt::fuse(normal)) => start.elapsed(),
            () = std::pin::pin!(futures::FutureExt::fuse(urgent)) => start.elapsed(),
        }
    };
    pacer.throttled(Some(Duration::from_secs(17)));
    // A shorter wait does not shorten a longer one.
    pacer.throttled(Some(Duration::from_secs(3)));
    assert_eq!(both().await, Duration::from_secs(17));
    pacer.throttled(None);
    assert_eq!(both().await, Duration::from_secs(17) + DEFAULT_WAIT);
    pacer.throttled(Some(Duration::from_secs(86_400)));
    assert_eq!(both().await, Duration::from_secs(17) + DEFAULT_WAIT + HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_may_ask_for_longer_than_the_window() {
    for (asked, waited) in [(300, 300), (86_400, 3600)] {
        let pacer = Pacer::new(10, Duration::from_secs(150));
        let began = Instant::now();
        pacer.throttled(Some(Duration::from_secs(asked)));
        drop(pacer.admit(Urgency::Urgent).await);
        assert_eq!(began.elapsed().as_secs(), waited, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn others_who_use_the_same_window_are_seen_in_the_headers() {
    let (pacer, server) = (Pacer::new(5000, HOUR), Server::new(5000));
    let others = async {
        for _ in 0..3000 {
            let refused = server.borrow().refused;
            server.borrow_mut().call();
            // Only refusals of bobsync's own calls count here.
            server.borrow_mut().refused = refused;
            sleep(Duration::from_secs(1)).await;
        }
    };
    let ours =
        stream::iter(0..4_000).for_each_concurrent(16, |_| call(&pacer, &server, Urgency::Normal));
    futures::join!(others, ours);
    // Another caller without pacing can take bobsync's last call, but never many times.
    let refused = server.borrow().refused;
    assert!(refused <= 5, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_overtake_each_other_neither_raise_nor_sink_the_count() {
    let pacer = Pacer::new(5000, HOUR);
    let (a, b, c) = (
        pacer.admit(Urgency::Normal).await,
        pacer.admit(Urgency::Normal).await,
        pacer.admit(Urgency::Normal).await,
    );
    let left = || pacer.lock().window.unwrap().remaining;
    c.learn(5000, 4997, HOUR);
    a.learn(5000, 4999, HOUR);
    assert_eq!(left(), 4997);
    // Another caller took seven.
    b.learn(5000, 4990, HOUR);
    assert_eq!(left(), 4990);
    drop((a, b, c));
    // With no other call in flight the header is exact, also upwards.
    let d = pacer.admit(Urgency::Normal).await;
    d.learn(5000, 4995, HOUR);
    assert_eq!(left(), 4995);
    d.unused();
    assert_eq!(left(), 4996);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_the_provider_has_renewed_early_is_believed() {
    let pacer = Pacer::new(5000, HOUR);
    let ticket = pacer.admit(Urgency::Normal).await;
    ticket.learn(5000, 3, Duration::from_secs(1000));
    drop(ticket);
    let ticket = pacer.admit(Urgency::Urgent).await;
    ticket.learn(5000, 4999, HOUR);
    assert_eq!(pacer.lock().window.unwrap().remaining, 4999);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_line_does_not_hold_it_up() {
    let pacer = Pacer::new(10, HOUR);
    pacer.throttled(Some(Duration::from_secs(30)));
    let mut urgent = Box::pin(pacer.admit(Urgency::Urgent));
    assert!(futures::poll!(&mut urgent).is_pending());
    let mut normal = Box::pin(pacer.admit(Urgency::Normal));
    assert!(futures::poll!(&mut normal).is_pending());
    advance(Duration::from_secs(30)).await;
    assert!(futures::poll!(&mut normal).is_pending(), "an urgent call is before it");
    drop(urgent);
    assert!(futures::poll!(&mut normal).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_from_the_window_before_says_nothing_of_this_one() {
    let pacer = Pacer::new(5000, HOUR);
    let late = pacer.admit(Urgency::Normal).await;
    advance(HOUR).await;
    drop(pacer.admit(Urgency::Normal).await);
    late.learn(5000, 0, Duration::from_secs(1));
    assert_eq!(pacer.lock().window.unwrap().remaining, 4999);
}

#[tokio::test(start_paused = true)]
async fn buckets_are_counted_apart_and_a_refusal_for_the_number_of_calls_stops_all() {
    let pacer = Pacer::new(1, Duration::from_secs(60)).with_bucket(2);
    let (first, other) = (pacer.bucket(0), pacer.bucket(1));
    drop(first.admit(Urgency::Urgent).await);
    let began = Instant::now();
    drop(other.admit(Urgency::Urgent).await);
    assert_eq!(began.elapsed(), Duration::ZERO, "the other window is not spent");
    pacer.throttled(Some(Duration::from_secs(90)));
    drop(other.admit(Urgency::Urgent).await);
    assert_eq!(began.elapsed().as_secs(), 90);
    assert!(std::ptr::eq(pacer.bucket(7), &raw const pacer), "there is no such bucket");
}
