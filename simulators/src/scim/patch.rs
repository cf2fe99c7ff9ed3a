//! The operations of a PATCH (RFC 7644, 3.5.2).

use serde_json::{Map, Value, json};

use super::errors::{Checked, Refused};
use super::filter::Filter;
use super::paths::{self, Target};
use super::quirks::{Missed, OperationNames, PatchPaths};
use super::rules;
use super::schema::{Access, Attribute, Kind};
use super::state::State;
use super::users::Resource;

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Replace,
    Remove,
}

impl Operation {
    fn read(name: &str, names: OperationNames) -> Option<Self> {
        let all = [("add", Self::Add), ("replace", Self::Replace), ("remove", Self::Remove)];
        let (known, operation) =
            all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let right = match names {
            OperationNames::Lower => name == known,
            OperationNames::Capitalised => {
                name[..1] == known[..1].to_uppercase() && name[1..] == known[1..]
            }
            OperationNames::Any => true,
        };
        right.then_some(operation)
    }
}

/// Returns the resource after all operations, or the first refusal.
pub fn applied(state: &State, before: &Resource, body: &Map<String, Value>) -> Checked<Resource> {
    let wrong = || Refused::syntax("schemas must name PatchOp, and Operations must be an array");
    let member = |name: &str| {
        body.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    if member("schemas") != Some(&json!([PATCH])) || body.len() != 2 {
        return Err(wrong());
    }
    let operations = member("Operations").and_then(Value::as_array).ok_or_else(wrong)?;
    if operations.is_empty() {
        return Err(wrong());
    }
    if state.quirks.patch.most_operations.is_some_and(|most| operations.len() > most) {
        return Err(Refused::value("There are too many operations"));
    }
    let mut resource = before.clone();
    for operation in operations {
        apply(state, &mut resource, operation)?;
    }
    Ok(resource)
}

fn apply(state: &State, resource: &mut Resource, given: &Value) -> Checked<()> {
    let given =
        given.as_object().ok_or_else(|| Refused::syntax("An operation must be an object"))?;
    let (mut operation, mut path, mut value) = (None, None, None);
    for (name, member) in given {
        match name.to_ascii_lowercase().as_str() {
            "op" => operation = member.as_str(),
            "path" => {
                let text = member.as_str();
                path = Some(text.ok_or_else(|| Refused::path("path must be a text"))?);
            }
            "value" => value = Some(member),
            _ => return Err(Refused::syntax(format!("An operation has no member {name}"))),
        }
    }
    let operation = operation
        .and_then(|name| Operation::read(name, state.quirks.patch.names))
        .ok_or_else(|| Refused::syntax("op must be add, remove or replace"))?;
    let dialect = state.quirks.patch.paths;
    let Some(path) = path else {
        return match (operation, value, dialect) {
            (Operation::Remove, ..) => Err(Refused::no_target("remove needs a path")),
            (_, _, PatchPaths::Required) => Err(Refused::new(500, "Internal server error")),
            (_, _, PatchPaths::PathlessIgnored) => Ok(()),
            (_, Some(Value::Object(members)), _) => {
                merge(state, resource, members, operation == Operation::Add)
            }
            _ => Err(Refused::value("Without a path, value must be an object")),
        };
    };
    let target = paths::read(&state.schemas, path)?;
    let refused = match dialect {
        PatchPaths::Pathless => true,
        PatchPaths::NoExtensions => target.extension.is_some(),
        PatchPaths::NoFilters => target.filter.is_some(),
        _ => false,
    };
    if refused {
        return Err(Refused::path(format!("The path {path} is not supported")));
    }
    match (operation, value) {
        (Operation::Remove, _) => remove(resource, &target, state.quirks.patch.missed),
        (_, None) => Err(Refused::value("value is missing")),
        (_, Some(value)) => {
            let add = operation == Operation::Add;
            assign(resource, &target, value, add, state.quirks.patch.missed)
        }
    }
}

/// Sets the named attributes of a resource: objects are merged, null clears.
pub fn merge(
    state: &State,
    resource: &mut Resource,
    members: &Map<String, Value>,
    add: bool,
) -> Checked<()> {
    for (name, value) in members {
        if name.eq_ignore_ascii_case("schemas") {
            continue;
        }
        let target = paths::plain(&state.schemas, name)
            .filter(|target| target.part.is_none())
            .filter(|target| target.extension.is_none() || target.attribute.is_none())
            .ok_or_else(|| Refused::syntax(format!("There is no attribute {name}")))?;
        assign(resource, &target, value, add, Missed::Refused)?;
    }
    Ok(())
}

fn writable(attribute: &Attribute, name: &str) -> Checked<()> {
    if attribute.access == Access::ReadOnly {
        return Err(Refused::mutability(format!("{name} is read-only")));
    }
    Ok(())
}

/// Calls `change` with the object in which a target's attribute is.
fn within<T>(
    resource: &mut Resource,
    target: &Target<'_>,
    change: impl FnOnce(&mut Resource) -> Checked<T>,
) -> Checked<T> {
    let Some(extension) = target.extension else { return change(resource) };
    let held = resource.entry(extension.urn.clone()).or_insert_with(|| json!({}));
    let Some(holder) = held.as_object_mut() else {
        return Err(Refused::new(500, "The extension is not an object"));
    };
    let done = change(holder)?;
    if holder.is_empty() {
        resource.remove(&extension.urn);
    }
    Ok(done)
}

fn assign(
    resource: &mut Resource,
    target: &Target<'_>,
    value: &Value,
    add: bool,
    missed: Missed,
) -> Checked<()> {
    let Some(attribute) = target.attribute else {
        let Some(extension) = target.extension else { return Ok(()) };
        if value.is_null() {
            resource.remove(&extension.urn);
            return Ok(());
        }
        let members = value
            .as_object()
            .ok_or_else(|| Refused::value(format!("{} must be an object", extension.urn)))?;
        // A client that is much used names the schemas in an extension too.
        for (name, value) in members.iter().filter(|(name, _)| *name != "schemas") {
            let attribute = super::schema::find(&extension.attributes, name)
                .ok_or_else(|| Refused::syntax(format!("There is no attribute {name}")))?;
            let inner = Target {
                extension: Some(extension),
                attribute: Some(attribute),
                filter: None,
                part: None,
            };
            assign(resource, &inner, value, add, missed)?;
        }
        return Ok(());
    };
    writable(attribute, &target.name())?;
    if let Some(part) = target.part {
        writable(part, &target.name())?;
    }
    within(resource, target, |holder| {
        if attribute.many {
            return assign_many(holder, attribute, target, value, add, missed);
        }
        if attribute.kind != Kind::Complex {
            return set(holder, attribute, value);
        }
        if value.is_null() && target.part.is_none() {
            holder.remove(&attribute.name);
            return Ok(());
        }
        let mut parts =
            holder.get(&attribute.name).and_then(Value::as_object).cloned().unwrap_or_default();
        match target.part {
            Some(part) => set(&mut parts, part, value)?,
            None => {
                let given = value.as_object().ok_or_else(|| {
                    Refused::value(format!("{} must be an object", attribute.name))
                })?;
                rules::object(&attribute.parts, given, &attribute.name, true)?;
                for (name, value) in given {
                    if let Some(part) = attribute.part(name) {
                        set(&mut parts, part, value)?;
                    }
                }
            }
        }
        if parts.is_empty() {
            holder.remove(&attribute.name);
        } else {
            holder.insert(attribute.name.clone(), Value::Object(parts));
        }
        Ok(())
    })
}

/// Sets or clears one attribute.
fn set(holder: &mut Resource, attribute: &Attribute, value: &Value) -> Checked<()> {
    match rules::value(attribute, value)? {
        Some(value) => drop(holder.insert(attribute.name.clone(), value)),
        None if attribute.required => {
            return Err(Refused::mutability(format!("{} is required", attribute.name)));
        }
        None => drop(holder.remove(&attribute.name)),
    }
    Ok(())
}

fn assign_many(
    holder: &mut Resource,
    attribute: &Attribute,
    target: &Target<'_>,
    value: &Value,
    add: bool,
    missed: Missed,
) -> Checked<()> {
    let mut values = values_of(holder, attribute);
    let before = values.clone();
    match (&target.filter, target.part) {
        (None, None) if add => {
            let given = match value {
                Value::Array(all) => all.clone(),
                one => vec![one.clone()],
            };
            for given in &given {
                let checked = rules::one(attribute, given)?;
                values.extend(checked.filter(|checked| !before.contains(checked)));
            }
        }
        (None, None) => {
            values = match rules::value(attribute, value)? {
                Some(Value::Array(all)) => all,
                _ => Vec::new(),
            };
        }
        (filter, part) => {
            let mut matched = false;
            for entry in values.iter_mut().filter_map(Value::as_object_mut) {
                if filter.as_ref().is_some_and(|filter| !filter.holds(entry, false)) {
                    continue;
                }
                matched = true;
                change(entry, attribute, part, value, add)?;
            }
            if !matched {
                let makes = missed == Missed::Tolerated || add && missed == Missed::Added;
                let start = filter.as_ref().filter(|_| makes);
                let start = start.and_then(Filter::equalities);
                let mut entry = start.ok_or_else(|| {
                    Refused::no_target(format!("No value of {} is meant", attribute.name))
                })?;
                change(&mut entry, attribute, part, value, true)?;
                values.push(Value::Object(entry));
            }
        }
    }
    yield_primary(&before, &mut values);
    rules::single_primary(&attribute.name, &values)?;
    store(holder, attribute, values);
    Ok(())
}

/// Changes one value of a multi-valued attribute.
fn change(
    entry: &mut Resource,
    attribute: &Attribute,
    part: Option<&Attribute>,
    value: &Value,
    add: bool,
) -> Checked<()> {
    if let Some(part) = part {
        return set(entry, part, value);
    }
    match rules::one(attribute, value)? {
        Some(Value::Object(parts)) if add => entry.extend(parts),
        Some(Value::Object(parts)) => *entry = parts,
        _ => return Err(Refused::value(format!("{} must be an object", attribute.name))),
    }
    Ok(())
}

/// A new primary value ends the old one (RFC 7644, 3.5.2).
fn yield_primary(before: &[Value], values: &mut [Value]) {
    let is_new = |value: &Value| value["primary"] == true && !before.contains(value);
    if values.iter().any(is_new) {
        for value in values.iter_mut().filter(|value| value["primary"] == true) {
            if before.contains(value) {
                value["primary"] = json!(false);
            }
        }
    }
}

fn values_of(holder: &Resource, attribute: &Attribute) -> Vec<Value> {
    holder.get(&attribute.name).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn store(holder: &mut Resource, attribute: &Attribute, mut values: Vec<Value>) {
    values.retain(|value| value.as_object().is_none_or(|parts| !parts.is_empty()));
    if values.is_empty() {
        holder.remove(&attribute.name);
    } else {
        holder.insert(attribute.name.clone(), Value::Array(values));
    }
}

fn remove(resource: &mut Resource, target: &Target<'_>, missed: Missed) -> Checked<()> {
    let Some(attribute) = target.attribute else {
        if let Some(extension) = target.extension {
            resource.remove(&extension.urn);
        }
        return Ok(());
    };
    writable(attribute, &target.name())?;
    if let Some(part) = target.part {
        writable(part, &target.name())?;
    }
    if attribute.required {
        return Err(Refused::mutability(format!("{} is required", attribute.name)));
    }
    within(resource, target, |holder| {
        if !attribute.many {
            let Some(part) = target.part else {
                holder.remove(&attribute.name);
                return Ok(());
            };
            if let Some(parts) = holder.get_mut(&attribute.name).and_then(Value::as_object_mut) {
                parts.remove(&part.name);
                if parts.is_empty() {
                    holder.remove(&attribute.name);
                }
            }
            return Ok(());
        }
        let mut values = values_of(holder, attribute);
        let meant = |value: &Value| {
            target.filter.as_ref().is_none_or(|filter| {
                value.as_object().is_some_and(|entry| filter.holds(entry, false))
            })
        };
        if target.filter.is_some() && !values.iter().any(meant) {
            if missed == Missed::Tolerated {
                return Ok(());
            }
            return Err(Refused::no_target(format!("No value of {} is meant", attribute.name)));
        }
        match target.part {
            None => values.retain(|value| !meant(value)),
            Some(part) => {
                for value in values.iter_mut().filter(|value| meant(value)) {
                    if let Some(entry) = value.as_object_mut() {
                        entry.remove(&part.name);
                    }
                }
            }
        }
        store(holder, attribute, values);
        Ok(())
    })
}
