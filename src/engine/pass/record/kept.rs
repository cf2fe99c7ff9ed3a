//! What is known, after a look or a write, of values that the provider keeps in another form, or
//! that another system sets back.

use crate::{
    api::employee_sync::{Action, MatchedBy},
    domain::{
        kept::{Kept, Left, Look, Writes},
        matching::PersonIndex,
        plan::{Block, Planned},
        set_back::Window,
    },
    engine::pass::outcome::Outcome,
};

/// Returns what is known of such values, or `None` if there is no such value. `left_alone` has the
/// rows that are left as they are on every account. `window` is the window of the update budget.
#[must_use]
pub fn after(
    planned: &Planned<'_>,
    index: PersonIndex,
    left_alone: &[usize],
    outcome: Option<&Outcome>,
    window: Window,
) -> Option<Box<Kept>> {
    let person = planned.person(index);
    let done = match outcome {
        Some(Outcome::Done(done)) => Some(done),
        _ => None,
    };
    let answered = done.map(|done| &done.answered[..]).unwrap_or_default();
    let before = person.kept.as_deref();
    if before.is_none() && answered.is_empty() {
        return None;
    }
    let new = done
        .is_some_and(|done| done.action == Action::Create && done.matched_by == MatchedBy::Created);
    let ours = done.is_some_and(|done| !matches!(done.action, Action::Create | Action::Adopt));
    let look = |row: usize| {
        if left_alone.contains(&row) { Look::Unseen } else { look(planned, index, row) }
    };
    let known = Kept::after(
        before,
        planned.mapping,
        &person.employee,
        Writes { answered, new, ours },
        window,
        look,
    );
    (!known.is_empty()).then(|| Box::new(known))
}

/// Returns what is seen of a row that was not written.
fn look(planned: &Planned<'_>, index: PersonIndex, row: usize) -> Look {
    let (person, standing) = (planned.person(index), planned.standing(index));
    let compared = standing.account.is_some()
        && person.decision.managed
        && person.claimed_by.is_none()
        && !person.employee.unread;
    let is_key = row == planned.mapping.email || row == planned.mapping.username;
    let waits = planned
        .change(index)
        .is_some_and(|change| change.write.attributes.iter().any(|(own, _)| *own == row));
    let untouched = matches!(standing.block, Some(Block::Protected(_) | Block::ManagedElsewhere));
    let taken = is_key && matches!(standing.block, Some(Block::Conflict(_)));
    if standing.contested.contains(&row) {
        Look::Left(Left::Contested)
    } else if standing.kept.contains(&row) {
        Look::Left(Left::Kept)
    } else if !compared || untouched || waits || taken || standing.drifted.contains(&row) {
        Look::Unseen
    } else {
        Look::InPlace
    }
}
