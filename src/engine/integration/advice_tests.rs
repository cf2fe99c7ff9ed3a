//! What the conditions of an integration say that helps. An event repeats the message of a
//! condition, so nothing else can contradict it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::connection::held_by;
use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, Type},
        key::IntegrationKey,
        reasons::{EmployeeReason, IntegrationReason},
    },
    bob,
    cluster::{
        roster::{Counts, Standing},
        secrets::SecretError,
    },
    domain::{calendar::Gaps, guard::HeldPlan},
    engine::{
        pass::{
            guard::missing_accounts,
            observe::full::{lost_statuses, short_answer},
            record::{Tally, Unwritten},
            report::{
                About, BobFound, GuardsFound, ProviderFound, Reckoned, Report, after, unlisted,
                with_counts,
            },
        },
        settings::endpoints::AllowedEndpoints,
        stop::{Stop, bob_stop, provider_stop, refusals_stop, secret_stop},
    },
    provider::Error,
    telemetry::{health::Health, metrics::Metrics, parts::Parts},
};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn key(name: &str) -> IntegrationKey {
    IntegrationKey { namespace: "people".into(), name: name.into() }
}

fn through() -> Report {
    let bob = BobFound { in_bob: Some(7), ..BobFound::default() };
    Report { tally: Some(Tally::default()), bob, ..Report::default() }
}

fn status(report: &Report) -> ProvisioningIntegrationStatus {
    after(&ProvisioningIntegrationStatus::default(), report, &BTreeMap::new(), 1, NOW)
}

fn message(status: &ProvisioningIntegrationStatus, kind: Type) -> (String, String) {
    let condition = conditions::find(&status.conditions, kind).expect("the condition");
    (condition.reason.clone(), condition.message.clone())
}

fn stopped(stop: Stop) -> ProvisioningIntegrationStatus {
    status(&Report::stopped(stop))
}

/// Returns the status if all employees fail for this cause.
fn failing(
    cause: EmployeeReason,
    taken_by: Option<IntegrationKey>,
) -> ProvisioningIntegrationStatus {
    let counts = Some(Counts::default().and(Standing::Unready(cause), 7));
    let reckoned = Reckoned { counts, taken_by, ..Reckoned::default() };
    with_counts(&status(&through()), &reckoned, 1, NOW)
}

/// Every way in which an integration is not ready, and what its message says that helps.
fn cases() -> Vec<(ProvisioningIntegrationStatus, &'static str)> {
    let said = || "no".to_owned();
    let (secret, of) = (|| "bob".to_owned(), || "serviceUserToken".to_owned());
    let secret_error = |error| stopped(secret_stop(&error));
    let not_allowed = |scheme: &str, host: &str| {
        let endpoint =
            if scheme == "bob" { scheme.to_owned() } else { format!("{scheme}//{host}") };
        let refused = AllowedEndpoints::default().accept("spec.bob.endpoint", &endpoint);
        stopped(refused.expect_err("refused"))
    };
    let suspect = |reason, message| stopped(Stop::new(reason, message));
    let (source, target) = (IntegrationReason::SourceSuspect, IntegrationReason::TargetSuspect);
    let parts = Parts::new(Health::new(), Arc::new(Metrics::new()));
    parts.listed(Some("people"), "EmployeeSync", Some("Forbidden (403)"));
    let (_, cannot_list) = parts.said(&key("onelogin")).expect("said");
    let held = HeldPlan {
        digest: "sha256:1".to_owned(),
        counts: crate::domain::plan::ChangeCounts::default(),
        because: "8 suspensions planned".to_owned(),
        only_fields: false,
        restored: false,
    };
    let unauthorized = Error::Unauthorized { said: said() };
    let rejected = Error::Rejected { field: Some("title".to_owned()), said: said() };
    vec![
        (
            secret_error(SecretError::NotFound { secret: secret() }),
            "Secret bob does not exist in this namespace: create it",
        ),
        (
            secret_error(SecretError::KeyMissing { secret: secret(), key: of() }),
            "has no key serviceUserToken: add it",
        ),
        (secret_error(SecretError::KeyEmpty { secret: secret(), key: of() }), "give it a value"),
        (
            secret_error(SecretError::KeyNotText { secret: secret(), key: of() }),
            "replace its value",
        ),
        (secret_error(SecretError::Forbidden { secret: secret() }), "give it the verb get"),
        (
            stopped(held_by(bob_stop(bob::Error::Unauthorized), "bob", [of()].iter())),
            "Correct it in the Secret bob, key serviceUserToken.",
        ),
        (
            stopped(bob_stop(bob::Error::Forbidden { said: said() })),
            "Let the permission group of the service user view the employees",
        ),
        (
            stopped(held_by(
                provider_stop(&unauthorized),
                "onelogin",
                ["clientId", "clientSecret"].iter(),
            )),
            "Correct it in the Secret onelogin, keys clientId, clientSecret.",
        ),
        // The provider's own table of refusals names the right.
        (
            stopped(provider_stop(&Error::Denied { said: "it needs the scope X".to_owned() })),
            "it needs the scope X",
        ),
        (failing(EmployeeReason::Forbidden, None), "shows what helps in each case"),
        (failing(EmployeeReason::Conflict, None), "shows what helps in each case"),
        (failing(EmployeeReason::Conflict, Some(key("older"))), "give them different scopes"),
        (failing(EmployeeReason::Retrying, None), "bobsync tries again by itself"),
        (
            stopped(refusals_stop(&rejected)),
            "Correct the mapping, the values in Bob, or what the provider refuses",
        ),
        (not_allowed("https:", "127.0.0.1:1"), "ask its operator to allow it"),
        (not_allowed("bob", ""), "write one such as"),
        (not_allowed("http:", "10.0.0.1"), "write https"),
        (not_allowed("https:", "me@127.0.0.1:1"), "write scheme, host, port and a path"),
        (suspect(source, short_answer(2, 900)), "Check which employees the service user may see"),
        (
            suspect(source, lost_statuses(&["Terminated".to_owned()])),
            "Let the group see every lifecycle status",
        ),
        (
            suspect(target, missing_accounts(3, 40, 41)),
            "Check which accounts the credential may see",
        ),
        (
            unlisted(&ProvisioningIntegrationStatus::default(), 1, cannot_list, NOW),
            "give it the right",
        ),
        (
            status(&Report {
                guards: GuardsFound { held: Some(held), ..GuardsFound::default() },
                ..through()
            }),
            "until spec.approvedPlan is sha256:1, or the cause is gone",
        ),
    ]
}

#[test]
fn the_message_of_every_reason_that_is_not_ready_says_what_helps_in_this_case() {
    let mut reasons: Vec<String> = Vec::new();
    for (status, helps) in cases() {
        let (reason, said) = message(&status, Type::Ready);
        assert!(said.contains(helps), "{reason}: {said}");
        reasons.push(reason);
    }
    // These three end by themselves, and the message says when bobsync tries again.
    let again = |reason: IntegrationReason| {
        matches!(
            reason,
            IntegrationReason::Progressing
                | IntegrationReason::ClusterUnavailable
                | IntegrationReason::BobUnavailable
        )
    };
    for reason in IntegrationReason::ALL.iter().filter(|reason| !reason.is_ready()) {
        let is_told = reasons.iter().any(|told| told == reason.as_str());
        assert!(is_told != again(*reason), "{reason}");
    }
}

#[test]
fn every_other_condition_that_warns_says_what_helps() {
    let report = |report: Report| status(&report);
    let zone = "UTC".into();
    let gaps =
        Gaps { unlisted: vec![("Paris".into(), 2)], unused: vec![("Pariss".into(), None)], zone };
    let refused = || vec![("7".into(), true)];
    let unwritten = Unwritten {
        people: refused(),
        refused: Some(("onelogin-7".to_owned(), "exceeded quota: objects".to_owned())),
        failed: None,
    };
    let tally = |reason| Tally { reasons: BTreeMap::from([(reason, 1)]), ..Tally::default() };
    let bob = |bob: BobFound| report(Report { bob, ..through() });
    let unavailable_targets = vec!["custom_attributes.x".to_owned()];
    let provider = ProviderFound { unavailable_targets, ..ProviderFound::default() };
    let webhooks = Some(Err("Secret bob has no key x: add it".to_owned()));
    let about = About { webhooks, ..About::default() };
    for (kind, status, helps) in [
        (
            Type::MappingComplete,
            report(Report { provider, ..through() }),
            "Define what is missing there, or remove its mapping row",
        ),
        (
            Type::MappingComplete,
            bob(BobFound { unseen_fields: vec!["work.title".to_owned()], ..BobFound::default() }),
            "Let the service user view it",
        ),
        (Type::WebhooksAccepted, report(Report { about, ..through() }), "add it"),
        (
            Type::TimeZonesComplete,
            bob(BobFound { zones: Some(gaps), ..BobFound::default() }),
            "List every site there as Bob writes it",
        ),
        (
            Type::EmployeesFailing,
            report(Report { tally: Some(tally(EmployeeReason::Conflict)), ..through() }),
            "`kubectl get esync -o wide` shows what helps each of them",
        ),
        (
            Type::EmployeesFailing,
            report(Report {
                tally: Some(tally(EmployeeReason::NotRecorded)),
                unwritten,
                ..through()
            }),
            "exceeded quota: objects. Change what that answer names",
        ),
    ] {
        let (reason, said) = message(&status, kind);
        assert!(said.contains(helps), "{reason}: {said}");
    }
}
