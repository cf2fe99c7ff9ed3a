use super::*;
use crate::{api::reasons::EmployeeReason, domain::guard::HeldPlan};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A full pass that came to its end.
fn through() -> Report {
    Report {
        tally: Some(Tally { in_scope: 30, ready: 30, ..Tally::default() }),
        bob: BobFound { in_bob: Some(30), ..BobFound::default() },
        ..Report::default()
    }
}

fn stopped(reason: IntegrationReason) -> Report {
    Report::stopped(Stop::new(reason, "for a reason"))
}

fn held() -> GuardsFound {
    let (digest, because) = ("sha256:1".to_owned(), "8 suspensions planned".to_owned());
    let held = HeldPlan {
        digest,
        counts: crate::domain::plan::ChangeCounts::default(),
        because,
        only_fields: false,
        restored: false,
    };
    GuardsFound { held: Some(held), ..GuardsFound::default() }
}

/// The status of generation 9 after one that spoke of generation 8.
fn after_report(report: &Report) -> ProvisioningIntegrationStatus {
    let before = ProvisioningIntegrationStatus {
        observed_generation: Some(8),
        ..ProvisioningIntegrationStatus::default()
    };
    after(&before, report, &BTreeMap::new(), 9, at(100))
}

fn reconciling(status: &ProvisioningIntegrationStatus) -> &str {
    conditions::find(&status.conditions, "Reconciling").map_or("", |condition| &condition.status)
}

#[test]
fn the_generation_moves_after_a_pass_or_its_refusal_and_reconciling_says_the_rest() {
    for (report, reconciles) in [
        (through(), "False"),
        (Report { guards: held(), ..through() }, "True"),
        (Report { cut: Some(Cut::Deadline), ..through() }, "True"),
        (stopped(IntegrationReason::BobUnavailable), "True"),
        (stopped(IntegrationReason::TargetSuspect), "True"),
        (stopped(IntegrationReason::InvalidSettings), "False"),
    ] {
        let status = after_report(&report);
        assert_eq!(
            (status.observed_generation, reconciling(&status)),
            (Some(9), reconciles),
            "{report:?}"
        );
    }
    let cut_off = after_report(&Report { cut: Some(Cut::Halted), ..Report::default() });
    assert_eq!(cut_off.observed_generation, Some(8), "nothing was found");
    let marked = progressing(&after_report(&through()), 10, at(200));
    assert_eq!(
        (marked.observed_generation, reconciling(&marked)),
        (Some(9), "True"),
        "no pass has looked"
    );
    assert_eq!(
        unlisted(&marked, 10, String::new(), at(300)).observed_generation,
        Some(10),
        "a refusal"
    );
}

#[test]
fn a_sync_request_is_echoed_by_the_pass_that_answers_it_and_by_none_that_was_cut_off() {
    let asked = |report: Report| {
        let about = About { sync_handled: Some("now".to_owned()), ..About::default() };
        after_report(&Report { about, ..report }).last_handled_sync_at
    };
    for report in [
        through(),
        Report { guards: held(), ..through() },
        stopped(IntegrationReason::BobUnauthorized),
    ] {
        assert_eq!(asked(report.clone()).as_deref(), Some("now"), "{report:?}");
    }
    for cut in [Cut::Halted, Cut::Deadline, Cut::Unrecorded] {
        assert_eq!(asked(Report { cut: Some(cut), ..through() }), None, "{cut:?}");
        assert_eq!(asked(Report { cut: Some(cut), ..Report::default() }), None, "{cut:?}");
    }
    assert_eq!(asked(stopped(IntegrationReason::BobUnavailable)), None, "it is tried again");
}

fn unwritten(refused: bool) -> Unwritten {
    let said = ("onelogin-7".to_owned(), "exceeded quota: objects".to_owned());
    let (refusal, failure) = if refused { (Some(said), None) } else { (None, Some(said)) };
    Unwritten { people: vec![("7".into(), refused)], refused: refusal, failed: failure }
}

#[test]
fn a_status_that_is_refused_is_a_failing_employee_of_a_pass_that_is_through() {
    let tally = Tally {
        in_scope: 30,
        ready: 29,
        reasons: BTreeMap::from([(EmployeeReason::NotRecorded, 1)]),
        ..Tally::default()
    };
    let status =
        after_report(&Report { tally: Some(tally), unwritten: unwritten(true), ..through() });
    assert!(status.first_pass_at.is_some());
    let of = |kind| {
        conditions::find(&status.conditions, kind)
            .map(|condition| (&*condition.reason, &*condition.message))
    };
    assert_eq!(
        of("Ready"),
        Some(("Converged", "29 of 30 employees in scope are in sync, 1 fails."))
    );
    let message = "1 employee fails: 1 NotRecorded. The EmployeeSync onelogin-7 cannot be written: \
        exceeded quota: objects. Change what that answer names (a quota, a policy, a webhook or a \
        right); bobsync writes it again by itself.";
    assert_eq!(of("EmployeesFailing"), Some(("SomeFailing", message)));
}

#[test]
fn a_plan_that_was_carried_out_ends_the_first_pass_even_if_a_status_is_still_to_be_written() {
    let status = after_report(&Report { unwritten: unwritten(false), ..through() });
    assert!(status.first_pass_at.is_some(), "budgets hold from now on");
    let ready = conditions::find(&status.conditions, "Ready").expect("Ready");
    let message = "The EmployeeSync onelogin-7 could not be written: exceeded quota: objects; it \
        is tried again.";
    assert_eq!((&*ready.reason, &*ready.message), ("Progressing", message));
    for report in [
        Report { cut: Some(Cut::Deadline), ..through() },
        stopped(IntegrationReason::BobUnavailable),
    ] {
        assert!(after_report(&report).first_pass_at.is_none(), "{report:?}");
    }
}
