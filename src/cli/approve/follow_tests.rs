use serde_json::{Value, json};

use super::*;

fn integration(approved_plan: &str, ready: Value, over: Value) -> ProvisioningIntegration {
    let mut condition = json!({"type": "Ready", "status": "False", "message": "why",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let held = json!({"type": "PlanHeld", "status": "True", "reason": "BudgetExceeded",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    for (key, value) in ready.as_object().cloned().unwrap_or_default() {
        condition[key] = value;
    }
    let mut status = json!({"conditions": [condition, held], "plan": plan("a")});
    for (key, value) in over.as_object().cloned().unwrap_or_default() {
        status[key] = value;
    }
    let spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}},
        "provider": {"oneLogin": {"credentialsSecretRef": {"name": "o"}}},
        "approvedPlan": approved_plan});
    let metadata = json!({"name": "onelogin", "generation": 2, "uid": "u"});
    let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration",
        "metadata": metadata, "spec": spec, "status": status});
    serde_json::from_value(object).expect("an integration")
}

fn plan(digest: &str) -> Value {
    json!({"digest": digest, "creates": 0, "reactivations": 0, "updates": 0, "disables": 8,
        "heldBecause": "8 suspensions planned"})
}

fn at(generation: i64, reason: &str) -> Value {
    json!({"observedGeneration": generation, "reason": reason})
}

#[test]
fn an_approved_plan_is_followed_until_it_is_released_or_cannot_be() {
    let held = PlanOnHold::of(&integration("", at(2, "PlanHeld"), json!({})), None).unwrap();
    let stage = |object: &ProvisioningIntegration| stage(object, &held, 2);
    let over = |object: &ProvisioningIntegration| match stage(object) {
        FollowStage::Over(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(stage(&integration("a", at(1, "PlanHeld"), json!({}))), FollowStage::Waiting(None));
    assert_eq!(
        stage(&integration("a", at(2, "Progressing"), json!({}))),
        FollowStage::Waiting(None)
    );
    let troubled = stage(&integration("a", at(2, "BobUnavailable"), json!({})));
    assert_eq!(troubled, FollowStage::Waiting(Some("BobUnavailable: why".to_owned())));
    assert!(
        over(&integration("a", at(2, "PlanHeld"), json!({"plan": plan("b")})))
            .contains("approve b")
    );
    assert!(
        over(&integration("a", at(2, "Converged"), json!({"plan": null})))
            .contains("nothing is held any more")
    );
    assert!(
        over(&integration("b", at(2, "PlanHeld"), json!({})))
            .contains("was changed in the meantime")
    );
    let approved = |digest: &str| {
        json!({"plan": null,
        "approved": {"digest": digest, "by": "jane", "at": "2026-01-01T00:00:00Z"}})
    };
    assert!(matches!(stage(&integration("a", at(2, "Progressing"), approved("a"))),
            FollowStage::GoesOut(by, None) if by.by.as_deref() == Some("jane")));
    assert!(
        over(&integration("a", at(2, "Converged"), approved("z"))).contains("nothing was released")
    );
    let mut anew = integration("a", at(2, "PlanHeld"), json!({}));
    anew.metadata.uid = Some("v".to_owned());
    assert!(over(&anew).contains("created again"));
}

fn pass(finished_at: &str, disabled: u32) -> Value {
    json!({"finishedAt": finished_at, "created": 0, "updated": 0, "reactivated": 0,
        "disabled": disabled, "unchanged": 9, "failed": 0, "duration": "1.0s"})
}

#[test]
fn what_is_told_is_what_the_passes_after_the_release_did() {
    let earlier = pass("2026-01-01T00:00:05Z", 1);
    let held = integration("", at(2, "PlanHeld"), json!({"lastPass": earlier}));
    let held = PlanOnHold::of(&held, None).unwrap();
    let approved = json!({"digest": "a", "by": "jane", "at": "2026-01-01T00:00:05Z"});
    let mut passes = Vec::new();
    let mut look = |reason: &str, last: &Value, approved: &Value| {
        let mut ready = at(2, reason);
        ready["status"] = if reason == "Converged" { "True" } else { "False" }.into();
        let plan = if reason == "PlanHeld" { plan("b") } else { Value::Null };
        let over = json!({"plan": plan, "approved": approved, "lastPass": last});
        let now = integration("a", ready, over);
        see_pass(&mut passes, &held, &now);
        (stage(&now, &held, 2), outcome(&passes))
    };
    let done = |(stage, _): &(FollowStage, String)| matches!(stage, FollowStage::Done(_));
    // The release is recorded before any change goes out: the last pass is still the one before.
    let released = look("Progressing", &earlier, &approved);
    assert!(!done(&released) && released.1 == "no account had to be changed", "{released:?}");
    // A pass was cut off, and the next one goes on.
    let cut = look("Progressing", &pass("2026-01-01T00:10:00Z", 5), &approved);
    assert!(!done(&cut), "{cut:?}");
    let troubled = look("BobUnavailable", &pass("2026-01-01T00:10:00Z", 5), &approved);
    assert!(
        matches!(&troubled.0, FollowStage::GoesOut(_, Some(why)) if why == "BobUnavailable: why"),
        "{troubled:?}"
    );
    let through = look("Converged", &pass("2026-01-01T00:11:00Z", 3), &approved);
    assert!(done(&through), "{through:?}");
    assert_eq!(
        through.1,
        "suspended 8, reactivated 0, updated 0 and created 0 accounts; 0 changes failed"
    );
    // What a guard holds next does not belong to this plan.
    assert!(done(&look("PlanHeld", &pass("2026-01-01T00:11:00Z", 3), &approved)));
    // Employees leave management until the last of them has left.
    let mut leaving = approved.clone();
    leaving["leaving"] = true.into();
    assert!(!done(&look("PlanHeld", &pass("2026-01-01T00:11:00Z", 3), &leaving)));
}
