//! Reads Graph's users as accounts. It asks only for what the mapping needs.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Mark,
    catalog::{NUMBERED, ORGANIZATION, Target, locate},
};
use crate::domain::{
    account::{Account, AccountState},
    mapping::Mapping,
};

/// The members that identify a user and say whether bobsync may change the account. They are read
/// with every mapping.
const ALWAYS: [&str; 5] =
    ["id", "userPrincipalName", "accountEnabled", "userType", "onPremisesSyncEnabled"];

/// One page of a list (Microsoft Graph, "List users").
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) value: Vec<User<'a>>,
    #[serde(borrow, default, rename = "@odata.nextLink")]
    pub(super) next_link: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) error: Option<IgnoredAny>,
}

/// One user: the members of the answer, in their order.
#[derive(Default)]
pub(super) struct User<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for User<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = User<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<User<'de>, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(Text(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(User(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A text that is borrowed if it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A reference to another user.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl<'a> User<'a> {
    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| raw.get())
    }

    fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// Returns a text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.read(name).map(|Text(text)| text).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn enabled(&self) -> Option<bool> {
        self.read("accountEnabled")
    }

    pub(super) fn is_error(&self) -> bool {
        self.raw("error").is_some_and(|raw| raw != "null")
    }

    /// Returns the state. Absence is no evidence: without the flag a user is neither suspended nor
    /// active.
    fn state(&self) -> AccountState {
        match self.enabled() {
            Some(true) => AccountState::Active,
            Some(false) => AccountState::Suspended,
            None => AccountState::Other,
        }
    }

    /// Returns whether another directory is the user's master. That is so for a user from a
    /// directory on premises, and for a guest of another tenant. Type and name are both checked,
    /// because neither of them identifies every guest.
    fn is_elsewhere(&self, name: Option<&str>) -> bool {
        self.read("onPremisesSyncEnabled") == Some(true)
            || self.text("userType").is_some_and(|kind| kind.eq_ignore_ascii_case("guest"))
            || name.is_some_and(|name| name.to_ascii_uppercase().contains("#EXT#"))
    }
}

/// Where the rows of one mapping are, read once for a whole listing.
pub(super) struct Reader<'m> {
    rows: Vec<Option<Target<'m>>>,
    mark: &'m Mark,
}

impl<'m> Reader<'m> {
    pub(super) fn new(mapping: &'m Mapping, mark: &'m Mark) -> Self {
        Self { rows: mapping.rows.iter().map(|row| locate(&row.target)).collect(), mark }
    }

    /// Returns whether managers have to be asked for.
    pub(super) fn has_manager(&self) -> bool {
        self.rows.contains(&Some(Target::Manager))
    }

    /// Leaves out these rows, so that they are not asked for.
    pub(super) fn leave_out(&mut self, rows: &[usize]) {
        rows.iter().for_each(|row| self.rows[*row] = None);
    }

    /// Returns the directory extensions that are mapped, and the one with the mark.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (Option<usize>, &'m str)> + '_ {
        let rows = self.rows.iter().enumerate().filter_map(|(row, target)| match target {
            Some(Target::Text(name)) if name.starts_with("extension_") => Some((Some(row), *name)),
            _ => None,
        });
        let mark = match self.mark {
            Mark::Extension(name) => Some((None, &**name)),
            Mark::EmployeeId => None,
        };
        rows.chain(mark)
    }

    /// Returns the query of a read. Without it, Graph shows eleven properties, without state and
    /// mark.
    pub(super) fn query(&self) -> String {
        let mut names = ALWAYS.to_vec();
        let mapped = self.rows.iter().flatten().filter_map(|target| match target {
            Target::Text(name) | Target::Day(name) => Some(*name),
            Target::BusinessPhone => Some("businessPhones"),
            Target::Numbered(_) => Some(NUMBERED),
            Target::Organization(_) => Some(ORGANIZATION),
            Target::Manager => None,
        });
        for name in mapped.chain([self.mark.attribute()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let expand = if self.has_manager() { "&$expand=manager($select=id)" } else { "" };
        format!("$select={}{expand}", names.join(","))
    }

    /// Returns the account, or `None` without an id.
    pub(super) fn account<'a>(&self, user: &User<'a>) -> Option<Account<'a>> {
        let id = user.text("id")?;
        let name = user.text("userPrincipalName");
        let attributes = self.rows.iter().map(|target| match (*target)? {
            Target::Text(name) => user.text(name),
            Target::Day(name) => user.text(name).map(day),
            Target::BusinessPhone => user
                .read::<Vec<Text<'a>>>("businessPhones")?
                .into_iter()
                .next()
                .map(|Text(text)| text),
            Target::Numbered(name) => user.read::<User<'a>>(NUMBERED)?.text(name),
            Target::Organization(name) => user.read::<User<'a>>(ORGANIZATION)?.text(name),
            Target::Manager => user.read::<Reference<'a>>("manager").map(|manager| manager.id),
        });
        let attributes =
            attributes.map(|text| text.filter(|text| !text.trim().is_empty())).collect();
        Some(Account {
            mark: user.text(self.mark.attribute()).map(|text| self.mark.decode(text)),
            email: name.clone(),
            state: user.state(),
            // Graph shows directory roles elsewhere. A change of such an account is refused
            // (`Forbidden`).
            administrator: false,
            elsewhere: user.is_elsewhere(name.as_deref()),
            username: name,
            id,
            attributes,
            // It is written as a whole.
            foreign: user.raw(ORGANIZATION).filter(|raw| *raw != "null").map(Cow::Borrowed),
        })
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
            let user: User<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(
                (user.state(), user.is_elsewhere(user.text("userPrincipalName").as_deref())),
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
