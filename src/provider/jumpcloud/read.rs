//! Reads JumpCloud's users as accounts. It keeps only what the mapping needs.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::catalog::{Array, MARK, Target, locate};
use crate::domain::{
    account::{Account, AccountState},
    mapping::Mapping,
    visible::trimmed_of,
};

/// One page of the listing (JumpCloud API v1, `systemuserslist`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) results: Vec<User<'a>>,
    #[serde(default)]
    pub(super) total_count: Option<u64>,
}

/// One user (JumpCloud API v1, `systemuserreturn`), with gaps where the answer had nothing.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct User<'a> {
    #[serde(borrow, rename = "_id")]
    id: Option<Cow<'a, str>>,
    /// The id that some answers have in addition, or instead.
    #[serde(borrow, rename = "id")]
    other_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    suspended: Option<bool>,
    #[serde(rename = "externally_managed")]
    externally_managed: Option<bool>,
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    username: Option<Cow<'a, str>>,
    #[serde(borrow)]
    firstname: Option<Cow<'a, str>>,
    #[serde(borrow)]
    middlename: Option<Cow<'a, str>>,
    #[serde(borrow)]
    lastname: Option<Cow<'a, str>>,
    #[serde(borrow)]
    displayname: Option<Cow<'a, str>>,
    #[serde(borrow)]
    job_title: Option<Cow<'a, str>>,
    #[serde(borrow)]
    department: Option<Cow<'a, str>>,
    #[serde(borrow)]
    company: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cost_center: Option<Cow<'a, str>>,
    #[serde(borrow)]
    location: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow)]
    employee_identifier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    employee_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    alternate_email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    managed_apple_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    manager: Option<Cow<'a, str>>,
    #[serde(borrow)]
    phone_numbers: Option<&'a RawValue>,
    #[serde(borrow)]
    addresses: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    restricted_fields: Option<&'a RawValue>,
    /// The id of the organization that the user belongs to.
    #[serde(borrow)]
    pub(super) organization: Option<Cow<'a, str>>,
    /// The administrator to which this user belongs.
    admin: Option<IgnoredAny>,
    /// The message that only an error has.
    pub(super) message: Option<IgnoredAny>,
}

/// An entry of an array: the members that identify it, and its values.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    number: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    po_box: Option<Cow<'a, str>>,
    #[serde(borrow)]
    extended_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    street_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    locality: Option<Cow<'a, str>>,
    #[serde(borrow)]
    region: Option<Cow<'a, str>>,
    #[serde(borrow)]
    postal_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    country: Option<Cow<'a, str>>,
}

impl<'a> Entry<'a> {
    fn is(&self, array: Array, key: &str) -> bool {
        let own = if array.key() == "name" { &self.name } else { &self.kind };
        own.as_deref() == Some(key)
    }

    fn member(&self, name: &str) -> Option<Cow<'a, str>> {
        match name {
            "number" => self.number.clone(),
            "value" => self.value.clone(),
            "poBox" => self.po_box.clone(),
            "extendedAddress" => self.extended_address.clone(),
            "streetAddress" => self.street_address.clone(),
            "locality" => self.locality.clone(),
            "region" => self.region.clone(),
            "postalCode" => self.postal_code.clone(),
            _ => self.country.clone(),
        }
    }
}

impl<'a> User<'a> {
    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        match name {
            "email" => self.email.clone(),
            "username" => self.username.clone(),
            "firstname" => self.firstname.clone(),
            "middlename" => self.middlename.clone(),
            "lastname" => self.lastname.clone(),
            "displayname" => self.displayname.clone(),
            "jobTitle" => self.job_title.clone(),
            "department" => self.department.clone(),
            "company" => self.company.clone(),
            "costCenter" => self.cost_center.clone(),
            "location" => self.location.clone(),
            "description" => self.description.clone(),
            "employeeIdentifier" => self.employee_identifier.clone(),
            "employeeType" => self.employee_type.clone(),
            "alternateEmail" => self.alternate_email.clone(),
            "managedAppleId" => self.managed_apple_id.clone(),
            _ => self.manager.clone(),
        }
    }

    fn array(&self, array: Array) -> Option<&'a RawValue> {
        match array {
            Array::PhoneNumbers => self.phone_numbers,
            Array::Addresses => self.addresses,
            Array::Attributes => self.attributes,
        }
    }

    /// Returns whether the answer says which state the user is in.
    pub(super) fn tells_state(&self) -> bool {
        self.state.is_some() || self.suspended.is_some()
    }

    /// Returns the state. A user who is locked, or has not chosen a password yet, is not in another
    /// state: both can be true in addition to a state. `suspended` is the older form of the state.
    pub(super) fn state(&self) -> AccountState {
        match (self.state.as_deref(), self.suspended) {
            (Some("ACTIVATED"), _) | (None, Some(false)) => AccountState::Active,
            (Some("SUSPENDED"), _) | (None, Some(true)) => AccountState::Suspended,
            (Some("STAGED"), _) => AccountState::Staged,
            (Some(_), _) | (None, None) => AccountState::Other,
        }
    }
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
        let mapped = |array| {
            rows.iter().flatten().any(|target| target.entry().is_some_and(|(own, ..)| own == array))
        };
        let arrays = Array::ALL
            .into_iter()
            .filter(|array| *array == Array::Attributes || mapped(*array))
            .collect();
        Self { rows, arrays }
    }

    /// Returns the members of a user that are asked for.
    pub(super) fn fields(&self) -> String {
        let mut fields = vec![
            "_id",
            "email",
            "username",
            "state",
            "suspended",
            "restrictedFields",
            "admin",
            "externally_managed",
            "organization",
        ];
        fields.extend(self.arrays.iter().map(|array| array.name()));
        for target in self.rows.iter().flatten() {
            match target {
                Target::Text(name) if !fields.contains(name) => fields.push(name),
                _ => {}
            }
        }
        fields.join(" ")
    }

    /// Returns the account, or `None` if the user has no id.
    pub(super) fn account<'a>(&self, user: &User<'a>) -> Option<Account<'a>> {
        let id = user.id.clone().or_else(|| user.other_id.clone()).filter(|id| !id.is_empty())?;
        let mut arrays: [Option<Vec<Entry<'a>>>; 3] = [None, None, None];
        let mut foreign = String::new();
        let mut keep = |name: &str, raw: &RawValue| {
            foreign.push_str(if foreign.is_empty() { "{\"" } else { ",\"" });
            foreign.push_str(name);
            foreign.push_str("\":");
            foreign.push_str(raw.get());
        };
        for array in &self.arrays {
            let Some(raw) = user.array(*array) else { continue };
            keep(array.name(), raw);
            // An entry of another form matches no target, and hides none of the others.
            let all: Option<Vec<&'a RawValue>> = serde_json::from_str(raw.get()).ok();
            arrays[*array as usize] = all.map(|all| {
                all.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
            });
        }
        if let Some(raw) = user.restricted_fields.filter(|raw| !matches!(raw.get(), "[]" | "null"))
        {
            keep("restrictedFields", raw);
        }
        if !foreign.is_empty() {
            foreign.push('}');
        }
        let value = |array: Array, key: &str, member: &str| {
            let entry = arrays[array as usize]
                .as_deref()
                .unwrap_or_default()
                .iter()
                .find(|entry| entry.is(array, key));
            entry.and_then(|entry| entry.member(member))
        };
        let attributes = self.rows.iter().map(|target| {
            let target = (*target)?;
            let text = match (target, target.entry()) {
                (_, Some((array, key, member))) => value(array, key, member),
                (Target::Text(name), None) => user.text(name),
                (_, None) => None,
            };
            text.filter(|text| !text.trim().is_empty())
        });
        Some(Account {
            id,
            mark: value(Array::Attributes, MARK, "value").and_then(trimmed_of),
            email: user.email.clone(),
            username: user.username.clone(),
            state: user.state(),
            attributes: attributes.collect(),
            administrator: user.admin.is_some(),
            elsewhere: user.externally_managed == Some(true),
            foreign: (!foreign.is_empty()).then_some(Cow::Owned(foreign)),
        })
    }
}
