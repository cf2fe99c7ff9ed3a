//! What is known of Google Workspace before there is a connection: attributes, default map, limits.

use serde_json::value::RawValue;

use crate::provider::prelude::*;

/// The entry of `externalIds` that holds the mark: type `custom` with this `customType`.
pub(super) const MARK: &str = "bobsync";

/// The member that holds the fields of custom schemas.
pub(super) const CUSTOM: &str = "customSchemas";

/// What else may have an address.
const OTHERS: &str = ", an alias or a group";
const HIDDEN: &str = "an alias, a group, a deleted account or an account that bobsync cannot see";

/// Google Workspace, as the settings see it. The default map is Bob's own for Google Workspace
/// (help.hibob.com, its integration guide).
pub const CATALOG: Catalog = Catalog {
    required: &["primaryEmail", "name.givenName", "name.familyName"],
    label: "googleworkspace",
    default_map: include_str!("default-map.json"),
    capabilities: Capabilities {
        page: 500,
        initial_password: NewPassword::Generated,
        change_at_first_login: ChangeAtFirstLogin::Supported,
        mark: "externalIds entry of type custom and customType bobsync",
        tells_administrators: true,
        lags: true,
        defined_attributes: true,
        phrases: Phrases {
            address_holders: OTHERS,
            hidden_holders: HIDDEN,
            ..Capabilities::PLAIN.phrases
        },
        ..Capabilities::PLAIN
    },
    name: "Google Workspace",
    ..Catalog::of(&TABLE, pacer)
};

const ADDRESS: Field = text("primaryEmail").compared(Compare::IgnoringCase);
const INSIDE: At = At::Inside { whole: false };
const MAIN: At = At::Entry(&Array { main: true, ..TYPED });

const fn text(target: &'static str) -> Field {
    Field::new(target, Form::TEXT)
}

/// Users of the Directory API (resource `User`). Null clears.
pub(super) const TABLE: Table = Table {
    fields: &[
        ADDRESS.called(&["primary_user_email", "primary email", "email"]),
        text("name.givenName").at(INSIDE),
        text("name.familyName").at(INSIDE),
        text("name.displayName").at(INSIDE),
        text("orgUnitPath").called(&["invalid ou id", "invalid_ou_id", "org unit", "ou"]),
        ADDRESS.of("recoveryEmail"),
        text("recoveryPhone"),
        // "custom" alone would be an entry of any customType: one of another system, or the mark.
        text("phones.<type>").at(At::Entry(&PHONES)).except(&["custom"]),
        text("organizations.name").at(MAIN),
        text("organizations.title").at(MAIN),
        text("organizations.department").at(MAIN),
        text("organizations.description").at(MAIN),
        text("organizations.costCenter").at(MAIN),
        text("organizations.location").at(MAIN),
        text("organizations.symbol").at(MAIN),
        text("organizations.domain").at(MAIN),
        text("relations.manager").at(At::Entry(&RELATIONS)).compared(Compare::PersonByEmail),
        text("relations.<type>").at(At::Entry(&RELATIONS)).except(&["custom"]).relating(),
        // The mark cannot be a target.
        text("externalIds.<type>").at(At::Entry(&EXTERNAL_IDS)).except(&["custom", MARK]),
        text(concat!(
            "addresses.<type>.streetAddress|extendedAddress|locality|region|postalCode|country|",
            "countryCode|poBox|formatted"
        ))
        .at(At::Entry(&ADDRESSES))
        .except(&["custom"]),
        text("locations.<type>.area|buildingId|floorName|floorSection|deskCode")
            .at(At::Entry(&LOCATIONS))
            .except(&["custom"]),
        Field::new("customSchemas.<schema>.<field>", Form { read: custom, ..Form::TEXT })
            .at(INSIDE)
            .dashed(),
    ],
    mark: text("externalIds.bobsync").at(At::Entry(&EXTERNAL_IDS)),
    id: &["id"],
    names: ["primaryEmail", "primaryEmail"],
    always: "id customerId primaryEmail suspended archived isAdmin isDelegatedAdmin \
             name(givenName,familyName,displayName)",
    // A list with no users has no `users` member.
    users: Some(("users", true)),
    error: Some("error"),
    kept: &[CUSTOM],
    shows_null: false,
    access: Some(|access| ("suspended", json!(access == Access::Suspended))),
    hooks: TableHooks {
        state,
        // An archived user is neither suspended nor active.
        judged: |user, told| match told {
            Some(AccountState::Active) if user.is_set("archived") => AccountState::Other,
            told => told.unwrap_or(AccountState::Other),
        },
        administrator: |user| user.is_set("isAdmin") || user.is_set("isDelegatedAdmin"),
        // A custom field with several values is replaced as a whole, like an array.
        keeps: |name, json| name != CUSTOM || json.contains('['),
        ..TableHooks::NONE
    },
};

/// The arrays, with the types that the Directory API lists for their entries (its reference of the
/// resource `User`). `custom` itself is not in a list, because it does not say which entry is
/// meant.
const TYPED: Array = Array {
    key: "type",
    value: "value",
    keys: "",
    main: false,
    empty: &["type", "primary", "customType", "sourceIsStructured"],
    made: &[],
};
const PHONES: Array = Array {
    keys: "assistant callback car company_main grand_central home home_fax isdn main mobile other \
           other_fax pager radio telex tty_tdd work work_fax work_mobile work_pager",
    ..TYPED
};
const RELATIONS: Array = Array {
    keys: "admin_assistant assistant brother child domestic_partner dotted_line_manager \
           exec_assistant father friend manager mother parent partner referred_by relative sister \
           spouse",
    ..TYPED
};
const EXTERNAL_IDS: Array =
    Array { keys: "account customer login_id network organization", ..TYPED };
const ADDRESSES: Array = Array { keys: "home other work", ..TYPED };
const LOCATIONS: Array = Array { keys: "default desk", ..TYPED };

/// Returns the state. Absence is no evidence: without the flag a user is neither suspended nor
/// active.
fn state(user: &Object<'_>) -> Option<AccountState> {
    let state = |suspended| if suspended { AccountState::Suspended } else { AccountState::Active };
    user.read("suspended").map(state)
}

/// Returns the value of a custom field as text. For a field with several values it is the first of
/// type `work`.
fn custom(raw: &RawValue) -> Option<Cow<'_, str>> {
    if !raw.get().starts_with('[') {
        return scalar(raw.get());
    }
    let all: Vec<Value> = serde_json::from_str(raw.get()).ok()?;
    let work = all.iter().find(|entry| is_work(entry))?;
    scalar(&work["value"].to_string()).map(|text| Cow::Owned(text.into_owned()))
}

/// Returns whether a value of a custom field with several values is the one that a target names.
/// That is a value of type `work`, which is also Google's type if none is given.
pub(super) fn is_work(entry: &Value) -> bool {
    entry.is_object() && entry["type"].as_str().is_none_or(|kind| kind == "work")
}

/// Returns a pacer with the published limits: 2,400 queries a minute for each user and project, and
/// 10 new users a second for each domain. Google does not say when to come back
/// (developers.google.com, "Directory API: Limits and Quotas").
#[must_use]
pub fn pacer() -> Pacer {
    Pacer::new(2400, Duration::from_secs(60))
        .creating(10, Duration::from_secs(1))
        .backing_off_from(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{fixtures, reader::UserReader};

    #[test]
    fn targets_are_found_where_the_directory_api_keeps_them() {
        for (target, expected) in [
            ("primaryEmail", Some(Compare::IgnoringCase)),
            ("recoveryEmail", Some(Compare::IgnoringCase)),
            ("orgUnitPath", Some(Compare::Exact)),
            ("name.givenName", Some(Compare::Exact)),
            ("name.fullName", None),
            ("phones.mobile", Some(Compare::Exact)),
            ("phones.desk", Some(Compare::Exact)),
            ("phones.", None),
            ("phones.custom", None),
            ("relations.custom", None),
            ("organizations.title", Some(Compare::Exact)),
            ("organizations.type", None),
            ("addresses.work.locality", Some(Compare::Exact)),
            ("addresses.site.locality", Some(Compare::Exact)),
            ("addresses.custom.locality", None),
            ("addresses.work", None),
            ("addresses.work.planet", None),
            ("locations.desk.buildingId", Some(Compare::Exact)),
            ("locations.desk.locality", None),
            ("relations.manager", Some(Compare::PersonByEmail)),
            ("relations.assistant", Some(Compare::Exact)),
            ("externalIds.organization", Some(Compare::Exact)),
            ("externalIds.bobsync", None),
            ("externalIds.custom", None),
            ("customSchemas.Work.cell", Some(Compare::Exact)),
            ("customSchemas.Work", None),
            ("customSchemas.Work.cell.x", None),
            ("suspended", None),
            ("password", None),
            ("isAdmin", None),
        ] {
            assert_eq!(CATALOG.compare(target), expected, "{target}");
        }
    }

    #[test]
    fn what_protects_an_account_counts_in_any_form() {
        let mapping = fixtures::mapping(&["primaryEmail", "phones.work"], 0);
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
            let account = read(json!({"id": "1", "isDelegatedAdmin": flag})).unwrap();
            assert_eq!(account.administrator, counts, "{flag}");
        }
        for odd in [json!("1"), json!({"type": "work"})] {
            assert!(read(json!({"id": "1", "phones": odd})).is_err(), "{odd}");
        }
    }
}
