//! The rules behind decisions, each with its sentence and the Bob fields that it uses.

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
    /// It is not known whether the scope or the domains leave the employee out.
    ScopeUnknown,
    /// `provisioning.existingEmployees: OnChange`, and nothing has changed.
    AwaitingChange,
    /// An `EmployeeSync` was written for an employee who is not in Bob.
    NotInBob,
    /// The employee file is gone, and the settings left this employee alone before.
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
    /// `work.startDate` is in the future.
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
    /// User status `AlwaysInactive`, which decides only about the creation.
    AlwaysInactive,
    /// A date that decides is hidden. Access is neither given nor taken on a guess.
    DatesHidden,
    /// What Bob shows of the statuses is no evidence for or against access.
    NoEvidence,
}

impl Why {
    /// Returns the rule in one plain sentence. It names Bob's fields, and never their values.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::HandsOff => "spec.suspend is set: the account is left as it is",
            Self::Unreadable => {
                "this version of bobsync cannot read the spec of the EmployeeSync, so what it asks \
                 for is not known: the account is left as it is"
            }
            Self::DomainNotListed => {
                "the domain of the work e-mail (root.email) is not in provisioning.emailDomains"
            }
            Self::OutOfScope => "provisioning.scope leaves this employee out",
            Self::ScopeUnknown => {
                "it is not known whether provisioning.scope or emailDomains leave this employee \
                 out: the account is left as it is"
            }
            Self::AwaitingChange => {
                "in Bob before the integration, and nothing has changed in Bob since then \
                 (existingEmployees: OnChange)"
            }
            Self::NotInBob => "Bob has no employee with this id (yet)",
            Self::LeftAloneBefore => {
                "the employee file was deleted in Bob, and the settings left this employee out \
                 before that"
            }
            Self::FileDeleted => "the employee file was deleted in Bob (read by id: not found)",
            Self::AccessRevoked => {
                "Bob reported that access is revoked immediately \
                 (employee.access.revoked.immediately)"
            }
            Self::Terminated => "Bob's lifecycle status (internal.lifecycleStatus) is Terminated",
            Self::LastDayOfWork => "the last day of work (employee.lastDayOfWork) has come",
            Self::TerminationDate => "the termination date (internal.terminationDate) has come",
            Self::BeforeStart => "the start date (work.startDate) has not come yet",
            Self::NoStartDate => "hired, but Bob has no start date (work.startDate)",
            Self::AtWork => {
                "at work: the start date (work.startDate) has come, and Bob shows no end and no \
                 leave"
            }
            Self::LeaveWithAccess => {
                "on leave (internal.lifecycleStatus), and still active in Bob (internal.status)"
            }
            Self::LeaveWithoutAccess => {
                "on leave (internal.lifecycleStatus), and inactive in Bob (internal.status)"
            }
            Self::InactiveInBob => "inactive in Bob (internal.status)",
            Self::AlwaysActive => {
                "the user status is AlwaysActive, and nothing ended the employment"
            }
            Self::AlwaysInactive => {
                "the user status is AlwaysInactive: accounts are created suspended and then left \
                 as they are"
            }
            Self::DatesHidden => {
                "Bob does not show a date that decides (work.startDate, employee.lastDayOfWork, \
                 internal.terminationDate): access is left as it is"
            }
            Self::NoEvidence => {
                "the values of internal.lifecycleStatus and internal.status in Bob neither give \
                 nor take access: access is left as it is"
            }
        }
    }

    /// Returns the Bob fields that the rule uses.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::HandsOff
            | Self::Unreadable
            | Self::OutOfScope
            | Self::AwaitingChange
            | Self::LeftAloneBefore => &[],
            Self::DomainNotListed | Self::ScopeUnknown => &["root.email"],
            Self::NotInBob | Self::FileDeleted | Self::AccessRevoked => &["root.id"],
            Self::Terminated => &["internal.lifecycleStatus"],
            Self::LastDayOfWork => &["employee.lastDayOfWork"],
            Self::TerminationDate => &["internal.terminationDate"],
            Self::BeforeStart | Self::NoStartDate => &["work.startDate"],
            Self::AtWork => &["work.startDate", "internal.lifecycleStatus"],
            Self::LeaveWithAccess | Self::LeaveWithoutAccess | Self::NoEvidence => {
                &["internal.lifecycleStatus", "internal.status"]
            }
            Self::InactiveInBob => &["internal.status"],
            Self::DatesHidden => {
                &["work.startDate", "employee.lastDayOfWork", "internal.terminationDate"]
            }
            Self::AlwaysActive | Self::AlwaysInactive => &["internal.lifecycleStatus"],
        }
    }
}
