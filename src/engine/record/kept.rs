//! What is known, after a look or a write, of values that the provider keeps in another form.

use crate::{
    api::employee_sync::{Action, MatchedBy},
    domain::{
        kept::Kept,
        mapping::Mapping,
        matching::Person,
        plan::{Block, Change, Standing},
    },
    engine::execute::Outcome,
};

/// Returns it; `None` where nothing is. `planned`: the employee's change. `left_alone`: rows that are left as they are on every
/// account.
#[must_use]
pub fn after(
    mapping: &Mapping,
    (person, standing): (&Person, &Standing),
    planned: Option<&Change>,
    left_alone: &[usize],
    outcome: Option<&Outcome>,
) -> Option<Box<Kept>> {
    let done = match outcome {
        Some(Outcome::Done(done)) => Some(done),
        _ => None,
    };
    let answered = done.map(|done| &done.answered[..]).unwrap_or_default();
    let before = person.kept.as_deref();
    if before.is_none() && answered.is_empty() {
        return None;
    }
    let new = done.is_some_and(|done| done.action == Action::Create && done.matched_by == MatchedBy::Created);
    let stays = |row: usize| stays(mapping, (person, standing), planned, row) || left_alone.contains(&row);
    let known = Kept::after(before, mapping, &person.employee, (answered, new), stays);
    (!known.is_empty()).then(|| Box::new(known))
}

/// Returns whether the value of a row that was not written is kept in another form, or may be: it was compared and is, or it
/// was not compared, or its write is still to come.
fn stays(mapping: &Mapping, (person, standing): (&Person, &Standing), planned: Option<&Change>, row: usize) -> bool {
    let compared = standing.account.is_some() && person.decision.managed && person.claimed_by.is_none() && !person.employee.unread;
    let is_key = row == mapping.email || row == mapping.username;
    let waits = planned.is_some_and(|change| change.write.attributes.iter().any(|(own, _)| *own == row));
    let untouched = matches!(standing.block, Some(Block::Protected(_) | Block::ManagedElsewhere));
    !compared
        || untouched
        || waits
        || standing.kept.contains(&row)
        || standing.drifted.contains(&row)
        || is_key && matches!(standing.block, Some(Block::Conflict(_)))
}
