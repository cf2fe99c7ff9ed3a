//! Operations on condition lists: kstatus semantics in one place.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Longest message; the rest is cut at a character.
const MAX_MESSAGE: usize = 600;

/// A condition as it is wanted, before it is merged into a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The condition's type, for example `Ready`.
    pub kind: &'static str,
    /// True or False; this project has no Unknown.
    pub status: bool,
    /// A word of the closed list.
    pub reason: &'static str,
    /// One sentence for a person, without attribute values.
    pub message: String,
}

/// The new list: types that are not wanted any more go, and a transition time moves only when the status moves.
#[must_use]
pub fn merge(before: &[Condition], wanted: &[Wanted], generation: i64, now: Timestamp) -> Vec<Condition> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    wanted
        .iter()
        .map(|want| {
            let status = if want.status { "True" } else { "False" };
            let kept = before.iter().find(|old| old.type_ == want.kind && old.status == status).map(|old| old.last_transition_time.clone());
            Condition {
                type_: want.kind.to_owned(),
                status: status.to_owned(),
                reason: want.reason.to_owned(),
                message: cut(&want.message),
                observed_generation: Some(generation),
                last_transition_time: kept.unwrap_or(Time(now)),
            }
        })
        .collect()
}

/// Whether two lists say the same, transition times aside.
#[must_use]
pub fn same(a: &[Condition], b: &[Condition]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            a.type_ == b.type_
                && a.status == b.status
                && a.reason == b.reason
                && a.message == b.message
                && a.observed_generation == b.observed_generation
        })
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|c| c.type_ == kind)
}

fn cut(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let end = (0..=MAX_MESSAGE).rev().find(|&i| message.is_char_boundary(i)).unwrap_or(0);
    format!("{}…", &message[..end])
}
