//! What is known of `OneLogin` before there is a connection: attributes, default map, addresses,
//! limits.

use crate::provider::prelude::*;

/// The prefix of targets that are custom attributes.
pub(super) const CUSTOM: &str = "custom_attributes.";

/// `OneLogin`, as the settings see it. The default map is Bob's own for `OneLogin` (help.hibob.com,
/// its integration guide). The "Work Cell" of that map is not an attribute of a `OneLogin` user and
/// has to be a custom attribute.
pub const CATALOG: Catalog = Catalog {
    required: &["email", "username"],
    label: "onelogin",
    default_map: include_str!("default-map.json"),
    capabilities: Capabilities {
        states: &[
            AccountState::Active,
            AccountState::Suspended,
            AccountState::Unactivated,
            AccountState::Other,
        ],
        mark: MARK,
        listing_counts: true,
        defined_attributes: true,
        says_when: true,
        request_ids: true,
        ends_sessions: true,
        licences: true,
        phrases: Phrases {
            without_password: "bobsync sets no password there, and OneLogin sends no mail for an \
                account that its API creates. Employees log in by single sign-on from another \
                system, or by an invitation that an administrator sends",
            ..Capabilities::PLAIN.phrases
        },
        ..Capabilities::PLAIN
    },
    name: "OneLogin",
    ..Catalog::of(&TABLE, pacer)
};

/// The attribute that holds the mark: OneLogin's field for the id in another system.
pub(super) const MARK: &str = "external_id";

/// Users of `OneLogin` (developers.onelogin.com, "Create User" and "User Resource"). An empty text
/// clears an attribute, and null clears the manager ("Update User" and "Set Custom Attribute").
pub(super) const TABLE: Table = Table {
    fields: &[
        text("email").compared(Compare::IgnoringCase).called(&["e-mail"]),
        text("username").compared(Compare::IgnoringCase).called(&["user name"]),
        text("firstname").called(&["first name"]),
        text("lastname").called(&["last name"]),
        text("phone").called(&["phone number"]),
        text("title").called(&["job title"]),
        text("department"),
        text("company"),
        text("comment").called(&["notes"]),
        text("preferred_locale_code"),
        text("samaccountname").called(&["sam account name"]),
        text("userprincipalname").called(&["user principal name"]),
        text("distinguished_name"),
        text("member_of"),
        Field::new("group_id", GROUP),
        Field::new("manager_user_id", MANAGER).compared(Compare::Person),
        // Either all custom attributes are sent or none, because a partial set replaces the others
        // ("Create Custom Attribute": letters, digits and underscores).
        text("custom_attributes.<shortname>").at(At::Inside { whole: true }),
    ],
    mark: text(MARK),
    id: &["id"],
    names: ["email", "username"],
    always: "id external_id email username status state directory_id trusted_idp_id",
    users: None,
    error: None,
    kept: &[],
    shows_null: true,
    hooks: TableHooks {
        state: |user| user.raw("status").map(|_| state(user.scalar("status").as_deref())),
        judged,
        // A directory that was set before is cleared with 0.
        elsewhere: |user| {
            let named = |name| user.scalar(name).is_some_and(|id| id != "0");
            named("directory_id") || named("trusted_idp_id")
        },
        ..TableHooks::NONE
    },
    access: Some(|access| match access {
        Access::Active => ("status", json!(1)),
        Access::Suspended => ("status", json!(2)),
    }),
};

const fn text(target: &'static str) -> Field {
    Field::new(target, Form::SCALAR)
}

const GROUP: Form =
    Form { write: |id| number(id, "a group is named by its number"), ..Form::SCALAR };
const MANAGER: Form =
    Form { write: |id| number(id, "the manager's account has no numeric id"), ..Form::SCALAR };

/// Returns the state of a status: 0 unactivated, 1 active, 2 suspended, others are locks and
/// passwords (developers.onelogin.com, "User Resource").
fn state(status: Option<&str>) -> AccountState {
    match status {
        Some("0") => AccountState::Unactivated,
        Some("1") => AccountState::Active,
        Some("2") => AccountState::Suspended,
        _ => AccountState::Other,
    }
}

/// Returns the state of a user, who cannot log in without a licence (developers.onelogin.com, "User
/// Resource": 3 is Unlicensed).
fn judged(user: &Object<'_>, told: Option<AccountState>) -> AccountState {
    match told {
        Some(AccountState::Active) if user.scalar("state").as_deref() == Some("3") => {
            AccountState::Unlicensed
        }
        told => told.unwrap_or(AccountState::Other),
    }
}

/// Returns the base address of an account. If the subdomain is known, that is its own host, which
/// serves tokens and API alike in every region (developers.onelogin.com, "Generate Tokens").
/// Otherwise it is the host of the region, `us` or `eu`.
///
/// Returns `None` if neither is given, or if one of them is not a host name.
#[must_use]
pub fn base_for(region: Option<&str>, subdomain: Option<&str>) -> Option<String> {
    match (subdomain.map(str::trim).filter(|name| !name.is_empty()), region) {
        (Some(name), _) => {
            let label = name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-');
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            (label && plain).then(|| format!("https://{}.onelogin.com", name.to_ascii_lowercase()))
        }
        (None, Some(region)) => match region.to_ascii_lowercase().as_str() {
            region @ ("us" | "eu") => Some(format!("https://api.{region}.onelogin.com")),
            _ => None,
        },
        (None, None) => None,
    }
}

/// Returns a pacer with the published limit: 5,000 calls an hour for the whole account and all its
/// callers (developers.onelogin.com, "Get Rate Limit").
#[must_use]
pub fn pacer() -> Pacer {
    Pacer::new(5000, Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_compare_as_onelogin_keeps_them() {
        for (target, compare) in [
            ("email", Some(Compare::IgnoringCase)),
            ("username", Some(Compare::IgnoringCase)),
            ("manager_user_id", Some(Compare::Person)),
            ("title", Some(Compare::Exact)),
            ("custom_attributes.work_cell", Some(Compare::Exact)),
            ("custom_attributes.", None),
            ("custom_attributes.work-cell", None),
            ("status", None),
            ("external_id", None),
            ("password", None),
            ("Title", None),
        ] {
            assert_eq!(CATALOG.compare(target), compare, "{target}");
        }
    }

    #[test]
    fn an_account_is_reached_at_its_own_host_or_its_region() {
        assert_eq!(
            base_for(Some("eu"), Some("acme")).as_deref(),
            Some("https://acme.onelogin.com")
        );
        assert_eq!(
            base_for(None, Some("Acme-Ltd")).as_deref(),
            Some("https://acme-ltd.onelogin.com"),
            "one tenant, however it is written"
        );
        assert_eq!(base_for(Some("EU"), None).as_deref(), Some("https://api.eu.onelogin.com"));
        assert_eq!(base_for(Some("us"), Some("")).as_deref(), Some("https://api.us.onelogin.com"));
        for bad in [
            (None, None),
            (Some("mars"), None),
            (None, Some("acme.example.com/")),
            (None, Some("-a")),
        ] {
            assert_eq!(base_for(bad.0, bad.1), None, "{bad:?}");
        }
    }
}
