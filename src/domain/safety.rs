//! When a read is not to be believed. Absence is not evidence: a short answer never says that people left.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;

use super::{account::Account, budget::larger, mapping::key_of, visible::look};

/// Whether a count shrank by more than normal turnover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortRead {
    /// Share of the last count, in percent.
    pub max_percent: u32,
    /// A floor for small companies.
    pub at_least: u32,
}

impl Default for ShortRead {
    /// More than the larger of 10 % and 5.
    fn default() -> Self {
        Self { max_percent: 10, at_least: 5 }
    }
}

impl ShortRead {
    /// Returns how many of so many may be missing.
    #[must_use]
    pub fn allows(self, before: u32) -> u32 {
        larger(self.max_percent, before, self.at_least)
    }

    /// Whether `now` is implausibly short after `before`. Nobody at all is never plausible.
    #[must_use]
    pub fn is_suspect(self, before: u32, now: u32) -> bool {
        now == 0 || before.saturating_sub(now) > self.allows(before)
    }
}

/// A short answer that is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// How many it counted.
    pub count: u32,
    /// When it was read.
    pub since: Timestamp,
}

/// One read, and what is known when it comes.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// The count of the last answer that was believed; 0 if there was none.
    pub before: u32,
    /// The count of this one.
    pub count: u32,
    /// When it was made.
    pub at: Timestamp,
    /// The first short answer since.
    pub suspicion: Option<Suspicion>,
    /// How much later a second answer has to be to confirm it: the same glitch may answer twice within a moment.
    pub apart: Duration,
    /// Whether a person asked for this read, and thereby says that what it shows is so.
    pub asked: bool,
}

impl ShortRead {
    /// The suspicion that this read leaves behind; `None` if it is believed. A short answer is believed once a later one
    /// agrees with it, or a person asks again; nobody at all never is.
    #[must_use]
    pub fn judge(self, read: &Read) -> Option<Suspicion> {
        if !self.is_suspect(read.before, read.count) {
            return None;
        }
        let agrees = |first: &Suspicion| first.count.abs_diff(read.count) <= larger(self.max_percent, first.count, self.at_least);
        let Some(first) = read.suspicion.filter(|first| first.count > 0 && read.count > 0 && agrees(first)) else {
            return Some(Suspicion { count: read.count, since: read.at });
        };
        let later = read.at.duration_since(first.since).unsigned_abs() >= read.apart && read.at >= first.since;
        (!later && !read.asked).then_some(first)
    }
}

/// Why an account is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtectedBy {
    /// The settings list it.
    Settings,
    /// The provider says that it is an administrator's.
    Role,
}

/// Accounts that are never written: administrators, break-glass accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    names: foldhash::HashSet<Box<str>>,
    /// Whether administrators who leave are suspended.
    suspends_administrators: bool,
}

impl Protected {
    /// From provider ids, e-mails and usernames, in any case.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self { names: names.map(|name| shape(name).into()).collect(), suspends_administrators: false }
    }

    /// The same, with administrators who leave suspended. Accounts that are listed are left as they are all the same.
    #[must_use]
    pub fn suspending_administrators(self, suspends_administrators: bool) -> Self {
        Self { suspends_administrators, ..self }
    }

    /// Whether access may be taken from an account that is protected so, of somebody who leaves.
    #[must_use]
    pub fn lets_go(&self, by: ProtectedBy) -> bool {
        by == ProtectedBy::Role && self.suspends_administrators
    }

    /// Whether this is the id, e-mail or username of one.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.names.contains(&*shape(name))
    }

    /// Why this account is one: its id, e-mail or username is among them, or the provider itself says that it is an
    /// administrator's.
    #[must_use]
    pub fn covers(&self, account: &Account<'_>) -> Option<ProtectedBy> {
        let has = |name: Option<&str>| name.is_some_and(|name| self.names(name));
        let listed =
            !self.names.is_empty() && (has(Some(&account.id)) || has(account.email.as_deref()) || has(account.username.as_deref()));
        if listed { Some(ProtectedBy::Settings) } else { account.administrator.then_some(ProtectedBy::Role) }
    }
}

/// Returns the key of what the name looks like. A listed account is protected also where a character that is not seen, in the
/// settings or at the provider, makes its name another text.
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
            rule.judge(&Read { before: 250, count, at: at(seconds), suspicion, apart: Duration::from_secs(300), asked })
        };
        let first = read(100, 0, None, true);
        assert_eq!(first, Some(Suspicion { count: 100, since: at(0) }), "nobody can ask for what nobody has seen");
        assert_eq!(read(100, 299, first, false), first, "too soon");
        assert_eq!(read(105, 300, first, false), None);
        assert_eq!(read(100, 1, first, true), None, "a person asks again");
        assert_eq!(read(60, 300, first, true), Some(Suspicion { count: 60, since: at(300) }), "it does not agree");
        assert_eq!(read(250, 1, first, false), None, "the people are back");
        let nobody = read(0, 0, None, false);
        assert_eq!(nobody, Some(Suspicion { count: 0, since: at(0) }));
        assert_eq!(read(0, 900, nobody, true), Some(Suspicion { count: 0, since: at(900) }), "nobody at all is never believed");
    }

    #[test]
    fn an_account_is_protected_by_its_names_and_where_the_provider_says_that_it_is_an_administrators() {
        let account = |administrator| Account {
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
        assert_eq!((none.covers(&account(false)), none.covers(&account(true))), (None, Some(ProtectedBy::Role)));
        for name in ["7", "boss@EXAMPLE.com", "The.Boss", "\u{feff}boss@example.com", "bo\u{200b}ss@example.com\u{200e}"] {
            assert_eq!(Protected::new([name].into_iter()).covers(&account(false)), Some(ProtectedBy::Settings), "{name}");
        }
        let other = Protected::new(["8", "other@example.com"].into_iter());
        assert_eq!((other.covers(&account(false)), other.covers(&account(true))), (None, Some(ProtectedBy::Role)));
        assert!(!other.names("boss@example.com"));
        assert!(!other.lets_go(ProtectedBy::Role) && !other.lets_go(ProtectedBy::Settings));
        let suspending = other.suspending_administrators(true);
        assert!(suspending.lets_go(ProtectedBy::Role) && !suspending.lets_go(ProtectedBy::Settings));
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
