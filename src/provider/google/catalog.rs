//! What is known of Google Workspace before there is a connection: attributes, default map, limits.

use std::time::Duration;

use crate::{
    domain::{account::AccountState, mapping::Compare},
    provider::{
        Capabilities, Catalog, ChangeAtFirstLogin, InitialPassword, Phrases, limits::Pacer,
    },
};

/// The entry of `externalIds` that holds the mark: type `custom` with this `customType`.
pub(super) const MARK: &str = "bobsync";

/// The member that holds the fields of custom schemas.
pub(super) const CUSTOM: &str = "customSchemas";

/// Google Workspace, as the settings see it. The default map is Bob's own for Google Workspace
/// (help.hibob.com, its integration guide).
pub const CATALOG: Catalog = Catalog {
    name: "Google Workspace",
    label: "googleworkspace",
    default_map: include_str!("default-map.json"),
    required: &["primaryEmail", "name.givenName", "name.familyName"],
    email: "primaryEmail",
    username: "primaryEmail",
    targets: &[
        "primaryEmail",
        "name.givenName",
        "name.familyName",
        "name.displayName",
        "orgUnitPath",
        "recoveryEmail",
        "recoveryPhone",
        "organizations.name",
        "organizations.title",
        "organizations.department",
        "organizations.description",
        "organizations.costCenter",
        "organizations.location",
        "organizations.symbol",
        "organizations.domain",
        "relations.manager",
    ],
    compare,
    relates: |target| target.starts_with("relations."),
    pacer,
    capabilities: Capabilities {
        initial_password: InitialPassword::Generated,
        change_at_first_login: ChangeAtFirstLogin::Supported,
        clears: true,
        states: &[AccountState::Active, AccountState::Suspended],
        mark: "externalIds entry of type custom and customType bobsync",
        page: 500,
        listing_counts: false,
        lags: true,
        searches_marks: true,
        defined_attributes: true,
        says_when: false,
        request_ids: false,
        tells_administrators: true,
        answers_changes: true,
        manager_apart: false,
        ends_sessions: false,
        licences: false,
        phrases: Phrases {
            address_holders: ", an alias or a group",
            hidden_holders: "an alias, a group, a deleted account or an account that bobsync cannot see",
            mastered: "it is synchronised from there",
            other_mark: "",
        },
    },
};

/// Where an attribute of a Directory API user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'t> {
    /// A text of the user itself.
    Text(&'t str),
    /// A text of `name`.
    Name(&'t str),
    /// The `value` of the first entry of this type.
    Entry(Array, &'t str),
    /// A part of the first entry of this type.
    Part(Array, &'t str, &'t str),
    /// A field of the primary or only organization.
    Organization(&'t str),
    /// A field of a custom schema.
    Custom(&'t str, &'t str),
}

/// The arrays of a user that a write replaces as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Array {
    Phones,
    Organizations,
    Relations,
    ExternalIds,
    Addresses,
    Locations,
}

impl Array {
    pub(super) const ALL: [Self; 6] = [
        Self::Phones,
        Self::Organizations,
        Self::Relations,
        Self::ExternalIds,
        Self::Addresses,
        Self::Locations,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Phones => "phones",
            Self::Organizations => "organizations",
            Self::Relations => "relations",
            Self::ExternalIds => "externalIds",
            Self::Addresses => "addresses",
            Self::Locations => "locations",
        }
    }

    /// Returns whether an entry has parts and no value.
    pub(super) const fn has_parts(self) -> bool {
        matches!(self, Self::Addresses | Self::Locations)
    }

    /// Returns the types that the Directory API lists for entries (its reference of the resource
    /// `User`). Any other type is the `customType` of a `custom` entry. `custom` itself is not in
    /// the list, because it does not say which entry is meant.
    pub(super) const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Phones => &[
                "assistant",
                "callback",
                "car",
                "company_main",
                "grand_central",
                "home",
                "home_fax",
                "isdn",
                "main",
                "mobile",
                "other",
                "other_fax",
                "pager",
                "radio",
                "telex",
                "tty_tdd",
                "work",
                "work_fax",
                "work_mobile",
                "work_pager",
            ],
            Self::Organizations => &["domain_only", "school", "unknown", "work"],
            Self::Relations => &[
                "admin_assistant",
                "assistant",
                "brother",
                "child",
                "domestic_partner",
                "dotted_line_manager",
                "exec_assistant",
                "father",
                "friend",
                "manager",
                "mother",
                "parent",
                "partner",
                "referred_by",
                "relative",
                "sister",
                "spouse",
            ],
            Self::ExternalIds => &["account", "customer", "login_id", "network", "organization"],
            Self::Addresses => &["home", "other", "work"],
            Self::Locations => &["default", "desk"],
        }
    }
}

const ADDRESS: [&str; 9] = [
    "streetAddress",
    "extendedAddress",
    "locality",
    "region",
    "postalCode",
    "country",
    "countryCode",
    "poBox",
    "formatted",
];
const LOCATION: [&str; 5] = ["area", "buildingId", "floorName", "floorSection", "deskCode"];
const TEXTS: [&str; 4] = ["primaryEmail", "orgUnitPath", "recoveryEmail", "recoveryPhone"];
const NAMES: [&str; 3] = ["givenName", "familyName", "displayName"];
const ORGANIZATION: [&str; 8] =
    ["name", "title", "department", "description", "costCenter", "location", "symbol", "domain"];

/// Returns where a target is, or `None` if a Directory API user has no such attribute.
pub(super) fn locate(target: &str) -> Option<Target<'_>> {
    let word = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let Some((outer, inner)) = target.split_once('.') else {
        return TEXTS.contains(&target).then_some(Target::Text(target));
    };
    match outer {
        "name" => NAMES.contains(&inner).then_some(Target::Name(inner)),
        // "custom" alone would be an entry of any customType: one of another system, or the mark.
        "phones" | "relations" | "externalIds" if inner == "custom" => None,
        "phones" => word(inner).then_some(Target::Entry(Array::Phones, inner)),
        "relations" => word(inner).then_some(Target::Entry(Array::Relations, inner)),
        // The mark cannot be a target.
        "externalIds" => {
            (word(inner) && inner != MARK).then_some(Target::Entry(Array::ExternalIds, inner))
        }
        "addresses" | "locations" => {
            let (array, parts) = if outer == "addresses" {
                (Array::Addresses, &ADDRESS[..])
            } else {
                (Array::Locations, &LOCATION[..])
            };
            let (kind, part) = inner.split_once('.')?;
            (word(kind) && kind != "custom" && parts.contains(&part))
                .then_some(Target::Part(array, kind, part))
        }
        "organizations" => ORGANIZATION.contains(&inner).then_some(Target::Organization(inner)),
        "customSchemas" => {
            let (schema, field) = inner.split_once('.')?;
            let named = |text: &str| word(&text.replace('-', "_"));
            (named(schema) && named(field)).then_some(Target::Custom(schema, field))
        }
        _ => None,
    }
}

fn compare(target: &str) -> Option<Compare> {
    Some(match locate(target)? {
        Target::Text("primaryEmail" | "recoveryEmail") => Compare::IgnoringCase,
        Target::Entry(Array::Relations, "manager") => Compare::PersonByEmail,
        _ => Compare::Exact,
    })
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
            assert_eq!((CATALOG.compare)(target), expected, "{target}");
        }
    }
}
