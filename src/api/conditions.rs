//! Operations on condition lists: kstatus semantics in one place.

pub use super::condition_types::Type;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The name of this program. It is written like this everywhere.
const NAME: &str = "bobsync";
/// The longest message, in bytes. A longer one is cut at a character.
const MAX_MESSAGE: usize = 600;

/// A condition as it is wanted, before it is merged into a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionUpdate {
    /// The condition's type.
    pub kind: Type,
    /// True or False; this project has no Unknown.
    pub status: bool,
    /// A word of the closed list.
    pub reason: &'static str,
    /// One sentence for a person, without attribute values.
    pub message: String,
}

/// Returns the new list. Types that are not wanted any more are removed, and a transition time
/// changes only if the status changes.
#[must_use]
pub fn merge(
    before: &[Condition],
    wanted: &[ConditionUpdate],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    wanted
        .iter()
        .map(|want| {
            let status = if want.status { "True" } else { "False" };
            let kept = before
                .iter()
                .find(|old| old.type_ == want.kind && old.status == status)
                .map(|old| old.last_transition_time.clone());
            Condition {
                type_: want.kind.as_str().to_owned(),
                status: status.to_owned(),
                reason: want.reason.to_owned(),
                message: cut(&sentence(&want.message), MAX_MESSAGE),
                observed_generation: Some(generation),
                last_transition_time: kept.unwrap_or(Time(now)),
            }
        })
        .collect()
}

/// Returns the text with a capital letter and a full stop. If the text begins with a name, such as
/// bobsync, the name stays as it is written.
#[must_use]
pub fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let first = first.trim_end_matches(['.', ',', ':', ';']);
    let is_name = first == NAME || first.contains(['.', '_', '`', '/', '(']);
    let mut chars = text.chars();
    let mut out: String = match chars.next() {
        Some(c) if !is_name => c.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    };
    if !out.is_empty() && !out.ends_with(['.', '!', '?', '…']) {
        out.push('.');
    }
    out
}

/// Returns the text with one more sentence, which is there in full however long the text is.
#[must_use]
pub fn followed_by(text: &str, sentence: &str) -> String {
    let room = MAX_MESSAGE.saturating_sub(sentence.len() + " …".len());
    format!("{} {sentence}", cut(text, room))
}

/// Returns whether two lists say the same, without transition times.
#[must_use]
pub fn same(a: &[Condition], b: &[Condition]) -> bool {
    timeless(a) == timeless(b)
}

/// Returns the same conditions, with one time for all of their transitions.
#[must_use]
pub fn timeless(conditions: &[Condition]) -> Vec<Condition> {
    conditions
        .iter()
        .map(|one| Condition { last_transition_time: Time(Timestamp::UNIX_EPOCH), ..one.clone() })
        .collect()
}

/// Returns the condition of this type.
#[must_use]
pub fn find(list: &[Condition], kind: impl AsRef<str>) -> Option<&Condition> {
    list.iter().find(|c| c.type_ == kind.as_ref())
}

fn cut(message: &str, most: usize) -> String {
    if message.len() <= most {
        return message.to_owned();
    }
    let end = (0..=most).rev().find(|&i| message.is_char_boundary(i)).unwrap_or(0);
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_that_follows_is_there_however_long_the_text_is() {
        assert_eq!(followed_by("It failed.", "Next try at noon."), "It failed. Next try at noon.");
        let long = followed_by(&"é".repeat(2_000), "Next try at noon.");
        let shown = merge(
            &[],
            &[ConditionUpdate { kind: Type::Ready, status: false, reason: "X", message: long }],
            1,
            Timestamp::UNIX_EPOCH,
        );
        assert!(shown[0].message.ends_with("é… Next try at noon."), "{}", shown[0].message);
    }

    #[test]
    fn a_sentence_begins_with_a_capital_letter_and_ends_with_a_full_stop() {
        for (text, said) in [
            ("no access", "No access."),
            ("Is it? Yes!", "Is it? Yes!"),
            ("", ""),
            ("über alles: x", "Über alles: x."),
            ("phones.work is gone", "phones.work is gone."),
            ("bobsync: it is so", "bobsync: it is so."),
        ] {
            assert_eq!(sentence(text), said);
            let wanted = [ConditionUpdate {
                kind: Type::Ready,
                status: true,
                reason: "InSync",
                message: text.to_owned(),
            }];
            assert_eq!(
                merge(&[], &wanted, 1, Timestamp::UNIX_EPOCH)[0].message,
                said,
                "every message goes through here"
            );
        }
    }
}
