//! What is taken out of a plan before anything is written: rows without a target, frozen rows, and
//! everything except access.

use super::{Block, ChangeKind, Plan, Planned};
use crate::domain::account::AccountWrite;

impl Plan {
    /// Takes out these rows, because the provider does not have their targets. Drops a change that
    /// has nothing left to write.
    pub fn without_rows(&mut self, rows: &[usize]) {
        if rows.is_empty() {
            return;
        }
        for change in &mut self.changes {
            change.write.attributes.retain(|(row, _)| !rows.contains(row));
        }
        self.without_empty_changes();
    }

    /// Keeps only access in the changes of existing accounts. Drops all other changes.
    pub fn only_access(&mut self) {
        for change in &mut self.changes {
            let AccountWrite { access, occasion, foreign, .. } = std::mem::take(&mut change.write);
            change.manager = None;
            if change.kind != ChangeKind::Create {
                change.write =
                    AccountWrite { access, occasion, foreign, ..AccountWrite::default() };
            }
        }
        self.without_empty_changes();
    }

    fn without_empty_changes(&mut self) {
        let standings = &mut self.standings;
        self.changes.retain(|change| {
            let keep = !change.write.is_empty() || change.manager.is_some();
            if !keep {
                standings[change.person as usize].change = None;
            }
            keep
        });
        for (position, change) in self.changes.iter().enumerate() {
            standings[change.person as usize].change = Some(position);
        }
    }
}

impl Planned<'_> {
    /// Takes these rows out of the changes of existing accounts, and notes it for each employee
    /// with such a change.
    pub fn freeze(&mut self, rows: &[usize]) {
        for change in
            self.plan.changes.iter_mut().filter(|change| change.kind != ChangeKind::Create)
        {
            // A manager that waits for an account of this plan is a write too.
            let awaited = self.mapping.manager.filter(|_| change.manager.is_some());
            let row = change
                .write
                .attributes
                .iter()
                .map(|(row, _)| *row)
                .chain(awaited)
                .find(|row| rows.contains(row));
            let Some(row) = row else { continue };
            let standing = &mut self.plan.standings[change.person as usize];
            let written = change.write.attributes.iter().map(|(row, _)| *row).chain(awaited);
            standing.withheld.extend(written.filter(|row| rows.contains(row)));
            change.write.attributes.retain(|(row, _)| !rows.contains(row));
            if awaited.is_some_and(|row| rows.contains(&row)) {
                change.manager = None;
            }
            standing.block.get_or_insert(Block::Frozen(row));
        }
        self.plan.without_empty_changes();
    }

    /// Blocks employees who pin a target among these rows, which the provider does not have. The
    /// block names the target.
    pub fn name_pins_without(&mut self, rows: &[usize]) {
        for (standing, person) in
            self.plan.standings.iter_mut().zip(self.people).filter(|_| !rows.is_empty())
        {
            if let Some(row) = rows
                .iter()
                .find(|row| person.employee.pinned(**row).is_some())
                .filter(|_| person.decision.managed)
            {
                standing.block.get_or_insert_with(|| {
                    Block::UnknownTarget(self.mapping.rows[*row].target.clone())
                });
            }
        }
    }
}
