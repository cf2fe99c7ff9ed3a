//! Says when bobsync does not trust a read. Absence is not evidence: a short answer never says that
//! employees have left.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;

use super::{account::Account, budget::larger, mapping::key_of, visible::look};

/// The rule that says whether a count shrank by more than normal turnover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortRead {
    /// Share of the last count, in percent.
    pub max_percent: u32,
    /// The floor, for small companies.
    pub at_least: u32,
}

impl Default for ShortRead {
    /// Returns the default: the larger of 10 % and 5 may be missing.
    fn default() -> Self {
        Self { max_percent: 10, at_least: 5 }
    }
}

impl ShortRead {
    /// Returns how many of `before` may be missing.
    #[must_use]
    pub fn allows(self, before: u32) -> u32 {
        larger(self.max_percent, before, self.at_least)
    }

    /// Returns whether `now` is implausibly low after `before`. A count of 0 is never plausible.
    #[must_use]
    pub fn is_suspect(self, before: u32, now: u32) -> bool {
        now == 0 || before.saturating_sub(now) > self.allows(before)
    }
}

/// A short answer that bobsync does not trust yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// How many rows the answer had.
    pub count: u32,
    /// When the answer was read.
    pub since: Timestamp,
}

/// One read, and what is known when it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// The count of the last answer that bobsync trusted, or 0 if there was no such answer.
    pub before: u32,
    /// The count of this read.
    pub count: u32,
    /// When the read was made.
    pub at: Timestamp,
    /// The first short answer since then.
    pub suspicion: Option<Suspicion>,
    /// How much later a second answer has to be to confirm the first: the same glitch may answer
    /// twice within a moment.
    pub apart: Duration,
    /// Whether a person asked for this read, and so confirms what it shows.
    pub asked: bool,
}

impl ShortRead {
    /// Returns the suspicion that is left after this read. Returns `None` if bobsync trusts the
    /// read. bobsync trusts a short answer if a later one agrees with it, or if a person asks for a
    /// read again. It never trusts a count of 0.
    #[must_use]
    pub fn judge(self, read: &Read) -> Option<Suspicion> {
        if !self.is_suspect(read.before, read.count) {
            return None;
        }
        let agrees = |first: &Suspicion| {
            first.count.abs_diff(read.count) <= larger(self.max_percent, first.count, self.at_least)
        };
        let Some(first) =
            read.suspicion.filter(|first| first.count > 0 && read.count > 0 && agrees(first))
        else {
            return Some(Suspicion { count: read.count, since: read.at });
        };
        let later = read.at.duration_since(first.since).unsigned_abs() >= read.apart
            && read.at >= first.since;
        (!later && !read.asked).then_some(first)
    }
}

/// Why an account is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtectedBy {
    /// The settings list the account.
    Settings,
    /// The provider says that it is an administrator's account.
    Role,
}

/// Accounts that are never written, such as accounts of administrators and break-glass accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    names: foldhash::HashSet<Box<str>>,
    /// Whether administrators who leave are suspended.
    suspends_administrators: bool,
}

impl Protected {
    /// Returns the accounts with these provider ids, e-mails or usernames, in any case.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self {
            names: names.map(|name| shape(name).into()).collect(),
            suspends_administrators: false,
        }
    }

    /// Sets whether administrators who leave are suspended. Accounts that the settings list are
    /// still left as they are.
    #[must_use]
    pub fn suspending_administrators(self, suspends_administrators: bool) -> Self {
        Self { suspends_administrators, ..self }
    }

    /// Returns whether bobsync may take access from an account that is protected by `by`, if its
    /// employee leaves.
    #[must_use]
    pub fn lets_go(&self, by: ProtectedBy) -> bool {
        by == ProtectedBy::Role && self.suspends_administrators
    }

    /// Returns whether `name` is the id, e-mail or username of a listed account.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.names.contains(&*shape(name))
    }

    /// Returns why this account is protected. The settings list its id, e-mail or username, or the
    /// provider says that it is an administrator's account.
    #[must_use]
    pub fn covers(&self, account: &Account<'_>) -> Option<ProtectedBy> {
        let has = |name: Option<&str>| name.is_some_and(|name| self.names(name));
        let listed = !self.names.is_empty()
            && (has(Some(&account.id))
                || has(account.email.as_deref())
                || has(account.username.as_deref()));
        if listed {
            Some(ProtectedBy::Settings)
        } else {
            account.administrator.then_some(ProtectedBy::Role)
        }
    }
}

/// Returns a key for the way `name` looks on a screen. So a listed account stays protected even if
/// an invisible character, in the settings or at the provider, makes the texts differ.
fn shape(name: &str) -> Cow<'_, str> {
    key_of(look(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_answer_is_believed_once_a_later_one_agrees_or_a_person_asks() {
        let rule = ShortRead::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let read = |count, seconds, suspicion, asked| {
            rule.judge(&Read {
                before: 250,
                count,
                at: at(seconds),
                suspicion,
                apart: Duration::from_secs(300),
                asked,
            })
        };
        let first = read(100, 0, None, true);
        assert_eq!(
            first,
            Some(Suspicion { count: 100, since: at(0) }),
            "a request cannot confirm what no look has shown"
        );
        assert_eq!(read(100, 299, first, false), first, "too soon");
        assert_eq!(read(105, 300, first, false), None);
        assert_eq!(read(100, 1, first, true), None, "a person asks again");
        assert_eq!(
            read(60, 300, first, true),
            Some(Suspicion { count: 60, since: at(300) }),
            "it does not agree"
        );
        assert_eq!(read(250, 1, first, false), None, "the people are back");
        let nothing = read(0, 0, None, false);
        assert_eq!(nothing, Some(Suspicion { count: 0, since: at(0) }));
        assert_eq!(
            read(0, 900, nothing, true),
            Some(Suspicion { count: 0, since: at(900) }),
            "a count of 0 is never trusted"
        );
    }

    #[test]
    fn an_account_is_protected_by_its_names_and_if_it_is_an_administrators() {
        let account = |administrator| Account {
            phase: crate::domain::account::AccountPhase::Usual,
            id: "7".into(),
            mark: None,
            email: Some("Boss@example.com".into()),
            username: Some("the.boss".into()),
            state: crate::domain::account::AccountState::Active,
            attributes: Box::default(),
            administrator,
            elsewhere: false,
            foreign: None,
        };
        let none = Protected::default();
        assert_eq!(
            (none.covers(&account(false)), none.covers(&account(true))),
            (None, Some(ProtectedBy::Role))
        );
        for name in [
            "7",
            "boss@EXAMPLE.com",
            "The.Boss",
            "\u{feff}boss@example.com",
            "bo\u{200b}ss@example.com\u{200e}",
        ] {
            assert_eq!(
                Protected::new([name].into_iter()).covers(&account(false)),
                Some(ProtectedBy::Settings),
                "{name}"
            );
        }
        let other = Protected::new(["8", "other@example.com"].into_iter());
        assert_eq!(
            (other.covers(&account(false)), other.covers(&account(true))),
            (None, Some(ProtectedBy::Role))
        );
        assert!(!other.names("boss@example.com"));
        assert!(!other.lets_go(ProtectedBy::Role) && !other.lets_go(ProtectedBy::Settings));
        let suspending = other.suspending_administrators(true);
        assert!(
            suspending.lets_go(ProtectedBy::Role) && !suspending.lets_go(ProtectedBy::Settings)
        );
    }

    #[test]
    fn normal_turnover_passes_and_a_short_answer_does_not() {
        let rule = ShortRead::default();
        assert!(!rule.is_suspect(0, 1));
        assert!(!rule.is_suspect(250, 225));
        assert!(rule.is_suspect(250, 224));
        assert!(!rule.is_suspect(8, 3));
        assert!(rule.is_suspect(8, 2));
        assert!(rule.is_suspect(3, 0));
        assert!(rule.is_suspect(0, 0));
    }
}
