//! What is known of Microsoft Entra ID before there is a connection: attributes, default map,
//! limits.

use crate::provider::prelude::*;

/// Microsoft Entra ID, as the settings see it. Bob's own default map is not published
/// (help.hibob.com shows it as an image), so the default map is one that bobsync defines.
pub const CATALOG: Catalog = Catalog {
    required: &["userPrincipalName", "displayName"],
    label: "entraid",
    default_map: include_str!("default-map.json"),
    capabilities: Capabilities {
        initial_password: NewPassword::Generated,
        change_at_first_login: ChangeAtFirstLogin::Supported,
        mark: "employeeId (bob and the id in base 36), or the directory extension that \
            markAttribute names",
        // This is the size with managers, as the default map has them. It is 999 without (Microsoft
        // Graph, "List users").
        page: 100,
        lags: true,
        defined_attributes: true,
        answers_changes: false,
        manager_apart: true,
        request_ids: true,
        says_when: true,
        ends_sessions: true,
        phrases: Phrases {
            address_holders: ", an alias or a group",
            hidden_holders: "an alias, a group, a deleted account or an account that bobsync \
                cannot see",
            mastered: "it is synchronised from there, or a guest",
            other_mark: ", or name another place for marks in spec.provider.entraID.markAttribute",
            ..Capabilities::PLAIN.phrases
        },
        ..Capabilities::PLAIN
    },
    name: "Microsoft Entra ID",
    ..Catalog::of(&TABLE, pacer)
};

/// The manager, which is a reference of its own.
pub(super) const MANAGER: &str = "manager";

/// Users of Microsoft Graph v1.0 (resource `user`): what a list of users shows and a write takes.
/// Null clears.
pub(super) const TABLE: Table = Table {
    fields: &[
        text("userPrincipalName").compared(Compare::IgnoringCase),
        text("mail").compared(Compare::IgnoringCase).called(&["proxyAddresses", "proxyAddress"]),
        text("mailNickname").compared(Compare::IgnoringCase),
        text("displayName"),
        text("givenName"),
        text("surname"),
        text("mobilePhone").called(&["mobile"]),
        text("faxNumber").called(&["facsimileTelephoneNumber"]),
        text("jobTitle"),
        text("department"),
        text("companyName"),
        text("officeLocation").called(&["physicalDeliveryOfficeName"]),
        text("streetAddress"),
        text("city"),
        text("state"),
        text("postalCode"),
        text("country"),
        text("usageLocation"),
        text("preferredLanguage"),
        text("employeeId"),
        text("employeeType"),
        Field::new("businessPhones", ONE_OF_LIST).called(&["telephoneNumber"]),
        Field::new("employeeHireDate", DAY),
        // It is not published whether Graph keeps the member that is not sent, so both are sent.
        text("employeeOrgData.costCenter").at(At::Inside { whole: true }),
        text("employeeOrgData.division").at(At::Inside { whole: true }),
        Field::new(MANAGER, REFERENCE).at(At::Reference).compared(Compare::Person),
        text(concat!(
            "onPremisesExtensionAttributes.extensionAttribute1|extensionAttribute2|",
            "extensionAttribute3|extensionAttribute4|extensionAttribute5|extensionAttribute6|",
            "extensionAttribute7|extensionAttribute8|extensionAttribute9|extensionAttribute10|",
            "extensionAttribute11|extensionAttribute12|extensionAttribute13|extensionAttribute14|",
            "extensionAttribute15"
        ))
        .at(At::Inside { whole: false }),
        text("extension_<appId without dashes>_<name>")
            .named(is_extension, "extension_[0-9A-Fa-f]{32}_[A-Za-z0-9_]{1,85}"),
    ],
    // The settings may name another attribute.
    mark: text("employeeId"),
    id: &["id"],
    names: ["userPrincipalName", "userPrincipalName"],
    always: "id userPrincipalName accountEnabled userType onPremisesSyncEnabled",
    users: Some(("value", false)),
    error: Some("error"),
    kept: &[],
    shows_null: false,
    // Graph shows directory roles elsewhere. A change of an administrator's account is refused.
    hooks: TableHooks { state, elsewhere, ..TableHooks::NONE },
    access: Some(|access| ("accountEnabled", json!(access == Access::Active))),
};

/// The object that holds `extensionAttribute1` to `extensionAttribute15`.
pub(super) const NUMBERED: &str = "onPremisesExtensionAttributes";

/// The object that holds `costCenter` and `division` (Microsoft Graph, resource `employeeOrgData`).
pub(super) const ORGANIZATION: &str = "employeeOrgData";
pub(super) const IN_ORGANIZATION: [&str; 2] = ["costCenter", "division"];

/// Attributes of an administrator that only a sufficiently high role may write (Microsoft Graph,
/// "Who can perform sensitive actions").
pub(super) const SENSITIVE: [&str; 4] =
    ["accountEnabled", "userPrincipalName", "businessPhones", "mobilePhone"];

/// Attributes that cannot be cleared after they are set.
pub(super) const LASTING: [&str; 4] =
    ["userPrincipalName", "displayName", "mailNickname", "usageLocation"];

const fn text(target: &'static str) -> Field {
    Field::new(target, Form::TEXT)
}

/// A list that takes one text.
const ONE_OF_LIST: Form = Form {
    read: |raw| {
        let all: Vec<&serde_json::value::RawValue> = serde_json::from_str(raw.get()).ok()?;
        json_text(all.first()?.get())
    },
    write: |text| Ok(text.map_or(json!([]), |text| json!([text]))),
};

/// A day, which Graph keeps as a point in time.
const DAY: Form =
    Form { read: |raw| json_text(raw.get()).map(day), write: |text| Ok(text.map(midnight).into()) };

/// A reference to another user, which is written by a call of its own.
const REFERENCE: Form = Form {
    read: |raw| serde_json::from_str::<Object<'_>>(raw.get()).ok()?.text("id"),
    write: |_| Ok(Value::Null),
};

/// Returns a point in time as the day that was written: midnight, UTC.
fn day(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.split_once('T') {
        Some((day, time))
            if time.trim_end_matches('Z').bytes().all(|b| matches!(b, b'0' | b':' | b'.')) =>
        {
            Cow::Owned(day.to_owned())
        }
        _ => text,
    }
}

/// Returns a day as the point in time that Graph keeps.
fn midnight(text: &str) -> String {
    let is_day = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() }
}

/// Returns the state. Absence is no evidence: without the flag a user is neither suspended nor
/// active.
fn state(user: &Object<'_>) -> Option<AccountState> {
    let enabled: bool = user.read("accountEnabled")?;
    Some(if enabled { AccountState::Active } else { AccountState::Suspended })
}

/// Returns whether another directory is the user's master. That is so for a user from a directory
/// on premises, and for a guest of another tenant. Type and name are both checked, because neither
/// of them identifies every guest.
fn elsewhere(user: &Object<'_>) -> bool {
    let text = |name| user.text(name).unwrap_or_default().to_ascii_uppercase();
    user.is_set("onPremisesSyncEnabled")
        || text("userType") == "GUEST"
        || text("userPrincipalName").contains("#EXT#")
}

/// Returns whether this is the name of a directory extension:
/// `extension_<appId without dashes>_<name>`.
pub(super) fn is_extension(name: &str) -> bool {
    let split = name.strip_prefix("extension_").and_then(|rest| rest.split_once('_'));
    split.is_some_and(|(app, name)| {
        app.len() == 32
            && app.bytes().all(|b| b.is_ascii_hexdigit())
            && (1..=85).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// Returns a pacer with the narrowest published limit, the one on writes of one app in one tenant:
/// 3,000 in 150 seconds (Microsoft Graph throttling limits, "Identity and access service limits").
#[must_use]
pub fn pacer() -> Pacer {
    Pacer::new(3000, Duration::from_secs(150))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_call_is_made_before_the_time_that_a_refusal_names() {
        let (pacer, began) = (pacer(), tokio::time::Instant::now());
        pacer.throttled(Some(Duration::from_secs(600)));
        drop(pacer.admit(crate::domain::priority::Urgency::Urgent).await);
        assert_eq!(began.elapsed().as_secs(), 600);
    }

    #[test]
    fn targets_are_found_where_graph_keeps_them() {
        for (target, expected) in [
            ("userPrincipalName", Some(Compare::IgnoringCase)),
            ("mail", Some(Compare::IgnoringCase)),
            ("jobTitle", Some(Compare::Exact)),
            ("businessPhones", Some(Compare::Exact)),
            ("employeeHireDate", Some(Compare::Exact)),
            ("manager", Some(Compare::Person)),
            ("onPremisesExtensionAttributes.extensionAttribute15", Some(Compare::Exact)),
            ("onPremisesExtensionAttributes.extensionAttribute16", None),
            ("onPremisesExtensionAttributes.extensionAttribute01", None),
            ("onPremisesExtensionAttributes", None),
            ("employeeOrgData.costCenter", Some(Compare::Exact)),
            ("employeeOrgData.division", Some(Compare::Exact)),
            ("employeeOrgData.team", None),
            ("employeeOrgData", None),
            ("extension_0123456789abcdef0123456789ABCDEF_cell", Some(Compare::Exact)),
            ("extension_0123456789abcdef0123456789abcde_cell", None),
            ("extension_0123456789abcdef0123456789abcdef_", None),
            ("accountEnabled", None),
            ("passwordProfile", None),
            ("userType", None),
            ("id", None),
            ("skills", None),
        ] {
            assert_eq!(CATALOG.compare(target), expected, "{target}");
        }
    }

    #[test]
    fn absence_is_no_evidence_and_another_master_is_seen() {
        for (text, state, elsewhere) in [
            (
                r#"{"accountEnabled":true,"userType":"Member","onPremisesSyncEnabled":null}"#,
                AccountState::Active,
                false,
            ),
            (
                r#"{"accountEnabled":false,"onPremisesSyncEnabled":false}"#,
                AccountState::Suspended,
                false,
            ),
            (r#"{"accountEnabled":null}"#, AccountState::Other, false),
            (r"{}", AccountState::Other, false),
            (r#"{"accountEnabled":"true"}"#, AccountState::Other, false),
            (r#"{"accountEnabled":true,"onPremisesSyncEnabled":true}"#, AccountState::Active, true),
            (r#"{"accountEnabled":true,"userType":"Guest"}"#, AccountState::Active, true),
            (
                r#"{"accountEnabled":true,"userPrincipalName":"noa_x.example#ext#@a.example"}"#,
                AccountState::Active,
                true,
            ),
        ] {
            let user: Object<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(
                (super::state(&user).unwrap_or(AccountState::Other), super::elsewhere(&user)),
                (state, elsewhere),
                "{text}"
            );
        }
    }

    #[test]
    fn a_day_is_a_day_and_every_other_time_stays() {
        for (text, read) in [
            ("2026-11-24T00:00:00Z", "2026-11-24"),
            ("2026-11-24T00:00:00.0000000Z", "2026-11-24"),
            ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z"),
            ("2026-11-24", "2026-11-24"),
        ] {
            assert_eq!(day(text.into()), read);
        }
    }
}
