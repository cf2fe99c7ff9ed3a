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
    let held = Held::of(&integration("", at(2, "PlanHeld"), json!({})), None).unwrap();
    let stage = |object: &ProvisioningIntegration| stage(object, &held, 2);
    let over = |object: &ProvisioningIntegration| match stage(object) {
        Stage::Over(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(stage(&integration("a", at(1, "PlanHeld"), json!({}))), Stage::Waiting(None));
    assert_eq!(stage(&integration("a", at(2, "Progressing"), json!({}))), Stage::Waiting(None));
    let troubled = stage(&integration("a", at(2, "BobUnavailable"), json!({})));
    assert_eq!(troubled, Stage::Waiting(Some("BobUnavailable: why".to_owned())));
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
            Stage::Released(by, _) if by.by.as_deref() == Some("jane")));
    assert!(
        over(&integration("a", at(2, "Converged"), approved("z"))).contains("nothing was released")
    );
    let mut anew = integration("a", at(2, "PlanHeld"), json!({}));
    anew.metadata.uid = Some("v".to_owned());
    assert!(over(&anew).contains("created again"));
}
