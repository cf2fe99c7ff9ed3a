//! Statuses and their transitions, and the ends of sessions.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::state::{About, State};
use super::users::{Status, Transition, User};
use super::{errors, render, writes};
use crate::front::{Answer, Call};

type Checked<T> = Result<T, Answer>;

/// How long a transition takes at least if the caller does not wait for it.
const ASYNCHRONOUS: i64 = 5;

/// A step of `/lifecycle/{step}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Activate,
    Deactivate,
    Suspend,
    Unsuspend,
    Reactivate,
    ExpirePassword,
    Unlock,
}

impl Step {
    pub fn read(name: &str) -> Option<Self> {
        Some(match name {
            "activate" => Self::Activate,
            "deactivate" => Self::Deactivate,
            "suspend" => Self::Suspend,
            "unsuspend" => Self::Unsuspend,
            "reactivate" => Self::Reactivate,
            "expire_password" => Self::ExpirePassword,
            "unlock" => Self::Unlock,
            _ => return None,
        })
    }
}

/// Returns a user that a token may change.
///
/// # Errors
/// The refusal: there is no such user, or it is out of reach.
pub fn target(state: &State, key: &str) -> Checked<User> {
    let user = state.users.find(key).ok_or_else(|| errors::missing(key, "User"))?;
    if state.org.protected.contains(&user.id) {
        return Err(errors::known("E0000006"));
    }
    Ok(user.clone())
}

/// Returns the status of a user who is activated.
pub fn activated(state: &State, user: &User) -> Status {
    if user.has_password || state.quirks.optional_password {
        Status::Active
    } else {
        Status::Provisioned
    }
}

/// Gives the user a status, at once or later.
pub fn begin(state: &State, user: &mut User, to: Status, at_least: i64, now: Timestamp) {
    let seconds = state.quirks.transition_seconds.max(at_least);
    if seconds <= 0 {
        user.arrive(to, now);
    } else {
        let until = now + SignedDuration::from_secs(seconds);
        user.transition = Some(Transition { to, until });
        user.times.last_updated = now;
    }
}

/// Handles `POST /api/v1/users/{id}/lifecycle/{step}`.
pub fn step(
    state: &mut State,
    call: &Call,
    key: &str,
    step: Step,
    base: &str,
    now: Timestamp,
) -> Answer {
    let done = target(state, key).and_then(|user| {
        if user.transition.is_some() {
            return Err(errors::known("E0000112"));
        }
        match step {
            Step::Activate => activate(state, call, user, now),
            Step::Deactivate => deactivate(state, call, user, now),
            Step::Suspend => {
                let why = "Cannot suspend a user that is not active";
                switch(state, user, Status::Active, Status::Suspended, why, now)
            }
            Step::Unsuspend => {
                let why = "Cannot unsuspend a user that is not suspended";
                switch(state, user, Status::Suspended, Status::Active, why, now)
            }
            Step::Reactivate => reactivate(state, call, user, now),
            Step::ExpirePassword => expire(state, user, base, now),
            Step::Unlock => unlock(state, user, now),
        }
    });
    match done {
        Ok(answer) | Err(answer) => answer,
    }
}

fn nothing() -> Answer {
    Answer::json(200, &json!({}))
}

/// Sends the mail with the link, or returns the link.
fn welcome(
    state: &mut State,
    call: &Call,
    user: &User,
    usual: bool,
    now: Timestamp,
) -> Checked<Answer> {
    if writes::flag(call, "sendEmail", usual)? {
        state.mail(About::Activation, &user.id, now);
        return Ok(nothing());
    }
    let token = state.access.rng.hex(10);
    let url = format!("https://{}/tokens/{token}/verify", state.org.domain);
    Ok(Answer::json(200, &json!({"activationUrl": url, "activationToken": token})))
}

fn activate(state: &mut State, call: &Call, mut user: User, now: Timestamp) -> Checked<Answer> {
    match user.status {
        Status::Staged | Status::Deprovisioned => {}
        Status::Suspended => return Err(errors::known("E0000038")),
        _ => return Err(errors::known("E0000016")),
    }
    let answer = welcome(state, call, &user, true, now)?;
    let to = activated(state, &user);
    begin(state, &mut user, to, 0, now);
    state.users.put(user, now);
    Ok(answer)
}

/// Deactivates a user, whatever its status is, and forgets its password.
///
/// # Errors
/// The refusal of a user who is DEPROVISIONED.
pub fn deactivate(
    state: &mut State,
    call: &Call,
    mut user: User,
    now: Timestamp,
) -> Checked<Answer> {
    if user.status == Status::Deprovisioned {
        return Err(errors::missing(&user.id, "User"));
    }
    if writes::flag(call, "sendEmail", false)? {
        state.mail(About::Deactivation, &user.id, now);
    }
    let waits = call.header("prefer").is_none_or(|prefer| prefer != "respond-async");
    begin(state, &mut user, Status::Deprovisioned, if waits { 0 } else { ASYNCHRONOUS }, now);
    state.users.put(user, now);
    Ok(nothing())
}

fn switch(
    state: &mut State,
    mut user: User,
    from: Status,
    to: Status,
    why: &str,
    now: Timestamp,
) -> Checked<Answer> {
    if user.status != from {
        return Err(errors::invalid("suspendUser", &[why.to_owned()]));
    }
    user.arrive(to, now);
    state.users.put(user, now);
    Ok(nothing())
}

fn reactivate(state: &mut State, call: &Call, user: User, now: Timestamp) -> Checked<Answer> {
    if !matches!(user.status, Status::Provisioned | Status::Recovery) {
        return Err(errors::known("E0000038"));
    }
    welcome(state, call, &user, false, now)
}

fn expire(state: &mut State, mut user: User, base: &str, now: Timestamp) -> Checked<Answer> {
    let right = matches!(user.status, Status::Active | Status::PasswordExpired);
    if !right || !user.has_password {
        return Err(errors::known("E0000038"));
    }
    user.arrive(Status::PasswordExpired, now);
    let answer = Answer::json(200, &render::whole(&user, base));
    state.users.put(user, now);
    Ok(answer)
}

fn unlock(state: &mut State, mut user: User, now: Timestamp) -> Checked<Answer> {
    if user.status != Status::LockedOut || user.is_mastered() {
        return Err(errors::known("E0000032"));
    }
    user.arrive(Status::Active, now);
    state.users.put(user, now);
    Ok(nothing())
}

/// Handles `DELETE /api/v1/users/{id}/sessions`.
pub fn end_sessions(state: &mut State, call: &Call, key: &str) -> Answer {
    let done = target(state, key).and_then(|user| {
        writes::flag(call, "oauthTokens", false)?;
        Ok(user.id)
    });
    match done {
        Ok(id) => {
            state.ended.push(id);
            Answer::empty(204)
        }
        Err(refused) => refused,
    }
}
