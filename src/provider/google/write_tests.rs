use super::*;
use crate::{
    domain::account::NewValue,
    provider::{fixtures, json::Object, table::Place},
};

fn mapping(targets: &[&str]) -> Mapping {
    fixtures::mapping(targets, 0)
}

fn sent(targets: &[&str], values: &[Option<&str>], foreign: Value) -> Value {
    let foreign = Some(foreign.to_string().into());
    let write = AccountWrite { foreign, ..fixtures::write(values) };
    Value::Object(body(Of::change(&mapping(targets), &write, "7"), &Schemas::default()).unwrap())
}

#[test]
fn several_rows_of_one_array_are_one_array() {
    let foreign =
        json!({"phones": [{"type": "home", "value": "1"}, {"type": "work", "value": "2"}]});
    assert_eq!(
        sent(&["phones.work", "phones.mobile"], &[Some("3"), Some("4")], foreign.clone()),
        json!({"phones": [{"type": "home", "value": "1"}, {"type": "work", "value": "3"},
            {"type": "mobile", "value": "4"}]})
    );
    assert_eq!(
        sent(&["phones.work"], &[None], foreign),
        json!({"phones": [{"type": "home", "value": "1"}]})
    );
    assert_eq!(
        sent(&["phones.work"], &[None], json!({"phones": [{"type": "work", "value": "2"}]})),
        json!({"phones": []})
    );
    assert_eq!(sent(&["phones.work"], &[None], json!({})), json!({"phones": []}));
}

#[test]
fn a_custom_entry_of_another_custom_type_is_never_ours() {
    let theirs = json!({"type": "custom", "customType": "sat", "value": "+870 1"});
    for (target, name) in [
        ("phones.desk", "phones"),
        ("relations.desk", "relations"),
        ("externalIds.desk", "externalIds"),
    ] {
        let ours = json!({"type": "custom", "customType": "desk", "value": "7"});
        assert_eq!(
            sent(&[target], &[Some("7")], json!({name: [theirs]})),
            json!({name: [theirs, ours]})
        );
        assert_eq!(
            sent(&[target], &[None], json!({name: [theirs, ours]})),
            json!({name: [theirs]})
        );
    }
    // The word "custom", which admission refuses, does not match it either.
    let entries: [Object<'_>; 2] = [
        serde_json::from_str(r#"{"type": "custom", "customType": "sat"}"#).unwrap(),
        serde_json::from_str(r#"{"type": "custom"}"#).unwrap(),
    ];
    for field in TABLE.fields.iter().filter(|field| field.target.ends_with(".<type>")) {
        let target = field.target.replace("<type>", "custom");
        let place = Place::of(field, &target);
        let found = place.entry(&entries, Object::has, |_| false);
        assert_eq!(found, None, "{target}");
    }
}

#[test]
fn an_organization_with_nothing_left_in_it_goes() {
    let one = json!({"organizations": [{"type": "work", "primary": true, "title": "Lead"}]});
    assert_eq!(sent(&["organizations.title"], &[None], one.clone()), json!({"organizations": []}));
    assert_eq!(
        sent(&["organizations.title", "organizations.department"], &[None, Some("X")], one),
        json!({"organizations": [{"type": "work", "primary": true, "department": "X"}]})
    );
    let cost = json!({"organizations": [{"type": "work", "title": "Lead", "costCenter": "7"}]});
    assert_eq!(
        sent(&["organizations.title"], &[None], cost),
        json!({"organizations": [{"type": "work", "costCenter": "7"}]})
    );
}

#[test]
fn scalars_are_cleared_with_null_and_a_new_account_has_nothing_to_clear() {
    assert_eq!(
        sent(&["recoveryEmail", "name.displayName"], &[None, None], json!({})),
        json!({"recoveryEmail": null, "name": {"displayName": null}})
    );
    let write = AccountWrite { attributes: vec![(0, NewValue::Clear)], ..AccountWrite::default() };
    assert!(
        body(Of::new(&mapping(&["recoveryEmail"]), &write), &Schemas::default()).is_err(),
        "nothing is left to write"
    );
}
