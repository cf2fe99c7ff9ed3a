//! Reads Google's users as accounts. It keeps only what the mapping needs.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::catalog::{Array, CUSTOM, MARK, Target, locate};
use crate::domain::{
    account::{Account, AccountState},
    mapping::Mapping,
    visible::trimmed_of,
};

/// One page of the listing (Directory API, `users.list`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<'a> {
    #[serde(borrow, default)]
    pub(super) users: Vec<User<'a>>,
    #[serde(borrow, default)]
    pub(super) next_page_token: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) error: Option<IgnoredAny>,
}

/// One user (Directory API, resource `User`), with gaps where the answer had nothing.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct User<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    /// The id of the account (Google's customer) that the user belongs to.
    #[serde(borrow)]
    pub(super) customer_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) primary_email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) org_unit_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) recovery_email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) recovery_phone: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Name<'a>>,
    pub(super) suspended: Option<bool>,
    pub(super) archived: Option<bool>,
    is_admin: Option<bool>,
    is_delegated_admin: Option<bool>,
    #[serde(borrow)]
    pub(super) phones: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) organizations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) relations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) external_ids: Option<&'a RawValue>,
    #[serde(borrow)]
    addresses: Option<&'a RawValue>,
    #[serde(borrow)]
    locations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) custom_schemas: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Name<'a> {
    #[serde(borrow, rename = "givenName")]
    given: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "familyName")]
    family: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "displayName")]
    display: Option<Cow<'a, str>>,
}

/// An entry of an array: the members that identify it, and its values.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    custom_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    primary: Option<bool>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow)]
    department: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cost_center: Option<Cow<'a, str>>,
    #[serde(borrow)]
    location: Option<Cow<'a, str>>,
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
    #[serde(borrow)]
    domain: Option<Cow<'a, str>>,
}

impl Entry<'_> {
    fn is(&self, array: Array, kind: &str) -> bool {
        is_kind(array, kind, self.kind.as_deref(), self.custom_type.as_deref())
    }
}

/// Returns whether an entry with this type and custom type is the one that a target names.
pub(super) fn is_kind(
    array: Array,
    wanted: &str,
    kind: Option<&str>,
    custom: Option<&str>,
) -> bool {
    if array.types().contains(&wanted) {
        kind == Some(wanted)
    } else {
        kind == Some("custom") && custom == Some(wanted)
    }
}

/// Returns which of several organizations bobsync uses: the primary one, else the first of type
/// work, else the first.
pub(super) fn ours<T>(
    all: &[T],
    primary: impl Fn(&T) -> bool,
    kind: impl Fn(&T) -> Option<&str>,
) -> Option<usize> {
    let work = || all.iter().position(|one| kind(one) == Some("work"));
    all.iter().position(primary).or_else(work).or(if all.is_empty() { None } else { Some(0) })
}

/// Where the rows of one mapping are, read once for a whole listing.
pub(super) struct Reader<'m> {
    rows: Vec<Option<Target<'m>>>,
    /// The arrays that the mapping writes, and the one with the mark.
    arrays: Vec<Array>,
}

impl<'m> Reader<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        let rows: Vec<_> = mapping.rows.iter().map(|row| locate(&row.target)).collect();
        let arrays = Array::ALL.into_iter().filter(|array| {
            *array == Array::ExternalIds
                || rows.iter().flatten().any(|t| in_array(*t) == Some(*array))
        });
        Self { arrays: arrays.collect(), rows }
    }

    /// Returns the custom schemas that are mapped.
    pub(super) fn schemas(&self) -> Vec<&'m str> {
        let mut schemas: Vec<&str> = self
            .rows
            .iter()
            .flatten()
            .filter_map(|t| if let Target::Custom(schema, _) = t { Some(*schema) } else { None })
            .collect();
        schemas.sort_unstable();
        schemas.dedup();
        schemas
    }

    /// Returns the rows of custom schema fields.
    pub(super) fn custom(&self) -> impl Iterator<Item = (usize, &'m str, &'m str)> + '_ {
        self.rows.iter().enumerate().filter_map(|(row, t)| {
            if let Some(Target::Custom(schema, field)) = t {
                Some((row, *schema, *field))
            } else {
                None
            }
        })
    }

    /// Returns the members of a user that are asked for.
    pub(super) fn fields(&self) -> String {
        let mut fields = vec![
            "id",
            "customerId",
            "primaryEmail",
            "suspended",
            "archived",
            "isAdmin",
            "isDelegatedAdmin",
            "name(givenName,familyName,displayName)",
        ];
        fields.extend(self.arrays.iter().map(|array| array.name()));
        for target in self.rows.iter().flatten() {
            match target {
                Target::Text(name) if !fields.contains(name) => fields.push(name),
                Target::Custom(..) if !fields.contains(&CUSTOM) => fields.push(CUSTOM),
                _ => {}
            }
        }
        fields.join(",")
    }

    /// Returns the account, or `None` if the user has no id.
    pub(super) fn account<'a>(&self, user: &User<'a>) -> Option<Account<'a>> {
        let id = user.id.clone().filter(|id| !id.is_empty())?;
        let mut arrays: [Option<Vec<Entry<'a>>>; Array::ALL.len()] = Default::default();
        let mut foreign = String::new();
        // A custom field with several values is replaced as a whole, like an array.
        let several = user
            .custom_schemas
            .filter(|raw| raw.get().contains('[') && self.custom().next().is_some());
        for (name, raw) in self
            .arrays
            .iter()
            .map(|array| (array.name(), user.array(*array)))
            .chain([(CUSTOM, several)])
        {
            let Some(raw) = raw else { continue };
            foreign.push_str(if foreign.is_empty() { "{\"" } else { ",\"" });
            foreign.push_str(name);
            foreign.push_str("\":");
            foreign.push_str(raw.get());
        }
        for array in self.arrays.iter().filter(|array| !array.has_parts()) {
            let Some(raw) = user.array(*array) else { continue };
            // An entry of another form matches no target, hides none of the others, and keeps its
            // place.
            let all: Option<Vec<&'a RawValue>> = serde_json::from_str(raw.get()).ok();
            arrays[*array as usize] = all.map(|all| {
                all.iter().map(|raw| serde_json::from_str(raw.get()).unwrap_or_default()).collect()
            });
        }
        if !foreign.is_empty() {
            foreign.push('}');
        }
        let entries = |array: Array| arrays[array as usize].as_deref().unwrap_or_default();
        let value = |array: Array, kind: &str| {
            let entry = entries(array).iter().find(|entry| entry.is(array, kind));
            entry.and_then(|entry| entry.value.clone())
        };
        let custom = user.custom_schemas.map(|raw| {
            serde_json::from_str::<BTreeMap<&str, BTreeMap<&str, serde_json::Value>>>(raw.get())
        });
        let custom = custom.and_then(Result::ok).unwrap_or_default();
        let attributes = self.rows.iter().map(|target| {
            let text = match (*target)? {
                Target::Text("primaryEmail") => user.primary_email.clone(),
                Target::Text("orgUnitPath") => user.org_unit_path.clone(),
                Target::Text("recoveryEmail") => user.recovery_email.clone(),
                Target::Text(_) => user.recovery_phone.clone(),
                Target::Name(name) => user.name.as_ref().and_then(|all| match name {
                    "givenName" => all.given.clone(),
                    "familyName" => all.family.clone(),
                    _ => all.display.clone(),
                }),
                Target::Entry(array, kind) => value(array, kind),
                Target::Part(array, kind, part) => {
                    user.array(array).and_then(|raw| part_of(array, kind, part, raw))
                }
                Target::Organization(name) => {
                    let all = entries(Array::Organizations);
                    let at = ours(all, |one| one.primary == Some(true), |one| one.kind.as_deref())?;
                    organization(&all[at], name)
                }
                Target::Custom(schema, field) => custom
                    .get(schema)
                    .and_then(|fields| fields.get(field))
                    .and_then(scalar)
                    .map(Cow::Owned),
            };
            text.filter(|text| !text.trim().is_empty())
        });
        Some(Account {
            id,
            mark: value(Array::ExternalIds, MARK).and_then(trimmed_of),
            email: user.primary_email.clone(),
            username: user.primary_email.clone(),
            state: user.state(),
            attributes: attributes.collect(),
            administrator: user.is_admin == Some(true) || user.is_delegated_admin == Some(true),
            elsewhere: false,
            foreign: (!foreign.is_empty()).then_some(Cow::Owned(foreign)),
        })
    }
}

/// Returns the array that a target is in.
pub(super) const fn in_array(target: Target<'_>) -> Option<Array> {
    match target {
        Target::Entry(array, _) | Target::Part(array, ..) => Some(array),
        Target::Organization(_) => Some(Array::Organizations),
        Target::Text(_) | Target::Name(_) | Target::Custom(..) => None,
    }
}

/// Returns a part of the first entry of this type.
fn part_of(array: Array, kind: &str, part: &str, raw: &RawValue) -> Option<Cow<'static, str>> {
    let entries: Vec<serde_json::Value> = serde_json::from_str(raw.get()).ok()?;
    let entry = entries
        .iter()
        .find(|entry| is_kind(array, kind, entry["type"].as_str(), entry["customType"].as_str()))?;
    entry[part].as_str().map(|text| Cow::Owned(text.to_owned()))
}

fn organization<'a>(entry: &Entry<'a>, name: &str) -> Option<Cow<'a, str>> {
    match name {
        "name" => entry.name.clone(),
        "title" => entry.title.clone(),
        "department" => entry.department.clone(),
        "description" => entry.description.clone(),
        "costCenter" => entry.cost_center.clone(),
        "location" => entry.location.clone(),
        "symbol" => entry.symbol.clone(),
        _ => entry.domain.clone(),
    }
}

/// Returns whether a value of a custom field with several values is the one that a target names.
/// That is a value of type `work`, which is also Google's type if none is given.
pub(super) fn is_work(entry: &serde_json::Value) -> bool {
    entry.is_object() && entry["type"].as_str().is_none_or(|kind| kind == "work")
}

/// Returns the value of a custom field as text. For a field with several values it is the first of
/// type `work`.
fn scalar(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(flag) => Some(flag.to_string()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Array(all) => {
            all.iter().find(|entry| is_work(entry)).and_then(|entry| scalar(&entry["value"]))
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => None,
    }
}

impl<'a> User<'a> {
    fn array(&self, array: Array) -> Option<&'a RawValue> {
        match array {
            Array::Phones => self.phones,
            Array::Organizations => self.organizations,
            Array::Relations => self.relations,
            Array::ExternalIds => self.external_ids,
            Array::Addresses => self.addresses,
            Array::Locations => self.locations,
        }
    }

    /// Returns whether the answer is complete. For a new user, Google shows only parts for a while.
    pub(super) fn is_whole(&self) -> bool {
        self.suspended.is_some() && self.name.is_some() && self.primary_email.is_some()
    }

    /// Returns the state. Absence is no evidence: without the flag a user is neither suspended nor
    /// active. An archived user is neither of them either.
    pub(super) fn state(&self) -> AccountState {
        match (self.suspended, self.archived) {
            (Some(true), _) => AccountState::Suspended,
            (Some(false), Some(true)) | (None, _) => AccountState::Other,
            (Some(false), _) => AccountState::Active,
        }
    }
}
