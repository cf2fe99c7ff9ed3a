//! What is known of SCIM servers before there is a connection: attributes, default map, limits.

use crate::provider::prelude::*;

/// The schema of users (RFC 7643, 4.1).
pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A SCIM 2.0 server, as the settings see it. The default map is bobsync's own.
pub const CATALOG: Catalog = Catalog {
    required: &["userName"],
    label: "scim",
    default_map: include_str!("default-map.json"),
    address: Some("emails.work"),
    capabilities: Capabilities {
        initial_password: NewPassword::Optional,
        mark: "externalId, or the enterprise extension's employeeNumber",
        listing_counts: true,
        chosen_mark: true,
        lags: true,
        defined_attributes: true,
        says_when: true,
        names_tenant: false,
        suspects_gaps: true,
        looks_twice: true,
        phrases: Phrases {
            hidden_holders: "a deleted account or an account that bobsync cannot see",
            ..Capabilities::PLAIN.phrases
        },
        ..Capabilities::PLAIN
    },
    name: "SCIM",
    ..Catalog::of(&TABLE, pacer)
};

/// The enterprise extension (RFC 7643, 4.3).
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Users (RFC 7643, 4). An attribute that is not there has no value.
pub(super) const TABLE: Table = Table {
    fields: &[
        text("userName").compared(Compare::IgnoringCase).called(&["user name", "username"]),
        text("name.givenName").at(INSIDE).called(&["given name"]),
        text("name.familyName").at(INSIDE).called(&["family name"]),
        text("name.middleName").at(INSIDE).called(&["middle name"]),
        text("name.formatted").at(INSIDE),
        text("name.honorificPrefix").at(INSIDE),
        text("name.honorificSuffix").at(INSIDE),
        text("displayName").called(&["display name"]),
        text("nickName"),
        text("profileUrl"),
        text("title"),
        text("userType"),
        text("preferredLanguage"),
        text("locale"),
        text("timezone"),
        entries("emails.<type>")
            .compared(Compare::IgnoringCase)
            .called(&["emails", "e-mail", "email"]),
        entries("phoneNumbers.<type>").called(&["phoneNumbers", "phone number"]),
        entries("addresses.<type>.formatted|streetAddress|locality|region|postalCode|country"),
        EMPLOYEE_NUMBER,
        text("enterprise.costCenter").at(INSIDE).placed(enterprise),
        text("enterprise.organization").at(INSIDE).placed(enterprise),
        text("enterprise.division").at(INSIDE).placed(enterprise),
        text("enterprise.department").at(INSIDE).placed(enterprise),
        text("enterprise.manager").at(INSIDE).placed(manager).compared(Compare::Person),
        text("<schema URN>:<attribute>")
            .at(INSIDE)
            .named(is_extension, r"urn(:[A-Za-z0-9_.$-]+){2,}:[A-Za-z][A-Za-z0-9_$-]{0,63}")
            .placed(extension),
    ],
    mark: text("externalId"),
    id: &["id"],
    names: ["userName", "userName"],
    // Every attribute is asked for: not all servers can leave some out.
    always: "",
    // A list without users may lack the member (RFC 7644, 3.4.2).
    users: Some(("Resources", true)),
    error: Some("detail"),
    // The version, and what the user had: it shows whether the server has ignored a value.
    kept: &[
        "meta",
        "userName",
        "name",
        "displayName",
        "nickName",
        "profileUrl",
        "title",
        "userType",
        "preferredLanguage",
        "locale",
        "timezone",
        ENTERPRISE,
    ],
    hooks: TableHooks {
        state,
        // A server that does not show `active` lets the user in, as far as can be told.
        judged: |_, told| told.unwrap_or(AccountState::Active),
        ..TableHooks::NONE
    },
    shows_null: false,
    access: Some(|access| ("active", json!(access == Access::Active))),
};

/// The attribute that may hold the mark in place of `externalId`.
const EMPLOYEE_NUMBER: Field = text("enterprise.employeeNumber").at(INSIDE).placed(enterprise);

/// The attribute that holds the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkPlace {
    /// The attribute `externalId`.
    ExternalId,
    /// The attribute `employeeNumber` of the enterprise extension.
    EmployeeNumber,
}

impl MarkPlace {
    /// Returns the target of the attribute.
    pub(super) const fn attribute(self) -> &'static str {
        match self {
            Self::ExternalId => "externalId",
            Self::EmployeeNumber => "enterprise.employeeNumber",
        }
    }

    /// Returns where the mark is.
    pub(super) fn place(self) -> Place<'static> {
        let field: &'static Field = match self {
            Self::ExternalId => &TABLE.mark,
            Self::EmployeeNumber => &EMPLOYEE_NUMBER,
        };
        Place::of(field, field.target)
    }
}

const INSIDE: At = At::Inside { whole: false };

/// Values that their `type` tells apart (RFC 7643, 2.4).
const VALUES: Array = Array {
    keys: "",
    key: "type",
    value: "value",
    made: &[],
    main: false,
    empty: &["type", "primary", "display"],
};

const fn text(target: &'static str) -> Field {
    Field::new(target, Form { read: |raw| scalar(raw.get()), ..Form::TEXT })
}

const fn entries(target: &'static str) -> Field {
    text(target).at(At::Entry(&VALUES))
}

/// Returns where an attribute of the enterprise extension is.
fn enterprise(target: &str) -> [&str; 3] {
    [ENTERPRISE, "", target.strip_prefix("enterprise.").unwrap_or(target)]
}

fn manager(_: &str) -> [&str; 3] {
    [ENTERPRISE, "manager", "value"]
}

/// Returns where an attribute of a server's own extension is.
fn extension(target: &str) -> [&str; 3] {
    let (urn, attribute) = target.rsplit_once(':').unwrap_or((target, ""));
    [urn, "", attribute]
}

/// Returns whether a target names an attribute of a server's own extension. The core schema and the
/// enterprise extension have names of their own, so that no attribute has two.
pub(super) fn is_extension(target: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$');
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| letter(b) || b == b'.');
    let Some((urn, attribute)) = target.rsplit_once(':') else { return false };
    let mut parts = urn.split(':');
    let lower = target.to_ascii_lowercase();
    let is_known = |urn: &str| lower.starts_with(&format!("{}:", urn.to_ascii_lowercase()));
    parts.next() == Some("urn")
        && parts.clone().count() >= 2
        && parts.all(is_part)
        && !is_known(USER)
        && !is_known(ENTERPRISE)
        && (1..=64).contains(&attribute.len())
        && attribute.bytes().all(letter)
        && attribute.as_bytes()[0].is_ascii_alphabetic()
}

/// Returns the words by which a refusal may name a target.
pub(super) fn names(target: &str) -> Vec<String> {
    let Some(place) = TABLE.locate(target) else { return vec![target.to_owned()] };
    let own = if place.key.is_empty() { place.member } else { place.key };
    let own = (place.array().is_none() && !own.is_empty()).then_some(own);
    let words = place.field.words.iter().copied();
    [target].into_iter().chain(own).chain(words).map(str::to_owned).collect()
}

/// Returns the state. Servers that were written for one certain client show a text.
fn state(user: &Object<'_>) -> Option<AccountState> {
    Some(match user.scalar("active")?.to_ascii_lowercase().as_str() {
        "true" => AccountState::Active,
        "false" => AccountState::Suspended,
        _ => AccountState::Other,
    })
}

/// Returns a pacer without a pace of its own, because the standard names no limit. It slows down
/// when the server refuses calls for their number and names no time.
#[must_use]
pub fn pacer() -> Pacer {
    Pacer::new(100_000, Duration::from_secs(60)).slowing_to(5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{fixtures, reader::UserReader};

    #[test]
    fn targets_are_found_where_scim_keeps_them() {
        const BADGE: &str = "urn:example:params:scim:schemas:extension:company:2.0:User:badge";
        for (target, expected) in [
            ("userName", Some(Compare::IgnoringCase)),
            ("username", None),
            ("name.givenName", Some(Compare::Exact)),
            ("name.first", None),
            ("emails.work", Some(Compare::IgnoringCase)),
            ("emails", None),
            ("emails.work.value", None),
            ("phoneNumbers.mobile", Some(Compare::Exact)),
            ("addresses.work.locality", Some(Compare::Exact)),
            ("addresses.work", None),
            ("addresses.work.planet", None),
            ("enterprise.department", Some(Compare::Exact)),
            ("enterprise.manager", Some(Compare::Person)),
            ("enterprise.manager.value", None),
            ("enterprise.shoe", None),
            (BADGE, Some(Compare::Exact)),
            ("urn:x:u:y", Some(Compare::Exact)),
            ("urn:x:y", None),
            ("urn:y", None),
            ("urn:x::y", None),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", None),
            ("urn:ietf:params:scim:schemas:core:2.0:User:title", None),
            ("externalId", None),
            ("active", None),
            ("password", None),
            ("id", None),
            ("meta", None),
        ] {
            assert_eq!(CATALOG.compare(target), expected, "{target}");
        }
        let place = TABLE.locate(BADGE).unwrap();
        assert_eq!(
            (place.outer, place.key, place.member),
            ("urn:example:params:scim:schemas:extension:company:2.0:User", "", "badge")
        );
    }

    #[test]
    fn a_user_is_read_with_extensions_and_whatever_form_the_state_has() {
        let targets = ["userName", "enterprise.manager", "enterprise.department", "urn:x:U:floor"];
        let mapping = fixtures::mapping(&targets, 0);
        let read = |user: Value| {
            let answer = fixtures::answer(200, "application/scim+json", user.to_string());
            UserReader::new(&TABLE, &mapping).one(&answer).unwrap()
        };
        let account = read(json!({
            "id": "7", "userName": "noa@example.com", "externalId": "4711",
            ENTERPRISE: {"department": "Ops", "manager": {"value": "9", "displayName": "Kim"}},
            "urn:x:U": {"floor": 3}, "meta": {"version": "W/\"1\""},
        }));
        let attributes: Vec<_> = account.attributes.iter().map(Option::as_deref).collect();
        assert_eq!(attributes, [Some("noa@example.com"), Some("9"), Some("Ops"), Some("3")]);
        assert_eq!(
            (account.mark.as_deref(), account.email.as_deref()),
            (Some("4711"), attributes[0])
        );
        assert!(account.foreign.is_some_and(|kept| kept.contains("W/")));
        for (active, state) in [
            (json!(true), AccountState::Active),
            (json!("True"), AccountState::Active),
            (json!(false), AccountState::Suspended),
            (json!("false"), AccountState::Suspended),
            (json!("maybe"), AccountState::Other),
            (Value::Null, AccountState::Active),
        ] {
            assert_eq!(read(json!({"id": "7", "active": active})).state, state, "{active}");
        }
    }

    #[test]
    fn a_refusal_names_an_attribute_without_its_schema() {
        let named = |target, word: &str| names(target).iter().any(|name| name == word);
        assert!(named("enterprise.department", "department"));
        assert!(named("enterprise.manager", "manager"));
        assert!(named("urn:x:U:badge", "badge"));
        assert!(named("emails.work", "e-mail") && !named("emails.work", "work"));
    }
}
