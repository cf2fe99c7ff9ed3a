//! What is known of `OneLogin` before there is a connection: attributes, default map, addresses,
//! limits.

use std::time::Duration;

use crate::{
    domain::{account::AccountState, mapping::Compare},
    provider::{
        Capabilities, Catalog, ChangeAtFirstLogin, InitialPassword, Phrases, limits::Pacer,
    },
};

/// The prefix of targets that are custom attributes.
pub(super) const CUSTOM: &str = "custom_attributes.";

/// The attribute that holds the mark: OneLogin's field for the id in another system.
pub(super) const MARK: &str = "external_id";

/// `OneLogin`, as the settings see it. The default map is Bob's own for `OneLogin` (help.hibob.com,
/// its integration guide). The "Work Cell" of that map is not an attribute of a `OneLogin` user and
/// has to be a custom attribute.
pub const CATALOG: Catalog = Catalog {
    name: "OneLogin",
    label: "onelogin",
    default_map: include_str!("default-map.json"),
    required: &["email", "username"],
    email: "email",
    username: "username",
    targets: &[
        "email",
        "username",
        "firstname",
        "lastname",
        "phone",
        "title",
        "department",
        "company",
        "comment",
        "preferred_locale_code",
        "samaccountname",
        "userprincipalname",
        "distinguished_name",
        "member_of",
        "group_id",
        "manager_user_id",
    ],
    compare,
    relates: |_| false,
    pacer,
    capabilities: Capabilities {
        initial_password: InitialPassword::Unsupported,
        change_at_first_login: ChangeAtFirstLogin::Unsupported,
        clears: true,
        states: &[
            AccountState::Active,
            AccountState::Suspended,
            AccountState::Unactivated,
            AccountState::Other,
        ],
        mark: "external_id",
        page: 100,
        listing_counts: true,
        lags: false,
        searches_marks: true,
        defined_attributes: true,
        says_when: true,
        request_ids: true,
        tells_administrators: false,
        answers_changes: true,
        manager_apart: false,
        ends_sessions: true,
        licences: true,
        phrases: Phrases {
            address_holders: "",
            hidden_holders: "an account that this credential does not see",
            mastered: "it is synchronised from there",
            other_mark: "",
        },
    },
};

/// The number of the user's group.
pub(super) const GROUP: &str = "group_id";

/// Writable text attributes (developers.onelogin.com, "Create User"), with the words by which
/// `OneLogin`'s refusals name them.
pub(super) const TEXTS: [(&str, &str); 14] = [
    ("email", "e-mail"),
    ("username", "user name"),
    ("firstname", "first name"),
    ("lastname", "last name"),
    ("phone", "phone number"),
    ("title", "job title"),
    ("department", "department"),
    ("company", "company"),
    ("comment", "notes"),
    ("preferred_locale_code", "preferred locale code"),
    ("samaccountname", "sam account name"),
    ("userprincipalname", "user principal name"),
    ("distinguished_name", "distinguished name"),
    ("member_of", "member of"),
];

/// The only target that refers to another employee.
pub(super) const MANAGER: &str = "manager_user_id";

fn compare(target: &str) -> Option<Compare> {
    if let Some(shortname) = target.strip_prefix(CUSTOM) {
        // developers.onelogin.com, "Create Custom Attribute": letters, digits and underscores.
        let named = (1..=64).contains(&shortname.len())
            && shortname.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return named.then_some(Compare::Exact);
    }
    match target {
        "email" | "username" => Some(Compare::IgnoringCase),
        MANAGER => Some(Compare::Person),
        GROUP => Some(Compare::Exact),
        _ => TEXTS.iter().any(|(name, _)| *name == target).then_some(Compare::Exact),
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
            assert_eq!((CATALOG.compare)(target), compare, "{target}");
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
