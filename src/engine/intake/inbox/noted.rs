//! What the passes of one integration suspect in addition to the statuses, and which employees wait
//! for a manager.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Mailbox, State};
use crate::{
    api::employee_sync::Trigger,
    domain::{lost::LostMemory, priority::Class, shrink::ScopeMemory},
};

/// The suspicions of one integration. They are lost with the process: the first pass looks at all
/// employees, and finds them again.
#[derive(Default)]
pub struct Noted {
    /// Accounts on record that the provider does not show.
    pub lost: Mutex<LostMemory>,
    /// Employees that the settings exclude.
    pub scope: Mutex<ScopeMemory>,
}

impl Mailbox {
    /// Notes the employees who wait for a manager without an account, each with that manager.
    /// `some`: the employees of the pass; those that are not in `pairs` no longer wait. `None`: the
    /// pass was about all employees.
    pub fn wait_for_managers(&self, some: Option<Vec<&str>>, pairs: Vec<(Box<str>, Box<str>)>) {
        let mut state = self.lock();
        match some {
            None => state.awaiting_manager.clear(),
            Some(people) => state.awaiting_manager.retain(|_, reports| {
                for employee in &people {
                    reports.remove(*employee);
                }
                !reports.is_empty()
            }),
        }
        let State { awaiting_manager, looked_for, .. } = &mut *state;
        pairs.into_iter().for_each(|(report, manager)| {
            _ = awaiting_manager.entry(manager).or_default().insert(report)
        });
        let waiting: HashSet<&Box<str>> = awaiting_manager.values().flatten().collect();
        looked_for.retain(|report, _| waiting.contains(report));
    }

    /// Queues the employees who wait for a manager for which `has` holds. It does this once for
    /// each manager, because a second look would not help if the first one did not.
    pub fn have_accounts(&self, has: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        let State { awaiting_manager, looked_for, .. } = &mut *state;
        let mut fresh = Vec::new();
        for (manager, reports) in awaiting_manager.iter().filter(|(manager, _)| has(manager)) {
            let news = reports.iter().filter(|report| {
                looked_for.insert((*report).clone(), manager.clone()).as_ref() != Some(manager)
            });
            fresh.extend(news.cloned());
        }
        drop(state);
        for report in fresh {
            self.lines.add(&report, Trigger::Retry, Class::Mover, Instant::now());
        }
    }
}
