//! What the passes of one integration suspect, beside what the statuses say, and who waits for a manager.

use std::{collections::HashSet, sync::Mutex};

use tokio::time::Instant;

use super::{Mailbox, State};
use crate::{
    api::employee_sync::Trigger,
    domain::{lost::LostMemory, priority::Class, shrink::ScopeMemory},
};

/// It is lost with the process: the first pass looks at everybody, and finds it again.
#[derive(Default)]
pub struct Noted {
    /// Accounts on record that the provider does not show.
    pub lost: Mutex<LostMemory>,
    /// Employees whom the settings leave out.
    pub scope: Mutex<ScopeMemory>,
}

impl Mailbox {
    /// These people wait for a manager without an account, each named with the manager. `some`: whom the pass was about,
    /// of whom nobody else waits any more; `None`: everybody.
    pub fn wait_for_managers(&self, some: Option<Vec<&str>>, pairs: Vec<(Box<str>, Box<str>)>) {
        let mut state = self.lock();
        match some {
            None => state.leaderless.clear(),
            Some(people) => state.leaderless.retain(|_, reports| {
                for employee in &people {
                    reports.remove(*employee);
                }
                !reports.is_empty()
            }),
        }
        let State { leaderless, looked_for, .. } = &mut *state;
        pairs.into_iter().for_each(|(report, manager)| {
            _ = leaderless.entry(manager).or_default().insert(report)
        });
        let waiting: HashSet<&Box<str>> = leaderless.values().flatten().collect();
        looked_for.retain(|report, _| waiting.contains(report));
    }

    /// Whoever waits for a manager of whom this holds is looked at. Once for each manager: where it does not help, nothing is
    /// gained by looking again.
    pub fn have_accounts(&self, has: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        let State { leaderless, looked_for, .. } = &mut *state;
        let mut fresh = Vec::new();
        for (manager, reports) in leaderless.iter().filter(|(manager, _)| has(manager)) {
            let news = reports.iter().filter(|report| {
                looked_for.insert((*report).clone(), manager.clone()).as_ref() != Some(manager)
            });
            fresh.extend(news.cloned());
        }
        drop(state);
        for report in fresh {
            self.dirty.add(&report, Trigger::Retry, Class::Mover, Instant::now());
        }
    }
}
