use serde_json::{Value, json};

use super::*;

fn digest(word: char) -> String {
    format!("sha256:{}", word.to_string().repeat(64))
}

/// Returns an integration of generation 3 that holds the plan `a`, with `over` merged over its
/// status.
fn integration(spec: Value, over: Value) -> ProvisioningIntegration {
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "",
            "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let mut object = json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration",
        "metadata": {"name": "onelogin", "namespace": "people", "generation": 3, "uid": "u"},
        "spec": {"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}},
        "provider": {"oneLogin": {"credentialsSecretRef": {"name": "o"}}}},
        "status": {
            "observedGeneration": 2,
            "conditions": [condition("Ready", "False", "PlanHeld"),
            condition("PlanHeld", "True", "BudgetExceeded")],
            "plan": {"digest": digest('a'), "creates": 0, "reactivations": 0, "updates": 0,
            "disables": 8, "heldBecause": "8 suspensions planned"},
        },
    });
    for (part, from) in [("spec", spec), ("status", over)] {
        for (key, value) in from.as_object().cloned().unwrap_or_default() {
            object[part][key] = value;
        }
    }
    serde_json::from_value(object).expect("an integration")
}

#[test]
fn a_held_plan_is_shown_and_people_are_named_up_to_a_bound() {
    let held = PlanOnHold::of(&integration(json!({}), json!({})), None).unwrap();
    assert_eq!(
        (held.digest.as_str(), held.guard.as_str(), held.uid.as_str()),
        (digest('a').as_str(), "BudgetExceeded", "u")
    );
    let status = |reason: &str| -> EmployeeSyncStatus {
        let ready = json!({"type": "Ready", "status": "False", "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({"username": "noa.lind@example.com", "conditions": [ready]}))
            .unwrap()
    };
    let mut people = WaitingEmployees::default();
    for number in 0..25 {
        people.see(
            &format!("onelogin-{number}"),
            Some(&status(if number < 22 { "Held" } else { "Frozen" })),
        );
    }
    people.see("onelogin-99", Some(&status("InSync")));
    people.see("onelogin-98", None);
    assert_eq!((people.held, people.frozen), (22, 3));
    let text = held.describe(&"people/onelogin", Some(&people));
    for part in [
        "people/onelogin",
        "8 suspensions planned",
        "8  accounts to suspend",
        "22  EmployeeSyncs are Held, 3 Frozen",
        "onelogin-19",
        "and 5 more: kubectl get esync -n people --field-selector \
         spec.integrationRef.name=onelogin,status.reason=Held",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    for part in ["onelogin-20", "onelogin-99", "example.com", "to create"] {
        assert!(!text.contains(part), "{part} is in {text}");
    }
    assert!(held.describe(&"people/onelogin", None).contains("may not list"));
}

#[test]
fn employees_who_would_leave_management_are_named_and_the_rest_can_be_seen() {
    let of = |count: u32, named: u32| {
        let ids: Vec<String> = (0..named).map(|id| id.to_string()).collect();
        let plan = json!({"digest": digest('a'), "creates": 0, "reactivations": 0, "updates": 0,
            "disables": 0, "leaving": count, "leavingEmployees": ids,
            "heldBecause": "ScopeShrink"});
        let held = PlanOnHold::of(&integration(json!({}), json!({"plan": plan})), None).unwrap();
        held.describe(&"people/onelogin", Some(&WaitingEmployees::default()))
    };
    let few = of(20, 20);
    assert!(few.contains("onelogin-0\n") && few.contains("onelogin-19\n"), "{few}");
    assert!(!few.contains("more"), "{few}");
    for many in [of(1_200, 1_000), of(1_200, 0)] {
        assert!(
            many.contains(
                " more: kubectl get pi onelogin -n people -o \
                 jsonpath='{.status.plan.leavingEmployees}'"
            ),
            "{many}"
        );
    }
    assert!(of(1_200, 1_000).contains("and 1180 more"), "{}", of(1_200, 1_000));
}

#[test]
fn what_cannot_be_approved_says_why() {
    let ready = |reason: &str, generation: i64| {
        json!({"type": "Ready", "status": "False",
        "reason": reason, "message": "", "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let held = json!({"type": "PlanHeld", "status": "True", "reason": "BudgetExceeded",
        "message": "", "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let with = |ready: Value| json!({"conditions": [ready, held]});
    let refused = |spec: Value, status: Value, asked: Option<&str>| {
        PlanOnHold::of(&integration(spec, status), asked).unwrap_err()
    };

    assert!(refused(json!({}), json!({"plan": null}), None).contains("nothing is held"));
    let dry = json!({"digest": digest('a'), "creates": 1, "reactivations": 0, "updates": 0,
        "disables": 0});
    assert!(
        refused(json!({}), json!({"plan": dry}), None).contains("nothing is held"),
        "a dry run holds nothing"
    );
    assert!(
        refused(json!({}), json!({"conditions": [ready("Converged", 3)]}), None)
            .contains("nothing is held")
    );
    assert!(refused(json!({"suspend": true}), json!({}), None).contains("suspended"));
    assert!(
        refused(json!({}), with(ready("PlanHeld", 2)), None)
            .contains("not read the newest settings")
    );
    assert!(
        refused(json!({}), json!({"conditions": []}), None)
            .contains("not read the newest settings")
    );
    let message = refused(json!({}), json!({}), Some(&digest('b')));
    assert!(message.contains(&digest('a')) && message.contains(&digest('b')), "{message}");

    // This is a pass over newer settings, and the plan shown belongs to the older ones. A long
    // backlog is not such a pass, and a digest names its plan.
    assert!(
        refused(json!({}), with(ready("Progressing", 3)), None).contains("try again in a moment")
    );
    assert!(
        PlanOnHold::of(&integration(json!({}), with(ready("Progressing", 3))), Some(&digest('a')))
            .is_ok()
    );
    let mut backlog = with(ready("Progressing", 3));
    backlog["observedGeneration"] = 3.into();
    assert!(PlanOnHold::of(&integration(json!({}), backlog), None).is_ok());
}

#[test]
fn a_plan_that_changed_meanwhile_is_noticed() {
    let held = PlanOnHold::of(&integration(json!({}), json!({})), None).unwrap();
    assert!(held.still_held_in(&integration(json!({}), json!({}))).is_ok());
    let other = json!({"digest": digest('b'), "creates": 0, "reactivations": 0, "updates": 0,
        "disables": 9, "heldBecause": "more"});
    assert!(
        held.still_held_in(&integration(json!({}), json!({"plan": other})))
            .unwrap_err()
            .contains(&digest('b'))
    );
    assert!(
        held.still_held_in(&integration(json!({}), json!({"plan": null})))
            .unwrap_err()
            .contains("nothing is held any more")
    );
    // The controller was faster than the answer.
    let approved = json!({"digest": digest('a'), "by": "jane", "at": "2026-01-01T00:00:00Z"});
    assert!(
        held.still_held_in(&integration(json!({}), json!({"plan": null, "approved": approved})))
            .is_ok()
    );
    // An older release of the same plan is not this one.
    let before =
        PlanOnHold::of(&integration(json!({}), json!({"approved": approved})), None).unwrap();
    assert!(
        before
            .still_held_in(&integration(json!({}), json!({"plan": null, "approved": approved})))
            .is_err()
    );
}

#[test]
fn a_field_manager_names_its_user_and_no_other() {
    assert_eq!(field_manager("jane@example.com"), "bobsync-approve:jane@example.com");
    assert_eq!(field_manager("Øyvind Ås"), "bobsync-approve:Øyvind Ås");
    let long = |end: &str| field_manager(&format!("{}{end}", "system:serviceaccount:ø".repeat(10)));
    assert_ne!(long("a"), long("b"));
    assert_ne!(field_manager("jane\u{7}"), field_manager("jane\u{8}"));
    for user in ["", "jane\n", &"é".repeat(300), &"x".repeat(112), &"x".repeat(113)] {
        let manager = field_manager(user);
        assert!(
            manager.len() <= 128
                && manager.starts_with("bobsync-approve:")
                && !manager.contains(char::is_control),
            "{manager}"
        );
    }
}
