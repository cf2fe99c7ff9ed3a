//! What is known of JumpCloud before there is a connection: attributes, default map, addresses,
//! limits.

use std::time::Duration;

use crate::{
    domain::{account::AccountState, mapping::Compare},
    provider::{
        Capabilities, Catalog, ChangeAtFirstLogin, InitialPassword, Phrases, limits::Pacer,
    },
};

/// The custom attribute that holds the mark.
pub(super) const MARK: &str = "bobsyncEmployeeId";

/// The only target that refers to another employee.
pub(super) const MANAGER: &str = "manager";

/// JumpCloud, as the settings see it. The default map is Bob's own for JumpCloud (help.hibob.com,
/// its integration guide).
pub const CATALOG: Catalog = Catalog {
    name: "JumpCloud",
    label: "jumpcloud",
    default_map: include_str!("default-map.json"),
    required: &["email", "username"],
    email: "email",
    username: "username",
    targets: &[
        "email",
        "username",
        "firstname",
        "middlename",
        "lastname",
        "displayname",
        "jobTitle",
        "department",
        "company",
        "costCenter",
        "location",
        "description",
        "employeeIdentifier",
        "employeeType",
        "alternateEmail",
        "managedAppleId",
        "manager",
    ],
    compare,
    relates: |_| false,
    pacer,
    capabilities: Capabilities {
        initial_password: InitialPassword::Optional,
        change_at_first_login: ChangeAtFirstLogin::WithDefaultPassword,
        clears: true,
        states: &[AccountState::Active, AccountState::Suspended, AccountState::Staged],
        mark: "custom attribute bobsyncEmployeeId",
        page: 100,
        listing_counts: true,
        lags: true,
        searches_marks: false,
        defined_attributes: false,
        says_when: false,
        request_ids: false,
        tells_administrators: true,
        answers_changes: true,
        manager_apart: false,
        ends_sessions: false,
        licences: false,
        phrases: Phrases {
            address_holders: "",
            hidden_holders: "an account that this credential does not see",
            mastered: "it is synchronised from there",
            other_mark: "",
        },
    },
};

/// Where an attribute of a JumpCloud user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'t> {
    /// A text of the user itself, or the manager's id.
    Text(&'t str),
    /// The number of the first entry of `phoneNumbers` of this type.
    Phone(&'t str),
    /// A part of the first entry of `addresses` of this type.
    Address(&'t str, &'t str),
    /// The value of the custom attribute of this name.
    Custom(&'t str),
}

/// The arrays of a user that a write replaces as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Array {
    PhoneNumbers,
    Addresses,
    Attributes,
}

impl Array {
    pub(super) const ALL: [Self; 3] = [Self::PhoneNumbers, Self::Addresses, Self::Attributes];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PhoneNumbers => "phoneNumbers",
            Self::Addresses => "addresses",
            Self::Attributes => "attributes",
        }
    }

    /// Returns the member that tells one entry from another.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::PhoneNumbers | Self::Addresses => "type",
            Self::Attributes => "name",
        }
    }
}

impl<'t> Target<'t> {
    /// Returns the array, the entry's key in it, and the entry's member that the target names.
    /// Returns `None` if the target is in no array.
    pub(super) const fn entry(self) -> Option<(Array, &'t str, &'t str)> {
        match self {
            Self::Text(_) => None,
            Self::Phone(kind) => Some((Array::PhoneNumbers, kind, "number")),
            Self::Address(kind, part) => Some((Array::Addresses, kind, part)),
            Self::Custom(name) => Some((Array::Attributes, name, "value")),
        }
    }
}

/// Texts that can be written (JumpCloud API v1, `systemuserput`), with the words by which a refusal
/// may name them.
pub(super) const TEXTS: [(&str, &str); 17] = [
    ("email", "e-mail"),
    ("username", "user name"),
    ("firstname", "first name"),
    ("middlename", "middle name"),
    ("lastname", "last name"),
    ("displayname", "display name"),
    ("jobTitle", "job title"),
    ("department", "department"),
    ("company", "company"),
    ("costCenter", "cost center"),
    ("location", "location"),
    ("description", "description"),
    ("employeeIdentifier", "employee identifier"),
    ("employeeType", "employee type"),
    ("alternateEmail", "alternate email"),
    ("managedAppleId", "managed apple id"),
    (MANAGER, "manager"),
];

/// Members of an address that can be written (JumpCloud API v1, `systemuserput`).
const ADDRESS: [&str; 7] =
    ["poBox", "extendedAddress", "streetAddress", "locality", "region", "postalCode", "country"];

/// Returns where a target is, or `None` if a JumpCloud user has no such attribute.
pub(super) fn locate(target: &str) -> Option<Target<'_>> {
    let word = |text: &str, more: &[u8]| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let Some((outer, inner)) = target.split_once('.') else {
        return TEXTS.iter().any(|(name, _)| *name == target).then_some(Target::Text(target));
    };
    match outer {
        "phoneNumbers" => word(inner, b"_").then_some(Target::Phone(inner)),
        "addresses" => {
            let (kind, part) = inner.split_once('.')?;
            (word(kind, b"_") && ADDRESS.contains(&part)).then_some(Target::Address(kind, part))
        }
        // The mark cannot be a target.
        "attributes" => (word(inner, b"_-") && inner != MARK).then_some(Target::Custom(inner)),
        _ => None,
    }
}

fn compare(target: &str) -> Option<Compare> {
    Some(match locate(target)? {
        Target::Text(MANAGER) => Compare::Person,
        Target::Text("username") => Compare::Numbered,
        Target::Text("email" | "alternateEmail" | "managedAppleId") => Compare::IgnoringCase,
        Target::Text(_) | Target::Phone(_) | Target::Address(..) | Target::Custom(_) => {
            Compare::Exact
        }
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
            assert_eq!((CATALOG.compare)(target), expected, "{target}");
        }
    }
}
