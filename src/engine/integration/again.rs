//! Further looks at the employees of an event, whose change Bob may not show yet.

use std::{collections::HashSet, time::Duration};

use crate::{
    api::employee_sync::Trigger,
    engine::intake::lines::{Causes, Lines, Waiting},
};

/// When Bob is read again after an event whose change it does not show. Its reads may be 20 s
/// behind.
const LOOK_AGAIN: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(30)];

/// Re-queues the employees of an event for a further look. The change that it announced may not be
/// visible yet, and a visible change may be an older one.
pub fn look_again(lines: &Lines, causes: &Causes, unseen: &[Box<str>]) {
    let [.., last] = LOOK_AGAIN;
    let unseen: HashSet<&str> = unseen.iter().map(|id| &**id).collect();
    for (employee, waiting) in causes.iter().filter(|(_, waiting)| rests_on_bob(waiting.trigger)) {
        let looks = usize::from(waiting.looks);
        if unseen.contains(&**employee) {
            if let Some(pause) = LOOK_AGAIN.get(looks) {
                lines.look_again(
                    employee,
                    Waiting { looks: waiting.looks + 1, ..*waiting },
                    waiting.latest + *pause,
                );
            }
        } else if looks < LOOK_AGAIN.len() && waiting.trigger == Trigger::Webhook {
            let looks = u8::try_from(LOOK_AGAIN.len()).unwrap_or(u8::MAX);
            lines.look_again(employee, Waiting { looks, ..*waiting }, waiting.latest + last);
        }
    }
}

/// Returns whether the event announces something that Bob's reads may not show yet.
#[must_use]
pub const fn rests_on_bob(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Webhook | Trigger::Transition)
}
