//! Reads `OneLogin`'s users as accounts. It keeps only what the mapping needs, and never holds a
//! page as a tree.

use std::{borrow::Cow, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::catalog::CUSTOM;
use crate::domain::{
    account::{Account, AccountState},
    mapping::Mapping,
    visible::trimmed_of,
};

/// Reads users in the columns of one mapping.
pub(super) struct Reader<'m> {
    /// Members that are read, except for custom attributes.
    members: Vec<Member<'m>>,
    /// Shortname and row of each mapped custom attribute.
    custom: Vec<(&'m str, usize)>,
    rows: usize,
    /// By row: whether the account that was read last showed it.
    told: Vec<bool>,
    /// By row of a custom attribute: whether any account showed it, even with null. `OneLogin`
    /// shows every defined custom attribute with every user.
    pub(super) defined: Vec<bool>,
    /// The custom attributes of the account that is being read, as JSON members, without null.
    others: Vec<u8>,
}

/// A member of a user that is read.
struct Member<'m> {
    name: &'m str,
    meaning: Meaning,
    /// The rows with this target.
    rows: Vec<usize>,
    /// The member that came after this one last time. Users list their members in one order.
    next: usize,
}

/// What a member means, even if it is not mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Id,
    Mark,
    Email,
    Username,
    Status,
    Licence,
    Directory,
    Custom,
    Mapped,
}

const CUSTOM_ATTRIBUTES: &str = "custom_attributes";

const ALWAYS: [(&str, Meaning); 8] = [
    ("id", Meaning::Id),
    ("external_id", Meaning::Mark),
    ("email", Meaning::Email),
    ("username", Meaning::Username),
    ("status", Meaning::Status),
    ("state", Meaning::Licence),
    ("directory_id", Meaning::Directory),
    ("trusted_idp_id", Meaning::Directory),
];

/// One user, with gaps where the answer had nothing.
#[derive(Debug, Default)]
pub(super) struct User<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) mark: Option<Cow<'a, str>>,
    pub(super) email: Option<Cow<'a, str>>,
    pub(super) username: Option<Cow<'a, str>>,
    pub(super) state: Option<AccountState>,
    /// Whether the user has no licence. Without one a user cannot log in.
    pub(super) unlicensed: bool,
    /// Whether a directory or a trusted identity provider is named with the user.
    pub(super) elsewhere: bool,
    pub(super) attributes: Vec<Option<Cow<'a, str>>>,
    pub(super) foreign: Option<Cow<'a, str>>,
}

impl<'m> Reader<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        let rows = mapping.rows.len();
        let member = |(name, meaning)| Member { name, meaning, rows: Vec::new(), next: 0 };
        let (mut members, mut custom): (Vec<_>, Vec<_>) = (ALWAYS.map(member).into(), Vec::new());
        for (row, target) in mapping.rows.iter().map(|row| &*row.target).enumerate() {
            if let Some(shortname) = target.strip_prefix(CUSTOM) {
                custom.push((shortname, row));
            } else if let Some(known) = members.iter_mut().find(|member| member.name == target) {
                known.rows.push(row);
            } else {
                members.push(Member { rows: vec![row], ..member((target, Meaning::Mapped)) });
            }
        }
        if !custom.is_empty() {
            members.push(member((CUSTOM_ATTRIBUTES, Meaning::Custom)));
        }
        Self {
            members,
            custom,
            rows,
            told: vec![false; rows],
            defined: vec![false; rows],
            others: Vec::new(),
        }
    }

    /// Returns the rows that are custom attributes, with their shortnames.
    pub(super) fn custom(&self) -> &[(&'m str, usize)] {
        &self.custom
    }

    /// Returns the value of the `fields` parameter, with only what is needed. Without it `OneLogin`
    /// leaves most attributes out of a listing.
    pub(super) fn fields(&self) -> String {
        self.members.iter().map(|member| member.name).collect::<Vec<_>>().join(",")
    }

    /// Returns the index of the member with this name. First tries the place that it had in the
    /// user before.
    fn member(&mut self, name: &str, before: usize) -> Option<usize> {
        let likely = self.members[before].next;
        if self.members[likely].name == name {
            return Some(likely);
        }
        let found = self.members.iter().position(|member| member.name == name)?;
        self.members[before].next = found;
        Some(found)
    }

    /// Returns whether the account that was read last showed this row.
    pub(super) fn told(&self, row: usize) -> bool {
        self.told.get(row).copied().unwrap_or_default()
    }

    /// Reads an array of users.
    ///
    /// # Errors
    /// What is wrong with it, without content.
    pub(super) fn page<'a>(
        &mut self,
        body: &'a [u8],
        each: &mut dyn FnMut(User<'a>),
    ) -> Result<(), &'static str> {
        // The body is checked once, so that no text has to be checked again.
        let body = std::str::from_utf8(body).map_err(|_| "the answer is not a list of users")?;
        let mut json = serde_json::Deserializer::from_str(body);
        let read = json.deserialize_seq(Page { reader: self, each });
        read.and_then(|()| json.end()).map_err(|_| "the answer is not a list of users")
    }

    /// Reads one user.
    ///
    /// # Errors
    /// What is wrong with it, without content.
    pub(super) fn user<'a>(&mut self, body: &'a [u8]) -> Result<User<'a>, &'static str> {
        let body = std::str::from_utf8(body).map_err(|_| "the answer is not a user")?;
        let mut json = serde_json::Deserializer::from_str(body);
        let read = OneUser { reader: self }.deserialize(&mut json);
        read.and_then(|user| json.end().map(|()| user)).map_err(|_| "the answer is not a user")
    }
}

impl<'a> User<'a> {
    /// Returns the account, if the answer has an id.
    pub(super) fn account(self) -> Option<Account<'a>> {
        Some(Account {
            id: self.id?,
            mark: self.mark,
            email: self.email,
            username: self.username,
            state: match self.state {
                Some(AccountState::Active) if self.unlicensed => AccountState::Unlicensed,
                state => state.unwrap_or(AccountState::Other),
            },
            attributes: self.attributes.into(),
            // OneLogin keeps the roles of its administrators elsewhere, and does not show them
            // here.
            administrator: false,
            elsewhere: self.elsewhere,
            foreign: self.foreign,
        })
    }
}

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

struct Page<'a, 'm, 'de> {
    reader: &'a mut Reader<'m>,
    each: &'a mut dyn FnMut(User<'de>),
}

impl<'de> Visitor<'de> for Page<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(user) = seq.next_element_seed(OneUser { reader: self.reader })? {
            (self.each)(user);
        }
        Ok(())
    }
}

struct OneUser<'a, 'm> {
    reader: &'a mut Reader<'m>,
}

impl<'de> DeserializeSeed<'de> for OneUser<'_, '_> {
    type Value = User<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<User<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneUser<'_, '_> {
    type Value = User<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<User<'de>, A::Error> {
        let reader = self.reader;
        reader.told.fill(false);
        let mut user = User { attributes: vec![None; reader.rows], ..User::default() };
        let mut before = 0;
        while let Some(Key(key)) = map.next_key()? {
            let Some(member) = reader.member(&key, before) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            before = member;
            let meaning = reader.members[member].meaning;
            if meaning == Meaning::Custom {
                map.next_value_seed(Custom { reader, attributes: &mut user.attributes })?;
                user.foreign = reader.foreign().map(Cow::Owned);
                continue;
            }
            let value = map.next_value_seed(Scalar)?;
            for &row in &reader.members[member].rows {
                reader.told[row] = true;
                user.attributes[row].clone_from(&value);
            }
            match meaning {
                Meaning::Id => user.id = value,
                Meaning::Mark => user.mark = value.and_then(trimmed_of),
                Meaning::Email => user.email = value,
                Meaning::Username => user.username = value,
                Meaning::Status => user.state = Some(state(value.as_deref())),
                // developers.onelogin.com, "User Resource": 3 is Unlicensed.
                Meaning::Licence => user.unlicensed = value.as_deref() == Some("3"),
                // A directory that was set before is cleared with 0.
                Meaning::Directory => {
                    user.elsewhere |= value.as_deref().is_some_and(|id| id != "0")
                }
                Meaning::Custom | Meaning::Mapped => {}
            }
        }
        Ok(user)
    }
}

impl Reader<'_> {
    /// Returns the members that were gathered, as an object.
    fn foreign(&mut self) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        self.others.push(b'}');
        let text = std::str::from_utf8(&self.others).ok().map(str::to_owned);
        self.others.clear();
        text
    }
}

struct Custom<'a, 'm, 'de> {
    reader: &'a mut Reader<'m>,
    attributes: &'a mut [Option<Cow<'de, str>>],
}

impl<'de> DeserializeSeed<'de> for Custom<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Custom<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("custom attributes")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// Reads an empty list, which is how some languages write an empty object.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.reader;
        reader.others.clear();
        while let Some(Key(key)) = map.next_key()? {
            let value = map.next_value_seed(Scalar)?;
            if let Some(value) = &value {
                reader.others.push(if reader.others.is_empty() { b'{' } else { b',' });
                serde_json::to_writer(&mut reader.others, &*key).map_err(A::Error::custom)?;
                reader.others.push(b':');
                serde_json::to_writer(&mut reader.others, &**value).map_err(A::Error::custom)?;
            }
            for &(_, row) in reader.custom.iter().filter(|(shortname, _)| *shortname == key) {
                reader.told[row] = true;
                reader.defined[row] = true;
                self.attributes[row].clone_from(&value);
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed if possible.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// Reads a text, a number or a flag as text. Null, blank text and anything else give nothing. The
/// wire is less strict than the documentation: ids come as numbers and as texts.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok((!text.trim().is_empty()).then_some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.trim().is_empty()).then(|| Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        // The status of every account is one of these.
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let digit = usize::try_from(number).ok().and_then(|number| DIGITS.get(number));
        Ok(Some(
            digit.map_or_else(|| Cow::Owned(number.to_string()), |digit| Cow::Borrowed(*digit)),
        ))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string().into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string().into()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(flag.to_string().into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    /// Reads a list as a text with semicolons: `member_of` is a list in some answers and a text in
    /// others.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = seq.next_element_seed(Self)? {
            parts.extend(part);
        }
        Ok((!parts.is_empty()).then(|| parts.join(";").into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
