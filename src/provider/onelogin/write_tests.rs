use serde_json::{Value, json};

use super::*;
use crate::{domain::account::NewValue, provider::fixtures};

const TARGETS: [&str; 6] = [
    "email",
    "username",
    "title",
    "manager_user_id",
    "custom_attributes.work_cell",
    "custom_attributes.badge",
];

fn mapping() -> Mapping {
    fixtures::mapping(&TARGETS, 1)
}

fn body(write: &AccountWrite, new: bool) -> Result<Map<String, Value>, Error> {
    let mapping = mapping();
    let of = Of { id: (!new).then_some("7"), ..Of::new(&mapping, write) };
    writer::body(&TABLE, of, |_, _, _| Ok(Own::Table))
}

fn confirmed(
    write: &AccountWrite,
    id: Option<&str>,
    answer: &Value,
) -> Result<Account<'static>, &'static str> {
    let mapping = mapping();
    let answer = fixtures::answer(200, "application/json", answer.to_string());
    let state = write.access.map(state_of);
    UserReader::new(&TABLE, &mapping).confirmed(&mapping, write, id, state, &answer)
}

fn set(row: usize, text: &str) -> (usize, NewValue) {
    (row, NewValue::Set(text.into()))
}

fn sent(write: &AccountWrite, new: bool) -> Value {
    Value::Object(body(write, new).unwrap())
}

#[test]
fn a_create_sends_everything_that_has_a_value_and_no_password() {
    let attributes = vec![
        set(0, "a@example.com"),
        set(1, "a"),
        (2, NewValue::Clear),
        set(3, "17"),
        set(4, "+44"),
    ];
    let write = AccountWrite {
        occasion: crate::domain::account::Occasion::Other,
        attributes,
        mark: Some("4711".into()),
        access: Some(Access::Suspended),
        foreign: None,
    };
    let expected = json!({
        "email": "a@example.com", "username": "a", "manager_user_id": 17,
        "custom_attributes": {"work_cell": "+44"}, "external_id": "4711", "status": 2
    });
    assert_eq!(sent(&write, true), expected);
}

#[test]
fn an_update_sends_only_the_keys_that_are_written() {
    let one = |attributes| AccountWrite { attributes, ..AccountWrite::default() };
    assert_eq!(sent(&one(vec![set(2, "Lead")]), false), json!({"title": "Lead"}));
    assert_eq!(
        sent(&one(vec![(2, NewValue::Clear), (3, NewValue::Clear)]), false),
        json!({"title": "", "manager_user_id": null})
    );
    let access = AccountWrite {
        access: Some(Access::Active),
        foreign: Some(r#"{"custom_attributes":{"badge":"7"}}"#.into()),
        ..AccountWrite::default()
    };
    assert_eq!(sent(&access, false), json!({"status": 1}));
    assert!(matches!(body(&AccountWrite::default(), false), Err(Error::Rejected { .. })));
    assert!(matches!(body(&one(vec![set(3, "boss")]), false),
            Err(Error::Rejected { field: Some(field), .. }) if field == "manager_user_id"));
}

#[test]
fn custom_attributes_go_out_whole_or_not_at_all() {
    let foreign = Some(r#"{"custom_attributes":{"badge":"7","shirt":"M","cell":null}}"#.into());
    let write = AccountWrite {
        attributes: vec![set(4, "+44")],
        foreign: foreign.clone(),
        ..AccountWrite::default()
    };
    assert_eq!(
        sent(&write, false),
        json!({"custom_attributes": {"badge": "7", "shirt": "M", "work_cell": "+44"}})
    );
    let write = AccountWrite {
        attributes: vec![(5, NewValue::Clear)],
        foreign: foreign.clone(),
        ..AccountWrite::default()
    };
    assert_eq!(sent(&write, false), json!({"custom_attributes": {"badge": "", "shirt": "M"}}));
    let write =
        AccountWrite { attributes: vec![set(2, "Lead")], foreign, ..AccountWrite::default() };
    assert_eq!(sent(&write, false), json!({"title": "Lead"}));
}

#[test]
fn an_answer_confirms_only_the_account_and_the_status_that_were_asked_for() {
    let write = AccountWrite {
        attributes: vec![set(2, "Lead")],
        access: Some(Access::Active),
        ..AccountWrite::default()
    };
    let confirm = |id, answer: &Value| confirmed(&write, id, answer);
    assert!(confirm(Some("7"), &json!({"id": 7, "status": 1, "title": "Lead"})).is_ok());
    for wrong in [
        json!({"id": 8, "status": 1}),
        json!({"id": 7, "status": 2}),
        json!({"id": 7, "status": 7}),
        json!({"status": 1}),
        json!({"id": null, "status": 1}),
        json!({}),
        json!([{"id": 7, "status": 1}]),
        json!({"status": {"error": true, "code": 400, "message": "no"}}),
    ] {
        assert!(confirm(Some("7"), &wrong).is_err(), "{wrong}");
        if wrong["id"] != 8 {
            assert!(confirm(None, &wrong).is_err(), "{wrong}");
        }
    }
}

#[test]
fn a_short_answer_is_filled_from_what_was_sent() {
    let attributes =
        vec![set(0, "a@example.com"), set(1, "a"), set(2, "Lead"), (4, NewValue::Clear)];
    let write = AccountWrite {
        occasion: crate::domain::account::Occasion::Other,
        attributes,
        mark: Some("4711".into()),
        access: Some(Access::Suspended),
        foreign: None,
    };
    let account = confirmed(&write, None, &json!({"id": 7, "title": "LEAD"})).unwrap();
    assert_eq!(
        (&*account.id, account.mark.as_deref(), account.state),
        ("7", Some("4711"), AccountState::Suspended)
    );
    assert_eq!(
        (account.email.as_deref(), account.username.as_deref()),
        (Some("a@example.com"), Some("a"))
    );
    // What the provider answered counts.
    assert_eq!(account.attributes[2].as_deref(), Some("LEAD"));
    assert_eq!(account.attributes[4], None);
}
