//! The end of an employment that is on record. It counts for an employee that Bob does not show:
//! what Bob said last holds until Bob shows the employee again.

use jiff::{Timestamp, civil::Date};

use super::why::Why;

/// The ends that Bob's rows show. A deleted file and an immediate revocation are evidence of
/// another kind.
const ENDS: [Why; 3] = [Why::Terminated, Why::LastDayOfWork, Why::TerminationDate];

/// An end of an employment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The rule that says so.
    pub why: Why,
    /// The date that the rule uses, if it is known.
    pub date: Option<Date>,
    /// When the employment ends.
    pub at: Timestamp,
}

impl Ended {
    /// Reads the end from a message that contains [`super::access::Decision::because`]. Older
    /// statuses have no field for it and say it only there. For that reason the sentences of these
    /// rules must not change.
    #[must_use]
    pub fn read(message: &str) -> Option<Self> {
        ENDS.into_iter().find_map(|why| {
            // The first letter is a capital if the sentence begins the message.
            let (_, rest) = message.split_once(why.sentence().get(1..)?)?;
            let date = rest.strip_prefix(": ").and_then(|rest| rest.get(..10)?.parse().ok());
            Some(Self { why, date, at: Timestamp::MIN })
        })
    }

    /// Returns an end that has come.
    #[must_use]
    pub const fn come(why: Why, date: Option<Date>) -> Self {
        Self { why, date, at: Timestamp::MIN }
    }

    /// Returns an end that comes at `at`.
    #[must_use]
    pub const fn ahead(why: Why, at: Timestamp) -> Self {
        Self { why, date: None, at }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::access::{Decision, Missing};

    fn because(why: Why, date: Option<Date>, also: Option<Why>) -> String {
        Decision {
            managed: true,
            existing: None,
            missing: Missing::Never,
            why,
            also,
            date,
            next: None,
        }
        .because()
    }

    #[test]
    fn an_end_is_read_as_it_was_written() {
        let day = date(2026, 11, 20);
        for (why, date) in [
            (Why::Terminated, None),
            (Why::LastDayOfWork, Some(day)),
            (Why::TerminationDate, Some(day)),
            (Why::LastDayOfWork, None),
        ] {
            let written = because(why, date, Some(Why::ScopeUnknown));
            let (first, rest) = written.split_at(1);
            let expected = Some(Ended { why, date, at: Timestamp::MIN });
            for message in [
                format!("Not as decided yet: {written}."),
                format!("{}{rest}.", first.to_uppercase()),
            ] {
                assert_eq!(Ended::read(&message), expected, "{message}");
            }
        }
        let left_open = because(Why::HandsOff, None, Some(Why::Terminated));
        assert_eq!(Ended::read(&left_open).map(|ended| ended.why), Some(Why::Terminated));
    }

    #[test]
    fn what_is_no_end_in_a_row_of_bob_is_not_read_as_one() {
        let others = [
            Why::HandsOff,
            Why::Unreadable,
            Why::DomainNotListed,
            Why::OutOfScope,
            Why::ScopeUnknown,
            Why::AwaitingChange,
            Why::NotInBob,
            Why::LeftAloneBefore,
            Why::FileDeleted,
            Why::AccessRevoked,
            Why::BeforeStart,
            Why::NoStartDate,
            Why::AtWork,
            Why::LeaveWithAccess,
            Why::LeaveWithoutAccess,
            Why::InactiveInBob,
            Why::AlwaysActive,
            Why::AlwaysInactive,
            Why::DatesHidden,
            Why::NoEvidence,
        ];
        for why in others {
            assert_eq!(Ended::read(&because(why, Some(date(2026, 11, 20)), None)), None, "{why:?}");
        }
    }
}
