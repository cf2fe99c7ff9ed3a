//! What is known of JumpCloud before there is a connection: attributes, default map, limits.

use crate::provider::prelude::*;

/// JumpCloud, as the settings see it. The default map is Bob's own for JumpCloud (help.hibob.com,
/// its integration guide).
pub const CATALOG: Catalog = Catalog {
    required: &["email", "username"],
    label: "jumpcloud",
    default_map: include_str!("default-map.json"),
    capabilities: Capabilities {
        initial_password: NewPassword::Optional,
        change_at_first_login: ChangeAtFirstLogin::WithDefaultPassword,
        states: &[AccountState::Active, AccountState::Suspended, AccountState::Staged],
        mark: "custom attribute bobsyncEmployeeId",
        listing_counts: true,
        lags: true,
        searches_marks: false,
        tells_administrators: true,
        ..Capabilities::PLAIN
    },
    name: "JumpCloud",
    ..Catalog::of(&TABLE, pacer)
};

/// The custom attribute that holds the mark.
pub(super) const MARK: &str = "bobsyncEmployeeId";

/// Users of JumpCloud (JumpCloud API v1, `systemuserput` and `systemuserreturn`).
pub(super) const TABLE: Table = Table {
    fields: &[
        // What is unique is cleared with null, because two empty texts may count as the same value.
        Field::new("email", Form::TEXT).compared(Compare::IgnoringCase).called(&["e-mail"]),
        Field::new("username", Form::TEXT).compared(Compare::Numbered).called(&["user name"]),
        Field::new("firstname", Form::EMPTIED).called(&["first name"]),
        Field::new("middlename", Form::EMPTIED).called(&["middle name"]),
        Field::new("lastname", Form::EMPTIED).called(&["last name"]),
        Field::new("displayname", Form::EMPTIED).called(&["display name"]),
        Field::new("jobTitle", Form::EMPTIED).called(&["job title"]),
        Field::new("department", Form::EMPTIED),
        Field::new("company", Form::EMPTIED),
        Field::new("costCenter", Form::EMPTIED).called(&["cost center"]),
        Field::new("location", Form::EMPTIED),
        Field::new("description", Form::EMPTIED),
        Field::new("employeeIdentifier", Form::TEXT).called(&["employee identifier"]),
        Field::new("employeeType", Form::EMPTIED).called(&["employee type"]),
        ADDRESS.called(&["alternate email"]),
        ADDRESS.of("managedAppleId").called(&["managed apple id"]),
        // Null clears the manager, as JumpCloud's own PowerShell module does it.
        Field::new("manager", Form::TEXT).compared(Compare::Person),
        Field::new("phoneNumbers.<type>", Form::TEXT)
            .at(At::Entry(&TYPED))
            .called(&["phone number"]),
        Field::new(
            "addresses.<type>.poBox|extendedAddress|streetAddress|locality|region|\
             postalCode|country",
            Form::TEXT,
        )
        .at(At::Entry(&TYPED)),
        // The mark cannot be a target.
        CUSTOM.dashed().except(&[MARK]),
    ],
    mark: CUSTOM.of("attributes.bobsyncEmployeeId"),
    id: &["_id", "id"],
    names: ["email", "username"],
    always: "_id email username state suspended restrictedFields admin externally_managed \
             organization",
    users: Some(("results", false)),
    error: Some("message"),
    kept: &["restrictedFields"],
    shows_null: false,
    hooks: TableHooks {
        state,
        administrator: |user| user.some("admin").is_some(),
        elsewhere: |user| user.is_set("externally_managed"),
        keeps: |name, json| name != "restrictedFields" || json != "[]",
        ..TableHooks::NONE
    },
    // A new account may also be `STAGED`.
    access: Some(|access| match access {
        Access::Active => ("state", json!("ACTIVATED")),
        Access::Suspended => ("state", json!("SUSPENDED")),
    }),
};

/// An address at which people log in or are reached.
const ADDRESS: Field = Field::new("alternateEmail", Form::EMPTIED).compared(Compare::IgnoringCase);

/// A custom attribute.
const CUSTOM: Field = Field::new("attributes.<name>", Form::TEXT).at(At::Entry(&NAMED));

/// JumpCloud makes the ids of entries itself, and gives new ones with every write.
const TYPED: Array = Array {
    key: "type",
    value: "number",
    keys: "",
    main: false,
    empty: &["type"],
    made: &["id", "_id"],
};
const NAMED: Array = Array { key: "name", value: "value", empty: &["name"], ..TYPED };

/// Returns the state. A user who is locked, or has not chosen a password yet, is not in another
/// state: both can be true in addition to a state. `suspended` is the older form of the state.
fn state(user: &Object<'_>) -> Option<AccountState> {
    Some(match (user.text("state").as_deref(), user.read("suspended")) {
        (Some("ACTIVATED"), _) | (None, Some(false)) => AccountState::Active,
        (Some("SUSPENDED"), _) | (None, Some(true)) => AccountState::Suspended,
        (Some("STAGED"), _) => AccountState::Staged,
        (Some(_), _) => AccountState::Other,
        (None, None) => return None,
    })
}

/// Returns a pacer with 5 calls a second. JumpCloud publishes no limit, answers 429 above one, and
/// does not say when to come back (jumpcloud.com, "Best Practices: JumpCloud API").
#[must_use]
pub fn pacer() -> Pacer {
    Pacer::new(300, Duration::from_secs(60)).backing_off_from(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{fixtures, reader::UserReader};

    #[test]
    fn targets_are_found_where_jumpcloud_keeps_them() {
        for (target, expected) in [
            ("email", Some(Compare::IgnoringCase)),
            ("username", Some(Compare::Numbered)),
            ("alternateEmail", Some(Compare::IgnoringCase)),
            ("jobTitle", Some(Compare::Exact)),
            ("jobtitle", None),
            ("manager", Some(Compare::Person)),
            ("phoneNumbers.work_mobile", Some(Compare::Exact)),
            ("phoneNumbers.", None),
            ("phoneNumbers.work.number", None),
            ("addresses.work.locality", Some(Compare::Exact)),
            ("addresses.work", None),
            ("addresses.work.planet", None),
            ("attributes.t-shirt", Some(Compare::Exact)),
            ("attributes.a b", None),
            ("attributes.bobsyncEmployeeId", None),
            ("state", None),
            ("suspended", None),
            ("password", None),
            ("sudo", None),
        ] {
            assert_eq!(CATALOG.compare(target), expected, "{target}");
        }
    }

    #[test]
    fn what_protects_an_account_counts_in_any_form() {
        let mapping = fixtures::mapping(&["email", "phoneNumbers.work"], 0);
        let read = |user: Value| {
            let answer = fixtures::answer(200, "application/json", user.to_string());
            UserReader::new(&TABLE, &mapping).one(&answer)
        };
        for (flag, counts) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(1), true),
            (json!(false), false),
            (Value::Null, false),
        ] {
            let account = read(json!({"_id": "1", "externally_managed": flag})).unwrap();
            assert_eq!(account.elsewhere, counts, "{flag}");
        }
        for odd in [json!("1"), json!({"type": "work"})] {
            assert!(read(json!({"_id": "1", "phoneNumbers": odd})).is_err(), "{odd}");
        }
    }
}
