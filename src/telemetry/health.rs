//! Says whether the process is alive and ready. It is alive if every registered loop has beaten
//! lately. It is ready if the first lists are in and the process is not stopping.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a loop may be silent before the process counts as stuck. It is below a minute, and
/// longer than any single call to the API server.
pub const SILENCE: Duration = Duration::from_secs(50);
/// How often a loop beats while it waits.
const PULSE: Duration = Duration::from_secs(15);

/// The state behind `/healthz` and `/readyz`. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    ready: AtomicBool,
    stopping: AtomicBool,
    next: AtomicU64,
    loops: Mutex<BTreeMap<u64, Loop>>,
    remarks: Mutex<BTreeMap<String, String>>,
}

#[derive(Debug)]
struct Loop {
    name: String,
    silence: Duration,
    last: Instant,
}

/// The beat of one loop. Dropping it says that the loop ended.
#[derive(Debug)]
pub struct Beat {
    of: Health,
    id: u64,
    name: String,
}

impl Health {
    /// Returns the state of a process that is alive and not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the first lists are in.
    pub fn ready(&self) {
        self.0.ready.store(true, Ordering::Relaxed);
    }

    /// Notes that a stop has begun. The process is not ready from now on, and stays alive, because
    /// writes that have begun are still ending.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Registers a loop that will beat at least every [`SILENCE`] from now on.
    #[must_use = "the loop counts as ended once this is dropped"]
    pub fn register(&self, name: impl Into<String>) -> Beat {
        self.register_within(name, SILENCE)
    }

    /// Registers a loop that will beat at least once in `silence`.
    #[must_use = "the loop counts as ended once this is dropped"]
    pub fn register_within(&self, name: impl Into<String>, silence: Duration) -> Beat {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let name = name.into();
        self.loops().insert(id, Loop { name: name.clone(), silence, last: Instant::now() });
        Beat { of: self.clone(), id, name }
    }

    /// Sets a remark that readiness shows in addition to its verdict. `None` removes the remark.
    pub fn remark(&self, about: &str, what: Option<String>) {
        let mut remarks = self.0.remarks.lock();
        match what {
            Some(what) => remarks.insert(about.to_owned(), what),
            None => remarks.remove(about),
        };
    }

    /// Returns all remarks, one line each.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.0.remarks.lock().values().cloned().collect()
    }

    /// Checks that every registered loop has beaten lately.
    ///
    /// # Errors
    /// Names the loops that have not.
    pub fn alive(&self) -> Result<(), String> {
        let silent: Vec<String> = self
            .loops()
            .values()
            .filter(|known| known.last.elapsed() > known.silence)
            .map(|known| {
                format!("{} has been silent for {} s", known.name, known.last.elapsed().as_secs())
            })
            .collect();
        if silent.is_empty() { Ok(()) } else { Err(silent.join("\n")) }
    }

    /// Checks that the first lists are in and no stop has begun.
    ///
    /// # Errors
    /// Says which of the two is not so.
    pub fn is_ready(&self) -> Result<(), String> {
        if self.0.stopping.load(Ordering::Relaxed) {
            Err("stopping".to_owned())
        } else if self.0.ready.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("waiting for the first lists of ProvisioningIntegrations and EmployeeSyncs: check \
                that the CRDs are installed and that the controller may list and watch them"
                .to_owned())
        }
    }

    fn loops(&self) -> parking_lot::MutexGuard<'_, BTreeMap<u64, Loop>> {
        self.0.loops.lock()
    }
}

impl Beat {
    /// Notes that the loop has beaten now.
    pub fn beat(&self) {
        if let Some(known) = self.of.loops().get_mut(&self.id) {
            known.last = Instant::now();
        }
    }

    /// Waits for something that may come at any time, and beats in the meantime.
    pub async fn during<T>(&self, wait: impl Future<Output = T>) -> T {
        self.within(Duration::MAX, wait).await
    }

    /// Does work that may take `bound`, and beats in the meantime. Work that takes longer goes on
    /// without beats.
    pub async fn within<T>(&self, bound: Duration, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            fault(&self.name).await;
            if began.elapsed() < bound {
                self.beat();
            }
            tokio::select! {
                biased;
                done = &mut work => {
                    self.beat();
                    return done;
                }
                () = tokio::time::sleep(PULSE) => {}
            }
        }
    }
}

/// Does nothing. In a build for tests, it panics or hangs if a test asks this loop to (see
/// [`asked`]).
pub async fn fault(name: &str) {
    #[cfg(debug_assertions)]
    match asked(name) {
        Some(Fault::Panic) => panic!("a test asked for this"),
        Some(Fault::Hang) => std::future::pending().await,
        None => {}
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
enum Fault {
    Panic,
    Hang,
}

/// Returns what a test asks of this loop: the file that `BOBSYNC_TEST_FAULTS` names has a line
/// `panic <name of the loop>` or `hang <name of the loop>`. A loop panics only once. No release
/// build has this.
#[cfg(debug_assertions)]
fn asked(name: &str) -> Option<Fault> {
    static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let text = std::fs::read_to_string(std::env::var_os("BOBSYNC_TEST_FAULTS")?).ok()?;
    let mut done = DONE.lock();
    for (word, fault) in [("panic", Fault::Panic), ("hang", Fault::Hang)] {
        let wanted = format!("{word} {name}");
        if text.lines().any(|line| line == wanted) && !done.contains(&wanted) {
            if matches!(fault, Fault::Panic) {
                done.push(wanted);
            }
            return Some(fault);
        }
    }
    None
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.of.loops().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_falls_silent_makes_the_process_unhealthy() {
        let health = Health::new();
        let (watches, worker) =
            (health.register("watches"), health.register("worker people/onelogin"));
        tokio::time::advance(SILENCE).await;
        assert_eq!(health.alive(), Ok(()));
        watches.beat();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            health.alive(),
            Err("worker people/onelogin has been silent for 51 s".to_owned())
        );
        worker.beat();
        assert_eq!(health.alive(), Ok(()), "it may recover");
        drop(worker);
        watches.beat();
        tokio::time::advance(SILENCE).await;
        assert_eq!(health.alive(), Ok(()), "a loop that ended is not missed");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_beats_and_work_beats_within_its_bound() {
        let health = Health::new();
        let beat = health.register("a loop");
        beat.during(tokio::time::sleep(Duration::from_hours(30))).await;
        assert_eq!(health.alive(), Ok(()));
        let work = beat.within(Duration::from_hours(2), std::future::pending::<()>());
        let judged = async {
            tokio::time::sleep(Duration::from_hours(2)).await;
            assert_eq!(health.alive(), Ok(()), "a long pass is no silence");
            tokio::time::sleep(SILENCE * 2).await;
            assert!(
                health.alive().unwrap_err().starts_with("a loop has been silent for"),
                "its bound is over"
            );
        };
        tokio::select! {
            () = work => {}
            () = judged => {}
        }
        assert!(SILENCE < Duration::from_mins(1) && PULSE * 3 < SILENCE);
    }

    #[test]
    fn ready_after_the_lists_and_until_the_stop() {
        let health = Health::new();
        assert!(health.is_ready().unwrap_err().contains("first lists"));
        health.ready();
        assert_eq!(health.is_ready(), Ok(()));
        health.stopping();
        health.ready();
        assert_eq!(health.is_ready(), Err("stopping".to_owned()));
        assert_eq!(health.alive(), Ok(()));
    }
}
