//! Reports what happened as Kubernetes events. Reporting never delays or fails a pass: events wait
//! in a bounded queue, and one task sends them. An event that does not fit into the queue or does
//! not arrive is counted.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    connect::{CallError, bounded},
    leadership::Leadership,
};
use crate::telemetry::{health::Beat, parts::Parts};

/// The reporting controller in every event.
const CONTROLLER: &str = "bobsync";
/// How many events may wait. A first pass over a large company makes more events than a person
/// reads.
const QUEUE: usize = 1_000;
/// How long sending one event may take. The API server waits for an admission webhook for up to 30
/// s.
const TIMEOUT: Duration = Duration::from_secs(35);
/// How many events are sent at once.
const AT_ONCE: usize = 4;
/// An event that is repeated within this time increases the count of the existing event, and makes
/// no new event. (The API server deletes events after an hour by default.)
const SAME_WITHIN: Duration = Duration::from_mins(10);
/// How many sent events are remembered for this.
const REMEMBERED: usize = 1_000;
/// The longest note that the API server accepts, in bytes.
const NOTE: usize = 1_024;

/// Publishes events. All clones share one queue.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<EventItem>,
    dropped: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

#[derive(Debug)]
enum EventItem {
    Event(Box<Announcement>),
    Flush(oneshot::Sender<()>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Announcement {
    namespace: String,
    kind: Option<String>,
    name: String,
    uid: Option<String>,
    api_version: Option<String>,
    warning: bool,
    reason: &'static str,
    action: &'static str,
    note: String,
}

impl Events {
    /// Starts the task that sends events while this process leads. The task ends when the last
    /// clone is dropped and the queue is empty.
    #[must_use]
    pub fn start(client: Client, leadership: Leadership) -> Self {
        let (queue, mut items) = mpsc::channel(QUEUE);
        let events = Self { queue, dropped: Arc::default(), failed: Arc::default() };
        let sender = Sender::new(client, leadership, &events);
        tokio::spawn(async move { sender.run(&mut items).await });
        events
    }

    /// Starts the same task as one of the parts of the process, until the process stops.
    #[must_use]
    pub fn kept(
        client: Client,
        leadership: Leadership,
        parts: Parts,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        let events = Self { queue, dropped: Arc::default(), failed: Arc::default() };
        let (counts, items) = (SenderCounts::of(&events), Arc::new(tokio::sync::Mutex::new(items)));
        tokio::spawn(async move {
            let send = |beat: Beat| {
                let sender = Sender::counting(client.clone(), leadership.clone(), counts.clone());
                let items = items.clone();
                async move { beat.during(sender.run(&mut *items.lock().await)).await }
            };
            parts.keep("events", None, stopping, send).await;
        });
        events
    }

    /// Queues an event about an object: `warning` or normal, a word for the reason, a word for the
    /// action, and a sentence. The sentence must contain no attribute value. Returns at once. If
    /// the queue is full, the event is dropped and counted.
    pub fn publish(
        &self,
        regarding: ObjectReference,
        warning: bool,
        reason: &'static str,
        action: &'static str,
        note: String,
    ) {
        let told = Announcement {
            namespace: regarding.namespace.unwrap_or_else(|| "default".to_owned()),
            kind: regarding.kind,
            name: regarding.name.unwrap_or_default(),
            uid: regarding.uid,
            api_version: regarding.api_version,
            warning,
            reason,
            action,
            note: cut(note, NOTE),
        };
        if self.queue.try_send(EventItem::Event(Box::new(told))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many events were dropped: the queue was full, or another process leads by now.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns how many events the API server did not accept.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until every event queued before was sent or dropped, at most this long.
    pub async fn flush(&self, within: Duration) {
        let (done, flushed) = oneshot::channel();
        let wait = async {
            if self.queue.send(EventItem::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        };
        let _ = tokio::time::timeout(within, wait).await;
    }
}

/// The counters of the sender.
#[derive(Clone)]
struct SenderCounts {
    dropped: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl SenderCounts {
    fn of(events: &Events) -> Self {
        Self { dropped: events.dropped.clone(), failed: events.failed.clone() }
    }
}

struct Sender {
    client: Client,
    leadership: Leadership,
    instance: String,
    counts: SenderCounts,
    sent: u64,
    known: HashMap<Announcement, SentEvent>,
}

/// An event that was sent: its name, and how often it has happened.
struct SentEvent {
    name: String,
    count: i32,
    at: Instant,
}

/// The request to send for one item.
enum EventCall {
    Create(Box<Event>),
    Count { namespace: String, name: String, series: EventSeries },
}

impl Sender {
    fn new(client: Client, leadership: Leadership, events: &Events) -> Self {
        Self::counting(client, leadership, SenderCounts::of(events))
    }

    fn counting(client: Client, leadership: Leadership, counts: SenderCounts) -> Self {
        let instance = std::env::var("HOSTNAME")
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| CONTROLLER.to_owned());
        Self { client, leadership, instance, counts, sent: 0, known: HashMap::new() }
    }

    async fn run(mut self, items: &mut mpsc::Receiver<EventItem>) {
        let mut batch = Vec::new();
        while items.recv_many(&mut batch, 64).await > 0 {
            let mut calls = Vec::new();
            let mut flushed = Vec::new();
            for item in batch.drain(..) {
                match item {
                    EventItem::Event(told) => calls.push(self.call(*told)),
                    EventItem::Flush(done) => flushed.push(done),
                }
            }
            let Self { client, leadership, counts, .. } = &self;
            futures::stream::iter(calls)
                .for_each_concurrent(AT_ONCE, |call| async move {
                    if !leadership.may_start(TIMEOUT) {
                        counts.dropped.fetch_add(1, Ordering::Relaxed);
                    } else if let Err(error) = send(client, call).await {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                        // A namespace that is being deleted refuses events. No person has to act on
                        // a lost event.
                        tracing::debug!(%error, "an event was not taken");
                    }
                })
                .await;
            for done in flushed {
                let _ = done.send(());
            }
        }
    }

    fn call(&mut self, told: Announcement) -> EventCall {
        let now = MicroTime(Timestamp::now());
        if self.known.len() >= REMEMBERED {
            self.known.retain(|_, known| known.at.elapsed() < SAME_WITHIN);
            if self.known.len() >= REMEMBERED {
                self.known.clear();
            }
        }
        if let Some(known) =
            self.known.get_mut(&told).filter(|known| known.at.elapsed() < SAME_WITHIN)
        {
            known.count = known.count.saturating_add(1);
            let series = EventSeries { count: known.count, last_observed_time: now };
            return EventCall::Count {
                namespace: told.namespace,
                name: known.name.clone(),
                series,
            };
        }
        self.sent += 1;
        let stem = cut(told.name.clone(), 200);
        let name = format!(
            "{}.{:x}{:04x}",
            stem.trim_end_matches(['.', '-']),
            now.0.as_nanosecond(),
            self.sent & 0xffff
        );
        let event = self.event(&told, &name, now);
        self.known.insert(told, SentEvent { name, count: 1, at: Instant::now() });
        EventCall::Create(Box::new(event))
    }

    fn event(&self, told: &Announcement, name: &str, now: MicroTime) -> Event {
        Event {
            metadata: ObjectMeta {
                namespace: Some(told.namespace.clone()),
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(now),
            type_: Some(if told.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(told.reason.to_owned()),
            action: Some(told.action.to_owned()),
            note: Some(told.note.clone()),
            regarding: Some(ObjectReference {
                api_version: told.api_version.clone(),
                kind: told.kind.clone(),
                namespace: Some(told.namespace.clone()),
                name: Some(told.name.clone()),
                uid: told.uid.clone(),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(cut(self.instance.clone(), 128)),
            ..Event::default()
        }
    }
}

async fn send(client: &Client, call: EventCall) -> Result<(), CallError> {
    match call {
        EventCall::Create(event) => {
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
            bounded(TIMEOUT, events.create(&PostParams::default(), &event)).await.map(drop)
        }
        EventCall::Count { namespace, name, series } => {
            let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
            let patch = Patch::Merge(json!({ "series": series }));
            bounded(TIMEOUT, events.patch(&name, &PatchParams::default(), &patch)).await.map(drop)
        }
    }
}

/// Returns at most the first `bytes` bytes, without a part of a character at the end.
fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
