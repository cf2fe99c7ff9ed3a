//! The block after many refusals (apidocs.hibob.com, "Authorization related WAF rules").

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// This many refusals in the span block for 5 minutes.
const REFUSALS: usize = 50;
const REFUSAL_SPAN: SignedDuration = SignedDuration::from_secs(10);
const BLOCK: SignedDuration = SignedDuration::from_secs(300);

/// Refusals by address and by Authorization header.
#[derive(Default)]
pub struct Refusals {
    recent: HashMap<String, VecDeque<Timestamp>>,
    blocked: HashMap<String, Timestamp>,
}

impl Refusals {
    pub fn note(&mut self, who: String, now: Timestamp) {
        let recent = self.recent.entry(who.clone()).or_default();
        recent.push_back(now);
        while recent.front().is_some_and(|first| now.duration_since(*first) >= REFUSAL_SPAN) {
            recent.pop_front();
        }
        if recent.len() >= REFUSALS {
            recent.clear();
            self.blocked.insert(who, now + BLOCK);
        }
    }

    pub fn blocks(&self, who: &str, now: Timestamp) -> bool {
        self.blocked.get(who).is_some_and(|until| now < *until)
    }
}
