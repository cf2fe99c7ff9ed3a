//! What is known of Okta before there is a connection: attributes, default map, limits.

use jiff::Timestamp;

use crate::provider::prelude::*;

/// Okta, as the settings see it. The default map is Bob's own for Okta (help.hibob.com, its
/// integration guide).
pub const CATALOG: Catalog = Catalog {
    name: "Okta",
    required: &["login", "email", "firstName", "lastName"],
    label: "okta",
    default_map: include_str!("default-map.json"),
    address: Some("email"),
    capabilities: Capabilities {
        change_at_first_login: ChangeAtFirstLogin::WithDefaultPassword,
        initial_password: NewPassword::Optional,
        // The others are PROVISIONED, PASSWORD_EXPIRED, LOCKED_OUT and RECOVERY.
        emoji: false,
        states: &[AccountState::Active, AccountState::Suspended, AccountState::Other],
        mark: "profile attribute that markAttribute names",
        chosen_mark: true,
        page: 200,
        lags: true,
        request_ids: true,
        defined_attributes: true,
        says_when: true,
        access_apart: true,
        ends_sessions: true,
        phrases: Phrases {
            hidden_holders: "an account whose login differs only in accents, or that bobsync \
                cannot see,",
            mastered: "Active Directory, LDAP or an app is its profile source",
            other_mark: ", or name an attribute that nothing else uses in \
                spec.provider.okta.markAttribute",
            ..Capabilities::PLAIN.phrases
        },
        ..Capabilities::PLAIN
    },
    ..Catalog::of(&TABLE, pacer)
};

/// Users of Okta (Okta Management API 2026.06.3, `UserProfile`).
pub(super) const TABLE: Table = Table {
    fields: &[
        text("login").compared(Compare::IgnoringCase).called(&["username", "user name"]),
        text("email").compared(Compare::IgnoringCase).called(&["primary email"]),
        text("secondEmail").compared(Compare::IgnoringCase).called(&["secondary email"]),
        text("firstName").called(&["first name"]),
        text("lastName").called(&["last name"]),
        text("middleName").called(&["middle name"]),
        text("honorificPrefix").called(&["honorific prefix"]),
        text("honorificSuffix").called(&["honorific suffix"]),
        text("title"),
        text("displayName").called(&["display name"]),
        text("nickName").called(&["nickname"]),
        text("profileUrl").called(&["profile url"]),
        text("mobilePhone").called(&["mobile phone"]),
        text("primaryPhone").called(&["primary phone"]),
        text("streetAddress").called(&["street address"]),
        text("city"),
        text("state"),
        text("zipCode").called(&["zip code"]),
        text("countryCode").called(&["country code"]),
        text("postalAddress").called(&["postal address"]),
        text("preferredLanguage").called(&["preferred language"]),
        text("locale"),
        text("timezone").called(&["time zone"]),
        text("userType").called(&["user type"]),
        text("employeeNumber").called(&["employee number"]),
        text("costCenter").called(&["cost center"]),
        text("organization"),
        text("division"),
        text("department"),
        // Okta checks no reference. It is the manager's login, which is known before that account
        // is made.
        text("managerId").compared(Compare::PersonByEmail),
        text("manager").labelled(),
        CUSTOM,
    ],
    mark: CUSTOM,
    id: &["id"],
    names: ["login", "login"],
    always: "id status profile",
    users: None,
    error: Some("errorCode"),
    // What the account had shows whether Okta has ignored a value.
    kept: &["profile"],
    shows_null: false,
    hooks: TableHooks { state, phase, ..TableHooks::NONE },
    access: None,
};

/// An attribute that tenants define themselves. `super::schema` has its type.
pub(super) const CUSTOM: Field = text("<attribute>");

const VALUE: Form = Form { read: |raw| scalar(raw.get()), ..Form::TEXT };

const fn text(target: &'static str) -> Field {
    Field::new(target, VALUE).at(At::Within("profile"))
}

/// Returns the state. SUSPENDED, STAGED and DEPROVISIONED have no access. The other ones, such as
/// PASSWORD_EXPIRED, are left to the owner of the account.
fn state(user: &Object<'_>) -> Option<AccountState> {
    Some(match &*user.text("status")? {
        "ACTIVE" => AccountState::Active,
        "SUSPENDED" | "STAGED" | "DEPROVISIONED" => AccountState::Suspended,
        _ => AccountState::Other,
    })
}

fn phase(user: &Object<'_>) -> AccountPhase {
    match user.text("status").as_deref() {
        Some("DEPROVISIONED") => AccountPhase::Deactivated,
        Some("ACTIVE") if is_unused(user) => AccountPhase::Unused,
        _ => AccountPhase::Usual,
    }
}

/// Returns whether the owner of an account has not logged in yet, and has the password that was set
/// before the activation.
pub(super) fn is_unused(user: &Object<'_>) -> bool {
    let time = |name: &str| user.text(name)?.parse::<Timestamp>().ok();
    let set_before =
        time("passwordChanged").zip(time("activated")).is_some_and(|(set, on)| set <= on);
    set_before && user.some("lastLogin").is_none()
}

/// The window of listings and creates, of reads of one user, of writes to one user, of other calls,
/// and of calls for tokens.
pub(super) const BUCKETS: [u32; 5] = [300, 1000, 300, 600, 1000];

/// Returns a pacer with half of the limits that Okta published for a minute, because a token may
/// use half of them (developer.okta.com, "Rate limits"). Answers say the tenant's own.
#[must_use]
pub fn pacer() -> Pacer {
    let first = Pacer::new(BUCKETS[0], Duration::from_secs(60));
    BUCKETS[1..].iter().fold(first, |pacer, limit| pacer.with_bucket(*limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{fixtures, reader::UserReader};

    #[test]
    fn targets_are_found_in_the_profile() {
        for (target, expected) in [
            ("login", Some(Compare::IgnoringCase)),
            ("email", Some(Compare::IgnoringCase)),
            ("title", Some(Compare::Exact)),
            ("managerId", Some(Compare::PersonByEmail)),
            ("manager", Some(Compare::Exact)),
            ("workCell", Some(Compare::Exact)),
            ("work_cell_2", Some(Compare::Exact)),
            ("profile.title", None),
            ("t-shirt", None),
            ("", None),
        ] {
            assert_eq!(CATALOG.compare(target), expected, "{target}");
        }
    }

    #[test]
    fn a_status_says_who_has_access() {
        let mapping = fixtures::mapping(&["login", "title"], 0);
        let read = |user: Value| {
            let answer = fixtures::answer(200, "application/json", user.to_string());
            let account = UserReader::new(&TABLE, &mapping).one(&answer).unwrap();
            (account.state, account.phase)
        };
        let before = "2026-11-01T09:00:00.000Z";
        let after = "2026-11-02T09:00:00.000Z";
        for (status, state, phase) in [
            ("ACTIVE", AccountState::Active, AccountPhase::Unused),
            ("PROVISIONED", AccountState::Other, AccountPhase::Usual),
            ("PASSWORD_EXPIRED", AccountState::Other, AccountPhase::Usual),
            ("LOCKED_OUT", AccountState::Other, AccountPhase::Usual),
            ("RECOVERY", AccountState::Other, AccountPhase::Usual),
            ("SUSPENDED", AccountState::Suspended, AccountPhase::Usual),
            ("STAGED", AccountState::Suspended, AccountPhase::Usual),
            ("DEPROVISIONED", AccountState::Suspended, AccountPhase::Deactivated),
            ("SOMETHING_NEW", AccountState::Other, AccountPhase::Usual),
        ] {
            let user = json!({"id": "00u1", "status": status, "profile": {"login": "noa"},
                "activated": after, "passwordChanged": before, "lastLogin": null});
            assert_eq!(read(user), (state, phase), "{status}");
        }
        for (changed, login) in [(Value::Null, Value::Null), (json!(before), json!(after))] {
            let user = json!({"id": "00u1", "status": "ACTIVE", "profile": {}, "activated": before,
                "passwordChanged": changed, "lastLogin": login});
            assert_eq!(read(user).1, AccountPhase::Usual, "{changed} {login}");
        }
        let chosen = json!({"id": "00u1", "status": "ACTIVE", "profile": {}, "activated": before,
            "passwordChanged": after, "lastLogin": null});
        assert_eq!(read(chosen).1, AccountPhase::Usual, "the owner has chosen a password");
    }
}
