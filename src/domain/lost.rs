//! Accounts on record that the provider does not show. A single one was deleted. Many of them at
//! once are suspicious: bobsync does not make them again until a later look agrees or a person asks
//! for it.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    budget::larger,
    safety::{ShortRead, Suspicion},
};

/// What one look found of such accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost<'a> {
    /// How many accounts are on record.
    pub known: u32,
    /// The employees for which no account is there.
    pub missing: HashSet<&'a str>,
}

/// When and how a look is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of the look.
    pub now: Timestamp,
    /// How long an account that events found missing is counted, in seconds.
    pub interval: i64,
    /// How much later a second look has to be to confirm the first.
    pub apart: std::time::Duration,
    /// Whether a person asked for this look.
    pub asked: bool,
}

/// What happens to the missing accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingAccounts {
    /// They are gone, and bobsync may make them again.
    Gone,
    /// They wait, because a full look found too many missing.
    Suspect,
    /// They wait until a full look has judged them.
    Unjudged,
}

/// What passes of one integration know of missing accounts.
#[derive(Debug, Default)]
pub struct LostMemory {
    /// The first full look that found too many missing. It is kept until no look finds too many.
    suspicion: Option<Suspicion>,
    /// Whether a later look agreed with it, or a person asked.
    believed: bool,
    /// When events found an account missing, in seconds of the epoch, by employee.
    found: HashMap<Box<str>, i64>,
}

impl LostMemory {
    /// Judges a full pass.
    pub fn full(&mut self, rule: ShortRead, lost: &Lost<'_>, moment: Moment) -> MissingAccounts {
        if !self.is_too_many(rule, lost, moment) {
            (self.suspicion, self.believed) = (None, false);
            return MissingAccounts::Gone;
        }
        let count = count(&lost.missing);
        let agrees = |first: &Suspicion| {
            first.count.abs_diff(count) <= larger(rule.max_percent, first.count, rule.at_least)
        };
        // Each look finds fewer missing accounts while bobsync makes them again.
        let Some(first) =
            self.suspicion.filter(|first| agrees(first) || self.believed && count <= first.count)
        else {
            (self.suspicion, self.believed) = (Some(Suspicion { count, since: moment.now }), false);
            return MissingAccounts::Suspect;
        };
        let later = moment.now >= first.since
            && moment.now.duration_since(first.since).unsigned_abs() >= moment.apart;
        self.believed |= later || moment.asked;
        if self.believed { MissingAccounts::Gone } else { MissingAccounts::Suspect }
    }

    /// Judges a partial pass, after each account of its employees was looked up. Notes the
    /// employees for which an account may be made again.
    pub fn partial(&mut self, rule: ShortRead, lost: &Lost<'_>, moment: Moment) -> MissingAccounts {
        if lost.missing.is_empty() || self.believed {
            return MissingAccounts::Gone;
        }
        if self.suspicion.is_some() {
            return MissingAccounts::Suspect;
        }
        if self.is_too_many(rule, lost, moment) {
            return MissingAccounts::Unjudged;
        }
        self.found.extend(
            lost.missing.iter().map(|employee| (Box::from(*employee), moment.now.as_second())),
        );
        MissingAccounts::Gone
    }

    fn is_too_many(&mut self, rule: ShortRead, lost: &Lost<'_>, moment: Moment) -> bool {
        let since = moment.now.as_second().saturating_sub(moment.interval);
        self.found.retain(|_, at| *at > since);
        let before =
            self.found.keys().filter(|employee| !lost.missing.contains(&***employee)).count();
        let missing = count(&lost.missing);
        let all = missing >= lost.known;
        missing > 0
            && (all
                || missing.saturating_add(u32::try_from(before).unwrap_or(u32::MAX))
                    > rule.allows(lost.known))
    }
}

fn count(missing: &HashSet<&str>) -> u32 {
    u32::try_from(missing.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const IDS: [&str; 20] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        "17", "18", "19",
    ];

    fn lost(known: u32, missing: usize) -> Lost<'static> {
        Lost { known, missing: IDS.into_iter().take(missing).collect() }
    }

    fn at(second: i64, asked: bool) -> Moment {
        Moment {
            now: Timestamp::from_second(second).unwrap(),
            interval: 600,
            apart: Duration::from_secs(300),
            asked,
        }
    }

    #[test]
    fn many_lost_accounts_are_believed_after_half_an_interval_or_when_a_person_asks() {
        let rule = ShortRead::default();
        for asked in [false, true] {
            let mut memory = LostMemory::default();
            assert_eq!(
                memory.full(rule, &lost(49, 8), at(0, true)),
                MissingAccounts::Suspect,
                "a request cannot confirm what no look has shown"
            );
            assert_eq!(
                memory.partial(rule, &lost(49, 1), at(1, false)),
                MissingAccounts::Suspect,
                "no path goes around it"
            );
            assert_eq!(memory.full(rule, &lost(49, 8), at(299, false)), MissingAccounts::Suspect);
            assert_eq!(
                memory.full(rule, &lost(49, 8), at(if asked { 299 } else { 300 }, asked)),
                MissingAccounts::Gone
            );
            assert_eq!(memory.partial(rule, &lost(49, 1), at(301, false)), MissingAccounts::Gone);
            assert_eq!(
                memory.full(rule, &lost(49, 6), at(302, false)),
                MissingAccounts::Gone,
                "two are made again"
            );
            assert_eq!(memory.full(rule, &lost(49, 0), at(303, false)), MissingAccounts::Gone);
            assert_eq!(
                memory.full(rule, &lost(49, 8), at(900, false)),
                MissingAccounts::Suspect,
                "another time"
            );
        }
    }

    #[test]
    fn an_empty_provider_is_believed_too_and_another_number_begins_anew() {
        let rule = ShortRead::default();
        let mut memory = LostMemory::default();
        assert_eq!(memory.full(rule, &lost(3, 3), at(0, false)), MissingAccounts::Suspect);
        assert_eq!(memory.full(rule, &lost(20, 20), at(300, false)), MissingAccounts::Suspect);
        assert_eq!(memory.full(rule, &lost(20, 20), at(600, false)), MissingAccounts::Gone);
    }

    proptest! {
        #[test]
        fn events_make_no_more_accounts_again_than_a_full_look_would(
            sizes in proptest::collection::vec(1..4_usize, 1..8)
        ) {
            let rule = ShortRead { max_percent: 0, at_least: 5 };
            let (mut memory, mut next, mut made) = (LostMemory::default(), 0, 0);
            for size in sizes {
                let missing: HashSet<&str> =
                    IDS.into_iter().cycle().skip(next).take(size).collect();
                next += size;
                let lost = Lost { known: 100, missing };
                if memory.partial(rule, &lost, at(10, false)) == MissingAccounts::Gone {
                    made += size;
                }
            }
            prop_assert!(made <= 5);
        }
    }
}
