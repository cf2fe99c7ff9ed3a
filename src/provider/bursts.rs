//! Limits how many calls go out in any stretch of time, as the provider counts them.

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Lets `most` calls through in any stretch of `within`.
///
/// It is not known when the provider counts a call, only that it does so between sending and
/// answer. So a slot is free again `within` after the answer. Of any `most` + 1 calls, one was
/// answered that long before another was sent.
#[derive(Debug)]
pub struct Bursts {
    most: usize,
    within: Duration,
    state: Mutex<State>,
    changed: Notify,
    /// Serves callers in the order in which they come.
    turnstile: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    answered: VecDeque<Instant>,
}

/// One call's slot. Dropping it says that the call is answered.
#[derive(Debug)]
pub struct Slot<'a> {
    bursts: &'a Bursts,
}

impl Bursts {
    /// Allows at most `most` calls, and at least one, in any stretch of `within`.
    #[must_use]
    pub fn new(most: usize, within: Duration) -> Self {
        Self {
            most: most.max(1),
            within,
            state: Mutex::default(),
            changed: Notify::new(),
            turnstile: tokio::sync::Mutex::default(),
        }
    }

    /// Waits for a slot. Dropping the future leaves the line.
    pub async fn slot(&self) -> Slot<'_> {
        let _first = self.turnstile.lock().await;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next = {
                let now = Instant::now();
                let mut state = self.lock();
                while state.answered.front().is_some_and(|at| *at + self.within <= now) {
                    state.answered.pop_front();
                }
                if state.under_way + state.answered.len() < self.most {
                    state.under_way += 1;
                    return Slot { bursts: self };
                }
                state.answered.front().map(|at| *at + self.within)
            };
            match next {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.bursts.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.answered.push_back(Instant::now());
        drop(state);
        self.bursts.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_calls_than_it_may_whenever_the_provider_counts_them() {
        let bursts = Bursts::new(10, Duration::from_secs(1));
        let began = Instant::now();
        // Answers take up to 0.9 s. The provider may count a call at either end.
        let calls = join_all((0..60_u64).map(|number| {
            let bursts = &bursts;
            async move {
                let slot = bursts.slot().await;
                let sent = Instant::now();
                tokio::time::sleep(Duration::from_millis(number * 37 % 900)).await;
                drop(slot);
                (sent, Instant::now())
            }
        }))
        .await;
        for late in [false, true] {
            let mut counted: Vec<_> = calls
                .iter()
                .enumerate()
                .map(|(n, call)| if late == (n % 2 == 0) { call.1 } else { call.0 })
                .collect();
            counted.sort();
            for eleven in counted.windows(11) {
                assert!(
                    eleven[10] - eleven[0] >= Duration::from_secs(1),
                    "{:?}",
                    eleven[10] - eleven[0]
                );
            }
        }
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "and it is not much slower than it has to be: {:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_the_line_takes_no_place() {
        let bursts = Bursts::new(1, Duration::from_secs(1));
        let slot = bursts.slot().await;
        assert!(tokio::time::timeout(Duration::from_secs(5), bursts.slot()).await.is_err());
        drop(slot);
        let before = Instant::now();
        let _slot = bursts.slot().await;
        assert_eq!(before.elapsed().as_secs(), 1);
    }
}
