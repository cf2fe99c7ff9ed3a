//! What the status says of an integration independently of its passes: trouble of the controller
//! itself, and waits that a service asked for. It is put over what the passes said.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Report;
use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, ConditionUpdate, merge},
        integration::{Progress, Step},
        reasons::{DetailReason, IntegrationReason},
    },
    domain::count::{counted, employees},
    engine::waits::{ShownWait, Side, StillOpen},
};

/// Returns the conditions of an integration that cannot be read. Conditions that this does not
/// change are kept.
#[must_use]
pub fn cannot_read(
    before: &[Condition],
    report: &Report,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let (reason, message) = (
        crate::engine::pass::report::reason(report),
        crate::engine::pass::report::message(report, crate::engine::pass::report::reason(report)),
    );
    let wanted = [
        ConditionUpdate {
            kind: conditions::Type::Ready,
            status: false,
            reason: reason.as_str(),
            message: message.clone(),
        },
        ConditionUpdate {
            kind: conditions::Type::Reconciling,
            status: false,
            reason: DetailReason::UpToDate.as_str(),
            message: String::new(),
        },
        ConditionUpdate {
            kind: conditions::Type::Stalled,
            status: true,
            reason: reason.as_str(),
            message,
        },
    ];
    let fresh = merge(before, &wanted, generation, now);
    let others =
        before.iter().filter(|known| wanted.iter().all(|want| want.kind != known.type_)).cloned();
    fresh.into_iter().chain(others).collect()
}

/// Returns what passes said, together with what is to be said of the controller itself.
#[must_use]
pub fn with_parts(
    conditions: &[Condition],
    said: Option<(DetailReason, String)>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let wanted = said.map(|(reason, message)| ConditionUpdate {
        kind: conditions::Type::ControllerHealthy,
        status: false,
        reason: reason.as_str(),
        message,
    });
    let others = conditions
        .iter()
        .filter(|condition| condition.type_ != conditions::Type::ControllerHealthy)
        .cloned();
    others.chain(merge(&[], wanted.as_slice(), generation, now)).collect()
}

impl Side {
    const fn condition(self) -> conditions::Type {
        match self {
            Self::Bob => conditions::Type::BobConnected,
            Self::Provider => conditions::Type::ProviderConnected,
        }
    }

    const fn reason(self) -> IntegrationReason {
        match self {
            Self::Bob => IntegrationReason::BobUnavailable,
            Self::Provider => IntegrationReason::ProviderUnavailable,
        }
    }
}

/// Returns the same conditions with the present waits. If a person has to act on another problem,
/// that problem stays the reason, and the message also tells the wait.
#[must_use]
pub fn with_waits(
    mut conditions: Vec<Condition>,
    waits: &[ShownWait],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let Some(ready) = conditions::find(&conditions, conditions::Type::Ready).cloned() else {
        return conditions;
    };
    let is = |reasons: &[IntegrationReason], condition: &Condition| {
        reasons.iter().any(|reason| reason.as_str() == condition.reason)
    };
    if waits.is_empty() || is(&[IntegrationReason::Suspended], &ready) {
        return conditions;
    }
    let gives_way = [
        IntegrationReason::Converged,
        IntegrationReason::DryRun,
        IntegrationReason::Progressing,
        IntegrationReason::ClusterUnavailable,
        IntegrationReason::BobUnavailable,
        IntegrationReason::ProviderUnavailable,
    ];
    let message = waits.iter().map(|told| &*told.message).collect::<Vec<_>>().join(" ");
    let mut put = |kind: conditions::Type, status, reason: &'static str, message| {
        let fresh =
            merge(&[], &[ConditionUpdate { kind, status, reason, message }], generation, now)
                .into_iter();
        for condition in fresh {
            match conditions.iter_mut().find(|known| known.type_ == kind) {
                Some(known) => {
                    *known =
                        Condition { observed_generation: known.observed_generation, ..condition }
                }
                None => conditions.push(condition),
            }
        }
    };
    for told in waits {
        put(told.side.condition(), false, told.side.reason().as_str(), told.message.clone());
    }
    if is(&gives_way, &ready) {
        let reason = waits[0].side.reason().as_str();
        put(conditions::Type::Ready, false, reason, message.clone());
        put(conditions::Type::Reconciling, true, reason, message);
    } else if let Some(known) =
        conditions.iter_mut().find(|known| known.type_ == conditions::Type::Ready)
    {
        known.message = conditions::followed_by(&known.message, &message);
    }
    conditions
}

/// Returns the message about a full pass that is under way.
pub(super) fn under_way(progress: Option<&Progress>) -> String {
    let under_way = "A full pass is running";
    let Some(Progress { step, done, of, eta, .. }) = progress else {
        return format!("{under_way}.");
    };
    let said = match (step, of) {
        (Step::Reading, _) | (_, None) => {
            format!("it has read {} so far", counted(*done, "account", "accounts"))
        }
        (Step::Writing, Some(of)) => {
            format!("{done} of {} made", counted(*of, "change is", "changes are"))
        }
        (Step::Recording, Some(of)) => {
            format!("{done} of {} written", counted(*of, "status is", "statuses are"))
        }
    };
    let eta = eta
        .as_ref()
        .map(|eta| format!(", and all of them by {} at this speed", eta.0))
        .unwrap_or_default();
    format!("{under_way}: {said}{eta}.")
}

/// Returns the same conditions with the progress of the pass that is under way, if there is nothing
/// else to say of it.
#[must_use]
pub fn with_progress(
    mut conditions: Vec<Condition>,
    progress: Option<&Progress>,
) -> Vec<Condition> {
    if progress.is_some() {
        for condition in conditions
            .iter_mut()
            .filter(|condition| condition.reason == IntegrationReason::Progressing.as_str())
        {
            condition.message = under_way(progress);
        }
    }
    conditions
}

/// The beginning of the message about evidence that is not carried out.
const OPEN: &str = "Access is still open against evidence on record: ";

/// Returns the same conditions with the employees that still have access against evidence on
/// record: how many they are, and the names of some objects. An earlier message about them is
/// removed.
#[must_use]
pub fn with_open(
    mut conditions: Vec<Condition>,
    open: &StillOpen,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let kind = conditions::Type::EmployeesFailing;
    let said = conditions::find(&conditions, kind)
        .filter(|known| known.status == "True")
        .map_or("", |known| &*known.message);
    let others = said.split(OPEN).next().unwrap_or_default().trim_end().to_owned();
    if open.count == 0 && others.len() == said.len() {
        return conditions;
    }
    let told = if open.count == 0 {
        String::new()
    } else {
        let more = match open.count.saturating_sub(u32::try_from(open.named.len()).unwrap_or(0)) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{OPEN}{}, {}{more} (bobsync tries again).",
            employees(open.count),
            open.named.join(", ")
        )
    };
    let message =
        [others, told].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let failing = !message.is_empty();
    let reason = if failing { DetailReason::SomeFailing } else { DetailReason::NoneFailing };
    for fresh in merge(
        &[],
        &[ConditionUpdate { kind, status: failing, reason: reason.as_str(), message }],
        generation,
        now,
    ) {
        match conditions.iter_mut().find(|known| known.type_ == kind) {
            Some(known) => {
                *known = Condition { observed_generation: known.observed_generation, ..fresh }
            }
            None => conditions.push(fresh),
        }
    }
    conditions
}

/// Returns the same conditions, each with the time since when its status has its present value.
/// `before` has the conditions that were shown until now.
#[must_use]
pub fn timed(
    mut conditions: Vec<Condition>,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    for condition in &mut conditions {
        if let Some(shown) = conditions::find(before, &condition.type_) {
            if shown.status == condition.status {
                condition.last_transition_time = shown.last_transition_time.clone();
            } else if condition.last_transition_time.0 < shown.last_transition_time.0 {
                condition.last_transition_time = now.clone();
            }
        }
    }
    conditions
}

/// Returns the status with which a process begins, if the process before it said that a service
/// could not be called. The first pass finds out whether that is still true.
#[must_use]
pub fn begun_anew(before: &ProvisioningIntegrationStatus) -> ProvisioningIntegrationStatus {
    let unavailable = [Side::Bob, Side::Provider].map(|side| side.reason().as_str());
    let mut status = ProvisioningIntegrationStatus { next_try_at: None, ..before.clone() };
    for condition in
        status.conditions.iter_mut().filter(|condition| unavailable.contains(&&*condition.reason))
    {
        "The controller has started again; a full pass is running."
            .clone_into(&mut condition.message);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Returns what a pass said.
    fn said(reason: IntegrationReason) -> Vec<Condition> {
        let (ready, stalled) = (reason.is_ready(), reason.is_stalled());
        let wanted = [
            (conditions::Type::Ready, ready),
            (conditions::Type::Reconciling, !ready && !stalled),
            (conditions::Type::Stalled, stalled),
            (conditions::Type::ProviderConnected, true),
        ];
        let wanted = wanted.map(|(kind, status)| ConditionUpdate {
            kind,
            status,
            reason: reason.as_str(),
            message: "As it was.".to_owned(),
        });
        merge(&[], &wanted, 3, at(100))
    }

    fn wait(side: Side) -> ShownWait {
        ShownWait { side, message: "Waiting until 2026-11-30T09:00:00Z: for a reason.".to_owned() }
    }

    fn words(conditions: &[Condition]) -> Vec<(&str, &str, &str, bool)> {
        let word = |c: &'_ Condition| c.message.contains("Waiting until 2026-11-30T09:00:00Z");
        conditions.iter().map(|c| (&*c.type_, &*c.status, &*c.reason, word(c))).collect()
    }

    #[test]
    fn a_wait_shows_in_ready_and_goes_without_a_trace() {
        for reason in [
            IntegrationReason::Converged,
            IntegrationReason::Progressing,
            IntegrationReason::ProviderUnavailable,
        ] {
            let base = said(reason);
            let shown = timed(
                with_waits(base.clone(), &[wait(Side::Provider)], 3, at(200)),
                &base,
                at(200),
            );
            let told = words(&shown);
            assert_eq!(told[0], ("Ready", "False", "ProviderUnavailable", true), "{reason}");
            assert_eq!(told[1], ("Reconciling", "True", "ProviderUnavailable", true));
            assert_eq!((told[2].1, told[2].3), ("False", false));
            assert_eq!(told[3], ("ProviderConnected", "False", "ProviderUnavailable", true));
            let since = if reason.is_ready() { 200 } else { 100 };
            assert_eq!(
                shown[0].last_transition_time.0,
                at(since),
                "a time moves with the status alone"
            );
            let after = timed(with_waits(base.clone(), &[], 3, at(300)), &shown, at(300));
            assert!(conditions::same(&after, &base));
            assert_eq!(
                after[0].last_transition_time.0,
                at(if reason.is_ready() { 300 } else { 100 })
            );
        }
    }

    #[test]
    fn a_pass_that_is_under_way_is_told_with_its_numbers_where_it_is_all_that_is_told() {
        let progress = |step, done, of, eta: Option<&str>| {
            let eta = eta.map(|eta| Time(eta.parse().expect("a time")));
            Progress { step, done, of, since: Time(at(100)), eta }
        };
        let shown = |progress: &Progress| {
            with_progress(said(IntegrationReason::Progressing), Some(progress))
        };
        let words = |progress| shown(&progress)[0].message.clone();
        let writing = progress(Step::Writing, 320, Some(690), Some("2026-11-30T09:00:00Z"));
        assert_eq!(
            shown(&writing)[1].message,
            shown(&writing)[0].message,
            "Reconciling says the same"
        );
        assert_eq!(
            words(writing.clone()),
            "A full pass is running: 320 of 690 changes are made, and all of them by \
             2026-11-30T09:00:00Z at this speed."
        );
        let one = progress(Step::Reading, 1, None, None);
        assert_eq!(words(one), "A full pass is running: it has read 1 account so far.");
        let statuses = progress(Step::Recording, 0, Some(1), None);
        assert_eq!(words(statuses), "A full pass is running: 0 of 1 status is written.");
        for reason in [
            IntegrationReason::Converged,
            IntegrationReason::PlanHeld,
            IntegrationReason::SourceSuspect,
        ] {
            assert_eq!(with_progress(said(reason), Some(&writing)), said(reason), "{reason}");
        }
        assert_eq!(
            with_progress(said(IntegrationReason::Progressing), None),
            said(IntegrationReason::Progressing)
        );
    }

    #[test]
    fn what_a_person_has_to_do_is_not_hidden_by_a_wait() {
        for reason in [
            IntegrationReason::PlanHeld,
            IntegrationReason::ProviderForbidden,
            IntegrationReason::SourceSuspect,
        ] {
            let base = said(reason);
            let shown = with_waits(base.clone(), &[wait(Side::Bob)], 3, at(200));
            assert_eq!(words(&shown)[0], ("Ready", &*base[0].status, reason.as_str(), true));
            assert!(
                shown[0].message.starts_with("As it was. Waiting until"),
                "{}",
                shown[0].message
            );
            assert_eq!(words(&shown)[4], ("BobConnected", "False", "BobUnavailable", true));
        }
        let suspended = said(IntegrationReason::Suspended);
        assert_eq!(with_waits(suspended.clone(), &[wait(Side::Bob)], 3, at(200)), suspended);
    }

    #[test]
    fn evidence_that_is_not_carried_out_is_counted_beside_who_fails_and_goes_without_a_trace() {
        let failing = |message: &str| {
            let reason = if message.is_empty() {
                DetailReason::NoneFailing
            } else {
                DetailReason::SomeFailing
            };
            let wanted = ConditionUpdate {
                kind: conditions::Type::EmployeesFailing,
                status: !message.is_empty(),
                reason: reason.as_str(),
                message: message.to_owned(),
            };
            merge(&[], &[wanted], 3, at(100))
        };
        for message in ["", "2 employees fail: 2 Rejected."] {
            let base = failing(message);
            let open = |count: u32| {
                StillOpen::of((1..=count).rev().map(|id| format!("onelogin-{id}")).collect())
            };
            assert_eq!(with_open(base.clone(), &open(0), 3, at(200)), base);
            let shown =
                with_open(with_open(base.clone(), &open(3), 3, at(200)), &open(7), 3, at(200));
            assert_eq!((&*shown[0].status, &*shown[0].reason), ("True", "SomeFailing"));
            assert!(
                shown[0].message.starts_with(message)
                    && shown[0].message.ends_with(
                        ": 7 employees, onelogin-1, onelogin-2, onelogin-3 and 4 more (bobsync \
                         tries again)."
                    ),
                "{}",
                shown[0].message
            );
            assert_eq!(shown[0].message.matches("Access is still open").count(), 1);
            let one = with_open(base.clone(), &open(1), 3, at(200));
            assert!(
                one[0].message.ends_with(": 1 employee, onelogin-1 (bobsync tries again)."),
                "{}",
                one[0].message
            );
            assert!(conditions::same(&with_open(shown, &open(0), 3, at(300)), &base));
        }
    }

    #[test]
    fn a_process_does_not_repeat_what_another_one_waited_for() {
        let conditions =
            with_waits(said(IntegrationReason::Converged), &[wait(Side::Provider)], 3, at(200));
        let anew = begun_anew(&ProvisioningIntegrationStatus {
            conditions,
            ..ProvisioningIntegrationStatus::default()
        });
        assert!(words(&anew.conditions).iter().all(|(.., waits)| !waits), "{:?}", anew.conditions);
        assert_eq!(words(&anew.conditions)[0].2, "ProviderUnavailable");
    }
}
