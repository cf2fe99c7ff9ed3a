//! Lists and watches one kind, for ever. Every request and every silence has a time limit. So a
//! dead connection or a server that does not answer is noticed, and the changes in the meantime are
//! read.
//!
//! A list that fails is requested again, from the page that failed if possible. A watch that fails
//! is begun again at the same version. If that fails too, the objects are listed again. So changes
//! arrive even if no watch is ever answered.
//!
//! Objects that are shown under CRDs which lack a field of this version are not reported. The list
//! begins again when the CRDs have every field.

use std::{collections::VecDeque, fmt::Debug, time::Duration};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    connect::{CallError, bounded},
    crds::{CrdLook, Crds},
};
use crate::telemetry::health::Beat;

/// How long one page of a list may take.
const PAGE_WITHIN: Duration = Duration::from_secs(30);
/// The number of objects on a page.
const PAGE: u32 = 500;
/// How long the API server may take to accept a watch. A busy server delays requests for a quarter
/// of a minute.
const START_WITHIN: Duration = Duration::from_secs(15);
/// The API server is asked to end a watch after this many seconds, so a watch that is silent for
/// longer is dead.
const WATCH_FOR: u32 = 30;
/// How long a watch may be silent.
const SILENT_FOR: Duration = Duration::from_secs(45);
/// How long a kind may be silent before it counts as unreachable. In this time, a watch is silent
/// and is begun again twice.
pub const DEAF: Duration = Duration::from_secs(90);
/// The wait after the first failure. It doubles each time, up to `LONGEST`.
const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(15);
/// The longest wait that is accepted from the API server.
const ASKED_AT_MOST: Duration = Duration::from_secs(30);
/// After a watch that lasted this long, the wait begins with the first one again.
const CALM: Duration = Duration::from_secs(20);
/// How often the CRDs are looked at while they are older.
const LOOK: Duration = Duration::from_secs(2);
/// How often a watch is begun at the same version before the objects are listed again.
const STARTS: u32 = 2;

/// What the listener reports.
#[derive(Clone, Debug)]
pub enum ListenEvent<K> {
    /// A list begins. Each existing object comes next.
    Init,
    /// This object exists.
    InitApply(K),
    /// The list is complete: no other object exists.
    InitDone,
    /// This object is new, or has changed.
    Apply(K),
    /// This object was deleted.
    Delete(K),
}

/// A failed request. It is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct RequestFailure {
    /// Whether the request was a list, and not a watch.
    pub listing: bool,
    /// The error of the request.
    pub why: CallError,
}

enum State<K> {
    /// A list begins.
    Begin,
    /// The next page has to be requested; `None`: the first page.
    Page(Option<String>),
    /// These objects of a page have to be reported. After them comes the next page, or a watch.
    Told(VecDeque<K>, Then),
    /// A watch has to be begun. `failed`: how many times that has failed.
    Start { version: String, failed: u32 },
    /// A watch has been under way since this time.
    Watching { version: String, changes: ChangeStream<K>, since: Instant },
}

enum Then {
    Page(String),
    Watch(String),
}

type ChangeStream<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;
type Listened<K> = Result<ListenEvent<K>, RequestFailure>;

struct Listening<K> {
    api: Api<K>,
    /// The beat that shows that the API server answers.
    ear: Beat,
    /// The CRDs by which the objects are shown; `None` for objects without a CRD.
    crds: Option<Crds>,
    state: State<K>,
    /// The number of failures in a row.
    failures: u32,
    /// No request is made before this time.
    not_before: Option<Instant>,
}

/// Reports every object and then every change, for ever. `ear` beats while the API server answers,
/// whatever the answer is. It does not beat while calls end without an answer.
pub fn listen<K>(
    api: Api<K>,
    ear: Beat,
    crds: Option<Crds>,
) -> impl Stream<Item = Listened<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let listening =
        Listening { api, ear, crds, state: State::Begin, failures: 0, not_before: None };
    futures::stream::unfold(listening, |mut listening| async {
        Some((listening.next().await, listening))
    })
}

impl<K> Listening<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn next(&mut self) -> Listened<K> {
        loop {
            if let Some(at) = self.not_before.take() {
                tokio::time::sleep_until(at).await;
            }
            if let Some(crds) = self.crds.as_ref().filter(|crds| crds.are_older()) {
                self.state = State::Begin;
                until_whole(crds, &self.ear).await;
            }
            let told = match std::mem::replace(&mut self.state, State::Begin) {
                // A list that began under older CRDs does not become whole when they change.
                State::Begin if !shows_all(self.crds.as_ref()).await => None,
                State::Begin => {
                    self.state = State::Page(None);
                    Some(Ok(ListenEvent::Init))
                }
                State::Page(next) => self.page(next).await,
                State::Told(objects, then) => self.tell(objects, then),
                State::Start { version, failed } => self.start(version, failed).await,
                State::Watching { version, changes, since } => {
                    self.watch(version, changes, since).await
                }
            };
            if let Some(told) = told {
                return told;
            }
        }
    }

    /// Requests a page.
    async fn page(&mut self, next: Option<String>) -> Option<Listened<K>> {
        let params =
            ListParams { limit: Some(PAGE), continue_token: next.clone(), ..ListParams::default() };
        let list = match bounded(PAGE_WITHIN, self.api.list(&params)).await {
            Ok(list) => list,
            Err(why) => {
                // The pages of a list that is too old no longer exist.
                self.state = next
                    .filter(|_| why.code() != Some(410))
                    .map_or(State::Begin, |next| State::Page(Some(next)));
                return Some(self.failed(true, why));
            }
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let then =
            match (given(list.metadata.continue_), given(list.metadata.resource_version)) {
                (Some(next), _) => Then::Page(next),
                (None, Some(version)) => Then::Watch(version),
                (None, None) => {
                    return Some(self.failed(
                        true,
                        CallError::Odd("the API server sent a list without a version"),
                    ));
                }
            };
        self.ear.beat();
        if shows_all(self.crds.as_ref()).await {
            self.state = State::Told(list.items.into(), then);
        }
        None
    }

    /// Reports the next object of a page.
    fn tell(&mut self, mut objects: VecDeque<K>, then: Then) -> Option<Listened<K>> {
        if let Some(object) = objects.pop_front() {
            self.state = State::Told(objects, then);
            return Some(Ok(ListenEvent::InitApply(object)));
        }
        match then {
            Then::Page(next) => {
                self.state = State::Page(Some(next));
                None
            }
            Then::Watch(version) => {
                self.state = State::Start { version, failed: 0 };
                Some(Ok(ListenEvent::InitDone))
            }
        }
    }

    async fn start(&mut self, version: String, failed: u32) -> Option<Listened<K>> {
        let params = WatchParams::default().timeout(WATCH_FOR);
        match bounded(START_WITHIN, self.api.watch(&params, &version)).await {
            Ok(changes) => {
                self.ear.beat();
                if shows_all(self.crds.as_ref()).await {
                    let since = Instant::now();
                    self.state = State::Watching { version, changes: changes.boxed(), since };
                }
                None
            }
            Err(why) => {
                // A version that is too old, or that the API server has not reached, stays
                // unusable. A list shows the present version.
                let odd =
                    why.code().is_some_and(|code| !matches!(code, 401 | 403 | 429 | 500 | 503));
                self.state = if odd || failed + 1 >= STARTS {
                    State::Begin
                } else {
                    State::Start { version, failed: failed + 1 }
                };
                Some(self.failed(false, why))
            }
        }
    }

    /// Waits for the next change.
    async fn watch(
        &mut self,
        version: String,
        mut changes: ChangeStream<K>,
        since: Instant,
    ) -> Option<Listened<K>> {
        let older = async {
            match &self.crds {
                Some(crds) => crds.until_older().await,
                None => std::future::pending().await,
            }
        };
        let change = tokio::select! {
            biased;
            // What the watch still brings may lack fields.
            () = older => return None,
            change = tokio::time::timeout(SILENT_FOR, changes.next()) => change,
        };
        let Ok(change) = change else {
            self.state = State::Start { version, failed: 0 };
            return Some(self.failed(false, CallError::Timeout(SILENT_FOR)));
        };
        if since.elapsed() >= CALM
            || matches!(
                change,
                Some(Ok(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_)))
            )
        {
            self.failures = 0;
        }
        let told = match change {
            None => {
                self.state = State::Start { version, failed: 0 };
                // A watch that ended early may end early again, so it waits.
                if since.elapsed() < CALM {
                    self.wait(None);
                }
                return None;
            }
            Some(Ok(WatchEvent::Bookmark(mark))) => {
                self.ear.beat();
                self.state =
                    State::Watching { version: mark.metadata.resource_version, changes, since };
                return None;
            }
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                ListenEvent::Apply(object)
            }
            Some(Ok(WatchEvent::Deleted(object))) => ListenEvent::Delete(object),
            Some(Ok(WatchEvent::Error(status))) => {
                return Some(self.broken(version, kube::Error::Api(status.boxed())));
            }
            Some(Err(error)) => return Some(self.broken(version, error)),
        };
        self.ear.beat();
        let (ListenEvent::Apply(object) | ListenEvent::Delete(object)) = &told else {
            return Some(Ok(told));
        };
        // An object without a version does not come from an API server, and no watch can follow it.
        self.state = match object.resource_version().filter(|version| !version.is_empty()) {
            Some(version) => State::Watching { version, changes, since },
            None => State::Begin,
        };
        Some(Ok(told))
    }

    /// Handles a watch that ended with an error. If the connection was cut, the watch continues at
    /// the same version. An event that could not be read may have been a change, and after an error
    /// from the API server the version may be unusable. In both cases the objects are listed again.
    fn broken(&mut self, version: String, error: kube::Error) -> Listened<K> {
        self.state = match error {
            kube::Error::ReadEvents(_) | kube::Error::HyperError(_) => {
                State::Start { version, failed: 0 }
            }
            _ => State::Begin,
        };
        self.failed(false, CallError::Failed(error))
    }

    /// Notes a failure, and when the next try comes.
    fn failed(&mut self, listing: bool, why: CallError) -> Listened<K> {
        if !why.is_silence() {
            self.ear.beat();
        }
        self.wait(why.retry_after());
        Err(RequestFailure { listing, why })
    }

    fn wait(&mut self, asked: Option<Duration>) {
        let wait = (FIRST * 2_u32.saturating_pow(self.failures.min(10))).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = asked.map_or(wait, |asked| wait.max(asked.min(ASKED_AT_MOST)));
        self.not_before = Some(Instant::now() + jittered(wait));
    }
}

/// Returns whether the CRDs have every field, as far as is known, after an answer that depends on
/// them. If not, the objects have to be listed again.
async fn shows_all(crds: Option<&Crds>) -> bool {
    match crds {
        Some(crds) => crds.look().await != CrdLook::Older,
        None => true,
    }
}

/// Waits until the CRDs have every field of this version.
async fn until_whole(crds: &Crds, ear: &Beat) {
    loop {
        // This comes first, because a refused write may have been faster than the description.
        tokio::time::sleep(LOOK).await;
        match crds.look().await {
            CrdLook::Whole => return,
            CrdLook::Older => ear.beat(),
            CrdLook::Unanswered => {}
        }
    }
}

/// Returns a wait that is up to a fifth longer, so that watches do not act at the same moments.
fn jittered(wait: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let share = u32::try_from(RandomState::new().hash_one(()) % 1000).unwrap_or(0);
    wait + wait / 5 * share / 1000
}

#[cfg(test)]
#[path = "listening_tests.rs"]
mod tests;
