//! What the status says of one person. It is small enough to be compared in every pass, and
//! complete enough to write the status from.

mod words;

use std::{
    borrow::Cow,
    hash::{BuildHasher as _, Hash},
};

use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use self::words::managed_by;
use super::outcome::Failure;
pub use crate::engine::planned::PlannedChange;
use crate::{
    api::{
        EmployeeSyncStatus,
        conditions::{self, ConditionUpdate, merge, sentence},
        employee_sync as api,
        employee_sync::{
            AccountRef, AwaitingChange, EmploymentEnded, EndReason, EvidenceKind, HistoryEntry,
            MatchedBy, NextTransition,
        },
        reasons::{DetailReason, EmployeeReason},
        time::to_the_second,
    },
    cluster::roster::{Latest, Standing, evidence},
    domain::{
        access::{Decision, Missing, Transition},
        account::{Access, AccountState},
        baseline::Baseline,
        calendar::with_offset,
        drift::InPlace,
        employment::Because,
        evidence::Proof,
        kept::Kept,
        mapping::Mapping,
        plan::{Block, Manager},
        set_back::SetBack,
        why::Why,
    },
    engine::planned::OPEN,
    provider::Phrases,
};

/// Everything that a status depends on, except evidence, history and times that do not matter.
/// Evidence has other writers too, so it is read when a status is written.
// Each of them is a separate fact; together they do not encode a state.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Hash)]
pub struct Verdict<'a> {
    /// The generation of the spec.
    pub generation: i64,
    /// The username, if it may be shown.
    pub username: Option<Cow<'a, str>>,
    /// The account and how it was found.
    pub account: Option<(Cow<'a, str>, MatchedBy)>,
    /// Whether the account was only found by its e-mail. Then it is shown as it is, and nothing has
    /// been written to it.
    pub only_found: bool,
    /// The state of the account: whether it can be used.
    pub state: Option<AccountState>,
    /// The state of an account that may belong to the person and is not shown.
    pub beside: Option<AccountState>,
    /// Whether several accounts belong to the person, or may belong to the person.
    pub several: bool,
    /// Whether Bob was not read. The status then keeps everything that only a row tells.
    pub unread: bool,
    /// Whether Bob has no username where there was one. The status keeps it, so that the employee
    /// can be found by it.
    pub nameless: bool,
    /// The name of the provider.
    pub provider: &'static str,
    /// What messages say of this provider and not of every other one.
    pub phrases: &'static Phrases,
    /// What was decided.
    pub decision: Decision,
    /// The field of the `EmployeeSync` that this version cannot read.
    pub unreadable: Option<Box<str>>,
    /// What keeps the person from being in sync.
    pub trouble: Trouble,
    /// The attributes that are not as decided, by the provider's names.
    pub differs: Vec<Box<str>>,
    /// Whether access is as decided.
    pub access_as_decided: bool,
    /// The manager attribute.
    pub manager: Manager,
    /// Whether bobsync may take over an account without a mark.
    pub adopts: bool,
    /// Whether the mapping has a manager at all.
    pub manager_mapped: bool,
    /// The time zone of the site, for the transition.
    pub zone: &'a str,
    /// What Bob says of an employee that waits for a change.
    pub baseline: Option<Baseline>,
    /// Whether a person changed attributes at the provider and the settings only report that.
    pub drifted: bool,
    /// What is in place on the account, if a change at the provider is only reported.
    pub in_place: Option<InPlace>,
    /// The values that the provider keeps in another form than they were sent in.
    pub kept: Kept,
    /// The part in a plan that is held, or that was approved and is not completed.
    pub part: Option<u64>,
    /// The time of the sync request that this status answers.
    pub sync_handled: Option<Box<str>>,
}

/// What keeps a person from being in sync.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The turn of the change has not come. In a dry run it never comes.
    Waiting {
        /// What will be done.
        planned: PlannedChange,
        /// Whether only a dry run was asked for.
        dry_run: bool,
    },
    /// The turn of the change has not come, and the provider refused it before for this reason. The
    /// message about that refusal is kept.
    RefusedBefore(EmployeeReason),
    /// The accounts of the provider are not known yet.
    Unlisted,
    /// A guard holds the change.
    Held {
        /// What will be done when the change is released.
        planned: PlannedChange,
    },
    /// Data in Bob or at the provider blocks the change.
    Blocked(Block),
    /// The provider's answer, or another reason why the change failed.
    Failed(Failure),
    /// The failure of a change on one of several accounts.
    Several(Failure),
}

impl Verdict<'_> {
    /// Returns a hash that is equal for equal verdicts with equal evidence. It is never 0, because
    /// 0 means "not known".
    #[must_use]
    pub fn hash64(&self, proof: Proof) -> u64 {
        let revoked = proof.revoked.map(|revoked| (revoked.at, revoked.start));
        foldhash::quality::FixedState::default()
            .hash_one((self, revoked, proof.file_deleted))
            .max(1)
    }

    /// Returns the reason of `Ready`.
    #[must_use]
    pub fn reason(&self) -> EmployeeReason {
        if !self.decision.managed && !self.decision.only_ends_access() {
            return unmanaged_reason(self.decision.why);
        }
        match &self.trouble {
            Trouble::Blocked(Block::Conflict(_) | Block::ClaimedBy(_))
            | Trouble::Failed(Failure::Conflict(_)) => EmployeeReason::Conflict,
            Trouble::Blocked(
                Block::MappingFailed(..) | Block::ScopeFailed(_) | Block::UnknownTarget(_),
            ) => EmployeeReason::MappingFailed,
            Trouble::Blocked(Block::Frozen(_)) => EmployeeReason::Frozen,
            Trouble::Blocked(Block::Protected(_)) | Trouble::Failed(Failure::Protected(_))
                if self.is_open() =>
            {
                EmployeeReason::SuspendByHand
            }
            Trouble::Blocked(Block::Protected(_)) | Trouble::Failed(Failure::Protected(_)) => {
                EmployeeReason::HandsOff
            }
            Trouble::Blocked(Block::ManagedElsewhere)
            | Trouble::Failed(Failure::ManagedElsewhere) => EmployeeReason::ManagedElsewhere,
            Trouble::Blocked(Block::Ambiguous)
            | Trouble::Failed(Failure::Ambiguous)
            | Trouble::Several(_) => EmployeeReason::Ambiguous,
            Trouble::Blocked(Block::MissingAttribute(_)) => EmployeeReason::MissingAttribute,
            Trouble::Failed(Failure::Rejected(..)) => EmployeeReason::Rejected,
            Trouble::Failed(Failure::Forbidden(_) | Failure::ByHand(_)) if self.is_open() => {
                EmployeeReason::SuspendByHand
            }
            Trouble::Failed(Failure::Forbidden(_) | Failure::ByHand(_) | Failure::Sessions(_)) => {
                EmployeeReason::Forbidden
            }
            Trouble::Failed(Failure::Retrying(_)) => EmployeeReason::Retrying,
            Trouble::RefusedBefore(reason) => *reason,
            Trouble::Waiting { .. } | Trouble::Unlisted => EmployeeReason::Pending,
            Trouble::Held { .. } => EmployeeReason::Held,
            Trouble::None if self.account.is_none() && self.decision.missing == Missing::NotYet => {
                EmployeeReason::NotDue
            }
            Trouble::None if self.lacks_licence() => EmployeeReason::NoLicence,
            Trouble::None if self.is_contested() => EmployeeReason::Contested,
            Trouble::None if self.drifted => EmployeeReason::Drifted,
            Trouble::None => EmployeeReason::InSync,
        }
    }

    /// Returns whether the settings manage this person now and there is or will be an account.
    #[must_use]
    pub fn in_scope(&self) -> bool {
        self.decision.managed && (self.account.is_some() || self.decision.missing != Missing::Never)
    }

    /// Returns the state in which the employee counts in the numbers of the integration. The same
    /// is read from the status. An employee that the settings leave out counts while or after an
    /// ended employment takes access.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let reason = self.reason();
        match self.access() {
            None => Standing::Uncounted,
            Some(_) if !self.decision.managed && !self.decision.only_ends_access() => {
                Standing::Unmanaged
            }
            Some(api::Access::Absent) if reason.is_ready() && self.account.is_none() => {
                Standing::Uncounted
            }
            Some(_) if reason.is_ready() => Standing::Ready,
            Some(_) => Standing::Unready(reason),
        }
    }

    /// Returns access as the status shows it. Returns `None` for an employee that was never in Bob,
    /// and before the provider's accounts are read.
    #[must_use]
    pub fn access(&self) -> Option<api::Access> {
        let hands_off = matches!(self.decision.why, Why::HandsOff | Why::Unreadable);
        Some(match (self.decision.managed, self.state.or(self.beside)) {
            _ if self.trouble == Trouble::Unlisted => return None,
            (false, _) if self.decision.why == Why::NotInBob => return None,
            // The account is shown, although bobsync is not responsible for it.
            (false, None) if hands_off => api::Access::Unmanaged,
            (false, _) if !self.decision.only_ends_access() && !hands_off => api::Access::Unmanaged,
            (_, Some(AccountState::Suspended | AccountState::Unactivated)) => {
                api::Access::Suspended
            }
            (
                _,
                Some(
                    AccountState::Active
                    | AccountState::Staged
                    | AccountState::Unlicensed
                    | AccountState::Other,
                ),
            ) => api::Access::Active,
            (_, None) if self.decision.missing == Missing::Never => api::Access::Absent,
            (_, None) => api::Access::NotYet,
        })
    }

    /// Returns whether an employee that has to lose access has an account that can be used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let taken = matches!(self.trouble, Trouble::Failed(Failure::Sessions(_)));
        let open = !taken
            && self.state.or(self.beside).is_some_and(|state| state != AccountState::Suspended);
        open && self.decision.existing == Some(Access::Suspended)
    }

    /// Returns whether `spec.suspend`, or a spec that cannot be read, keeps an account open after
    /// the end of the employment.
    #[must_use]
    pub fn is_left_open(&self) -> bool {
        let ended = matches!(self.decision.why, Why::HandsOff | Why::Unreadable)
            && self.decision.also.is_some();
        ended && self.state.is_some_and(|state| state != AccountState::Suspended)
    }

    /// Returns the integration that manages this employee instead of this one.
    fn claimed_by(&self) -> Option<&str> {
        match &self.trouble {
            Trouble::Blocked(Block::ClaimedBy(other)) => Some(other),
            _ => None,
        }
    }

    /// Returns whether an employee that should be able to log in has an account without a licence.
    fn lacks_licence(&self) -> bool {
        self.state == Some(AccountState::Unlicensed)
            && self.decision.existing == Some(Access::Active)
    }

    /// Returns whether another system sets back what bobsync writes.
    fn is_contested(&self) -> bool {
        self.decision.managed && self.account.is_some() && self.kept.contested().next().is_some()
    }

    /// Returns the transition ahead, as far as it is about this person's account.
    #[must_use]
    pub fn next(&self) -> Option<Transition> {
        // If the settings leave an employee out, an account that bobsync has dealt with loses
        // access when the employment ends.
        let left_out =
            matches!(self.decision.why, Why::DomainNotListed | Why::OutOfScope | Why::ScopeUnknown);
        let ends = left_out && self.account.is_some() && !self.only_found;
        // Nothing is remembered of an employee before the provider's accounts are read.
        let next = self.decision.next.filter(|_| self.trouble != Trouble::Unlisted);
        next.filter(|_| self.decision.managed || self.decision.why == Why::AwaitingChange || ends)
    }

    /// Returns the whole status that follows `before`.
    #[must_use]
    pub fn status(
        &self,
        mapping: &Mapping,
        before: &EmployeeSyncStatus,
        proof: Proof,
        lines: &[HistoryEntry],
        now: Timestamp,
    ) -> EmployeeSyncStatus {
        let gone = proof.file_deleted.is_some() || self.unread || self.nameless;
        let mut entries: Vec<HistoryEntry> = lines.iter().chain(&before.history).cloned().collect();
        // Changes that the window of a budget counts must not be lost with the lines that are
        // dropped.
        let dropped = entries.len() > api::HISTORY || before.counted.is_some();
        let counted = dropped.then(|| Latest::counted(&entries, before.counted.as_ref())).flatten();
        entries.truncate(api::HISTORY);
        EmployeeSyncStatus {
            counted,
            observed_generation: Some(self.generation),
            // If an employee is gone, Bob gives only the id. The status keeps what was known.
            username: if gone {
                before.username.clone()
            } else {
                self.username.as_deref().map(str::to_owned)
            },
            account: self
                .account
                .as_ref()
                .map(|(id, matched_by)| AccountRef { id: id.to_string(), matched_by: *matched_by }),
            access: self.access(),
            conditions: merge(
                &before.conditions,
                &self.wanted(mapping, &before.conditions),
                self.generation,
                now,
            ),
            reason: Some(self.reason().as_str().to_owned()),
            next_transition: self.next().map(|next| self.transition(next)),
            employment_ended: self.employment_ended(),
            // Evidence that a newer version wrote is kept for that version.
            evidence: evidence(proof).or_else(|| {
                before
                    .evidence
                    .clone()
                    .filter(|known| matches!(known.kind, EvidenceKind::Unknown(_)))
            }),
            awaiting_change: self
                .baseline
                .map(|baseline| AwaitingChange { baseline: baseline.to_text() }),
            last_applied: self.in_place.as_ref().map(InPlace::to_list).unwrap_or_default(),
            kept_differently: self.kept.to_list(),
            set_back: self.kept.set_backs().map(set_back).collect(),
            held_part: self.part.map(part_text),
            last_handled_sync_at: self.sync_handled.as_deref().map(str::to_owned),
            history: entries,
        }
    }

    /// Returns the conditions. If a refusal from before is kept, they have its message.
    fn wanted(&self, mapping: &Mapping, before: &[Condition]) -> Vec<ConditionUpdate> {
        let mut wanted = self.conditions(mapping);
        let known = conditions::find(before, conditions::Type::Ready).filter(|ready| {
            matches!(self.trouble, Trouble::RefusedBefore(reason)
                if ready.reason == reason.as_str())
        });
        if let Some(known) = known {
            let says = [conditions::Type::Ready, conditions::Type::Stalled];
            let told = wanted.iter_mut().filter(|one| says.contains(&one.kind));
            told.for_each(|one| one.message.clone_from(&known.message));
        }
        wanted
    }

    /// Returns the end of the employment that the decision rests on, or that `spec.suspend` keeps
    /// from having an effect.
    fn employment_ended(&self) -> Option<EmploymentEnded> {
        let ends = [Some(self.decision.why), self.decision.also]
            .into_iter()
            .flatten()
            .find_map(|why| Some((why, end_reason(why)?)));
        ends.map(|(why, because)| EmploymentEnded {
            because,
            date: self
                .decision
                .date
                .filter(|_| why == self.decision.why)
                .map(|date| date.to_string()),
        })
    }

    fn transition(&self, next: Transition) -> NextTransition {
        let zone = TimeZone::get(self.zone).unwrap_or(TimeZone::UTC);
        NextTransition {
            at: with_offset(next.at, &zone),
            instant: Some(to_the_second(next.at).to_string()),
            time_zone: self.zone.to_owned(),
            access: match next.access {
                Access::Active => api::Access::Active,
                Access::Suspended => api::Access::Suspended,
            },
            because: match next.because {
                Because::StartDate => api::Because::StartDate,
                Because::LastDayOfWork => api::Because::LastDayOfWork,
                Because::TerminationDate => api::Because::TerminationDate,
                Because::LeaveStart => api::Because::LeaveStart,
                Because::LeaveEnd => api::Because::LeaveEnd,
            },
        }
    }

    fn conditions(&self, mapping: &Mapping) -> Vec<ConditionUpdate> {
        let reason = self.reason();
        let message = self.message(mapping);
        let why = self.because();
        let mut list = vec![ConditionUpdate {
            kind: conditions::Type::Ready,
            status: reason.is_ready(),
            reason: reason.as_str(),
            message: message.clone(),
        }];
        let mut detail =
            |kind: conditions::Type, status: bool, reason: DetailReason, message: String| {
                list.push(ConditionUpdate { kind, status, reason: reason.as_str(), message });
            };
        match &self.account {
            Some(_)
                if self.only_found
                    && matches!(
                        self.trouble,
                        Trouble::Blocked(Block::Protected(_) | Block::ManagedElsewhere)
                    ) =>
            {
                detail(
                    conditions::Type::Provisioned,
                    true,
                    DetailReason::NotAdopted,
                    "An account with this e-mail exists; bobsync does not write to it.".into(),
                )
            }
            // This finding is remembered, because a later look at one of the accounts does not show
            // the other ones.
            _ if self.several => {
                let exists = self.account.is_some() || self.beside.is_some();
                detail(
                    conditions::Type::Provisioned,
                    exists,
                    DetailReason::SeveralAccounts,
                    "Several accounts match this employee.".into(),
                );
            }
            Some(_) if self.only_found => detail(
                conditions::Type::Provisioned,
                true,
                DetailReason::WouldAdopt,
                "An account with this e-mail exists; the status shows it as it is, and bobsync has \
                 not written to it yet."
                    .into(),
            ),
            Some((_, MatchedBy::Created)) => detail(
                conditions::Type::Provisioned,
                true,
                DetailReason::Created,
                "The account exists; bobsync created it.".into(),
            ),
            Some((_, MatchedBy::Mark)) => detail(
                conditions::Type::Provisioned,
                true,
                DetailReason::Matched,
                "The account exists; it has this employee's mark.".into(),
            ),
            Some((_, MatchedBy::Email)) => detail(
                conditions::Type::Provisioned,
                true,
                DetailReason::Matched,
                "The account exists; it was adopted by its e-mail.".into(),
            ),
            None => detail(
                conditions::Type::Provisioned,
                false,
                DetailReason::NoAccount,
                self.without_account(&why),
            ),
        }
        if self.is_left_open() {
            detail(
                conditions::Type::AccessSynced,
                false,
                DetailReason::NotAsDecided,
                self.not_as_decided(OPEN),
            );
        } else if !self.decision.managed && !self.decision.only_ends_access() {
            detail(
                conditions::Type::AccessSynced,
                true,
                DetailReason::NotManaged,
                format!("Left as it is: {why}."),
            );
        } else if self.account.is_some() {
            if !self.decision.managed {
                let message = format!("Left as they are, and only access is taken: {why}.");
                detail(conditions::Type::AttributesSynced, true, DetailReason::NotManaged, message);
            } else if self.differs.is_empty() {
                let (as_decided, reason, message) = self.attributes();
                detail(conditions::Type::AttributesSynced, as_decided, reason, message);
            } else {
                detail(
                    conditions::Type::AttributesSynced,
                    false,
                    DetailReason::Differs,
                    format!("Not as decided: {}.", self.differs.join(", ")),
                );
            }
            if self.access_as_decided && self.state == Some(AccountState::Staged) {
                let message =
                    format!("The account is staged, and an administrator activates it: {why}.");
                detail(
                    conditions::Type::AccessSynced,
                    true,
                    DetailReason::AwaitingActivation,
                    message,
                );
            } else if self.access_as_decided {
                detail(
                    conditions::Type::AccessSynced,
                    true,
                    DetailReason::AsDecided,
                    sentence(&why),
                );
            } else {
                detail(
                    conditions::Type::AccessSynced,
                    false,
                    DetailReason::NotAsDecided,
                    self.not_as_decided("Not as decided yet"),
                );
            }
        } else {
            detail(
                conditions::Type::AccessSynced,
                self.access_as_decided,
                if self.access_as_decided {
                    DetailReason::AsDecided
                } else {
                    DetailReason::NotAsDecided
                },
                match self.claimed_by().filter(|_| !self.is_open()) {
                    Some(other) => managed_by(other),
                    None if self.access_as_decided => sentence(&why),
                    None => self.not_as_decided("Not as decided"),
                },
            );
        }
        if self.manager_mapped && self.decision.managed && self.account.is_some() {
            match self.manager {
                Manager::Nothing => detail(
                    conditions::Type::ManagerResolved,
                    true,
                    DetailReason::Resolved,
                    "There is no manager to set.".into(),
                ),
                Manager::Resolved => detail(
                    conditions::Type::ManagerResolved,
                    true,
                    DetailReason::Resolved,
                    "The manager's account is known.".into(),
                ),
                Manager::Pending => detail(
                    conditions::Type::ManagerResolved,
                    false,
                    DetailReason::ManagerPending,
                    "The manager's account does not exist yet; bobsync sets the attribute when it \
                     does."
                        .into(),
                ),
                Manager::NotManaged => detail(
                    conditions::Type::ManagerResolved,
                    false,
                    DetailReason::ManagerNotManaged,
                    "The manager has no account that bobsync manages; the attribute stays as it is."
                        .into(),
                ),
            }
        }
        if self.decision.why == Why::NotInBob || self.trouble == Trouble::Unlisted {
            list.truncate(1);
        }
        if reason.is_stalled() {
            list.push(ConditionUpdate {
                kind: conditions::Type::Stalled,
                status: true,
                reason: reason.as_str(),
                message,
            });
        }
        list
    }
}

/// Returns the writes of a value that was set back, as a status keeps them.
fn set_back(known: &SetBack) -> api::SetBack {
    api::SetBack {
        attribute: known.target.to_string(),
        sent: format!("{:08x}", known.sent),
        written_at: known.at.iter().map(|at| Time(second(*at))).collect(),
        contested: known.contested.then_some(true),
    }
}

/// Returns this second of the epoch as a timestamp.
fn second(at: u32) -> Timestamp {
    Timestamp::from_second(i64::from(at)).unwrap_or_default()
}

/// Returns a part in a plan, as a status keeps it.
#[must_use]
pub fn part_text(part: u64) -> String {
    format!("{part:016x}")
}

/// Returns the end that Bob's row shows. A deleted file and an immediate revocation are separate
/// evidence.
const fn end_reason(why: Why) -> Option<EndReason> {
    match why {
        Why::Terminated => Some(EndReason::Terminated),
        Why::LastDayOfWork => Some(EndReason::LastDayOfWork),
        Why::TerminationDate => Some(EndReason::TerminationDate),
        Why::HandsOff
        | Why::DomainNotListed
        | Why::OutOfScope
        | Why::ScopeUnknown
        | Why::AwaitingChange
        | Why::NotInBob
        | Why::LeftAloneBefore
        | Why::FileDeleted
        | Why::AccessRevoked
        | Why::BeforeStart
        | Why::NoStartDate
        | Why::AtWork
        | Why::LeaveWithAccess
        | Why::LeaveWithoutAccess
        | Why::InactiveInBob
        | Why::AlwaysActive
        | Why::AlwaysInactive
        | Why::DatesHidden
        | Why::NoEvidence
        | Why::Unreadable => None,
    }
}

/// Returns the reason of `Ready` for an employee that the settings leave alone.
const fn unmanaged_reason(why: Why) -> EmployeeReason {
    match why {
        Why::DomainNotListed => EmployeeReason::DomainNotListed,
        Why::OutOfScope | Why::LeftAloneBefore => EmployeeReason::OutOfScope,
        Why::ScopeUnknown => EmployeeReason::MappingFailed,
        Why::AwaitingChange => EmployeeReason::AwaitingChange,
        Why::NotInBob => EmployeeReason::Pending,
        Why::HandsOff
        | Why::Unreadable
        | Why::FileDeleted
        | Why::AccessRevoked
        | Why::Terminated
        | Why::LastDayOfWork
        | Why::TerminationDate
        | Why::BeforeStart
        | Why::NoStartDate
        | Why::AtWork
        | Why::LeaveWithAccess
        | Why::LeaveWithoutAccess
        | Why::InactiveInBob
        | Why::AlwaysActive
        | Why::AlwaysInactive
        | Why::DatesHidden
        | Why::NoEvidence => EmployeeReason::HandsOff,
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
