//! Reads single parts of an `EmployeeSync` into the terms of the roster.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Entry;
use crate::{
    api::{
        EmployeeSync, EmployeeSyncSpec, EmployeeSyncStatus, conditions, employee_sync as api,
        employee_sync::{Access, Because, EndReason, Evidence, EvidenceKind},
        integration::UserStatus,
        reasons::{DetailReason, EmployeeReason},
        time::to_the_second,
    },
    domain::{
        baseline::Baseline,
        ended::Ended,
        evidence::Proof,
        kept::Kept,
        known::{MANAGED_BY_ANOTHER, Met, Overrides, Revoked},
        missing::Word,
        set_back::SetBack,
        settings,
        why::Why,
    },
};

pub(super) fn overrides(spec: &EmployeeSyncSpec) -> Option<Box<Overrides>> {
    let overrides = Overrides {
        hands_off: spec.suspend,
        unreadable: spec.unreadable.as_deref().map(Into::into),
        user_status: spec.user_status.map(|status| match status {
            UserStatus::AccordingToBob => settings::UserStatus::AccordingToBob,
            UserStatus::AlwaysActive => settings::UserStatus::AlwaysActive,
            UserStatus::AlwaysInactive => settings::UserStatus::AlwaysInactive,
        }),
        attributes: spec
            .attributes
            .iter()
            .map(|(target, value)| (target.as_str().into(), value.0.as_str().into()))
            .collect(),
    };
    (overrides != Overrides::default()).then(|| Box::new(overrides))
}

/// Returns what was done for the employee before, according to the status.
#[must_use]
pub fn met(status: &EmployeeSyncStatus) -> Option<Met> {
    let not_managed = DetailReason::NotManaged.as_str();
    let baseline =
        status.awaiting_change.as_ref().and_then(|waiting| Baseline::from_text(&waiting.baseline));
    match (baseline, status.access?) {
        (Some(baseline), _) => Some(Met::Waiting(baseline)),
        (None, Access::Unmanaged) => Some(Met::Unmanaged),
        // The status comes from only taking access, because the employment had ended.
        // The status shows an account that `spec.suspend` leaves as it is.
        (None, Access::Active | Access::Suspended) if is_hands_off(status) => Some(Met::Unmanaged),
        (None, _)
            if conditions::find(&status.conditions, conditions::Type::AttributesSynced)
                .is_some_and(|c| c.reason == not_managed) =>
        {
            Some(Met::Unmanaged)
        }
        (
            None,
            Access::NotYet | Access::Active | Access::Suspended | Access::Absent | Access::Unknown,
        ) => Some(Met::Managed),
    }
}

/// Returns whether a status is about an account that `spec.suspend` leaves as it is: it says
/// nothing about its attributes.
fn is_hands_off(status: &EmployeeSyncStatus) -> bool {
    let find = |kind| conditions::find(&status.conditions, kind);
    find(conditions::Type::Ready)
        .is_some_and(|ready| ready.reason == EmployeeReason::HandsOff.as_str())
        && find(conditions::Type::AttributesSynced).is_none()
}

/// Returns access according to the status. If evidence is on record and the status is about an
/// older spec with hands off, the account counts as open. The real state shows when access is
/// taken.
pub(super) fn access(object: &EmployeeSync, status: &EmployeeSyncStatus) -> Option<Access> {
    let older = status.observed_generation != object.metadata.generation && !object.spec.suspend;
    let revoked =
        older && status.evidence.is_some() && status.account.is_some() && !only_found(status);
    status
        .access
        .map(|access| if revoked && access == Access::Unmanaged { Access::Active } else { access })
}

/// Reads the evidence in a status.
pub(super) fn proof(status: &EmployeeSyncStatus) -> Proof {
    let Some(evidence) = &status.evidence else { return Proof::default() };
    let at = evidence.observed_at.0;
    match &evidence.kind {
        EvidenceKind::Unknown(_) => Proof::default(),
        EvidenceKind::FileDeleted => Proof { file_deleted: Some(at), ..Proof::default() },
        EvidenceKind::AccessRevoked => {
            let start = evidence.start_date.as_deref().and_then(|date| date.parse().ok());
            Proof { revoked: Some(Revoked { at, start }), ..Proof::default() }
        }
    }
}

/// Returns the evidence as a status has it. A status has room for one.
#[must_use]
pub fn evidence(proof: Proof) -> Option<Evidence> {
    let found = |kind, at, start_date| {
        Some(Evidence { kind, observed_at: Time(to_the_second(at)), start_date })
    };
    match (proof.file_deleted, proof.revoked) {
        (Some(at), _) => found(EvidenceKind::FileDeleted, at, None),
        (None, Some(revoked)) => found(
            EvidenceKind::AccessRevoked,
            revoked.at,
            revoked.start.map(|date| date.to_string()),
        ),
        (None, None) => None,
    }
}

/// Reads the end of the employment that the status names: one that the decision depends on, or a
/// date in the future.
pub(super) fn ended(status: &EmployeeSyncStatus) -> Option<Box<Ended>> {
    let conditions = [conditions::Type::AccessSynced, conditions::Type::Ready]
        .into_iter()
        .filter_map(|kind| conditions::find(&status.conditions, kind));
    let read = || conditions.into_iter().find_map(|condition| Ended::read(&condition.message));
    let come = match &status.employment_ended {
        Some(ended) => Some(Ended::come(
            why_of(ended.because),
            ended.date.as_deref().and_then(|date| date.parse().ok()),
        )),
        // Older statuses have no such field and no reason; their messages name the rule.
        None if status.reason.is_none() => read(),
        None => None,
    };
    let ahead = || {
        let next = status.next_transition.as_ref()?;
        let why = match next.because {
            Because::LastDayOfWork => Why::LastDayOfWork,
            Because::TerminationDate => Why::TerminationDate,
            Because::StartDate | Because::LeaveStart | Because::LeaveEnd => return None,
        };
        Some(Ended::ahead(why, next.at.parse().ok()?))
    };
    come.or_else(ahead).map(Box::new)
}

const fn why_of(because: EndReason) -> Why {
    match because {
        EndReason::Terminated => Why::Terminated,
        EndReason::LastDayOfWork => Why::LastDayOfWork,
        EndReason::TerminationDate => Why::TerminationDate,
    }
}

impl Entry {
    /// Returns the end of the employment that is on record and has come, unless Bob has shown
    /// another status since.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<Ended> {
        let other_status = self.lifecycle.or(Word::terminated()) != Word::terminated();
        self.ended
            .as_deref()
            .copied()
            .filter(|ended| ended.at <= now && !(ended.why == Why::Terminated && other_status))
    }

    /// Returns whether the record says that the access of an account on record has to end, whatever
    /// Bob shows now.
    #[must_use]
    pub fn has_left(&self, now: Timestamp) -> bool {
        self.account.is_some() && (self.revoked.is_some() || self.ended(now).is_some())
    }
}

/// Returns whether the account in a status was found by e-mail, and nothing has been written to it.
pub(super) fn only_found(status: &EmployeeSyncStatus) -> bool {
    let words = [DetailReason::WouldAdopt, DetailReason::NotAdopted].map(DetailReason::as_str);
    conditions::find(&status.conditions, conditions::Type::Provisioned)
        .is_some_and(|provisioned| words.contains(&&*provisioned.reason))
}

/// Returns whether another integration manages the employee.
pub(super) fn managed_by_another(status: &EmployeeSyncStatus) -> bool {
    let says_so = |ready: &Condition| {
        ready.reason == EmployeeReason::Conflict.as_str()
            && ready.message.contains(MANAGED_BY_ANOTHER)
    };
    conditions::find(&status.conditions, conditions::Type::Ready).is_some_and(says_so)
}

/// Returns whether the status says that the manager has no account.
pub(super) fn awaiting_manager(status: &EmployeeSyncStatus) -> bool {
    let words =
        [DetailReason::ManagerPending, DetailReason::ManagerNotManaged].map(DetailReason::as_str);
    conditions::find(&status.conditions, conditions::Type::ManagerResolved)
        .is_some_and(|resolved| words.contains(&&*resolved.reason))
}

/// Returns whether the employee has several accounts.
pub(super) fn several(status: &EmployeeSyncStatus) -> bool {
    let reason = DetailReason::SeveralAccounts.as_str();
    conditions::find(&status.conditions, conditions::Type::Provisioned)
        .is_some_and(|provisioned| provisioned.reason == reason)
}

pub(super) fn unready_since(status: &EmployeeSyncStatus) -> u32 {
    let unready = conditions::find(&status.conditions, conditions::Type::Ready)
        .filter(|ready| ready.status == "False");
    unready.map_or(0, |ready| u32::try_from(ready.last_transition_time.0.as_second()).unwrap_or(0))
}

/// Reads the values that the provider stores in another form, and those that something else sets
/// back. A value that cannot be read counts as unknown.
pub(super) fn kept(status: &EmployeeSyncStatus) -> Option<Box<Kept>> {
    let (list, set_back) = (&status.kept_differently, &status.set_back);
    let read = |known: &api::SetBack| {
        let at =
            known.written_at.iter().filter_map(|at| u32::try_from(at.0.as_second()).ok()).collect();
        Some(SetBack::read(
            known.attribute.as_str().into(),
            u32::from_str_radix(&known.sent, 16).ok()?,
            at,
            known.contested == Some(true),
        ))
    };
    let known = || {
        Kept::from_list(list.iter().map(String::as_str))
            .with_set_back(set_back.iter().filter_map(read).collect())
    };
    (!list.is_empty() || !set_back.is_empty()).then(|| Box::new(known()))
}

/// Returns whether two statuses are equal, except for transition times.
#[must_use]
pub fn same(a: &EmployeeSyncStatus, b: &EmployeeSyncStatus) -> bool {
    text(a.clone()) == text(b.clone())
}

/// Returns a hash that is equal for statuses with the same content, without transition times and
/// history.
#[must_use]
pub fn digest(status: &EmployeeSyncStatus) -> u64 {
    let mut hash = DefaultHasher::new();
    text(EmployeeSyncStatus { history: Vec::new(), counted: None, ..status.clone() })
        .hash(&mut hash);
    // 0 is for "no status".
    hash.finish().max(1)
}

/// Returns the whole status as it is written, with one time for all transitions.
fn text(status: EmployeeSyncStatus) -> Vec<u8> {
    let status =
        EmployeeSyncStatus { conditions: conditions::timeless(&status.conditions), ..status };
    serde_json::to_vec(&status).unwrap_or_default()
}
