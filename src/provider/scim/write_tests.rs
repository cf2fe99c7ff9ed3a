use serde_json::json;

use super::{super::catalog::ENTERPRISE, *};
use crate::provider::fixtures;

const BADGE: &str = "urn:x:User:badge";

fn with<T>(targets: &[&str], use_it: impl FnOnce(Writing<'_>) -> T) -> T {
    let (mapping, hints) = (fixtures::mapping(targets, 0), Hints::default());
    use_it(Writing { mapping: &mapping, mark: MarkPlace::ExternalId, hints: &hints })
}

fn write(values: &[Option<&str>], foreign: &Value) -> AccountWrite {
    AccountWrite { foreign: Some(foreign.to_string().into()), ..fixtures::write(values) }
}

/// Returns the operations of a PATCH.
fn operations(targets: &[&str], values: &[Option<&str>], foreign: &Value) -> Value {
    let mut body = with(targets, |form| form.patch(&write(values, foreign))).unwrap();
    assert_eq!(body["schemas"], json!([PATCH_OP]));
    body.remove("Operations").unwrap()
}

/// Returns the body of a PUT.
fn replaced(targets: &[&str], values: &[Option<&str>], user: &Value) -> Value {
    let user = user.as_object().unwrap();
    with(targets, |form| form.whole(&fixtures::write(values), user)).unwrap().into()
}

#[test]
fn a_new_user_names_every_schema_that_it_uses_and_one_value_of_each_attribute_is_primary() {
    let targets = [
        "userName",
        "emails.work",
        "emails.home",
        "phoneNumbers.mobile",
        "name.givenName",
        "enterprise.manager",
        "enterprise.department",
        BADGE,
        "addresses.work.locality",
        "addresses.work.country",
        "title",
    ];
    let values = [
        Some("noa@x"),
        Some("noa@x"),
        Some("noa@y"),
        Some("+44"),
        Some("Noa"),
        Some("7"),
        Some("Ops"),
        Some("A-7"),
        Some("Paris"),
        Some("FR"),
        None,
    ];
    let mut write = fixtures::write(&values);
    write.mark = Some("4711".into());
    let body = with(&targets, |form| form.user(&write, Some(&Secret::new("p-1")))).unwrap();
    assert_eq!(
        Value::Object(body),
        json!({
            "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                "urn:x:User"],
            "userName": "noa@x", "externalId": "4711", "active": true, "password": "p-1",
            "name": {"givenName": "Noa"},
            "emails": [{"type": "work", "value": "noa@x", "primary": true},
                {"type": "home", "value": "noa@y"}],
            "phoneNumbers": [{"type": "mobile", "value": "+44", "primary": true}],
            "addresses": [{"type": "work", "locality": "Paris", "country": "FR", "primary": true}],
            ENTERPRISE: {"manager": {"value": "7"}, "department": "Ops"},
            "urn:x:User": {"badge": "A-7"},
        })
    );
    write.access = Some(Access::Suspended);
    let body = with(&targets, |form| form.user(&write, None)).unwrap();
    assert_eq!((&body["active"], body.get("password")), (&json!(false), None));
}

#[test]
fn a_patch_has_one_operation_for_each_path() {
    let targets = ["title", "name.givenName", "enterprise.department", "enterprise.manager", BADGE];
    let urn = ENTERPRISE;
    assert_eq!(
        operations(&targets, &[Some("T"), Some("N"), Some("D"), Some("7"), Some("B")], &json!({})),
        json!([
            {"op": "replace", "path": "title", "value": "T"},
            {"op": "replace", "path": "name.givenName", "value": "N"},
            {"op": "replace", "path": format!("{urn}:department"), "value": "D"},
            {"op": "replace", "path": format!("{urn}:manager"), "value": {"value": "7"}},
            {"op": "replace", "path": BADGE, "value": "B"},
        ])
    );
    assert_eq!(
        operations(&targets, &[None, None, None, None, None], &json!({})),
        json!([
            {"op": "remove", "path": "title"},
            {"op": "remove", "path": "name.givenName"},
            {"op": "remove", "path": format!("{urn}:department")},
            {"op": "remove", "path": format!("{urn}:manager")},
            {"op": "remove", "path": BADGE},
        ])
    );
    let access = AccountWrite {
        access: Some(Access::Suspended),
        mark: Some("4711".into()),
        ..AccountWrite::default()
    };
    let body = with(&[], |form| form.patch(&access)).unwrap();
    assert_eq!(
        body["Operations"],
        json!([{"op": "replace", "path": "externalId", "value": "4711"},
            {"op": "replace", "path": "active", "value": false}])
    );
    assert!(with(&[], |form| form.patch(&AccountWrite::default())).is_err());
}

#[test]
fn a_value_of_an_attribute_with_several_is_addressed_by_its_type_or_added_whole() {
    let targets = ["emails.work", "emails.home"];
    let had = json!({"emails": [{"type": "work", "value": "a@x"}, {"value": "b@x"}]});
    assert_eq!(
        operations(&targets, &[Some("c@x"), Some("d@x")], &had),
        json!([
            {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "c@x"},
            {"op": "add", "path": "emails", "value":
                [{"type": "home", "value": "d@x", "primary": true}]},
        ])
    );
    let had = json!({"emails": [{"type": "other", "value": "a@x", "primary": true}]});
    assert_eq!(
        operations(&targets, &[Some("c@x"), Some("d@x")], &had),
        json!([{"op": "add", "path": "emails", "value":
            [{"type": "work", "value": "c@x"}, {"type": "home", "value": "d@x"}]}]),
        "another value is the primary one"
    );
    let two =
        json!({"emails": [{"type": "work", "value": "a\"@x"}, {"type": "work", "value": "b"}]});
    assert_eq!(
        operations(&targets[..1], &[Some("c@x")], &two),
        json!([{"op": "replace",
            "path": "emails[type eq \"work\" and value eq \"a\\\"@x\"].value", "value": "c@x"}]),
        "the second value of the type stays"
    );
    assert_eq!(
        operations(
            &targets,
            &[None, Some("d@x")],
            &json!({"emails":
            [{"type": "work", "value": "a@x", "primary": true}]})
        ),
        json!([{"op": "remove", "path": "emails[type eq \"work\"]"},
            {"op": "add", "path": "emails",
                "value": [{"type": "home", "value": "d@x", "primary": true}]}])
    );
}

#[test]
fn an_address_goes_with_its_last_part() {
    let targets = ["addresses.work.locality", "addresses.work.country", "addresses.home.country"];
    let had = json!({"addresses": [{"type": "work", "primary": true, "locality": "P",
        "country": "FR"}, {"type": "home", "country": "FR", "region": "R"}]});
    assert_eq!(
        operations(&targets, &[None, None, None], &had),
        json!([
            {"op": "remove", "path": "addresses[type eq \"work\"].locality"},
            {"op": "remove", "path": "addresses[type eq \"work\"]"},
            {"op": "remove", "path": "addresses[type eq \"home\"].country"},
        ])
    );
    assert_eq!(
        operations(&targets, &[Some("P"), Some("FR"), None], &json!({})),
        json!([{"op": "add", "path": "addresses", "value":
            [{"type": "work", "locality": "P", "country": "FR", "primary": true}]}])
    );
}

#[test]
fn a_put_keeps_what_is_not_ours_and_leaves_out_what_is_cleared() {
    let user = json!({
        "schemas": [USER], "id": "7", "meta": {"version": "1"}, "groups": [{"value": "g"}],
        "userName": "noa@x", "externalId": "4711", "active": "False", "title": "Boss",
        "name": {"givenName": "Noa", "middleName": "M"},
        "emails": [{"type": "work", "value": "a@x"}, {"type": "home", "value": "h@x"}],
        "phoneNumbers": [{"type": "work", "value": "1"}],
        "urn:x:User": {"badge": "A", "shoe": 46},
        ENTERPRISE: {"manager": {"value": "1", "$ref": "../1", "displayName": "Kim"}},
        "urn:other:User": {"their": "own"},
    });
    let targets = [
        "title",
        "name.givenName",
        "emails.work",
        "emails.other",
        "phoneNumbers.work",
        "enterprise.manager",
        BADGE,
    ];
    let values = [None, Some("N"), None, Some("o@x"), None, Some("9"), None];
    assert_eq!(
        replaced(&targets, &values, &user),
        json!({
            "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                "urn:other:User", "urn:x:User"],
            "id": "7", "userName": "noa@x", "externalId": "4711", "active": false,
            "name": {"givenName": "N", "middleName": "M"},
            "emails": [{"type": "home", "value": "h@x"},
                {"type": "other", "value": "o@x", "primary": true}],
            "urn:x:User": {"shoe": 46},
            ENTERPRISE: {"manager": {"value": "9"}},
            "urn:other:User": {"their": "own"},
        })
    );
    let cleared = replaced(&["enterprise.manager"], &[None], &user);
    assert!(cleared.get(ENTERPRISE).is_none(), "{cleared}");
}

#[test]
fn a_mark_may_be_the_employee_number() {
    let (mapping, hints) = (fixtures::mapping(&["userName"], 0), Hints::default());
    let form = Writing { mapping: &mapping, mark: MarkPlace::EmployeeNumber, hints: &hints };
    let write = AccountWrite { mark: Some("4711".into()), ..AccountWrite::default() };
    let path = format!("{ENTERPRISE}:employeeNumber");
    assert_eq!(
        form.patch(&write).unwrap()["Operations"],
        json!([{"op": "replace", "path": path, "value": "4711"}])
    );
    assert_eq!(form.user(&write, None).unwrap()[ENTERPRISE], json!({"employeeNumber": "4711"}));
}

#[test]
fn a_version_is_sent_back_if_a_header_can_hold_it() {
    for (version, sent) in [
        (json!("W/\"a330bc54f0671c9\""), Some("W/\"a330bc54f0671c9\"")),
        (json!(""), None),
        (json!("two words"), None),
        (json!("é"), None),
        (json!(7), None),
    ] {
        let write = write(&[], &json!({"meta": {"version": version}}));
        assert_eq!(super::version(&write).as_deref(), sent);
    }
}
