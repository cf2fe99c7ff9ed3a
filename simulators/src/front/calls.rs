//! The record of every call: counts by route, and a bounded ring of entries.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many entries the ring keeps.
pub const RING: usize = 20_000;

/// Bodies beyond this many bytes are not kept in the ring.
const BODY_KEPT: usize = 64 * 1024;

/// The answer to `GET /{svc}/calls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    pub total: u64,
    pub by_route: BTreeMap<String, u64>,
    /// Calls that asked for a change, granted or not.
    pub writes: u64,
    /// Those of them that were answered with a 2xx, or applied before a fault cut the answer.
    pub applied_writes: u64,
    /// Body keys unknown to the service.
    pub unknown_body_keys: u64,
}

/// One call of `GET /{svc}/log`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counts up from 1 and continues after a reset of the counts.
    pub seq: u64,
    /// The simulators' clock.
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub query: String,
    /// The status sent; 0 when the connection was cut instead.
    pub status: u16,
    /// The top-level keys of a JSON object body, in the order sent.
    pub body_keys: Vec<String>,
    /// The JSON body; null when there was none, or when it contained a secret.
    pub body: Value,
}

/// Counts and ring of one service.
#[derive(Debug, Default)]
pub struct Record {
    pub calls: Calls,
    ring: VecDeque<Entry>,
    last: u64,
}

/// What the gate knows about a call that has ended.
pub struct Finished<'a> {
    pub at: Timestamp,
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
    pub route: String,
    pub status: u16,
    pub write: bool,
    pub secret: bool,
    pub applied: bool,
    pub unknown_keys: usize,
}

impl Record {
    pub fn add(&mut self, call: Finished<'_>) {
        self.last += 1;
        self.calls.total += 1;
        *self.calls.by_route.entry(call.route).or_default() += 1;
        self.calls.writes += u64::from(call.write);
        self.calls.applied_writes += u64::from(call.write && call.applied);
        self.calls.unknown_body_keys += call.unknown_keys as u64;
        let body: Value = if call.secret || call.body.len() > BODY_KEPT {
            Value::Null
        } else {
            serde_json::from_slice(call.body).unwrap_or_default()
        };
        let body_keys =
            body.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry {
            seq: self.last,
            at: call.at,
            method: call.method.to_owned(),
            path: call.path.to_owned(),
            query: call.query.to_owned(),
            status: call.status,
            body_keys,
            body,
        });
    }

    /// Returns the entries after `since`, oldest first.
    pub fn since(&self, since: u64) -> Vec<Entry> {
        self.ring.iter().filter(|entry| entry.seq > since).cloned().collect()
    }

    pub fn reset(&mut self) {
        self.calls = Calls::default();
        self.ring.clear();
    }
}
