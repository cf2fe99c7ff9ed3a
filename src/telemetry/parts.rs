//! The parts of the process: loops that run as long as the process. A part that ends or panics is
//! started again, counted, and reported. This module also reports what the process cannot see of
//! the cluster.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    health::{Beat, Health},
    metrics::Metrics,
};
use crate::api::{key::IntegrationKey, reasons::DetailReason};

/// The wait before a part is started again. It is doubled each time, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// How long a part has to run so that its next wait is the first one again.
const CALM: Duration = Duration::from_mins(5);

/// What runs in this process. Clones share it.
#[derive(Clone)]
pub struct Parts(Arc<Inner>);

struct Inner {
    health: Health,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// By integration: what was started again since its last successful pass.
    restarted: HashMap<IntegrationKey, BTreeMap<&'static str, Restarted>>,
    /// Namespaces that cannot be listed, with what the API server says, by namespace (`None` means
    /// all) and kind.
    unlisted: BTreeMap<(Option<String>, &'static str), String>,
    /// Integrations with a condition that has changed and is not written yet.
    news: HashSet<IntegrationKey>,
}

struct Restarted {
    times: u32,
    panicked: bool,
    last: Instant,
}

impl Parts {
    /// Returns parts that beat in `health` and are counted in `metrics`.
    #[must_use]
    pub fn new(health: Health, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner { health, metrics, state: Mutex::default(), news: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// Returns the health in which the parts beat.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Registers the beat of a part.
    #[must_use]
    pub fn beat(&self, part: &'static str, of: Option<&IntegrationKey>) -> Beat {
        self.0.health.register(of.map_or_else(|| part.to_owned(), |key| format!("{part} of {key}")))
    }

    /// Runs a part until the process stops, and starts it again whenever it ends or panics.
    pub async fn keep<F>(
        &self,
        part: &'static str,
        of: Option<&IntegrationKey>,
        mut stopping: watch::Receiver<bool>,
        mut make: impl FnMut(Beat) -> F,
    ) where
        F: Future<Output = ()>,
    {
        let mut wait = FIRST;
        loop {
            let began = Instant::now();
            let ended = AssertUnwindSafe(make(self.beat(part, of))).catch_unwind().await;
            if *stopping.borrow() {
                return;
            }
            self.ended(part, of, ended.is_err());
            if began.elapsed() > CALM {
                wait = FIRST;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            wait = (wait * 2).min(LONGEST);
        }
    }

    /// Counts a part that ended without a request to stop, and reports it.
    pub fn ended(&self, part: &'static str, of: Option<&IntegrationKey>, panicked: bool) {
        self.0.metrics.part_restarted(part);
        let integration = of.map(ToString::to_string);
        tracing::error!(
            part,
            integration,
            panicked,
            "a part of the process ended and is started again"
        );
        let Some(key) = of else { return };
        let mut state = self.state();
        let fresh = Restarted { times: 0, panicked, last: Instant::now() };
        let known = state.restarted.entry(key.clone()).or_default().entry(part).or_insert(fresh);
        *known = Restarted { times: known.times + 1, panicked, last: Instant::now() };
        state.news.insert(key.clone());
        drop(state);
        self.0.news.notify_one();
    }

    /// Notes that a full pass of this integration was successful. `began` is when the pass began.
    /// What happened before that is not reported any more.
    pub fn settled(&self, key: &IntegrationKey, began: Instant) {
        let mut state = self.state();
        if let Some(parts) = state.restarted.get_mut(key) {
            parts.retain(|_, restarted| restarted.last >= began);
            if parts.is_empty() {
                state.restarted.remove(key);
            }
        }
    }

    /// Forgets an integration that is gone.
    pub fn forget(&self, key: &IntegrationKey) {
        let mut state = self.state();
        state.restarted.remove(key);
        state.news.remove(key);
    }

    /// Notes whether objects of this kind in this namespace (`None` means all) can be listed.
    /// `failed` says why not. Returns whether that has changed.
    pub fn listed(&self, scope: Option<&str>, kind: &'static str, failed: Option<&str>) -> bool {
        self.0.metrics.namespace_listed(scope.unwrap_or("*"), kind, failed.is_none());
        let about = (scope.map(str::to_owned), kind);
        let said = failed.map(|why| sentence(scope, kind, why));
        self.0.health.remark(&format!("{kind} {}", scope.unwrap_or("*")), said);
        let mut state = self.state();
        let before = match failed {
            Some(why) => state.unlisted.insert(about, why.to_owned()),
            None => state.unlisted.remove(&about),
        };
        drop(state);
        let news = before.as_deref() != failed;
        if news {
            self.0.news.notify_one();
        }
        news
    }

    /// Returns what to say about an integration in addition to its passes: the reason and the text.
    /// Returns `None` if everything runs.
    #[must_use]
    pub fn said(&self, key: &IntegrationKey) -> Option<(DetailReason, String)> {
        let state = self.state();
        let mut sentences: Vec<String> = state
            .restarted
            .get(key)
            .into_iter()
            .flatten()
            .map(|(part, known)| told(part, known))
            .collect();
        let reason = if sentences.is_empty() {
            DetailReason::NamespaceNotListed
        } else {
            DetailReason::PartRestarted
        };
        if !sentences.is_empty() {
            sentences.push("Report it as a defect, with the controller's log.".to_owned());
        }
        sentences.extend(
            state.unlisted.iter().map(|((scope, kind), why)| sentence(scope.as_deref(), kind, why)),
        );
        (!sentences.is_empty()).then(|| (reason, sentences.join(" ")))
    }

    /// Completes when there is something new to say about an integration.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }
}

fn told(part: &str, known: &Restarted) -> String {
    let how = if known.panicked { "failed" } else { "ended" };
    match known.times {
        1 => format!("The part \"{part}\" of the controller {how} and was started again."),
        times => {
            format!(
                "The part \"{part}\" of the controller {how} and was started again, {times} times \
                 since the last successful pass."
            )
        }
    }
}

fn sentence(scope: Option<&str>, kind: &str, why: &str) -> String {
    match scope {
        Some(namespace) => format!(
            "The controller cannot list {kind}s in namespace {namespace}: {why}. It tries again. \
             If it lacks the right to list and watch them there, give it the right, or remove the \
             namespace from --namespace."
        ),
        None => format!(
            "The controller cannot list {kind}s: {why}. It tries again. If it lacks the right to \
             list and watch them, give it the right."
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn key(name: &str) -> IntegrationKey {
        IntegrationKey { namespace: "people".into(), name: name.into() }
    }

    fn parts() -> (Parts, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        (Parts::new(Health::new(), metrics.clone()), metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_or_panics_is_started_again_counted_and_told_of() {
        let (parts, metrics) = parts();
        let (stop, stopping) = watch::channel(false);
        let runs = AtomicU32::new(0);
        let one = key("onelogin");
        let kept = parts.keep("dates", Some(&one), stopping, |_beat| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move {
                match run {
                    0 => panic!("out of order"),
                    1 => {}
                    _ => std::future::pending().await,
                }
            }
        });
        let judged = async {
            parts.news().await;
            let (reason, text) = parts.said(&one).expect("something to say");
            assert_eq!(
                (reason, text.as_str()),
                (
                    DetailReason::PartRestarted,
                    "The part \"dates\" of the controller failed and was started again. Report it \
                     as a defect, with the controller's log."
                )
            );
            tokio::time::sleep(Duration::from_secs(4)).await;
            assert_eq!(runs.load(Ordering::Relaxed), 3);
            assert!(
                parts.said(&one).expect("said").1.contains("ended and was started again, 2 times")
            );
            assert_eq!(
                parts.said(&key("other")),
                None,
                "another integration has nothing to do with it"
            );
            let page = metrics.render();
            assert!(page.contains("bobsync_parts_restarted_total{part=\"dates\"} 2"), "{page}");
            parts.settled(&one, Instant::now() - Duration::from_mins(1));
            assert!(parts.said(&one).is_some(), "that pass began before");
            parts.settled(&one, Instant::now());
            assert_eq!(parts.said(&one), None);
            stop.send_replace(true);
        };
        tokio::select! {
            () = kept => panic!("it runs until the stop"),
            () = judged => {}
        }
    }

    #[test]
    fn a_namespace_that_cannot_be_listed_is_named_everywhere() {
        let (parts, metrics) = parts();
        assert!(parts.listed(Some("gone"), "EmployeeSync", Some("Forbidden (403)")));
        assert!(!parts.listed(Some("gone"), "EmployeeSync", Some("Forbidden (403)")), "no news");
        let (reason, text) = parts.said(&key("onelogin")).expect("said");
        assert_eq!(reason, DetailReason::NamespaceNotListed);
        assert_eq!(
            text,
            "The controller cannot list EmployeeSyncs in namespace gone: Forbidden (403). It tries \
             again. If it lacks the right to list and watch them there, give it the right, or \
             remove the namespace from --namespace."
        );
        assert_eq!(parts.health().remarks(), [text]);
        assert!(
            metrics
                .render()
                .contains("bobsync_namespace_listed{namespace=\"gone\",kind=\"EmployeeSync\"} 0")
        );
        assert!(parts.listed(Some("gone"), "EmployeeSync", None));
        assert_eq!((parts.said(&key("onelogin")), parts.health().remarks().len()), (None, 0));
        assert!(
            metrics
                .render()
                .contains("bobsync_namespace_listed{namespace=\"gone\",kind=\"EmployeeSync\"} 1")
        );
    }
}
