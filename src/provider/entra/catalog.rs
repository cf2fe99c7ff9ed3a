//! What is known of Microsoft Entra ID before there is a connection: attributes, default map,
//! limits.

use std::time::Duration;

use crate::{
    domain::{account::AccountState, mapping::Compare},
    provider::{
        Capabilities, Catalog, ChangeAtFirstLogin, InitialPassword, Phrases, limits::Pacer,
    },
};

/// Microsoft Entra ID, as the settings see it. Bob's own default map is not published
/// (help.hibob.com shows it as an image), so the default map is one that bobsync defines.
pub const CATALOG: Catalog = Catalog {
    name: "Microsoft Entra ID",
    label: "entraid",
    default_map: include_str!("default-map.json"),
    required: &["userPrincipalName", "displayName"],
    email: "userPrincipalName",
    username: "userPrincipalName",
    targets: &[
        "userPrincipalName",
        "mail",
        "mailNickname",
        "displayName",
        "givenName",
        "surname",
        "mobilePhone",
        "faxNumber",
        "jobTitle",
        "department",
        "companyName",
        "officeLocation",
        "streetAddress",
        "city",
        "state",
        "postalCode",
        "country",
        "usageLocation",
        "preferredLanguage",
        "employeeId",
        "employeeType",
        "businessPhones",
        "employeeHireDate",
        "employeeOrgData.costCenter",
        "employeeOrgData.division",
        "manager",
    ],
    compare,
    relates: |_| false,
    pacer,
    capabilities: Capabilities {
        initial_password: InitialPassword::Generated,
        change_at_first_login: ChangeAtFirstLogin::Supported,
        clears: true,
        states: &[AccountState::Active, AccountState::Suspended],
        mark: "employeeId (bob and the id in base 36), or the directory extension that markAttribute names",
        // This is the size with managers, as the default map has them. It is 999 without (Microsoft
        // Graph, "List users").
        page: 100,
        listing_counts: false,
        lags: true,
        searches_marks: true,
        defined_attributes: true,
        says_when: true,
        request_ids: true,
        answers_changes: false,
        manager_apart: true,
        ends_sessions: true,
        licences: false,
        tells_administrators: false,
        phrases: Phrases {
            address_holders: ", an alias or a group",
            hidden_holders: "an alias, a group, a deleted account or an account that bobsync cannot see",
            mastered: "it is synchronised from there, or a guest",
            other_mark: ", or name another place for marks in spec.provider.entraID.markAttribute",
        },
    },
};

/// Where an attribute of a Microsoft Graph user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'t> {
    /// A text of the user itself, or a directory extension.
    Text(&'t str),
    /// A day, which Graph keeps as a point in time.
    Day(&'t str),
    /// `businessPhones`, which takes one entry.
    BusinessPhone,
    /// One of `onPremisesExtensionAttributes`.
    Numbered(&'t str),
    /// One of the two texts of `employeeOrgData`.
    Organization(&'t str),
    /// The manager, which is a reference of its own.
    Manager,
}

/// Texts of the resource `user` (Microsoft Graph v1.0) that a list of users shows and a write
/// takes.
const TEXTS: [&str; 21] = [
    "userPrincipalName",
    "mail",
    "mailNickname",
    "displayName",
    "givenName",
    "surname",
    "mobilePhone",
    "faxNumber",
    "jobTitle",
    "department",
    "companyName",
    "officeLocation",
    "streetAddress",
    "city",
    "state",
    "postalCode",
    "country",
    "usageLocation",
    "preferredLanguage",
    "employeeId",
    "employeeType",
];

/// The object that holds `extensionAttribute1` to `extensionAttribute15`.
pub(super) const NUMBERED: &str = "onPremisesExtensionAttributes";

/// The object that holds `costCenter` and `division`.
pub(super) const ORGANIZATION: &str = "employeeOrgData";

/// The texts in it (Microsoft Graph, resource `employeeOrgData`).
pub(super) const IN_ORGANIZATION: [&str; 2] = ["costCenter", "division"];

/// Attributes of an administrator that only a sufficiently high role may write (Microsoft Graph,
/// "Who can perform sensitive actions").
pub(super) const SENSITIVE: [&str; 4] =
    ["accountEnabled", "userPrincipalName", "businessPhones", "mobilePhone"];

/// Attributes that cannot be cleared after they are set.
pub(super) const LASTING: [&str; 4] =
    ["userPrincipalName", "displayName", "mailNickname", "usageLocation"];

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

/// Returns where a target is, or `None` if a user has no such attribute.
pub(super) fn locate(target: &str) -> Option<Target<'_>> {
    if let Some(name) = target.strip_prefix(NUMBERED) {
        let name = name.strip_prefix('.')?;
        let number = name
            .strip_prefix("extensionAttribute")
            .filter(|number| !number.starts_with(['0', '+']));
        return number?
            .parse()
            .is_ok_and(|number: u8| (1..=15).contains(&number))
            .then_some(Target::Numbered(name));
    }
    if let Some(name) = target.strip_prefix(ORGANIZATION) {
        return IN_ORGANIZATION
            .iter()
            .find(|known| name.strip_prefix('.') == Some(known))
            .map(|known| Target::Organization(known));
    }
    match target {
        "manager" => Some(Target::Manager),
        "businessPhones" => Some(Target::BusinessPhone),
        "employeeHireDate" => Some(Target::Day(target)),
        _ => (TEXTS.contains(&target) || is_extension(target)).then_some(Target::Text(target)),
    }
}

fn compare(target: &str) -> Option<Compare> {
    Some(match locate(target)? {
        Target::Text("userPrincipalName" | "mail" | "mailNickname") => Compare::IgnoringCase,
        Target::Manager => Compare::Person,
        _ => Compare::Exact,
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
            assert_eq!((CATALOG.compare)(target), expected, "{target}");
        }
    }
}
