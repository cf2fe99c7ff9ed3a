use super::*;
use crate::provider::{
    entra::{Cloud, Mark},
    fixtures::{self, write},
};

fn tenant() -> Tenant {
    Tenant {
        base: Cloud::GLOBAL.graph.to_owned(),
        tokens: Cloud::GLOBAL.login.to_owned(),
        id: "example.com".to_owned(),
        cloud: Cloud::GLOBAL,
        usage_location: Some("GB".to_owned()),
        mark: Mark::EmployeeId,
    }
}

fn mapping(targets: &[&str]) -> Mapping {
    fixtures::mapping(targets, 0)
}

#[test]
fn every_target_is_written_as_graph_keeps_it() {
    let mapping = mapping(&[
        "jobTitle",
        "businessPhones",
        "employeeHireDate",
        "onPremisesExtensionAttributes.extensionAttribute1",
        "onPremisesExtensionAttributes.extensionAttribute2",
        "manager",
    ]);
    let set =
        write(&[Some("Lead"), Some("+44 1"), Some("2026-11-24"), Some("a"), Some("b"), Some("7")]);
    let numbered = json!({"extensionAttribute1": "a", "extensionAttribute2": "b"});
    let changed = parts(&tenant(), Of::change(&mapping, &set, "7")).unwrap();
    let expected = json!({
        "jobTitle": "Lead", "businessPhones": ["+44 1"],
        "employeeHireDate": "2026-11-24T00:00:00Z", NUMBERED: numbered,
    });
    assert_eq!(
        (Value::Object(changed.members), changed.manager, changed.ends),
        (expected, Some(ManagerReference::To("7")), false)
    );
    let new = parts(&tenant(), Of::new(&mapping, &set)).unwrap();
    assert!(!new.members.contains_key(NUMBERED), "a new user is not made with them");
    assert_eq!(Value::Object(new.later), json!({NUMBERED: numbered}));

    let clear = write(&[None; 6]);
    let cleared = parts(&tenant(), Of::change(&mapping, &clear, "7")).unwrap();
    let nothing = json!({"extensionAttribute1": null, "extensionAttribute2": null});
    let expected = json!({"jobTitle": null, "businessPhones": [], "employeeHireDate": null,
        NUMBERED: nothing});
    assert_eq!(
        (Value::Object(cleared.members), cleared.manager),
        (expected, Some(ManagerReference::Gone))
    );
    assert!(
        parts(&tenant(), Of::new(&mapping, &write(&[None; 6]))).is_err(),
        "a new account has nothing to clear"
    );
}

#[test]
fn what_lasts_is_not_emptied_and_holds_nothing_up() {
    let mapping = mapping(&["usageLocation", "jobTitle"]);
    let both = write(&[None, Some("Lead")]);
    let both = parts(&tenant(), Of::change(&mapping, &both, "7")).unwrap();
    assert_eq!(Value::Object(both.members), json!({"jobTitle": "Lead"}));
    match parts(&tenant(), Of::change(&mapping, &write(&[None]), "7")) {
        Err(Error::Rejected { field, .. }) => assert_eq!(field.as_deref(), Some("usageLocation")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_user_has_what_graph_asks_for() {
    let complete = |name: &str, more: Value| {
        let mut members = more.as_object().cloned().unwrap();
        members.insert("userPrincipalName".to_owned(), json!(name));
        super::complete(&tenant(), &mut members, "Correct-Horse-7", false)
            .map(|()| Value::Object(members))
    };
    let made = complete("noa.o'lind@example.com", json!({"accountEnabled": false})).unwrap();
    assert_eq!(
        (&made["mailNickname"], &made["usageLocation"]),
        (&json!("noa.o'lind"), &json!("GB"))
    );
    assert_eq!(
        made["passwordProfile"],
        json!({"password": "Correct-Horse-7", "forceChangePasswordNextSignIn": false})
    );
    assert_eq!(made["accountEnabled"], false);
    let own =
        complete("noa@example.com", json!({"mailNickname": "nl", "usageLocation": "DE"})).unwrap();
    assert_eq!((&own["mailNickname"], &own["usageLocation"]), (&json!("nl"), &json!("DE")));
    let long = format!("{}@example.com", "x".repeat(80));
    assert_eq!(
        complete(&long, json!({})).unwrap()["mailNickname"].as_str().map(str::len),
        Some(64)
    );
    assert_eq!(complete("n(o)a é@example.com", json!({})).unwrap()["mailNickname"], "noa");
    assert!(complete("é@example.com", json!({})).is_err());
}

#[test]
fn an_id_that_does_not_fit_is_refused_before_anything_is_sent() {
    let marked = AccountWrite { mark: Some("not-a-number".into()), ..AccountWrite::default() };
    match parts(&tenant(), Of::change(&mapping(&["jobTitle"]), &marked, "7")) {
        Err(Error::Rejected { said, .. }) => {
            assert!(said.contains("markAttribute") && !said.contains("not-a-number"), "{said}")
        }
        other => panic!("{other:?}"),
    }
}
