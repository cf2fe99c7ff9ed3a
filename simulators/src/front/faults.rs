//! Faults that tests inject in front of a service.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::rng::Rng;

/// What happens to a call that a fault matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `status` (default 503) instead of the real answer; nothing is applied.
    Status,
    /// An HTML page with `status` (default 200); nothing is applied.
    Html,
    /// The real answer, cut in the middle of its body.
    Truncate,
    /// A JSON error object with `status` (default 200); nothing is applied.
    ErrorObject,
    /// The real answer, followed by nine million blanks: a body that is larger than a caller reads.
    Oversize,
    /// The real answer, `delayMs` later.
    Delay,
    /// The connection is reset; nothing is applied.
    Reset,
    /// The call is applied, then the connection is reset.
    ResetAfterApply,
    /// The call is applied, then `status` (default 503) is answered.
    StatusAfterApply,
    /// The call is in the log and nothing more happens: it is not applied, and the connection stays
    /// open until the caller closes it or two minutes are over.
    Hold,
    /// The same, after the call was applied.
    HoldAfterApply,
}

impl Kind {
    /// Returns whether the caller waits for an answer that never comes.
    pub fn holds(self) -> bool {
        matches!(self, Self::Hold | Self::HoldAfterApply)
    }
}

/// One rule. Rules are tried in the order they were added; the first match acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub kind: Kind,
    /// Absent: any method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Absent: any path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// How many matching calls pass before it acts; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Absent: any path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_path: Option<String>,
    /// A text that the body must contain; absent: any body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// How often it acts; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Chance per matching call, 0 to 1; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Seed of the chance; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Further headers of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// The body: a string is sent as it is, anything else as JSON; absent: the service's own error
    /// shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Real milliseconds to wait before the call is handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

impl Fault {
    /// Returns a rule of this kind that matches every call, without an end.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            method: None,
            path_prefix: None,
            after: None,
            exact_path: None,
            body_contains: None,
            times: None,
            probability: None,
            seed: None,
            status: None,
            headers: None,
            body: None,
            delay_ms: None,
        }
    }

    /// Strikes only calls with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Strikes only calls with a path that starts with this.
    #[must_use]
    pub fn path(mut self, prefix: &str) -> Self {
        self.path_prefix = Some(prefix.to_owned());
        self
    }

    /// Strikes only calls with a body that contains this text.
    #[must_use]
    pub fn body_contains(mut self, text: &str) -> Self {
        self.body_contains = Some(text.to_owned());
        self
    }

    /// Strikes only the first `times` matching calls.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes only after this many matching calls.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.after = Some(calls);
        self
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        self
    }

    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    #[must_use]
    pub fn probability(mut self, chance: f64, seed: u64) -> Self {
        self.probability = Some(chance);
        self.seed = Some(seed);
        self
    }

    #[must_use]
    pub fn delay_ms(mut self, delay: u64) -> Self {
        self.delay_ms = Some(delay);
        self
    }

    /// Says why a rule cannot be carried out.
    pub fn check(&self) -> Result<(), String> {
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status must be between 200 and 599".into());
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("probability must be between 0 and 1".into());
        }
        if self.delay_ms.is_some_and(|delay| delay > 600_000) {
            return Err("delayMs must be at most 600000".into());
        }
        let answers = self.status.is_some()
            || self.headers.is_some()
            || self.body.is_some()
            || self.delay_ms.is_some();
        if self.kind.holds() && answers {
            return Err("a call that is held has no status, headers, body or delayMs".into());
        }
        for (name, value) in self.headers.iter().flatten() {
            if axum::http::HeaderName::try_from(name).is_err()
                || axum::http::HeaderValue::try_from(value).is_err()
            {
                return Err(format!("not a header: {name}"));
            }
        }
        Ok(())
    }
}

struct Rule {
    fault: Fault,
    rng: Rng,
    /// Matching calls that still pass.
    spared: u64,
    left: Option<u64>,
}

/// The rules of one service.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
    cleared: watch::Sender<()>,
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        let rule = Rule {
            rng: Rng::new(fault.seed.unwrap_or(1)),
            spared: fault.after.unwrap_or(0),
            left: fault.times,
            fault,
        };
        self.rules.lock().expect("faults lock").push(rule);
    }

    pub fn clear(&self) {
        self.rules.lock().expect("faults lock").clear();
        self.cleared.send_replace(());
    }

    /// Completes when the rules are removed after this call.
    pub fn until_cleared(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut cleared = self.cleared.subscribe();
        async move {
            let _ = cleared.changed().await;
        }
    }

    /// Returns the fault that strikes this call, if any, and counts it.
    pub fn strike(&self, method: &str, path: &str, body: &[u8]) -> Option<Fault> {
        let holds = |text: &String| String::from_utf8_lossy(body).contains(text.as_str());
        let mut rules = self.rules.lock().expect("faults lock");
        for rule in rules.iter_mut() {
            let fault = &rule.fault;
            let matches = rule.left != Some(0)
                && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && fault.path_prefix.as_ref().is_none_or(|prefix| path.starts_with(prefix))
                && fault.exact_path.as_ref().is_none_or(|exact| path == exact)
                && fault.body_contains.as_ref().is_none_or(holds);
            if matches && rule.spared > 0 {
                rule.spared -= 1;
                continue;
            }
            if matches && fault.probability.is_none_or(|p| rule.rng.chance(p)) {
                rule.left = rule.left.map(|left| left - 1);
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_only_what_it_names_and_only_so_often() {
        let faults = Faults::default();
        faults.add(Fault::new(Kind::Status).method("PUT").path("/api/2/users").times(2));
        assert!(faults.strike("GET", "/api/2/users", b"").is_none());
        assert!(faults.strike("PUT", "/api/1/users/7", b"").is_none());
        assert!(faults.strike("PUT", "/api/2/users/7", b"").is_some());
        assert!(faults.strike("put", "/api/2/users/7", b"").is_some());
        assert!(faults.strike("PUT", "/api/2/users/7", b"").is_none());
    }

    #[test]
    fn a_rule_may_name_what_the_body_holds() {
        let faults = Faults::default();
        faults.add(Fault::new(Kind::Status).body_contains("Bad title").times(1));
        assert!(faults.strike("PUT", "/users/7", b"{\"title\":\"Good title\"}").is_none());
        assert!(faults.strike("PUT", "/users/7", b"{\"title\":\"Bad title\"}").is_some());
        assert!(faults.strike("PUT", "/users/7", b"{\"title\":\"Bad title\"}").is_none());
    }

    #[test]
    fn a_rule_strikes_after_the_calls_that_it_spares() {
        let faults = Faults::default();
        faults.add(Fault::new(Kind::Status).method("GET").after(2).times(1));
        faults.add(Fault::new(Kind::Reset).method("GET").after(3).times(1));
        let struck: Vec<_> =
            (0..5).map(|_| faults.strike("GET", "/", b"").map(|fault| fault.kind)).collect();
        assert_eq!(struck, [None, None, Some(Kind::Status), None, Some(Kind::Reset)]);
        assert!(faults.strike("PUT", "/", b"").is_none());
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let run = || {
            let faults = Faults::default();
            faults.add(Fault::new(Kind::Status).probability(0.05, 42));
            (0..10_000).map(|_| faults.strike("GET", "/", b"").is_some()).collect::<Vec<_>>()
        };
        let struck = run().into_iter().filter(|hit| *hit).count();
        assert_eq!(run(), run());
        assert!((400..600).contains(&struck), "{struck}");
    }
}
