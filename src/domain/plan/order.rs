//! The order of a plan: employees who leave come first, an account gives up an address before
//! another takes it, and managers come before their reports.

use std::collections::HashSet;

use foldhash::HashMap;

use super::{Change, ChangeKind, Plan, Stage};
use crate::domain::matching::PersonIndex;

/// Gives every change its stage and level, and sorts by both.
pub(super) fn order(plan: &mut Plan) {
    let awaited: HashSet<PersonIndex> =
        plan.changes.iter().filter_map(|change| change.after).collect();
    for change in &mut plan.changes {
        change.stage = stage(change, &awaited);
        if change.stage == Stage::GiveUp
            && let Some(manager) = change.manager.take()
        {
            // This change goes out before the manager's account is made.
            plan.late_managers.push((change.person, manager));
        }
    }
    managers_first(plan);
    givers_first(plan);
    plan.changes.sort_by_key(|change| (change.stage, change.level, change.person));
    for (position, change) in plan.changes.iter().enumerate() {
        plan.standings[change.person as usize].change = Some(position);
    }
}

fn stage(change: &Change, awaited: &HashSet<PersonIndex>) -> Stage {
    match change {
        change if change.suspends() => Stage::Suspend,
        Change { kind: ChangeKind::Create, .. } => Stage::Create,
        change if awaited.contains(&change.person) => Stage::GiveUp,
        change if change.reactivates() && change.after.is_none() => Stage::Reactivate,
        Change { .. } => Stage::Rest,
    }
}

/// Sets the levels of changes that give up an e-mail. In a chain of accounts that each take the
/// next one's e-mail, the last account goes first.
fn givers_first(plan: &mut Plan) {
    let after: HashMap<PersonIndex, PersonIndex> =
        plan.changes.iter().filter_map(|change| Some((change.person, change.after?))).collect();
    for change in plan.changes.iter_mut().filter(|change| change.stage == Stage::GiveUp) {
        // There is no circle: `hand_overs` lets no employee wait in one.
        change.level = 0;
        let mut at = change.person;
        while let Some(&next) = after.get(&at).filter(|_| change.level < 1000) {
            change.level += 1;
            at = next;
        }
    }
}

/// Sets the levels of new accounts, so that managers come before their reports.
fn managers_first(plan: &mut Plan) {
    let creates: HashMap<PersonIndex, usize> = plan
        .changes
        .iter()
        .enumerate()
        .filter(|(_, c)| c.kind == ChangeKind::Create)
        .map(|(i, c)| (c.person, i))
        .collect();
    let mut level: Vec<Option<u32>> = vec![None; plan.changes.len()];
    for start in 0..plan.changes.len() {
        // Walk up to a change with a known level or without a manager to wait for, then back down.
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        let mut base = loop {
            if let Some(known) = level[at] {
                break known + 1;
            }
            if let Some(position) = path.iter().position(|&p| p == at) {
                // This is a circle. The change with the smallest index gets its manager later.
                let first = path[position..]
                    .iter()
                    .copied()
                    .min_by_key(|&c| plan.changes[c].person)
                    .unwrap_or(at);
                let change = &mut plan.changes[first];
                if let Some(manager) = change.manager.take() {
                    plan.late_managers.push((change.person, manager));
                }
                path.clear();
                at = start;
                continue;
            }
            path.push(at);
            match plan.changes[at].manager.and_then(|manager| creates.get(&manager)) {
                Some(&next) => at = next,
                None => break 0,
            }
        };
        for &change in path.iter().rev() {
            level[change] = Some(base);
            base += 1;
        }
    }
    for (change, level) in plan.changes.iter_mut().zip(level) {
        change.level = level.unwrap_or(0);
    }
}
