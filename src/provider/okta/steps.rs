//! The life cycle of a user: which call leads from a status to the wanted access
//! (developer.okta.com, "User lifecycle").

use super::{Leavers, NotSuspendable, Tenant, catalog::is_unused};
use crate::provider::prelude::*;

/// A call of the life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LifecycleStep {
    Suspend,
    Unsuspend,
    Unlock,
    Deactivate,
    /// Activates, and mails the owner or not.
    Activate {
        mail: bool,
    },
    ExpirePassword,
}

impl LifecycleStep {
    /// Returns the last part of the path, and the query.
    pub(super) const fn call(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::Suspend => ("suspend", &[]),
            Self::Unsuspend => ("unsuspend", &[]),
            Self::Unlock => ("unlock", &[]),
            Self::Deactivate => ("deactivate", &[("sendEmail", "false")]),
            Self::Activate { mail: true } => ("activate", &[("sendEmail", "true")]),
            Self::Activate { mail: false } => ("activate", &[("sendEmail", "false")]),
            Self::ExpirePassword => ("expire_password", &[]),
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Access is as wanted.
    Done,
    /// This call.
    Step(LifecycleStep),
    /// Okta does not suspend from this status.
    ByHand,
}

/// The access that a user should have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal<'t> {
    pub(super) access: Access,
    pub(super) occasion: Occasion,
    pub(super) tenant: &'t Tenant,
    /// Whether Okta has refused to unlock the user.
    pub(super) locked: bool,
}

/// What counts of a user for the next step.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) status: String,
    /// Whether the user changes to another status.
    pub(super) changes: bool,
    pub(super) has_password: bool,
    unused: bool,
}

impl Now {
    /// Reads a user.
    pub(super) fn of(user: &Object<'_>) -> Option<Self> {
        let credentials: Option<Value> = user.read("credentials");
        Some(Self {
            status: user.text("status")?.into_owned(),
            changes: user.some("transitioningToStatus").is_some(),
            has_password: credentials.is_some_and(|all| all.get("password").is_some()),
            unused: is_unused(user),
        })
    }

    /// Returns whether the user is DEPROVISIONED. The profile cannot be written then.
    pub(super) fn is_deactivated(&self) -> bool {
        self.status == "DEPROVISIONED"
    }
}

impl Goal<'_> {
    /// Returns what comes next.
    pub(super) fn next(&self, now: &Now) -> Next {
        match self.access {
            Access::Suspended => self.toward_suspended(now),
            Access::Active => self.toward_active(now),
        }
    }

    fn toward_suspended(&self, now: &Now) -> Next {
        let leaves = self.occasion == Occasion::Leaves;
        let deactivates = leaves && self.tenant.leavers == Leavers::Deactivate;
        let instead = leaves && self.tenant.not_suspendable == NotSuspendable::Deactivate;
        Next::Step(match &*now.status {
            // A user who was never activated stays so.
            "SUSPENDED" | "STAGED" | "DEPROVISIONED" => return Next::Done,
            _ if deactivates => LifecycleStep::Deactivate,
            "ACTIVE" => LifecycleStep::Suspend,
            "LOCKED_OUT" if !self.locked => LifecycleStep::Unlock,
            _ if instead => LifecycleStep::Deactivate,
            _ => return Next::ByHand,
        })
    }

    fn toward_active(&self, now: &Now) -> Next {
        let mails = self.tenant.mails;
        Next::Step(match &*now.status {
            "SUSPENDED" => LifecycleStep::Unsuspend,
            // A password that was set before is enough to log in.
            "STAGED" => LifecycleStep::Activate { mail: mails && !now.has_password },
            "DEPROVISIONED" => LifecycleStep::Activate { mail: mails },
            "ACTIVE" if self.occasion == Occasion::FirstLogin && now.unused => {
                LifecycleStep::ExpirePassword
            }
            _ => return Next::Done,
        })
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
