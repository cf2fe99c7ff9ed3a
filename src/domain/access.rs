//! The one decision function: settings, what is known of the person, one employee and the time → who may get in, why,
//! and what comes next. It does not look at accounts: it says what holds for somebody who has one and for somebody who
//! has none. `docs/decisions.md` holds the same as a table, which a test compares with this code.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    account::Access,
    baseline::Baseline,
    calendar::{end_of, start_of},
    employee::{BobStatus, Cell, Day, EMAIL, Employee, Lifecycle, SITE},
    expression::{Failure, Outcome},
    known::{Known, Met},
    settings::{AccessEnds, Create, ExistingEmployees, Settings, UserStatus},
};

/// What was decided for one employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Whether the settings manage this person at all.
    pub managed: bool,
    /// Access of an account that exists; `None` leaves it as it is. Where the settings do not manage the person, this speaks
    /// of an account that bears the person's mark, and of nothing but its access.
    pub existing: Option<Access>,
    /// What to do where there is no account.
    pub missing: Missing,
    /// The rule behind it.
    pub why: Why,
    /// The other fact where two meet: why the settings leave out somebody whose employment has ended, or, with
    /// `spec.suspend`, what ended it.
    pub also: Option<Why>,
    /// The date that the rule rests on, as Bob has it.
    pub date: Option<Date>,
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

/// The rule behind a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// `spec.suspend` of the `EmployeeSync`.
    HandsOff,
    /// This version cannot read the spec of the `EmployeeSync`.
    Unreadable,
    /// `provisioning.emailDomains`.
    DomainNotListed,
    /// `provisioning.scope`.
    OutOfScope,
    /// Whether the scope or the domains leave the person out cannot be told.
    ScopeUnknown,
    /// `provisioning.existingEmployees: OnChange`, and nothing has changed.
    AwaitingChange,
    /// An `EmployeeSync` was written for somebody who is not in Bob.
    NotInBob,
    /// The employee file is gone, and the settings left this person alone before.
    LeftAloneBefore,
    /// The employee file is gone, confirmed by a read by id.
    FileDeleted,
    /// Bob reported that access is revoked at once.
    AccessRevoked,
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
    /// User status `AlwaysActive`.
    AlwaysActive,
    /// User status `AlwaysInactive` speaks of the creation only.
    AlwaysInactive,
    /// A date that decides is hidden: access is neither given nor taken on a guess.
    DatesHidden,
    /// What Bob shows of the statuses speaks neither for nor against access.
    NoEvidence,
}

impl Why {
    /// The rule in one plain sentence. Names Bob's fields, never their values.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::HandsOff => "spec.suspend is set: the account is left as it is",
            Self::Unreadable => {
                "this version of bobsync cannot read the spec of the EmployeeSync, so what it asks for is not known: the account is left as it is"
            }
            Self::DomainNotListed => "the work e-mail (root.email) is in none of provisioning.emailDomains",
            Self::OutOfScope => "provisioning.scope leaves this person out",
            Self::ScopeUnknown => {
                "whether provisioning.scope or emailDomains leave this person out cannot be told: the account is left as it is"
            }
            Self::AwaitingChange => {
                "in Bob before the integration, and nothing that Bob says has changed since (existingEmployees: OnChange)"
            }
            Self::NotInBob => "Bob has no employee with this id (yet)",
            Self::LeftAloneBefore => "the employee file was deleted in Bob, and the settings left this person alone before that",
            Self::FileDeleted => "the employee file was deleted in Bob (read by id: not found)",
            Self::AccessRevoked => "Bob reported that access is revoked immediately (employee.access.revoked.immediately)",
            Self::Terminated => "Bob's lifecycle status (internal.lifecycleStatus) is Terminated",
            Self::LastDayOfWork => "the last day of work (employee.lastDayOfWork) has come",
            Self::TerminationDate => "the termination date (internal.terminationDate) has come",
            Self::BeforeStart => "the start date (work.startDate) lies ahead",
            Self::NoStartDate => "hired, but Bob has no start date (work.startDate)",
            Self::AtWork => "at work: the start date (work.startDate) has come, and Bob shows no end and no leave",
            Self::LeaveWithAccess => "on leave (internal.lifecycleStatus), and still active in Bob (internal.status)",
            Self::LeaveWithoutAccess => "on leave (internal.lifecycleStatus), and inactive in Bob (internal.status)",
            Self::InactiveInBob => "inactive in Bob (internal.status)",
            Self::AlwaysActive => "the user status is AlwaysActive, and nothing ended the employment",
            Self::AlwaysInactive => "the user status is AlwaysInactive: accounts are created suspended and then left alone",
            Self::DatesHidden => {
                "Bob does not show a date that decides (work.startDate, employee.lastDayOfWork, internal.terminationDate): access is left as it is"
            }
            Self::NoEvidence => {
                "what Bob shows of internal.lifecycleStatus and internal.status neither gives nor takes access: it is left as it is"
            }
        }
    }

    /// The Bob fields that the rule rests on.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::HandsOff | Self::Unreadable | Self::OutOfScope | Self::AwaitingChange | Self::LeftAloneBefore => &[],
            Self::DomainNotListed | Self::ScopeUnknown => &["root.email"],
            Self::NotInBob | Self::FileDeleted | Self::AccessRevoked => &["root.id"],
            Self::Terminated => &["internal.lifecycleStatus"],
            Self::LastDayOfWork => &["employee.lastDayOfWork"],
            Self::TerminationDate => &["internal.terminationDate"],
            Self::BeforeStart | Self::NoStartDate => &["work.startDate"],
            Self::AtWork => &["work.startDate", "internal.lifecycleStatus"],
            Self::LeaveWithAccess | Self::LeaveWithoutAccess | Self::NoEvidence => &["internal.lifecycleStatus", "internal.status"],
            Self::InactiveInBob => &["internal.status"],
            Self::DatesHidden => &["work.startDate", "employee.lastDayOfWork", "internal.terminationDate"],
            Self::AlwaysActive | Self::AlwaysInactive => &["internal.lifecycleStatus"],
        }
    }
}

impl Decision {
    /// Why, in one plain sentence with the date that it rests on, and the other fact where there are two. Ends without a full
    /// stop.
    #[must_use]
    pub fn because(&self) -> String {
        let date = self.date.map(|date| format!(": {date}")).unwrap_or_default();
        let also = self.also.map(|also| format!("; {}", also.sentence())).unwrap_or_default();
        format!("{}{date}{also}", self.why.sentence())
    }

    /// Whether the employment is over, and that takes access.
    #[must_use]
    pub fn ends_access(&self) -> bool {
        self.is_end() && self.existing == Some(Access::Suspended)
    }

    /// Whether the settings leave the person out, and access goes all the same, because the employment has ended.
    #[must_use]
    pub fn only_ends_access(&self) -> bool {
        !self.managed && self.existing.is_some()
    }

    /// The same of somebody of whom no account bears the mark: nothing is left to take.
    #[must_use]
    pub fn left_alone(self) -> Self {
        match self.also.filter(|_| self.only_ends_access()) {
            Some(why) => Self { existing: None, why, also: None, date: None, ..self },
            None => self,
        }
    }

    /// Whether the employment is over, by positive evidence.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        match self.why {
            Why::FileDeleted | Why::AccessRevoked | Why::Terminated | Why::LastDayOfWork | Why::TerminationDate => true,
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

/// A change of the decision that time alone brings. The exception are leaves: whether a leave takes access away, and
/// when it is over, Bob's status says; the dates only say when to look.
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
    /// `employee.recentLeaveStartDate`
    LeaveStart,
    /// `employee.recentLeaveEndDate`
    LeaveEnd,
}

/// Which part of an employment a moment is in, whatever the settings make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not begun.
    Ahead,
    /// It goes on, leaves included.
    Employed,
    /// It is over, by a status, a date, or the deletion of the file.
    Ended,
}

/// Which part of an employment `now` is in.
#[must_use]
pub fn phase(settings: &Settings, employee: &Employee, now: Timestamp) -> Phase {
    let dates = Dates::of(settings, employee);
    if employee.deleted || employee.lifecycle == Lifecycle::Terminated || dates.end.is_some_and(|end| end.at <= now) {
        Phase::Ended
    } else if dates.start.map_or(employee.lifecycle == Lifecycle::Hired, |(at, _)| at > now) {
        Phase::Ahead
    } else {
        Phase::Employed
    }
}

/// What the expression of `provisioning.scope` says; `None`: there is none.
pub type InScope = Option<Result<Outcome<bool>, Failure>>;

/// Evaluates `provisioning.scope` for one employee.
#[must_use]
pub fn in_scope(settings: &Settings, employee: &Employee) -> InScope {
    settings.scope.as_ref().map(|scope| scope.holds(employee))
}

/// Decides for one employee. Total: every combination has an answer, and the same arguments give the same answer.
#[must_use]
pub fn decide(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Decision {
    decide_with(settings, known, employee, now, &|| in_scope(settings, employee))
}

/// The same, where `holds` gives what [`in_scope`] says. It is asked once at most.
#[must_use]
pub fn decide_with(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp, holds: &dyn Fn() -> InScope) -> Decision {
    if employee.expected {
        return unmanaged(Why::NotInBob);
    }
    let ended = employment_end(settings, known, employee, now);
    if known.overrides.hands_off {
        let why = if known.overrides.unreadable { Why::Unreadable } else { Why::HandsOff };
        return Decision { also: ended.map(|ended| ended.why), ..unmanaged(why) };
    }
    if employee.unread {
        return by_evidence(known, ended);
    }
    match (left_out(settings, known, employee, holds), ended) {
        // An end takes access, whatever the settings say now.
        (Some(why), Some(ended)) => Decision { managed: false, also: Some(why), ..ended },
        (Some(why), None) => Decision { next: end_ahead(settings, employee), ..unmanaged(why) },
        (None, Some(ended)) => ended,
        (None, None) if employee.deleted => as_is(Missing::Never, Why::FileDeleted),
        (None, None) => managed(settings, known, employee, now),
    }
}

/// The end of an employment that goes on, as its dates have it.
fn end_ahead(settings: &Settings, employee: &Employee) -> Option<Transition> {
    let end = Dates::of(settings, employee).end.filter(|_| settings.disabling_trigger && !employee.deleted)?;
    Some(Transition { at: end.at, access: Access::Suspended, because: end.because })
}

/// Why the settings leave this person out; `None` where they manage the person.
fn left_out(settings: &Settings, known: &Known, employee: &Employee, holds: &dyn Fn() -> InScope) -> Option<Why> {
    if employee.deleted {
        // Only the id is left, so no other setting can be asked.
        return (known.met == Met::Unmanaged).then_some(Why::LeftAloneBefore);
    }
    if known.kept_in {
        return None;
    }
    match scope(settings, employee, known.met == Met::Managed, holds) {
        Scope::In => None,
        Scope::Out(why) => Some(why),
        // Absence takes nobody out, and brings nobody in.
        Scope::Unknown => (known.met != Met::Managed).then_some(Why::ScopeUnknown),
    }
}

/// The decision for somebody whose employment has ended, by positive evidence. Asked before whether the settings manage the
/// person at all.
fn employment_end(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Option<Decision> {
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
    end.filter(|end| end.at <= now).map(|end| ended(end.why(), Some(end.date)))
}

/// Decides without a row of Bob: an end of the employment that is on record takes access, and without one nothing changes. It
/// holds until Bob shows or reports otherwise, and neither is known here.
fn by_evidence(known: &Known, ended: Option<Decision>) -> Decision {
    let Some(ended) = ended else { return as_is(Missing::Never, Why::NoEvidence) };
    // The settings left the person out before, and nothing tells whether they still do.
    let left_out = known.met == Met::Unmanaged;
    Decision { managed: !left_out, also: left_out.then_some(Why::ScopeUnknown), ..ended }
}

/// Decides for somebody whom the settings manage and whose employment has not ended, `existingEmployees` aside. A date that
/// Bob hides gives nobody access and takes none: what would rest on it is left as it is.
fn managed(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Decision {
    let decided = as_shown(settings, known, employee, now);
    let end_hidden = is_end_hidden(settings, employee);
    let taken_by_status = matches!(decided.why, Why::InactiveInBob | Why::LeaveWithoutAccess);
    let given = decided.existing == Some(Access::Active) || decided.missing == Missing::Create(Access::Active);
    let rests_on_hidden = match employee.start {
        // Whether it has begun cannot be told: only a status that takes access speaks for itself.
        Day::Unknown => !taken_by_status && decided.existing.is_some(),
        Day::None | Day::On(_) => end_hidden && given,
    };
    let is_end = |next: &Transition| matches!(next.because, Because::LastDayOfWork | Because::TerminationDate);
    if rests_on_hidden { Decision { next: decided.next.filter(is_end), ..as_is(Missing::Never, Why::DatesHidden) } } else { decided }
}

fn is_end_hidden(settings: &Settings, employee: &Employee) -> bool {
    settings.disabling_trigger && [employee.last_day, employee.termination].contains(&Day::Unknown)
}

/// Decides as if there were nothing but what Bob shows.
fn as_shown(settings: &Settings, known: &Known, employee: &Employee, now: Timestamp) -> Decision {
    let user_status = known.overrides.user_status.unwrap_or(settings.user_status);
    let Dates { start, end, zone } = Dates::of(settings, employee);
    let end = end.filter(|_| settings.disabling_trigger);
    let waiting = match start {
        Some((at, _)) => at > now,
        None => employee.lifecycle == Lifecycle::Hired,
    };
    let ends = end.map(|end| Transition { at: end.at, access: Access::Suspended, because: end.because });
    // It is ahead, like the end, which is not after it.
    let last_day_ahead = ends.is_some() && current(employee, employee.last_day).is_some();
    if waiting && employee.lifecycle != Lifecycle::Terminated {
        let waits = before_start(settings.create, user_status, start.map(|(_, date)| date));
        // An employment that ends as it starts brings no access.
        let starts = start.filter(|(start, _)| ends.is_none_or(|end| *start < end.at)).and_then(|(at, _)| {
            let then = employed(user_status, employee, last_day_ahead);
            let access = first_day(&waits, &then).filter(|access| *access == Access::Suspended || !is_end_hidden(settings, employee));
            access.map(|access| Transition { at, access, because: Because::StartDate })
        });
        return Decision { next: starts.or(ends), ..waits };
    }
    let decided = employed(user_status, employee, last_day_ahead);
    // A leave takes nothing from somebody whose access is left as it is.
    let left_alone = decided.existing == Some(Access::Active) && (is_end_hidden(settings, employee) || employee.start == Day::Unknown);
    let leave = leave(user_status, &decided, employee, zone, now).filter(|_| !left_alone);
    let leave = leave.filter(|leave| ends.is_none_or(|end| leave.at < end.at));
    Decision { next: leave.or(ends), ..decided }
}

/// Whether the person waits for a change, with `existingEmployees: OnChange`; and then what the decision becomes.
///
/// `now_says` is what Bob says now, as far as anybody waits at all.
#[must_use]
pub fn unless_waiting(settings: &Settings, known: &Known, decision: Decision, now_says: Option<Baseline>) -> Decision {
    let waits = match (settings.existing_employees, known.met) {
        (ExistingEmployees::NextPass, _) | (ExistingEmployees::OnChange, Met::Managed | Met::Unmanaged) => false,
        (ExistingEmployees::OnChange, Met::BeforeIntegration) => true,
        // Who left before we ever met is not news. Who comes back is.
        (ExistingEmployees::OnChange, Met::New) => decision.is_end(),
        (ExistingEmployees::OnChange, Met::Waiting(before)) => now_says.is_none_or(|now_says| !now_says.differs_from(before)),
    };
    // A revocation is news of this person, and waits for nothing.
    if !waits || !decision.managed || decision.why == Why::AccessRevoked {
        return decision;
    }
    if decision.ends_access() {
        // An account that bears the mark was dealt with before, whatever is known of it now.
        return Decision { managed: false, also: Some(Why::AwaitingChange), ..decision };
    }
    Decision { managed: false, existing: None, why: Why::AwaitingChange, date: None, ..decision }
}

enum Scope {
    In,
    Out(Why),
    Unknown,
}

fn scope(settings: &Settings, employee: &Employee, managed: bool, holds: &dyn Fn() -> InScope) -> Scope {
    if !settings.email_domains.is_empty() && employee.email().is_none() && (managed || employee.values.get(EMAIL) == Cell::Absent) {
        // No e-mail is no e-mail in another domain.
        return Scope::Unknown;
    }
    if !settings.lists(employee.email()) {
        return Scope::Out(Why::DomainNotListed);
    }
    match holds() {
        None | Some(Ok(Outcome::Known(true))) => Scope::In,
        Some(Ok(Outcome::Known(false))) => Scope::Out(Why::OutOfScope),
        Some(Ok(Outcome::Hidden) | Err(_)) => Scope::Unknown,
    }
}

/// The instants that the dates of an employment mean at the person's site.
struct Dates<'a> {
    start: Option<(Timestamp, Date)>,
    end: Option<End>,
    zone: &'a TimeZone,
}

#[derive(Clone, Copy)]
struct End {
    at: Timestamp,
    date: Date,
    because: Because,
}

impl End {
    const fn why(self) -> Why {
        match self.because {
            Because::TerminationDate => Why::TerminationDate,
            Because::LastDayOfWork | Because::StartDate | Because::LeaveStart | Because::LeaveEnd => Why::LastDayOfWork,
        }
    }
}

impl<'a> Dates<'a> {
    fn of(settings: &'a Settings, employee: &Employee) -> Self {
        let zone = settings.zones.of(employee.values.get(SITE).text());
        let end = last_day(employee).map(|(date, because)| End {
            at: match settings.access_ends {
                AccessEnds::EndOfDay => end_of(date, zone),
                AccessEnds::StartOfDay => start_of(date, zone),
            },
            date,
            because,
        });
        Self { start: employee.start.date().map(|date| (start_of(date, zone), date)), end, zone }
    }
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

/// Dates before the current start date were left over by an earlier employment. With the start hidden, no date can be told
/// from such a one.
fn current(employee: &Employee, day: Day) -> Option<Date> {
    day.date().filter(|date| match employee.start {
        Day::On(start) => *date >= start,
        Day::None => true,
        Day::Unknown => false,
    })
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

/// When a leave begins or ends, as far as it is known and changes access.
fn leave(user_status: UserStatus, decided: &Decision, employee: &Employee, zone: &TimeZone, now: Timestamp) -> Option<Transition> {
    if user_status != UserStatus::AccordingToBob {
        return None;
    }
    let (at, access, because) = match decided.why {
        Why::LeaveWithoutAccess => (end_of(employee.leave_end.date()?, zone), Access::Active, Because::LeaveEnd),
        Why::AtWork => (start_of(employee.leave_start.date()?, zone), Access::Suspended, Because::LeaveStart),
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
    // Left, but the disabling trigger is off (with it on, the decision fell before).
    let left = employee.lifecycle == Lifecycle::Terminated;
    let create = |access| if left { Missing::Never } else { Missing::Create(access) };
    match user_status {
        UserStatus::AlwaysActive if left => as_is(Missing::Never, Why::AlwaysActive),
        UserStatus::AlwaysActive => active(Why::AlwaysActive),
        UserStatus::AlwaysInactive => as_is(create(Access::Suspended), Why::AlwaysInactive),
        UserStatus::AccordingToBob => match (employee.lifecycle, employee.status) {
            (Lifecycle::Hired, BobStatus::Active | BobStatus::Inactive | BobStatus::Unknown) => active(Why::AtWork),
            // The last day of work is known and ahead: Bob turned the status early, and the date decides. Without that
            // date the status is all there is: it says that the last day of work is behind.
            (Lifecycle::GardenLeave, BobStatus::Active | BobStatus::Inactive | BobStatus::Unknown) if last_day_ahead => active(Why::AtWork),
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
