//! The attributes of a user (developers.onelogin.com, "User Resource", "Create User").

use serde_json::Value;

use jiff::Timestamp;

/// The type of an attribute on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// An integer or null.
    Int,
    /// An integer or null; a numeric string is accepted too, because `OneLogin`'s own clients send
    /// one.
    UserRef,
    /// A list of integers.
    Ints,
    Time,
}

/// One attribute.
#[derive(Debug)]
pub struct Attribute {
    pub name: &'static str,
    pub kind: Kind,
    /// Accepted in POST and PUT.
    pub writable: bool,
    /// Part of a listing that does not name `fields`.
    pub thin: bool,
}

const fn attribute(name: &'static str, kind: Kind, writable: bool, thin: bool) -> Attribute {
    Attribute { name, kind, writable, thin }
}

/// All readable attributes except `custom_attributes`, in the order of an answer.
pub const ATTRIBUTES: &[Attribute] = &[
    attribute("id", Kind::Int, false, true),
    attribute("username", Kind::Text, true, true),
    attribute("email", Kind::Text, true, true),
    attribute("firstname", Kind::Text, true, true),
    attribute("lastname", Kind::Text, true, true),
    attribute("title", Kind::Text, true, false),
    attribute("department", Kind::Text, true, false),
    attribute("company", Kind::Text, true, false),
    attribute("comment", Kind::Text, true, false),
    attribute("phone", Kind::Text, true, true),
    attribute("status", Kind::Int, true, true),
    attribute("state", Kind::Int, true, true),
    attribute("group_id", Kind::Int, true, true),
    attribute("role_ids", Kind::Ints, true, false),
    attribute("directory_id", Kind::Int, true, true),
    attribute("trusted_idp_id", Kind::Int, true, false),
    attribute("manager_user_id", Kind::UserRef, true, false),
    attribute("manager_ad_id", Kind::UserRef, true, false),
    attribute("external_id", Kind::Text, true, true),
    attribute("samaccountname", Kind::Text, true, true),
    attribute("userprincipalname", Kind::Text, true, false),
    attribute("distinguished_name", Kind::Text, true, true),
    attribute("member_of", Kind::Text, true, true),
    attribute("preferred_locale_code", Kind::Text, true, true),
    attribute("invalid_login_attempts", Kind::Int, false, true),
    attribute("activated_at", Kind::Time, false, true),
    attribute("created_at", Kind::Time, false, true),
    attribute("updated_at", Kind::Time, false, true),
    attribute("invitation_sent_at", Kind::Time, false, true),
    attribute("last_login", Kind::Time, false, true),
    attribute("locked_until", Kind::Time, false, true),
    attribute("password_changed_at", Kind::Time, false, true),
];

/// Attributes that a write accepts and a read never shows.
pub const PASSWORD: &[&str] = &["password", "password_confirmation", "password_algorithm", "salt"];

/// Texts have at most this many characters.
pub const MAX_TEXT: usize = 255;

// Positions in `ATTRIBUTES`; a test compares them with their names.
pub const USERNAME: usize = 1;
pub const EMAIL: usize = 2;
pub const STATUS: usize = 10;
pub const STATE: usize = 11;
pub const GROUP: usize = 12;
pub const ROLES: usize = 13;
pub const MANAGER: usize = 16;
pub const EXTERNAL_ID: usize = 18;
pub const LOCALE: usize = 23;
pub const ATTEMPTS: usize = 24;
pub const ACTIVATED: usize = 25;
pub const CREATED: usize = 26;
pub const UPDATED: usize = 27;
pub const LAST_LOGIN: usize = 29;
pub const LOCKED_UNTIL: usize = 30;
pub const PASSWORD_CHANGED: usize = 31;

/// Returns the position of an attribute.
pub fn number(name: &str) -> Option<usize> {
    ATTRIBUTES.iter().position(|attribute| attribute.name == name)
}

/// Returns the name that validation messages use: `Manager user` for `manager_user_id`.
pub fn human(name: &str) -> String {
    let name = name.strip_suffix("_id").unwrap_or(name).replace('_', " ");
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Int(i64),
    Text(Box<str>),
    Ints(Vec<i64>),
    Time(Timestamp),
}

impl Cell {
    pub fn json(&self) -> Value {
        match self {
            Self::Int(number) => (*number).into(),
            Self::Text(text) => (&**text).into(),
            Self::Ints(numbers) => numbers.clone().into(),
            Self::Time(at) => crate::clock::millis(*at).into(),
        }
    }

    /// Reads a JSON value of this kind; `Ok(None)` is null.
    ///
    /// # Errors
    /// Names the wanted type.
    pub fn read(kind: Kind, value: &Value) -> Result<Option<Self>, &'static str> {
        if value.is_null() {
            return Ok(None);
        }
        let cell = match kind {
            Kind::Text => Self::Text(value.as_str().ok_or("a string")?.into()),
            Kind::Int => Self::Int(value.as_i64().ok_or("an integer")?),
            Kind::UserRef => {
                let text = || value.as_str().and_then(|text| text.parse().ok());
                Self::Int(value.as_i64().or_else(text).ok_or("an integer")?)
            }
            Kind::Ints => {
                let list = value.as_array().ok_or("an array of integers")?;
                Self::Ints(
                    list.iter()
                        .map(Value::as_i64)
                        .collect::<Option<_>>()
                        .ok_or("an array of integers")?,
                )
            }
            Kind::Time => Self::Time(
                value.as_str().and_then(|text| text.parse().ok()).ok_or("an ISO 8601 time")?,
            ),
        };
        Ok(Some(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_names() {
        for (position, name) in [
            (USERNAME, "username"),
            (EMAIL, "email"),
            (STATUS, "status"),
            (STATE, "state"),
            (GROUP, "group_id"),
            (ROLES, "role_ids"),
            (MANAGER, "manager_user_id"),
            (EXTERNAL_ID, "external_id"),
            (LOCALE, "preferred_locale_code"),
            (ATTEMPTS, "invalid_login_attempts"),
            (ACTIVATED, "activated_at"),
            (CREATED, "created_at"),
            (UPDATED, "updated_at"),
            (LAST_LOGIN, "last_login"),
            (LOCKED_UNTIL, "locked_until"),
            (PASSWORD_CHANGED, "password_changed_at"),
        ] {
            assert_eq!(ATTRIBUTES[position].name, name);
        }
    }

    #[test]
    fn a_number_is_not_a_text_and_a_text_no_number() {
        assert!(Cell::read(Kind::Text, &1.into()).is_err());
        assert!(Cell::read(Kind::Int, &"1".into()).is_err());
        assert_eq!(Cell::read(Kind::UserRef, &"17".into()), Ok(Some(Cell::Int(17))));
        assert!(Cell::read(Kind::UserRef, &"boss".into()).is_err());
        assert_eq!(Cell::read(Kind::Text, &Value::Null), Ok(None));
    }
}
