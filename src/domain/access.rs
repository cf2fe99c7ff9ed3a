//! The one decision function: settings, overrides, one employee and the time → who may get in, why, and what comes
//! next. It does not look at accounts: it says what holds for somebody who has one and for somebody who has none.

use jiff::{Timestamp, civil::Date};

use super::{
    account::Access,
    calendar::{end_of, start_of},
    employee::{BobStatus, Day, Employee, Lifecycle},
    settings::{AccessEnds, Create, Overrides, Settings, UserStatus},
};

/// What was decided for one employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Whether the settings manage this person at all.
    pub managed: bool,
    /// Access of an account that exists; `None` leaves it as it is.
    pub existing: Option<Access>,
    /// What to do where there is no account.
    pub missing: Missing,
    /// The rule behind it.
    pub why: Why,
    /// The next moment at which the decision changes by itself.
    pub next: Option<Transition>,
}

/// What to do where there is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// Create it with this access.
    Create(Access),
    /// It will be created, but not yet.
    NotYet,
    /// There shall be none.
    Never,
}

/// The rule behind a decision, and with it the Bob fields it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// `spec.suspend` of the `EmployeeSync`.
    HandsOff,
    /// `provisioning.emailDomains`.
    DomainNotListed,
    /// The employee file is gone, confirmed by a read by id.
    FileDeleted,
    /// `internal.lifecycleStatus` is Terminated.
    Terminated,
    /// `employee.lastDayOfWork` is over.
    LastDayOfWork,
    /// `internal.terminationDate` is over.
    TerminationDate,
    /// `work.startDate` lies ahead.
    BeforeStart,
    /// Hired, and Bob has no start date.
    NoStartDate,
    /// At work, by `work.startDate` and `internal.lifecycleStatus`.
    AtWork,
    /// Active in Bob during a leave.
    LeaveWithAccess,
    /// Inactive in Bob during a leave.
    LeaveWithoutAccess,
    /// Inactive in Bob (`internal.status`).
    InactiveInBob,
    /// `provisioning.userStatus: AlwaysActive`.
    AlwaysActive,
    /// `provisioning.userStatus: AlwaysInactive` speaks of the creation only.
    AlwaysInactive,
    /// What Bob shows of the statuses speaks neither for nor against access.
    NoEvidence,
}

impl Why {
    /// One plain sentence. Names Bob's fields, never their values.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::HandsOff => "spec.suspend is set: the account is left as it is",
            Self::DomainNotListed => "the work e-mail (root.email) is in none of provisioning.emailDomains",
            Self::FileDeleted => "the employee file was deleted in Bob (read by id: not found)",
            Self::Terminated => "Bob's lifecycle status (internal.lifecycleStatus) is Terminated",
            Self::LastDayOfWork => "the last day of work (employee.lastDayOfWork) has come",
            Self::TerminationDate => "the termination date (internal.terminationDate) has come",
            Self::BeforeStart => "the start date (work.startDate) lies ahead",
            Self::NoStartDate => "hired, but Bob has no start date (work.startDate)",
            Self::AtWork => "started (work.startDate), and nothing in Bob ends or interrupts it",
            Self::LeaveWithAccess => "on leave, and still active in Bob (internal.status)",
            Self::LeaveWithoutAccess => "on leave, and inactive in Bob (internal.status)",
            Self::InactiveInBob => "inactive in Bob (internal.status)",
            Self::AlwaysActive => "provisioning.userStatus is AlwaysActive, and nothing ended the employment",
            Self::AlwaysInactive => "provisioning.userStatus is AlwaysInactive: accounts are created suspended and then left alone",
            Self::NoEvidence => {
                "what Bob shows of internal.lifecycleStatus and internal.status neither gives nor takes access: it is left as it is"
            }
        }
    }
}

/// A change of the decision that time alone brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Access from then on.
    pub access: Access,
    /// Which date decides it.
    pub because: Because,
}

/// Which date decides a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// `work.startDate`
    StartDate,
    /// `employee.lastDayOfWork`
    LastDayOfWork,
    /// `internal.terminationDate`
    TerminationDate,
}

/// Decides for one employee. Total: every combination has an answer, and the same arguments give the same answer.
#[must_use]
pub fn decide(settings: &Settings, overrides: Overrides, employee: &Employee, now: Timestamp) -> Decision {
    if overrides.hands_off {
        return unmanaged(Why::HandsOff);
    }
    if employee.deleted {
        // Only the id is left, so no other setting can be asked.
        return if settings.disabling_trigger { ended(Why::FileDeleted) } else { as_is(Missing::Never, Why::FileDeleted) };
    }
    if !settings.lists(employee.email()) {
        return unmanaged(Why::DomainNotListed);
    }
    let zone = settings.zones.of(employee.values.get(super::employee::SITE).text());
    let start = employee.start.date().map(|date| start_of(date, zone));
    let end = settings.disabling_trigger.then(|| last_day(employee)).flatten().map(|(date, because)| match settings.access_ends {
        AccessEnds::EndOfDay => (end_of(date, zone), because),
        AccessEnds::StartOfDay => (start_of(date, zone), because),
    });

    if settings.disabling_trigger && employee.lifecycle == Lifecycle::Terminated {
        return ended(Why::Terminated);
    }
    if let Some((at, because)) = end
        && at <= now
    {
        return ended(match because {
            Because::TerminationDate => Why::TerminationDate,
            Because::LastDayOfWork | Because::StartDate => Why::LastDayOfWork,
        });
    }

    let waiting = match start {
        Some(at) => at > now,
        None => employee.lifecycle == Lifecycle::Hired,
    };
    let ends = end.map(|(at, because)| Transition { at, access: Access::Suspended, because });
    // It is ahead, like the end, which is not after it.
    let last_day_ahead = ends.is_some() && current(employee, employee.last_day).is_some();
    if waiting && employee.lifecycle != Lifecycle::Terminated {
        let waits = before_start(settings, start.is_some());
        // An employment that ends as it starts brings no access.
        let starts = start.filter(|start| ends.is_none_or(|end| *start < end.at)).and_then(|at| {
            let then = employed(settings, employee, last_day_ahead);
            first_day(&waits, &then).map(|access| Transition { at, access, because: Because::StartDate })
        });
        return Decision { next: starts.or(ends), ..waits };
    }
    Decision { next: ends, ..employed(settings, employee, last_day_ahead) }
}

/// The earliest of last day of work and termination date that belongs to the current employment.
fn last_day(employee: &Employee) -> Option<(Date, Because)> {
    let last = current(employee, employee.last_day).map(|date| (date, Because::LastDayOfWork));
    let termination = current(employee, employee.termination).map(|date| (date, Because::TerminationDate));
    match (last, termination) {
        (Some(last), Some(termination)) => Some(if termination.0 < last.0 { termination } else { last }),
        (last, termination) => last.or(termination),
    }
}

/// Dates before the current start date were left over by an earlier employment.
fn current(employee: &Employee, day: Day) -> Option<Date> {
    day.date().filter(|date| employee.start.date().is_none_or(|start| *date >= start))
}

fn before_start(settings: &Settings, dated: bool) -> Decision {
    let why = if dated { Why::BeforeStart } else { Why::NoStartDate };
    let created = |access| match settings.create {
        Create::OnCreation => Missing::Create(access),
        Create::OnStartDate => Missing::NotYet,
    };
    let (existing, missing) = match settings.user_status {
        UserStatus::AccordingToBob => (Some(Access::Suspended), created(Access::Suspended)),
        UserStatus::AlwaysActive => (Some(Access::Active), created(Access::Active)),
        UserStatus::AlwaysInactive => (None, created(Access::Suspended)),
    };
    Decision { managed: true, existing, missing, why, next: None }
}

/// Access that the start date brings, judged by what Bob says now; `None` where it changes nothing, as for somebody
/// whose account exists by then and keeps its access.
fn first_day(waits: &Decision, then: &Decision) -> Option<Access> {
    let changes = (waits.existing, waits.missing) != (then.existing, then.missing);
    let created = match then.missing {
        Missing::Create(access) => Some(access),
        Missing::NotYet | Missing::Never => None,
    };
    then.existing.or(created).filter(|_| changes)
}

fn employed(settings: &Settings, employee: &Employee, last_day_ahead: bool) -> Decision {
    // Left, but the disabling trigger is off (with it on, the decision fell before).
    let left = employee.lifecycle == Lifecycle::Terminated;
    let create = |access| if left { Missing::Never } else { Missing::Create(access) };
    match settings.user_status {
        UserStatus::AlwaysActive if left => as_is(Missing::Never, Why::AlwaysActive),
        UserStatus::AlwaysActive => active(Why::AlwaysActive),
        UserStatus::AlwaysInactive => as_is(create(Access::Suspended), Why::AlwaysInactive),
        UserStatus::AccordingToBob => match (employee.lifecycle, employee.status) {
            (Lifecycle::Hired, _) => active(Why::AtWork),
            // The last day of work is known and ahead: Bob turned the status early, and the date decides. Without that
            // date the status is all there is: it says that the last day of work is behind.
            (Lifecycle::GardenLeave, _) if last_day_ahead => active(Why::AtWork),
            (Lifecycle::Employed, BobStatus::Active | BobStatus::Unknown) | (Lifecycle::Unknown, BobStatus::Active) => active(Why::AtWork),
            (Lifecycle::Leave | Lifecycle::GardenLeave, BobStatus::Active) => active(Why::LeaveWithAccess),
            (Lifecycle::Leave | Lifecycle::GardenLeave, BobStatus::Inactive) => {
                suspended(create(Access::Suspended), Why::LeaveWithoutAccess)
            }
            (Lifecycle::Employed | Lifecycle::Unknown, BobStatus::Inactive) => suspended(create(Access::Suspended), Why::InactiveInBob),
            (Lifecycle::Terminated, BobStatus::Inactive) => suspended(Missing::Never, Why::InactiveInBob),
            (Lifecycle::Terminated | Lifecycle::Leave | Lifecycle::GardenLeave | Lifecycle::Unknown, BobStatus::Unknown)
            | (Lifecycle::Terminated, BobStatus::Active) => as_is(Missing::Never, Why::NoEvidence),
        },
    }
}

const fn active(why: Why) -> Decision {
    Decision { managed: true, existing: Some(Access::Active), missing: Missing::Create(Access::Active), why, next: None }
}

const fn suspended(missing: Missing, why: Why) -> Decision {
    Decision { managed: true, existing: Some(Access::Suspended), missing, why, next: None }
}

const fn as_is(missing: Missing, why: Why) -> Decision {
    Decision { managed: true, existing: None, missing, why, next: None }
}

const fn ended(why: Why) -> Decision {
    suspended(Missing::Never, why)
}

const fn unmanaged(why: Why) -> Decision {
    Decision { managed: false, existing: None, missing: Missing::Never, why, next: None }
}
