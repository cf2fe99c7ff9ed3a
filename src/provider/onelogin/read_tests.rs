use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::provider::{fixtures, json::Object};

fn mapping(targets: &[&str]) -> Mapping {
    fixtures::mapping(targets, 1)
}

const TARGETS: [&str; 6] = [
    "email",
    "username",
    "title",
    "manager_user_id",
    "custom_attributes.work_cell",
    "custom_attributes.badge",
];

fn answer(body: &str) -> Answer {
    fixtures::answer(200, "application/json", body.to_owned())
}

fn read(mapping: &Mapping, user: &serde_json::Value) -> Account<'static> {
    UserReader::new(&TABLE, mapping).one(&answer(&user.to_string())).unwrap()
}

fn members(mapping: &Mapping) -> String {
    UserReader::new(&TABLE, mapping).members().join(",")
}

#[test]
fn a_user_becomes_an_account_in_the_mapping_s_columns() {
    let mapping = mapping(&TARGETS);
    let user = r#"{
        "id": 190000123, "email": "Mia.Lang@example.com", "username": "mia", "title": null,
        "manager_user_id": 7, "status": 1, "state": 1,
        "external_id": "4711", "company": {"odd": [1, 2]}, "role_ids": [1, 2], "firstname": "Mia",
        "custom_attributes":
        {"work_cell": "+49 \"1\"", "cost_center": null, "t-shirt": "Gr\u00f6\u00dfe M", "badge": ""}
    }"#;
    let account = UserReader::new(&TABLE, &mapping).one(&answer(user)).unwrap();
    let text = |text: &'static str| Some(text.into());
    assert_eq!(
        account,
        Account {
            phase: crate::domain::account::AccountPhase::Usual,
            id: "190000123".into(),
            mark: text("4711"),
            email: text("Mia.Lang@example.com"),
            username: text("mia"),
            state: AccountState::Active,
            attributes: [
                text("Mia.Lang@example.com"),
                text("mia"),
                None,
                text("7"),
                text("+49 \"1\""),
                None
            ]
            .into(),
            administrator: false,
            elsewhere: false,
            foreign: text(concat!(
                r#"{"custom_attributes":{"work_cell": "+49 \"1\"", "cost_center": null, "#,
                r#""t-shirt": "Gr\u00f6\u00dfe M", "badge": ""}}"#
            )),
        }
    );
}

#[test]
fn the_wire_is_not_strict() {
    let mapping = mapping(&TARGETS);
    let account = read(
        &mapping,
        &json!({"id": "12", "manager_user_id": "9", "external_id": 4711, "title": true,
            "status": "2", "custom_attributes": null}),
    );
    assert_eq!(
        (&*account.id, account.mark.as_deref(), account.state),
        ("12", Some("4711"), AccountState::Suspended)
    );
    assert_eq!(
        (account.attributes[2].as_deref(), account.attributes[3].as_deref()),
        (Some("true"), Some("9"))
    );
    assert_eq!((account.foreign, account.email), (None, None));
    for custom in [json!([]), json!({})] {
        assert_eq!(
            read(&mapping, &json!({"id": 1, "custom_attributes": custom})).attributes[4],
            None
        );
    }
}

#[test]
fn a_user_with_custom_attributes_in_an_unknown_form_is_not_read() {
    let mapping = mapping(&TARGETS);
    let reader = UserReader::new(&TABLE, &mapping);
    for custom in [json!("text"), json!(["text"]), json!(7)] {
        let user = json!({"id": 1, "custom_attributes": custom});
        assert!(reader.one(&answer(&user.to_string())).is_err(), "{user}");
        assert!(reader.page(&answer(&json!([user]).to_string())).is_err(), "{user}");
    }
}

#[test]
fn statuses_are_active_suspended_unactivated_or_left_alone() {
    let mapping = mapping(&TARGETS);
    for (status, state) in [
        (json!(0), AccountState::Unactivated),
        (json!(1), AccountState::Active),
        (json!(2), AccountState::Suspended),
        (json!(3), AccountState::Other),
        (json!(5), AccountState::Other),
        (json!(7), AccountState::Other),
        (json!(null), AccountState::Other),
    ] {
        assert_eq!(read(&mapping, &json!({"id": 1, "status": status})).state, state, "{status}");
    }
}

#[test]
fn only_what_is_mapped_is_asked_for() {
    assert_eq!(
        members(&mapping(&TARGETS)),
        "id,external_id,email,username,status,state,directory_id,trusted_idp_id,title,\
         manager_user_id,custom_attributes"
    );
    let plain = mapping(&["email", "username"]);
    assert_eq!(
        members(&plain),
        "id,external_id,email,username,status,state,directory_id,trusted_idp_id"
    );
    // A member that was not asked for is not kept either.
    assert_eq!(read(&plain, &json!({"id": 1, "custom_attributes": {"badge": "7"}})).foreign, None);
}

#[test]
fn a_defined_custom_attribute_shows_with_null() {
    let mapping = mapping(&TARGETS);
    let reader = UserReader::new(&TABLE, &mapping);
    let page =
        answer(&json!([{"id": 1, "custom_attributes": {"badge": null}}, {"id": 2}]).to_string());
    let page = reader.page(&page).unwrap();
    let shows = |row| page.users.iter().any(|user: &Object<'_>| reader.shows(user, row));
    assert_eq!((page.users.len(), shows(4), shows(5)), (2, false, true));
}

#[test]
fn whatever_is_not_a_list_of_users_is_refused() {
    for bad in [
        "",
        "{}",
        "[",
        "[1]",
        "[{\"id\":1}",
        "[{\"id\":1}] x",
        "[{\"id\":1},]",
        "null",
        "[null]",
        "{\"users\":[]}",
    ] {
        assert!(TABLE.page(&answer(bad)).is_none(), "{bad}");
    }
    assert!(TABLE.page(&answer(" [] ")).is_some());
}

proptest! {
    #[test]
    fn a_write_repeats_every_custom_attribute_that_has_a_value(
        custom in proptest::collection::btree_map("\\PC{1,8}", proptest::option::of("\\PC{0,12}"),
            0..8)
    ) {
        let mapping = mapping(&TARGETS);
        let account = read(&mapping, &json!({"id": 1, "custom_attributes": custom}));
        let mut kept: serde_json::Map<_, _> = custom
            .into_iter()
            .filter_map(|(name, value)| {
                Some((name, json!(value.filter(|value| !value.trim().is_empty())?)))
            })
            .collect();
        kept.insert("badge".to_owned(), json!("7"));
        let write = AccountWrite {
            foreign: account.foreign.map(|text| text.as_ref().into()),
            attributes: vec![(5, crate::domain::account::NewValue::Set("7".into()))],
            ..AccountWrite::default()
        };
        let of = Of::change(&mapping, &write, "7");
        let sent = writer::body(&TABLE, of, |_, _, _| Ok(Own::Table));
        let sent = sent.unwrap();
        prop_assert_eq!(sent["custom_attributes"].as_object(), Some(&kept));
    }
}
