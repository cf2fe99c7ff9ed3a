//! Create, update and delete, and what `OneLogin` changes after a write (developers.onelogin.com,
//! "Create User", "Update User", "Set User State").

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::attributes::{
    ACTIVATED, ATTEMPTS, ATTRIBUTES, CREATED, Cell, EMAIL, EXTERNAL_ID, GROUP, Kind, LOCALE,
    LOCKED_UNTIL, MANAGER, MAX_TEXT, PASSWORD, PASSWORD_CHANGED, ROLES, STATE, STATUS, UPDATED,
    USERNAME, human, number,
};
use super::errors;
use super::quirks::{CustomAttributes, EmptyText, NullValue};
use super::state::State;
use super::users::{Shown, User};
use crate::front::{Answer, Call};

/// A lock that was written as status 3 ends after this long.
const WRITTEN_LOCK: SignedDuration = SignedDuration::from_mins(15);

/// A write, checked.
struct Change {
    cells: Vec<(usize, Option<Cell>)>,
    custom: Option<Custom>,
    password: bool,
}

impl Change {
    fn names(&self, attribute: usize) -> bool {
        self.cells.iter().any(|(number, _)| *number == attribute)
    }
}

/// When mappings run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mappings {
    Async,
    Sync,
    Disabled,
}

/// Reads the JSON object of a write: a malformed body gets a page, any other JSON a 400.
pub fn body(call: &Call) -> Result<Map<String, Value>, Answer> {
    if call.media_type().as_deref() != Some("application/json") {
        return Err(errors::v2(400, "Content-Type must be application/json"));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(errors::v2(400, "Expected an object in request")),
        Err(_) => Err(Answer::html(400, errors::MALFORMED_PAGE)),
    }
}

fn mappings(call: &Call, creating: bool) -> Result<Mappings, Answer> {
    let mut mode = Mappings::Async;
    for (key, value) in call.pairs() {
        match (key.as_str(), value.as_str()) {
            ("mappings", "async") => mode = Mappings::Async,
            ("mappings", "sync") => mode = Mappings::Sync,
            ("mappings", "disabled") if !creating => mode = Mappings::Disabled,
            // OneLogin's own Python client writes `False`.
            ("validate_policy", flag)
                if flag.eq_ignore_ascii_case("true") || flag.eq_ignore_ascii_case("false") => {}
            ("mappings" | "validate_policy", _) => {
                return Err(errors::v2(400, &format!("invalid value for query parameter: {key}")));
            }
            _ => return Err(errors::v2(400, &format!("query parameter(s) not allowed: {key}"))),
        }
    }
    Ok(mode)
}

/// Handles `POST /api/2/users`.
pub fn create(state: &mut State, call: &Call, now: Timestamp) -> Answer {
    let done = mappings(call, true).and_then(|mode| {
        let given = body(call)?;
        let change = check(state, &given, None)?;
        Ok((mode, change))
    });
    let (mode, change) = match done {
        Ok(done) => done,
        Err(refused) => return refused,
    };
    let mut user = User::new(state.users.next_id());
    user.set(CREATED, Some(Cell::Time(now)));
    user.set(ATTEMPTS, Some(Cell::Int(0)));
    // Without a password the user is Password Pending, unless the caller says otherwise.
    user.set(STATUS, Some(Cell::Int(if change.password { 1 } else { 7 })));
    user.set(STATE, Some(Cell::Int(1)));
    finish(state, user, None, change, mode, 201, now)
}

/// Handles `PUT /api/2/users/{id}`.
pub fn update(state: &mut State, call: &Call, id: i64, now: Timestamp) -> Answer {
    let Some(old) = state.users.get(id).cloned() else { return errors::not_found() };
    let done = mappings(call, false).and_then(|mode| {
        let given = body(call)?;
        if state.owner == Some(id) {
            return Err(errors::v2(403, "The account owner cannot be modified through the API"));
        }
        let change = check(state, &given, Some(&old))?;
        Ok((mode, change))
    });
    match done {
        Ok((mode, change)) => finish(state, old.clone(), Some(&old), change, mode, 200, now),
        Err(refused) => refused,
    }
}

/// Handles `DELETE /api/2/users/{id}`.
pub fn delete(state: &mut State, id: i64) -> Answer {
    if state.users.get(id).is_none() {
        return errors::not_found();
    }
    if state.owner == Some(id) {
        return errors::v2(403, "The account owner cannot be deleted");
    }
    state.users.remove(id);
    Answer::empty(204)
}

/// Applies a checked change, answers the user as written, and stores the result.
fn finish(
    state: &mut State,
    mut user: User,
    old: Option<&User>,
    change: Change,
    mode: Mappings,
    status: u16,
    now: Timestamp,
) -> Answer {
    let activates = change.names(STATUS) || old.is_none();
    let unlicensed = old.and_then(|old| old.int(STATE)) == Some(3);
    let wants_state = change.names(STATE);
    for (attribute, cell) in change.cells {
        user.set(attribute, cell);
    }
    if let Some(custom) = change.custom {
        if state.quirks.custom_attributes == CustomAttributes::Replace {
            user.custom.clear();
        }
        for (shortname, value) in custom {
            match value {
                Some(value) => user.custom.insert(shortname, value),
                None => user.custom.remove(&shortname),
            };
        }
    }
    if change.password {
        user.set(PASSWORD_CHANGED, Some(Cell::Time(now)));
    }
    if activates && user.status() == 1 && old.is_none_or(|old| old.status() != 1) {
        user.set(ACTIVATED, Some(Cell::Time(now)));
    }
    if activates && user.status() != 3 {
        user.set(LOCKED_UNTIL, None);
    }
    user.set(UPDATED, Some(Cell::Time(now)));
    if mode == Mappings::Sync {
        map(state, &mut user);
    }
    let answer = state.one(&user, &Shown::full(), status);

    // What the answer does not show yet.
    settle(state, &mut user, old, unlicensed && wants_state, now);
    if mode == Mappings::Async && !state.quirks.mappings.is_empty() {
        let delay = state.quirks.mappings_delay_seconds;
        if delay > 0 {
            state.due.push((now + SignedDuration::from_secs(delay), user.id));
        } else {
            map(state, &mut user);
        }
    }
    state.users.put(user);
    answer
}

/// Returns what `OneLogin` makes of a status and a state moments after they were written.
fn settle(state: &mut State, user: &mut User, old: Option<&User>, repairs: bool, now: Timestamp) {
    if user.status() == 0 {
        user.set(STATUS, Some(Cell::Int(7)));
    }
    if user.status() == 3 && user.time(LOCKED_UNTIL).is_none() {
        let until = now + WRITTEN_LOCK;
        user.set(LOCKED_UNTIL, Some(Cell::Time(until)));
        state.locks.push((until, user.id));
    }
    if user.int(STATE) == Some(0) {
        user.set(STATE, Some(Cell::Int(1)));
    }
    let held = old.is_some_and(User::is_licensed);
    let free = state.quirks.licences.is_none_or(|licences| state.users.licensed() < licences);
    if user.is_licensed() && !held && !free {
        user.set(STATE, Some(Cell::Int(3)));
    }
    // The ordinary update cannot end Unlicensed; set_state can.
    if repairs && !state.quirks.update_leaves_unlicensed {
        user.set(STATE, Some(Cell::Int(3)));
    }
    let approved = user.is_licensed() && !matches!(user.status(), 0 | 7);
    if !approved {
        user.set(ROLES, None);
    }
    if user.int(STATE) == Some(2) {
        user.set(GROUP, None);
    }
}

/// Runs the tenant's mappings over a user.
pub fn map(state: &State, user: &mut User) {
    for mapping in &state.quirks.mappings {
        let holds =
            mapping.when.as_ref().is_none_or(|when| value_of(user, &when.field) == when.equals);
        for (name, value) in mapping.set.iter().filter(|_| holds) {
            if let Some(shortname) = name.strip_prefix("custom_attributes.") {
                match value.as_str() {
                    Some(text) => user.custom.insert(shortname.into(), text.into()),
                    None => user.custom.remove(shortname),
                };
            } else if let Some(number) = number(name)
                && let Ok(cell) = Cell::read(ATTRIBUTES[number].kind, value)
            {
                user.set(number, cell);
            }
        }
    }
}

/// Returns the value of an attribute as mappings see it.
fn value_of(user: &User, field: &str) -> Value {
    match field.strip_prefix("custom_attributes.") {
        Some(shortname) => {
            user.custom.get(shortname).map_or(Value::Null, |text| Value::from(&**text))
        }
        None => number(field).and_then(|number| user.cell(number)).map_or(Value::Null, Cell::json),
    }
}

fn invalid(name: &str, why: &str) -> Answer {
    errors::v2(422, &format!("Validation failed: {} {why}", human(name)))
}

/// Checks a write against every rule; nothing is changed here.
fn check(state: &State, given: &Map<String, Value>, old: Option<&User>) -> Result<Change, Answer> {
    let known = |name: &str| {
        name == "custom_attributes"
            || PASSWORD.contains(&name)
            || number(name).is_some_and(|n| ATTRIBUTES[n].writable)
    };
    if let Some(name) = given.keys().find(|name| !known(name)) {
        return Err(errors::v2(400, &format!("unknown attribute: {name}")));
    }
    let beyond = |name: &str| PASSWORD.contains(&name) || name == "role_ids";
    if !state.tokens.scope.manages_all() && given.keys().any(|name| beyond(name)) {
        return Err(errors::v2(
            403,
            "Insufficient permissions: passwords and roles need Manage All",
        ));
    }
    let mut change = Change { cells: Vec::new(), custom: None, password: password(given)? };
    for (name, value) in given {
        if name == "custom_attributes" {
            change.custom = Some(custom(state, value)?);
        } else if let Some(number) = number(name) {
            change.cells.push((number, cell(state, number, value)?));
        }
    }
    for rule in &state.refuse {
        let text = match rule.field.strip_prefix("custom_attributes.") {
            Some(shortname) => {
                given.get("custom_attributes").and_then(|custom| custom.get(shortname))
            }
            None => given.get(&rule.field),
        };
        if text.and_then(Value::as_str).is_some_and(|text| text.contains(&rule.contains)) {
            let name = rule.field.strip_prefix("custom_attributes.").unwrap_or(&rule.field);
            return Err(errors::field(
                422,
                &rule.field,
                &format!("Validation failed: {} is invalid", human(name)),
            ));
        }
    }
    unique(state, &change, old)?;
    Ok(change)
}

fn password(given: &Map<String, Value>) -> Result<bool, Answer> {
    let Some(password) = given.get("password") else { return Ok(false) };
    if password.as_str().is_none_or(str::is_empty) {
        return Err(invalid("password", "is not a valid string"));
    }
    if given.get("password_confirmation") != Some(password) {
        return Err(invalid("password_confirmation", "doesn't match Password"));
    }
    Ok(true)
}

/// Checks one attribute's value: type, length, and the rules of the attribute itself.
fn cell(state: &State, number: usize, value: &Value) -> Result<Option<Cell>, Answer> {
    let attribute = &ATTRIBUTES[number];
    let name = attribute.name;
    let mut cell = Cell::read(attribute.kind, value)
        .map_err(|wanted| invalid(name, &format!("is not {wanted}")))?;
    let clearable = matches!(attribute.kind, Kind::Text | Kind::UserRef);
    if cell.is_none() && clearable && state.quirks.null_value == NullValue::Refuse {
        return Err(invalid(name, "can't be null"));
    }
    if let Some(Cell::Text(text)) = &mut cell {
        *text = state.quirks.kept(text, [USERNAME, EMAIL, EXTERNAL_ID].contains(&number));
        if state.quirks.lowercase && [USERNAME, EMAIL].contains(&number) {
            *text = text.to_lowercase().into();
        }
        if text.chars().count() > MAX_TEXT {
            return Err(invalid(name, "is too long (maximum is 255 characters)"));
        }
    }
    let text = match &cell {
        Some(Cell::Text(text)) => &**text,
        _ => "",
    };
    match number {
        USERNAME | EMAIL if text.trim().is_empty() => return Err(invalid(name, "can't be blank")),
        EMAIL if !is_email(text) => return Err(invalid(name, "is invalid")),
        LOCALE if !text.is_empty() && !is_locale(text) => return Err(invalid(name, "is invalid")),
        STATUS if !matches!(cell, Some(Cell::Int(0..=5 | 7 | 8))) => {
            return Err(invalid(name, "is not included in the list"));
        }
        STATE if !matches!(cell, Some(Cell::Int(0..=3))) => {
            return Err(invalid(name, "is not included in the list"));
        }
        MANAGER => {
            if matches!(&cell, Some(Cell::Int(id)) if state.users.get(*id).is_none()) {
                return Err(invalid(name, "must exist"));
            }
        }
        _ => {}
    }
    if state.quirks.empty_text == EmptyText::Null
        && matches!(&cell, Some(Cell::Text(text)) if text.is_empty())
    {
        cell = None;
    }
    Ok(cell)
}

fn is_email(text: &str) -> bool {
    let mut parts = text.split('@');
    let (Some(local), Some(domain), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    !local.is_empty() && !domain.is_empty() && !text.chars().any(char::is_whitespace)
}

/// `en`, `de`, `tr-TR`; not `tr_TR`.
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().is_some_and(|part| {
        (2..=3).contains(&part.len()) && part.chars().all(|c| c.is_ascii_lowercase())
    });
    language
        && parts.all(|part| {
            (2..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

type Custom = Vec<(Box<str>, Option<Box<str>>)>;

/// Reads values of defined attributes, text or null; an empty text removes the value.
fn custom(state: &State, value: &Value) -> Result<Custom, Answer> {
    let Some(given) = value.as_object() else {
        return Err(invalid("custom_attributes", "is not an object"));
    };
    let mut custom = Vec::new();
    for (shortname, value) in given {
        if !state.definitions.iter().any(|definition| definition.shortname == *shortname) {
            return Err(errors::v2(
                422,
                &format!("Validation failed: custom_attributes.{shortname} is not defined"),
            ));
        }
        let value: Option<Box<str>> = match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) if text.chars().count() > MAX_TEXT => {
                return Err(invalid(shortname, "is too long (maximum is 255 characters)"));
            }
            Value::String(text) => Some(state.quirks.kept(text, false)),
            _ => return Err(invalid(shortname, "is not a string")),
        };
        custom.push((shortname.as_str().into(), value));
    }
    Ok(custom)
}

/// Checks that username and e-mail are unique in the tenant, ignoring case, including suspended
/// users.
fn unique(state: &State, change: &Change, old: Option<&User>) -> Result<(), Answer> {
    let subdomain = &state.quirks.subdomain;
    let mut complaints = Vec::new();
    for attribute in [EMAIL, USERNAME] {
        let name = human(ATTRIBUTES[attribute].name);
        let given = change.cells.iter().find(|(number, _)| *number == attribute);
        let Some((_, Some(Cell::Text(text)))) = given else {
            if old.is_none() {
                complaints.push(format!("{name} can't be blank"));
            }
            continue;
        };
        let own = old.map(|old| old.id);
        let taken =
            state.users.find(attribute, text).unwrap_or_default().iter().any(|id| Some(*id) != own);
        if taken {
            complaints.push(format!("{name} must be unique within {subdomain}"));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(errors::v2(422, &format!("Validation failed: {}", complaints.join(", "))))
}
