//! The one decision function: from settings, what is known, one employee and the time, it says who
//! gets access, why, and what comes next. It does not look at accounts, but says what holds with an
//! account and without one. A test compares `docs/decisions.md` with this code.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    account::Access,
    baseline::Baseline,
    calendar::{end_of, start_of},
    employee::{BobStatus, Cell, Day, EMAIL, Employee, Lifecycle},
    employment::{Because, Dates, current},
    expression::{Evaluated, NoOutcome},
    known::{Known, Met},
    settings::{Create, ExistingEmployees, Settings, UserStatus},
    why::Why,
};

/// What was decided for one employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Whether the settings manage this employee.
    pub managed: bool,
    /// Access of an existing account; `None` leaves it as it is. For an employee that the settings
    /// do not manage, it covers only the access of an account with the employee's mark.
    pub existing: Option<Access>,
    /// What to do if there is no account.
    pub missing: Missing,
    /// The rule behind the decision.
    pub why: Why,
    /// A second fact: why the settings leave out an employee with an ended employment, or, with
    /// `spec.suspend`, what ended the employment.
    pub also: Option<Why>,
    /// The date that the rule uses, as Bob has it.
    pub date: Option<Date>,
    /// The next moment at which the decision changes by itself.
    pub next: Option<Transition>,
}

/// What to do if there is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// Create it with this access.
    Create(Access),
    /// It will be created, but not yet.
    NotYet,
    /// Do not create one.
    Never,
}

impl Decision {
    /// Returns the reason in one plain sentence, with the date that it uses and the second fact, if
    /// there is one. The sentence has no full stop at its end.
    #[must_use]
    pub fn because(&self) -> String {
        let date = self.date.map(|date| format!(": {date}")).unwrap_or_default();
        let also = self.also.map(|also| format!("; {}", also.sentence())).unwrap_or_default();
        format!("{}{date}{also}", self.why.sentence())
    }

    /// Returns whether the employment is over, and that takes access.
    #[must_use]
    pub fn ends_access(&self) -> bool {
        self.is_end() && self.existing == Some(Access::Suspended)
    }

    /// Returns whether access goes although the settings leave the employee out, because the
    /// employment has ended.
    #[must_use]
    pub fn only_ends_access(&self) -> bool {
        !self.managed && self.existing.is_some()
    }

    /// Returns the same decision for an employee without a marked account: nothing is left to take.
    #[must_use]
    pub fn left_alone(self) -> Self {
        match self.also.filter(|_| self.only_ends_access()) {
            Some(why) => Self { existing: None, why, also: None, date: None, ..self },
            None => self,
        }
    }

    /// Returns whether positive evidence says that the employment is over.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        match self.why {
            Why::FileDeleted
            | Why::AccessRevoked
            | Why::Terminated
            | Why::LastDayOfWork
            | Why::TerminationDate => true,
            Why::HandsOff
            | Why::Unreadable
            | Why::DomainNotListed
            | Why::OutOfScope
            | Why::ScopeUnknown
            | Why::AwaitingChange
            | Why::NotInBob
            | Why::LeftAloneBefore
            | Why::BeforeStart
            | Why::NoStartDate
            | Why::AtWork
            | Why::LeaveWithAccess
            | Why::LeaveWithoutAccess
            | Why::InactiveInBob
            | Why::AlwaysActive
            | Why::AlwaysInactive
            | Why::DatesHidden
            | Why::NoEvidence => false,
        }
    }
}

/// A change of the decision at a point in time. For leaves, Bob's status says whether a leave takes
/// access and when it is over. The dates of a leave only say when to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// When it comes.
    pub at: Timestamp,
    /// Access from then on.
    pub access: Access,
    /// The date that decides it.
    pub because: Because,
}

/// What the expression of `provisioning.scope` says. `None` means that there is no expression.
pub type InScope = Option<Result<Evaluated<bool>, NoOutcome>>;

/// Evaluates `provisioning.scope` for one employee.
#[must_use]
pub fn in_scope(settings: &Settings, employee: &Employee) -> InScope {
    settings.scope.as_ref().map(|scope| scope.holds(employee))
}

/// Decides for one employee. Every combination of arguments has an answer, always the same.
#[must_use]
pub fn decide(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Decision {
    decide_with(settings, known, employee, now, &|| in_scope(settings, employee))
}

/// Decides in the same way. `holds` gives what [`in_scope`] says, and is called once at most.
#[must_use]
pub fn decide_with(
    settings: &Settings,
    known: &Known,
    employee: &Employee,
    now: Timestamp,
    holds: &dyn Fn() -> InScope,
) -> Decision {
    if employee.expected {
        return unmanaged(Why::NotInBob);
    }
    let ended = employment_end(settings, known, employee, now);
    if known.overrides.hands_off {
        let why =
            if known.overrides.unreadable.is_some() { Why::Unreadable } else { Why::HandsOff };
        return Decision { also: ended.map(|ended| ended.why), ..unmanaged(why) };
    }
    if employee.unread {
        return by_evidence(known, ended);
    }
    match (left_out(settings, known, employee, holds), ended) {
        // The end of the employment takes access even if the settings leave the employee out now.
        (Some(why), Some(ended)) => Decision { managed: false, also: Some(why), ..ended },
        (Some(why), None) => Decision { next: end_ahead(settings, employee), ..unmanaged(why) },
        (None, Some(ended)) => ended,
        (None, None) if employee.deleted => as_is(Missing::Never, Why::FileDeleted),
        (None, None) => managed(settings, known, employee, now),
    }
}

/// Returns the end that the dates of an ongoing employment announce.
fn end_ahead(settings: &Settings, employee: &Employee) -> Option<Transition> {
    let end = Dates::of(settings, employee)
        .end
        .filter(|_| settings.disabling_trigger && !employee.deleted)?;
    Some(Transition { at: end.at, access: Access::Suspended, because: end.because })
}

/// Returns why the settings leave this employee out, or `None` if they manage the employee.
fn left_out(
    settings: &Settings,
    known: &Known,
    employee: &Employee,
    holds: &dyn Fn() -> InScope,
) -> Option<Why> {
    if employee.deleted {
        // Only the id is left, so no other setting can be checked.
        return (known.met == Met::Unmanaged).then_some(Why::LeftAloneBefore);
    }
    if known.kept_in {
        return None;
    }
    match scope(settings, employee, known.met == Met::Managed, holds) {
        ScopeOutcome::In => None,
        ScopeOutcome::Out(why) => Some(why),
        // A missing value takes no employee out and brings none in.
        ScopeOutcome::Unknown => (known.met != Met::Managed).then_some(Why::ScopeUnknown),
    }
}

/// Returns the decision if positive evidence says that the employment has ended. `decide_with`
/// checks it before the settings that leave employees out.
fn employment_end(
    settings: &Settings,
    known: &Known,
    employee: &Employee,
    now: Timestamp,
) -> Option<Decision> {
    if !settings.disabling_trigger {
        return None;
    }
    if employee.deleted {
        return Some(ended(Why::FileDeleted, None));
    }
    let Dates { end, zone, .. } = Dates::of(settings, employee);
    if let Some(revoked) = known.revoked.filter(|revoked| revoked.holds(employee.start.date())) {
        return Some(ended(Why::AccessRevoked, Some(revoked.at.to_zoned(zone.clone()).date())));
    }
    if employee.unread {
        return known.ended.map(|on_record| ended(on_record.why, on_record.date));
    }
    if employee.lifecycle == Lifecycle::Terminated {
        return Some(ended(Why::Terminated, None));
    }
    end.filter(|end| end.at <= now).map(|end| ended(why_of(end.because), Some(end.date)))
}

/// Decides without a row of Bob. A recorded end of the employment takes access, because it holds
/// until Bob shows or reports something else. Without one, access stays as it is.
fn by_evidence(known: &Known, ended: Option<Decision>) -> Decision {
    let Some(ended) = ended else { return as_is(Missing::Never, Why::NoEvidence) };
    // The settings left the employee out before, and it is not known whether they still do.
    let left_out = known.met == Met::Unmanaged;
    Decision { managed: !left_out, also: left_out.then_some(Why::ScopeUnknown), ..ended }
}

/// Decides for a managed employee with an ongoing employment, without `existingEmployees`. A date
/// that Bob hides gives no access and takes none: what depends on it is left as it is.
fn managed(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Decision {
    let decided = as_shown(settings, known, employee, now);
    let end_hidden = is_end_hidden(settings, employee);
    let taken_by_status = matches!(decided.why, Why::InactiveInBob | Why::LeaveWithoutAccess);
    let given = decided.existing == Some(Access::Active)
        || decided.missing == Missing::Create(Access::Active);
    let rests_on_hidden = match employee.start {
        // It is not known whether the employment has begun: only a status that takes access counts.
        Day::Unknown => !taken_by_status && decided.existing.is_some(),
        Day::None | Day::On(_) => end_hidden && given,
    };
    let is_end = |next: &Transition| {
        matches!(next.because, Because::LastDayOfWork | Because::TerminationDate)
    };
    if rests_on_hidden {
        Decision { next: decided.next.filter(is_end), ..as_is(Missing::Never, Why::DatesHidden) }
    } else {
        decided
    }
}

fn is_end_hidden(settings: &Settings, employee: &Employee) -> bool {
    settings.disabling_trigger && [employee.last_day, employee.termination].contains(&Day::Unknown)
}

/// Decides only by what Bob shows.
fn as_shown(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Decision {
    let user_status = known.overrides.user_status.unwrap_or(settings.user_status);
    let Dates { start, end, zone } = Dates::of(settings, employee);
    let end = end.filter(|_| settings.disabling_trigger);
    let waiting = match start {
        Some((at, _)) => at > now,
        None => employee.lifecycle == Lifecycle::Hired,
    };
    let ends =
        end.map(|end| Transition { at: end.at, access: Access::Suspended, because: end.because });
    // The last day is in the future, because the end is, and the end is not after the last day.
    let last_day_ahead = ends.is_some() && current(employee, employee.last_day).is_some();
    if waiting && employee.lifecycle != Lifecycle::Terminated {
        let waits = before_start(settings.create, user_status, start.map(|(_, date)| date));
        // An employment that ends when it starts brings no access.
        let starts = start.filter(|(start, _)| ends.is_none_or(|end| *start < end.at)).and_then(
            |(at, _)| {
                let then = employed(user_status, employee, last_day_ahead);
                let access = first_day(&waits, &then).filter(|access| {
                    *access == Access::Suspended || !is_end_hidden(settings, employee)
                });
                access.map(|access| Transition { at, access, because: Because::StartDate })
            },
        );
        return Decision { next: starts.or(ends), ..waits };
    }
    let decided = employed(user_status, employee, last_day_ahead);
    // A leave takes nothing from an employee with access that is left as it is.
    let left_alone = decided.existing == Some(Access::Active)
        && (is_end_hidden(settings, employee) || employee.start == Day::Unknown);
    let leave = leave(user_status, &decided, employee, zone, now).filter(|_| !left_alone);
    let leave = leave.filter(|leave| ends.is_none_or(|end| leave.at < end.at));
    Decision { next: leave.or(ends), ..decided }
}

/// Returns the decision for an employee who may wait for a change, with
/// `existingEmployees: OnChange`. `now_says` is what Bob says now, if any employee can wait.
#[must_use]
pub fn unless_waiting(
    settings: &Settings,
    known: &Known,
    decision: Decision,
    now_says: Option<Baseline>,
) -> Decision {
    let waits = match (settings.existing_employees, known.met) {
        (ExistingEmployees::NextPass, _)
        | (ExistingEmployees::OnChange, Met::Managed | Met::Unmanaged) => false,
        (ExistingEmployees::OnChange, Met::BeforeIntegration) => true,
        // If bobsync first sees an employee after the end, the end is no change. A return is.
        (ExistingEmployees::OnChange, Met::New) => decision.is_end(),
        (ExistingEmployees::OnChange, Met::Waiting(before)) => {
            now_says.is_none_or(|now_says| !now_says.differs_from(before))
        }
    };
    // A revocation is a change of this employee, and does not wait.
    if !waits || !decision.managed || decision.why == Why::AccessRevoked {
        return decision;
    }
    if decision.ends_access() {
        // bobsync dealt with an account with the mark before, even if the record of that is lost.
        return Decision { managed: false, also: Some(Why::AwaitingChange), ..decision };
    }
    Decision { managed: false, existing: None, why: Why::AwaitingChange, date: None, ..decision }
}

enum ScopeOutcome {
    In,
    Out(Why),
    Unknown,
}

fn scope(
    settings: &Settings,
    employee: &Employee,
    managed: bool,
    holds: &dyn Fn() -> InScope,
) -> ScopeOutcome {
    if !settings.email_domains.is_empty()
        && employee.email().is_none()
        && (managed || employee.values.get(EMAIL) == Cell::Absent)
    {
        // An employee without an e-mail has no e-mail in another domain.
        return ScopeOutcome::Unknown;
    }
    if !settings.lists(employee.email()) {
        return ScopeOutcome::Out(Why::DomainNotListed);
    }
    match holds() {
        None | Some(Ok(Evaluated::Known(true))) => ScopeOutcome::In,
        Some(Ok(Evaluated::Known(false))) => ScopeOutcome::Out(Why::OutOfScope),
        Some(Ok(Evaluated::Hidden) | Err(_)) => ScopeOutcome::Unknown,
    }
}

/// Returns the rule that ends an employment by this date.
const fn why_of(because: Because) -> Why {
    match because {
        Because::TerminationDate => Why::TerminationDate,
        Because::LastDayOfWork | Because::StartDate | Because::LeaveStart | Because::LeaveEnd => {
            Why::LastDayOfWork
        }
    }
}

fn before_start(create: Create, user_status: UserStatus, date: Option<Date>) -> Decision {
    let why = if date.is_some() { Why::BeforeStart } else { Why::NoStartDate };
    let created = |access| match create {
        Create::OnCreation => Missing::Create(access),
        Create::OnStartDate => Missing::NotYet,
    };
    let (existing, missing) = match user_status {
        UserStatus::AccordingToBob => (Some(Access::Suspended), created(Access::Suspended)),
        UserStatus::AlwaysActive => (Some(Access::Active), created(Access::Active)),
        UserStatus::AlwaysInactive => (None, created(Access::Suspended)),
    };
    Decision { managed: true, existing, missing, why, also: None, date, next: None }
}

/// Returns the access that the start date brings, judged by what Bob says now. Returns `None` if it
/// changes nothing, as for an account that exists by then and keeps its access.
fn first_day(waits: &Decision, then: &Decision) -> Option<Access> {
    let changes = (waits.existing, waits.missing) != (then.existing, then.missing);
    let created = match then.missing {
        Missing::Create(access) => Some(access),
        Missing::NotYet | Missing::Never => None,
    };
    then.existing.or(created).filter(|_| changes)
}

/// Returns when a leave begins or ends, if that is known and changes access.
fn leave(
    user_status: UserStatus,
    decided: &Decision,
    employee: &Employee,
    zone: &TimeZone,
    now: Timestamp,
) -> Option<Transition> {
    if user_status != UserStatus::AccordingToBob {
        return None;
    }
    let (at, access, because) = match decided.why {
        Why::LeaveWithoutAccess => {
            (end_of(employee.leave_end.date()?, zone), Access::Active, Because::LeaveEnd)
        }
        Why::AtWork => {
            (start_of(employee.leave_start.date()?, zone), Access::Suspended, Because::LeaveStart)
        }
        Why::HandsOff
        | Why::Unreadable
        | Why::DomainNotListed
        | Why::OutOfScope
        | Why::ScopeUnknown
        | Why::AwaitingChange
        | Why::NotInBob
        | Why::LeftAloneBefore
        | Why::FileDeleted
        | Why::AccessRevoked
        | Why::Terminated
        | Why::LastDayOfWork
        | Why::TerminationDate
        | Why::BeforeStart
        | Why::NoStartDate
        | Why::LeaveWithAccess
        | Why::InactiveInBob
        | Why::AlwaysActive
        | Why::AlwaysInactive
        | Why::DatesHidden
        | Why::NoEvidence => return None,
    };
    (at > now).then_some(Transition { at, access, because })
}

fn employed(user_status: UserStatus, employee: &Employee, last_day_ahead: bool) -> Decision {
    // The employee has left and the disabling trigger is off: with it on, an earlier step decides.
    let left = employee.lifecycle == Lifecycle::Terminated;
    let create = |access| if left { Missing::Never } else { Missing::Create(access) };
    match user_status {
        UserStatus::AlwaysActive if left => as_is(Missing::Never, Why::AlwaysActive),
        UserStatus::AlwaysActive => active(Why::AlwaysActive),
        UserStatus::AlwaysInactive => as_is(create(Access::Suspended), Why::AlwaysInactive),
        UserStatus::AccordingToBob => match (employee.lifecycle, employee.status) {
            (Lifecycle::Hired, BobStatus::Active | BobStatus::Inactive | BobStatus::Unknown) => {
                active(Why::AtWork)
            }
            // The last day of work is known and in the future: Bob changed the status early, and
            // the date decides. Without that date only the status counts, which says that the last
            // day is over.
            (
                Lifecycle::GardenLeave,
                BobStatus::Active | BobStatus::Inactive | BobStatus::Unknown,
            ) if last_day_ahead => active(Why::AtWork),
            (Lifecycle::Employed, BobStatus::Active | BobStatus::Unknown)
            | (Lifecycle::Unknown, BobStatus::Active) => active(Why::AtWork),
            (Lifecycle::Leave | Lifecycle::GardenLeave, BobStatus::Active) => {
                active(Why::LeaveWithAccess)
            }
            (Lifecycle::Leave | Lifecycle::GardenLeave, BobStatus::Inactive) => {
                suspended(create(Access::Suspended), Why::LeaveWithoutAccess)
            }
            (Lifecycle::Employed | Lifecycle::Unknown, BobStatus::Inactive) => {
                suspended(create(Access::Suspended), Why::InactiveInBob)
            }
            (Lifecycle::Terminated, BobStatus::Inactive) => {
                suspended(Missing::Never, Why::InactiveInBob)
            }
            (
                Lifecycle::Terminated
                | Lifecycle::Leave
                | Lifecycle::GardenLeave
                | Lifecycle::Unknown,
                BobStatus::Unknown,
            )
            | (Lifecycle::Terminated, BobStatus::Active) => as_is(Missing::Never, Why::NoEvidence),
        },
    }
}

const fn active(why: Why) -> Decision {
    Decision { existing: Some(Access::Active), ..as_is(Missing::Create(Access::Active), why) }
}

const fn suspended(missing: Missing, why: Why) -> Decision {
    Decision { existing: Some(Access::Suspended), ..as_is(missing, why) }
}

const fn as_is(missing: Missing, why: Why) -> Decision {
    Decision { managed: true, existing: None, missing, why, also: None, date: None, next: None }
}

const fn ended(why: Why, date: Option<Date>) -> Decision {
    Decision { date, ..suspended(Missing::Never, why) }
}

const fn unmanaged(why: Why) -> Decision {
    Decision { managed: false, ..as_is(Missing::Never, why) }
}
