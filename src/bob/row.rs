//! Reads one employee's JSON into one compact row, without building the JSON in between.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    value::{RawForms, ShownValue},
    wanted::{FieldPaths, Node},
};
use crate::domain::employee::{Cell, Values};

/// Reads the bytes of one employee object. Returns `None` if they are not one JSON object in UTF-8.
pub(super) fn read(wanted: &FieldPaths, bytes: &[u8]) -> Option<Values> {
    // The bytes are checked once, so that no string has to be checked again.
    let text = std::str::from_utf8(bytes).ok()?;
    let mut found = vec![RawForms::default(); wanted.kinds.len()];
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Top { wanted, found: &mut found }).ok()?;
    json.end().ok()?;
    for (label, reference) in &wanted.labels {
        found[*label] = found[*reference];
    }
    let shown: Vec<ShownValue<'_>> =
        found.iter().zip(&wanted.kinds).map(|(found, kind)| found.show(*kind)).collect();
    Some(Values::from_cells(shown.iter().map(|shown| match shown {
        ShownValue::Absent => Cell::Absent,
        ShownValue::Null => Cell::Null,
        ShownValue::Text(text) => Cell::Text(text),
    })))
}

/// Which of the forms is being read.
#[derive(Clone, Copy)]
enum RowForm {
    Nested,
    Human,
}

struct Top<'p, 'de> {
    wanted: &'p FieldPaths,
    found: &'p mut [RawForms<'de>],
}

impl<'de> Visitor<'de> for Top<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an employee")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut nested, mut slash) = (0, 0);
        while let Some(key) = map.next_key_seed(TopKey { wanted: self.wanted, nested, slash })? {
            match key {
                RowKey::Nested(child) => {
                    nested = child + 1;
                    let node = &self.wanted.nested.children[child];
                    map.next_value_seed(Inside { node, form: RowForm::Nested, found: self.found })?;
                }
                RowKey::Slash(child) => {
                    slash = child + 1;
                    let raw: &'de RawValue = map.next_value()?;
                    if let Some(field) = self.wanted.slash.children[child].field {
                        self.found[field].slash = Some(raw.get());
                    }
                }
                RowKey::Human => {
                    let node = &self.wanted.nested;
                    map.next_value_seed(Inside { node, form: RowForm::Human, found: self.found })?;
                }
                RowKey::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

enum RowKey {
    Nested(usize),
    Slash(usize),
    Human,
    Other,
}

struct TopKey<'p> {
    wanted: &'p FieldPaths,
    nested: usize,
    slash: usize,
}

impl<'de> DeserializeSeed<'de> for TopKey<'_> {
    type Value = RowKey;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RowKey, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for TopKey<'_> {
    type Value = RowKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<RowKey, E> {
        let known = if name.starts_with('/') {
            self.wanted.slash.child(name, self.slash).map(RowKey::Slash)
        } else if name == "humanReadable" {
            Some(RowKey::Human)
        } else {
            self.wanted.nested.child(name, self.nested).map(RowKey::Nested)
        };
        Ok(known.unwrap_or(RowKey::Other))
    }
}

/// The value at a node.
struct Inside<'p, 'de> {
    node: &'p Node,
    form: RowForm,
    found: &'p mut [RawForms<'de>],
}

impl<'de> Inside<'_, 'de> {
    fn set(&mut self, field: usize, raw: &'de str) {
        match self.form {
            RowForm::Nested => self.found[field].nested = Some(raw),
            RowForm::Human => self.found[field].human = Some(raw),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Inside<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<(), D::Error> {
        if self.node.field.is_none() && !self.node.person {
            return json.deserialize_any(self);
        }
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(json)?.get();
        if let Some(field) = self.node.field {
            self.set(field, raw);
        }
        if self.node.children.is_empty() {
            return Ok(());
        }
        if raw.starts_with('{') {
            // Only an employee's object is both a field and a way to others. It is small enough to
            // be read twice.
            return serde_json::Deserializer::from_str(raw)
                .deserialize_any(self)
                .map_err(serde::de::Error::custom);
        }
        if raw == "null" && self.node.person && matches!(self.form, RowForm::Nested) {
            let found = &mut *self.found;
            self.node.each_field(&mut |field| found[field].nested = Some(raw));
        }
        Ok(())
    }
}

/// Walks through an object. Any other value has none of the fields inside.
impl<'de> Visitor<'de> for Inside<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut hint = 0;
        while let Some(child) = map.next_key_seed(ChildKey { node: self.node, hint })? {
            if let Some(child) = child {
                hint = child + 1;
                let node = &self.node.children[child];
                map.next_value_seed(Inside { node, form: self.form, found: self.found })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

struct ChildKey<'p> {
    node: &'p Node,
    hint: usize,
}

impl<'de> DeserializeSeed<'de> for ChildKey<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for ChildKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.node.child(name, self.hint))
    }
}
