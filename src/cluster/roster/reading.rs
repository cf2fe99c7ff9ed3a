//! What single parts of an `EmployeeSync` say, in the words of the roster.

use crate::{
    api::{
        EmployeeSyncSpec, EmployeeSyncStatus, conditions,
        employee_sync::{Access, Evidence, EvidenceKind},
        integration::UserStatus,
        reasons::DetailReason,
    },
    domain::{
        baseline::Baseline,
        kept::Kept,
        known::{Met, Overrides, Revoked},
        settings,
    },
};

pub(super) fn overrides(spec: &EmployeeSyncSpec) -> Option<Box<Overrides>> {
    let overrides = Overrides {
        hands_off: spec.suspend,
        user_status: spec.user_status.map(|status| match status {
            UserStatus::AccordingToBob => settings::UserStatus::AccordingToBob,
            UserStatus::AlwaysActive => settings::UserStatus::AlwaysActive,
            UserStatus::AlwaysInactive => settings::UserStatus::AlwaysInactive,
        }),
        attributes: spec.attributes.iter().map(|(target, value)| (target.as_str().into(), value.0.as_str().into())).collect(),
    };
    (overrides != Overrides::default()).then(|| Box::new(overrides))
}

pub(super) fn met(status: &EmployeeSyncStatus) -> Option<Met> {
    let not_managed = DetailReason::NotManaged.as_str();
    let baseline = status.awaiting_change.as_ref().and_then(|waiting| Baseline::from_text(&waiting.baseline));
    match (baseline, status.access?) {
        (Some(baseline), _) => Some(Met::Waiting(baseline)),
        (None, Access::Unmanaged) => Some(Met::Unmanaged),
        // Only access was taken, because the employment had ended.
        (None, _) if conditions::find(&status.conditions, "AttributesSynced").is_some_and(|c| c.reason == not_managed) => {
            Some(Met::Unmanaged)
        }
        (None, Access::NotYet | Access::Active | Access::Suspended | Access::Absent) => Some(Met::Managed),
    }
}

pub(super) fn revoked(evidence: &Evidence) -> Option<Revoked> {
    match evidence.kind {
        EvidenceKind::FileDeleted => None,
        EvidenceKind::AccessRevoked => {
            let start = evidence.start_date.as_deref().and_then(|date| date.parse().ok());
            Some(Revoked { at: evidence.observed_at.0, start })
        }
    }
}

/// Whether the account that a status shows was found by e-mail, and nothing has been written to it.
pub(super) fn only_found(status: &EmployeeSyncStatus) -> bool {
    let words = [DetailReason::WouldAdopt, DetailReason::NotAdopted].map(DetailReason::as_str);
    conditions::find(&status.conditions, "Provisioned").is_some_and(|provisioned| words.contains(&&*provisioned.reason))
}

/// Whether several accounts are this person's.
pub(super) fn several(status: &EmployeeSyncStatus) -> bool {
    let reason = DetailReason::SeveralAccounts.as_str();
    conditions::find(&status.conditions, "Provisioned").is_some_and(|provisioned| provisioned.reason == reason)
}

pub(super) fn unready_since(status: &EmployeeSyncStatus) -> u32 {
    let unready = conditions::find(&status.conditions, "Ready").filter(|ready| ready.status == "False");
    unready.map_or(0, |ready| u32::try_from(ready.last_transition_time.0.as_second()).unwrap_or(0))
}

/// Reads the values that the provider keeps in another form.
pub(super) fn kept(status: &EmployeeSyncStatus) -> Option<Box<Kept>> {
    let list = &status.kept_differently;
    (!list.is_empty()).then(|| Box::new(Kept::from_list(list.iter().map(String::as_str))))
}
