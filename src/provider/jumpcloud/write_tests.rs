use serde_json::json;

use super::*;
use crate::{
    domain::account::{Access, NewValue},
    provider::fixtures,
};

fn mapping(targets: &[&str]) -> Mapping {
    fixtures::mapping(targets, 0)
}

fn write(values: &[Option<&str>], foreign: &Value) -> AccountWrite {
    AccountWrite { foreign: Some(foreign.to_string().into()), ..fixtures::write(values) }
}

fn sent(targets: &[&str], values: &[Option<&str>], foreign: &Value) -> Value {
    Value::Object(body(Of::change(&mapping(targets), &write(values, foreign), "7")).unwrap())
}

#[test]
fn arrays_are_sent_whole_without_the_ids_of_their_entries() {
    let foreign = json!({"phoneNumbers": [{"id": "1", "type": "home", "number": "1"},
        {"id": "2", "type": "work", "number": "2"}],
                         "attributes": [{"_id": "7", "name": "shoe", "value": "46"}]});
    assert_eq!(
        sent(&["phoneNumbers.work", "phoneNumbers.mobile"], &[Some("3"), Some("4")], &foreign),
        json!({"phoneNumbers": [{"type": "home", "number": "1"}, {"type": "work", "number": "3"},
            {"type": "mobile", "number": "4"}]})
    );
    assert_eq!(
        sent(&["phoneNumbers.work"], &[None], &foreign),
        json!({"phoneNumbers": [{"type": "home", "number": "1"}]})
    );
    assert_eq!(
        sent(
            &["phoneNumbers.work"],
            &[None],
            &json!({"phoneNumbers": [{"type": "work", "number": "2"}]})
        ),
        json!({"phoneNumbers": []})
    );
    let marked = AccountWrite {
        mark: Some("4711".into()),
        foreign: Some(foreign.to_string().into()),
        ..AccountWrite::default()
    };
    assert_eq!(
        Value::Object(body(Of::change(&mapping(&[]), &marked, "7")).unwrap()),
        json!({"attributes": [{"name": "shoe", "value": "46"},
            {"name": "bobsyncEmployeeId", "value": "4711"}]})
    );
}

#[test]
fn an_address_with_nothing_left_in_it_goes() {
    let one = json!({"addresses": [{"id": "9", "type": "work", "locality": "Paris", "region": null,
        "country": ""}]});
    assert_eq!(sent(&["addresses.work.locality"], &[None], &one), json!({"addresses": []}));
    assert_eq!(
        sent(
            &["addresses.work.locality", "addresses.work.country", "addresses.home.country"],
            &[None, Some("FR"), Some("DE")],
            &one
        ),
        json!({"addresses": [{"type": "work", "country": "FR"}, {"type": "home", "country": "DE"}]})
    );
}

#[test]
fn texts_are_cleared_with_an_empty_text_and_what_is_unique_or_a_reference_with_null() {
    assert_eq!(
        sent(&["jobTitle", "employeeIdentifier", "manager"], &[None, None, None], &json!({})),
        json!({"jobTitle": "", "employeeIdentifier": null, "manager": null})
    );
    let write = AccountWrite { attributes: vec![(0, NewValue::Clear)], ..AccountWrite::default() };
    assert!(
        body(Of::new(&mapping(&["jobTitle"]), &write)).is_err(),
        "a new account has nothing to clear, and nothing is left to write"
    );
}

#[test]
fn what_another_directory_masters_is_not_sent() {
    let foreign = json!({"restrictedFields": [{"field": "jobTitle", "type": "active_directory"},
        {"field": "phoneNumbers"}]});
    for target in ["jobTitle", "phoneNumbers.work"] {
        let refused = body(Of::change(&mapping(&[target]), &write(&[Some("x")], &foreign), "7"));
        assert!(
            matches!(refused, Err(Error::Rejected { field: Some(field), .. }) if field == target)
        );
    }
    assert_eq!(sent(&["department"], &[Some("x")], &foreign), json!({"department": "x"}));
    let access = AccountWrite {
        access: Some(Access::Suspended),
        foreign: Some(foreign.to_string().into()),
        ..AccountWrite::default()
    };
    assert_eq!(
        Value::Object(body(Of::change(&mapping(&[]), &access, "7")).unwrap()),
        json!({"state": "SUSPENDED"})
    );
}
