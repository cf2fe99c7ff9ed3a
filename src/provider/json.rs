//! JSON that is read without a tree: an object keeps its members as they came, and a value becomes
//! a text when it is needed.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::http::client::Answer;

/// The members of an object, in the order in which they came.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(Text(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A text that is borrowed if it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    /// Returns the JSON of a member, also of one that is null.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw)
    }

    /// Returns the JSON of a member that is not null.
    pub(super) fn some(&self, name: &str) -> Option<&'a RawValue> {
        self.raw(name).filter(|raw| raw.get() != "null")
    }

    /// Returns a member as this type, or `None` if it is missing or of another type.
    pub(super) fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// Returns a text that is not blank.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?.get())
    }

    /// Returns a text, a number or a flag as a text that is not blank.
    pub(super) fn scalar(&self, name: &str) -> Option<Cow<'a, str>> {
        scalar(self.raw(name)?.get())
    }

    /// Returns whether a member is true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw.get() == "true")
    }

    /// Returns whether a member that protects the account is set. A value of an unknown form
    /// protects it too.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.some(name).is_some_and(|raw| raw.get() != "false")
    }

    /// Returns whether a member is this text.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.text(name).is_some_and(|text| text == value)
    }
}

/// Returns a text that is not blank.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    let text = if inner.contains('\\') {
        Cow::Owned(serde_json::from_str(json).ok()?)
    } else {
        Cow::Borrowed(inner)
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Returns a text, a number or a flag as a text that is not blank. The texts of a list are joined
/// by semicolons.
pub(super) fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.bytes().next()? {
        b'"' => text(json),
        b'[' => {
            let all: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let all: Vec<_> = all.iter().filter_map(|one| scalar(one.get())).collect();
            (!all.is_empty()).then(|| all.join(";").into())
        }
        b'{' | b'n' => None,
        b't' | b'f' => Some(Cow::Borrowed(json)),
        _ if json.bytes().all(|b| b.is_ascii_digit()) && json.len() < 20 => {
            Some(Cow::Borrowed(json))
        }
        _ => serde_json::from_str::<serde_json::Number>(json).ok().map(|n| n.to_string().into()),
    }
}

/// Returns the body of an answer, if it is an object: the deserializer accepts a list as one too.
pub(super) fn object_in<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Option<T> {
    let body = &answer.body[..];
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    serde_json::from_slice(body).ok().filter(|_| is_object)
}
