//! One list and one watch of a kind, for ever. Each request and each silence has a bound, so that a connection that is
//! dead, or a server that is mute, is noticed, and what changed meanwhile is read.
//!
//! A list that fails is asked for again, from the page that failed where that can be. A watch that fails is begun again where
//! it was; where that fails too, the objects are listed anew. So changes arrive also where no watch is ever answered.

use std::{collections::VecDeque, fmt::Debug, time::Duration};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::connect::{CallError, bounded};
use crate::telemetry::health::Beat;

/// How long one page of a list may take.
const PAGE_WITHIN: Duration = Duration::from_secs(30);
/// How many objects a page has.
const PAGE: u32 = 500;
/// How long the API server may take to accept a watch. A busy one lets requests wait for a quarter of a minute.
const START_WITHIN: Duration = Duration::from_secs(15);
/// The API server is asked to end a watch after so many seconds, so that a watch of which nothing comes for longer is dead.
const WATCH_FOR: u32 = 30;
/// How long a watch may be silent.
const SILENT_FOR: Duration = Duration::from_secs(45);
/// Silence of a kind of which nothing is heard, whatever is tried: a watch is silent, and is begun again twice.
pub const DEAF: Duration = Duration::from_secs(90);
/// The wait after the first failure; doubled each time, up to the longest.
const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(15);
/// The longest wait that the API server may ask for.
const ASKED_AT_MOST: Duration = Duration::from_secs(30);
/// A watch that was good for so long begins with the first wait again.
const CALM: Duration = Duration::from_secs(20);
/// So often a watch is begun where it was before the objects are listed anew.
const STARTS: u32 = 2;

/// What is told.
#[derive(Clone, Debug)]
pub enum Event<K> {
    /// A list begins: each object that there is comes next.
    Init,
    /// There is this object.
    InitApply(K),
    /// There is no other object.
    InitDone,
    /// This object is new, or changed.
    Apply(K),
    /// This object is gone.
    Delete(K),
}

/// What went wrong. It is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Trouble {
    /// Whether it was a list, and not a watch.
    pub listing: bool,
    /// What happened.
    pub why: CallError,
}

enum State<K> {
    /// A list begins.
    Begin,
    /// A page is to be asked for; `None`: the first one.
    Page(Option<String>),
    /// These objects of a page are to be told. After them comes the next page, or a watch.
    Told(VecDeque<K>, Then),
    /// A watch is to be begun, so often it could not be.
    Start { version: String, failed: u32 },
    /// It is under way since then.
    Watching { version: String, changes: Changes<K>, since: Instant },
}

enum Then {
    Page(String),
    Watch(String),
}

type Changes<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;
type Told<K> = Result<Event<K>, Trouble>;

struct Listening<K> {
    api: Api<K>,
    /// Beats whenever the API server says something.
    ear: Beat,
    state: State<K>,
    /// Failures one after another.
    failures: u32,
    /// Nothing is tried before this.
    not_before: Option<Instant>,
}

/// Tells every object and then every change, for ever. `ear` beats while the API server answers, whatever it answers; not
/// while calls end without an answer.
pub fn listen<K>(api: Api<K>, ear: Beat) -> impl Stream<Item = Told<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let listening = Listening { api, ear, state: State::Begin, failures: 0, not_before: None };
    futures::stream::unfold(listening, |mut listening| async {
        Some((listening.next().await, listening))
    })
}

impl<K> Listening<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn next(&mut self) -> Told<K> {
        loop {
            if let Some(at) = self.not_before.take() {
                tokio::time::sleep_until(at).await;
            }
            let told = match std::mem::replace(&mut self.state, State::Begin) {
                State::Begin => {
                    self.state = State::Page(None);
                    Some(Ok(Event::Init))
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

    /// Asks for a page.
    async fn page(&mut self, next: Option<String>) -> Option<Told<K>> {
        let params =
            ListParams { limit: Some(PAGE), continue_token: next.clone(), ..ListParams::default() };
        let list = match bounded(PAGE_WITHIN, self.api.list(&params)).await {
            Ok(list) => list,
            Err(why) => {
                // The pages of a list that is too old are gone.
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
        self.state = State::Told(list.items.into(), then);
        None
    }

    /// Tells the next object of a page.
    fn tell(&mut self, mut objects: VecDeque<K>, then: Then) -> Option<Told<K>> {
        if let Some(object) = objects.pop_front() {
            self.state = State::Told(objects, then);
            return Some(Ok(Event::InitApply(object)));
        }
        match then {
            Then::Page(next) => {
                self.state = State::Page(Some(next));
                None
            }
            Then::Watch(version) => {
                self.state = State::Start { version, failed: 0 };
                Some(Ok(Event::InitDone))
            }
        }
    }

    async fn start(&mut self, version: String, failed: u32) -> Option<Told<K>> {
        let params = WatchParams::default().timeout(WATCH_FOR);
        match bounded(START_WITHIN, self.api.watch(&params, &version)).await {
            Ok(changes) => {
                self.ear.beat();
                self.state =
                    State::Watching { version, changes: changes.boxed(), since: Instant::now() };
                None
            }
            Err(why) => {
                // A version that is too old, or that the API server has not reached, stays so: the list says which it is.
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
        mut changes: Changes<K>,
        since: Instant,
    ) -> Option<Told<K>> {
        let Ok(change) = tokio::time::timeout(SILENT_FOR, changes.next()).await else {
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
                // An end that comes early comes again.
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
                Event::Apply(object)
            }
            Some(Ok(WatchEvent::Deleted(object))) => Event::Delete(object),
            Some(Ok(WatchEvent::Error(status))) => {
                return Some(self.broken(version, kube::Error::Api(status.boxed())));
            }
            Some(Err(error)) => return Some(self.broken(version, error)),
        };
        self.ear.beat();
        let (Event::Apply(object) | Event::Delete(object)) = &told else { return Some(Ok(told)) };
        // What has no version is not of the API server, and nothing can follow it.
        self.state = match object.resource_version().filter(|version| !version.is_empty()) {
            Some(version) => State::Watching { version, changes, since },
            None => State::Begin,
        };
        Some(Ok(told))
    }

    /// A watch has ended with an error. After one that was cut it goes on where it was. What could not be read may have been a
    /// change, and after what the API server calls an error its word is asked for anew.
    fn broken(&mut self, version: String, error: kube::Error) -> Told<K> {
        self.state = match error {
            kube::Error::ReadEvents(_) | kube::Error::HyperError(_) => {
                State::Start { version, failed: 0 }
            }
            _ => State::Begin,
        };
        self.failed(false, CallError::Failed(error))
    }

    /// Notes a failure, and when is tried again.
    fn failed(&mut self, listing: bool, why: CallError) -> Told<K> {
        if !why.is_silence() {
            self.ear.beat();
        }
        self.wait(why.retry_after());
        Err(Trouble { listing, why })
    }

    fn wait(&mut self, asked: Option<Duration>) {
        let wait = (FIRST * 2_u32.saturating_pow(self.failures.min(10))).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = asked.map_or(wait, |asked| wait.max(asked.min(ASKED_AT_MOST)));
        self.not_before = Some(Instant::now() + jittered(wait));
    }
}

/// Up to a fifth longer, so that watches do not march in step.
fn jittered(wait: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let share = u32::try_from(RandomState::new().hash_one(()) % 1000).unwrap_or(0);
    wait + wait / 5 * share / 1000
}

#[cfg(test)]
#[path = "listening_tests.rs"]
mod tests;
