//! Create, update and delete.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::lifecycle;
use super::quirks::Mastered;
use super::state::{About, State};
use super::users::{Status, User, folded};
use super::{errors, render};
use crate::front::{Answer, Call};

type Checked<T> = Result<T, Answer>;

/// Members of a user that only Okta writes; a request may repeat them.
const READ_ONLY: [&str; 12] = [
    "id",
    "status",
    "created",
    "activated",
    "statusChanged",
    "lastLogin",
    "lastUpdated",
    "passwordChanged",
    "transitioningToStatus",
    "realmId",
    "_links",
    "_embedded",
];

/// Reads a JSON object.
pub fn body(call: &Call) -> Checked<Map<String, Value>> {
    if call.media_type().as_deref() != Some("application/json") {
        return Err(errors::known("E0000021"));
    }
    serde_json::from_slice(&call.body).map_err(|_| errors::known("E0000003"))
}

/// A new password.
enum Password {
    /// The policy is asked about it.
    Text(String),
    Hash,
}

/// What a request says of credentials.
#[derive(Default)]
struct Credentials {
    password: Option<Password>,
    provider: Option<String>,
}

fn credentials(given: &Map<String, Value>) -> Checked<Credentials> {
    let malformed = || errors::known("E0000003");
    let Some(value) = given.get("credentials").filter(|value| !value.is_null()) else {
        return Ok(Credentials::default());
    };
    let value = value.as_object().ok_or_else(malformed)?;
    let mut credentials = Credentials::default();
    for (name, value) in value {
        let value = value.as_object().ok_or_else(malformed)?;
        match &**name {
            // An answer has an empty object for a password that exists.
            "password" if value.is_empty() => {}
            "password" => {
                let right = value.len() == 1;
                credentials.password = match (value.get("value"), value.get("hash")) {
                    (Some(Value::String(text)), None) if right => {
                        Some(Password::Text(text.clone()))
                    }
                    (None, Some(Value::Object(_))) if right => Some(Password::Hash),
                    _ => return Err(malformed()),
                };
            }
            "provider" => {
                let kind = value.get("type").and_then(Value::as_str).ok_or_else(malformed)?;
                credentials.provider = Some(kind.to_owned());
            }
            "recovery_question" => {}
            _ => return Err(malformed()),
        }
    }
    Ok(credentials)
}

/// Checks a password by the policy: length, an upper case and a lower case letter, a digit, no part
/// of the login.
fn password(state: &State, text: &str, login: &str) -> Checked<()> {
    let least = state.quirks.password_length;
    let name = folded(login.split('@').next().unwrap_or_default());
    let right = text.chars().count() >= least
        && text.len() <= 72
        && text.chars().any(char::is_lowercase)
        && text.chars().any(char::is_uppercase)
        && text.chars().any(|letter| letter.is_ascii_digit())
        && (name.is_empty() || !folded(text).contains(&name));
    if right {
        return Ok(());
    }
    let why = format!(
        "Password requirements were not met. Password requirements: at least {least} characters, a lowercase letter, an uppercase letter, a number, no parts of your username."
    );
    Err(errors::field("password", &why))
}

/// Reads the profile of a request, without the attributes that are null.
fn profile(given: &Map<String, Value>) -> Checked<Option<Map<String, Value>>> {
    match given.get("profile") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(profile)) => Ok(Some(profile.clone())),
        Some(_) => Err(errors::known("E0000003")),
    }
}

fn members(given: &Map<String, Value>) -> Checked<()> {
    let known = |name: &String| {
        matches!(&**name, "profile" | "credentials" | "type" | "groupIds")
            || READ_ONLY.contains(&&**name)
    };
    if !given.keys().all(known) {
        return Err(errors::known("E0000003"));
    }
    let kind = given.get("type").and_then(|kind| kind["id"].as_str());
    if kind.is_some_and(|kind| kind != render::TYPE) {
        return Err(errors::field("type", "The user type cannot be changed or does not exist"));
    }
    Ok(())
}

/// Checks a profile as it would be stored. `changed` are the attributes of the request. `subject`
/// is the name that Okta gives the request in its errors.
fn check(
    state: &State,
    stored: &Map<String, Value>,
    changed: &Map<String, Value>,
    own: Option<&str>,
    subject: &str,
) -> Checked<()> {
    let unknown: Vec<String> = changed
        .keys()
        .filter(|name| state.schema.property(name).is_none())
        .map(|name| format!("Property name '{name}' is not defined in profile"))
        .collect();
    if !unknown.is_empty() {
        return Err(errors::invalid(subject, &unknown));
    }
    let mut mistakes: Vec<(String, String)> = Vec::new();
    for name in state.schema.required() {
        if stored.get(name).and_then(Value::as_str).is_some_and(str::is_empty)
            || stored.get(name).is_none_or(Value::is_null)
        {
            mistakes.push((name.clone(), "The field cannot be left blank".to_owned()));
        }
    }
    for (name, value) in changed.iter().filter(|(_, value)| !value.is_null()) {
        if let Err(why) = state.schema.check(name, value) {
            mistakes.push((name.clone(), why));
        }
        let refused = |rule: &super::RefuseRule| {
            rule.field == *name && value.as_str().is_some_and(|text| text.contains(&*rule.contains))
        };
        if state.refuse.iter().any(refused) {
            mistakes.push((name.clone(), "Does not match required pattern".to_owned()));
        }
    }
    for name in taken(state, changed, own) {
        mistakes.push((name, errors::TAKEN.to_owned()));
    }
    match mistakes.first() {
        None => Ok(()),
        Some((first, _)) => {
            let causes: Vec<String> =
                mistakes.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            Err(errors::invalid(first, &causes))
        }
    }
}

/// Returns the attributes whose new values another user has, a DEPROVISIONED one too.
fn taken(state: &State, changed: &Map<String, Value>, own: Option<&str>) -> Vec<String> {
    let mut names: Vec<&str> = vec!["login"];
    if state.quirks.unique_emails {
        names.push("email");
    }
    names.extend(state.schema.unique());
    let form = |name: &str, value: &Value| match value.as_str() {
        Some(text) if matches!(name, "login" | "email") => json!(folded(text)),
        _ => value.clone(),
    };
    names
        .into_iter()
        .filter(|name| {
            let Some(value) = changed.get(*name).filter(|value| !value.is_null()) else {
                return false;
            };
            let value = form(name, value);
            state.users.rows().any(|user| {
                Some(&*user.id) != own
                    && user.profile.get(*name).is_some_and(|other| form(name, other) == value)
            })
        })
        .map(str::to_owned)
        .collect()
}

/// Returns the attributes with a value, in their stored form.
fn kept(state: &State, mut profile: Map<String, Value>) -> Map<String, Value> {
    profile.retain(|_, value| !value.is_null());
    let custom: Vec<&str> = state.schema.custom.keys().map(String::as_str).collect();
    state.quirks.keep(&mut profile, &custom);
    profile
}

/// Reads a flag of the query, such as `sendEmail`.
pub fn flag(call: &Call, name: &str, usual: bool) -> Checked<bool> {
    let pairs = call.pairs();
    match pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()) {
        None => Ok(usual),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(errors::known("E0000003")),
    }
}

/// Handles `POST /api/v1/users`.
pub fn create(state: &mut State, call: &Call, base: &str, now: Timestamp) -> Answer {
    match created(state, call, now) {
        Ok(user) => {
            let answer = Answer::json(200, &render::whole(&user, base));
            state.users.put(user, now);
            answer
        }
        Err(refused) => refused,
    }
}

fn created(state: &mut State, call: &Call, now: Timestamp) -> Checked<User> {
    let given = body(call)?;
    members(&given)?;
    let activate = flag(call, "activate", true)?;
    let external = flag(call, "provider", false)?;
    let expires = match call.pairs().iter().find(|(name, _)| name == "nextLogin") {
        None => false,
        Some((_, value)) if value == "changePassword" => true,
        Some(_) => return Err(errors::known("E0000003")),
    };
    let groups = given.get("groupIds").and_then(Value::as_array);
    if groups.is_some_and(|groups| groups.len() > 20) {
        return Err(errors::known("E0000093"));
    }
    if let Some(group) = groups.and_then(|groups| groups.first()) {
        return Err(errors::missing(group.as_str().unwrap_or_default(), "UserGroup"));
    }
    let profile = profile(&given)?.unwrap_or_default();
    check(state, &profile, &profile, None, "newUser")?;
    let credentials = credentials(&given)?;
    if expires && !activate {
        let why = "Could not create user. To create a user and expire their password immediately, \"activate\" must be true";
        return Err(errors::explained(400, "E0000125", why));
    }
    if expires && credentials.password.is_none() {
        let why = "Could not create user. To create a user and expire their password immediately, a password must be specified";
        return Err(errors::explained(400, "E0000124", why));
    }
    let login = profile.get("login").and_then(Value::as_str).unwrap_or_default();
    if let Some(Password::Text(text)) = &credentials.password {
        password(state, text, login)?;
    }
    let mut user = User::new(state.users.next_id(), now);
    if let (true, Some(provider)) = (external, credentials.provider) {
        if credentials.password.is_some() {
            let why = "Credentials should not be set on this resource based on the scheme.";
            return Err(errors::explained(400, "E0000041", why));
        }
        user.provider = provider;
    }
    user.profile = kept(state, profile);
    if credentials.password.is_some() {
        user.has_password = true;
        user.times.password_changed = Some(now);
    }
    if activate {
        let to = match () {
            () if expires => Status::PasswordExpired,
            () if user.provider != "OKTA" => Status::Active,
            () => lifecycle::activated(state, &user),
        };
        lifecycle::begin(state, &mut user, to, 0, now);
        if to == Status::Provisioned {
            state.mail(About::Activation, &user.id, now);
        }
    }
    Ok(user)
}

/// How an update treats the attributes that a request does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// `POST`: they stay.
    Partial,
    /// `PUT`: they become null.
    Full,
}

/// Handles `POST` and `PUT /api/v1/users/{id}`.
pub fn update(
    state: &mut State,
    call: &Call,
    key: &str,
    how: Update,
    base: &str,
    now: Timestamp,
) -> Answer {
    match updated(state, call, key, how, now) {
        Ok(user) => {
            let answer = Answer::json(200, &render::whole(&user, base));
            state.users.put(user, now);
            answer
        }
        Err(refused) => refused,
    }
}

fn updated(state: &State, call: &Call, key: &str, how: Update, now: Timestamp) -> Checked<User> {
    let mut user = lifecycle::target(state, key)?;
    if user.status == Status::Deprovisioned && !state.quirks.edits_deactivated {
        return Err(errors::missing(key, "User"));
    }
    if user.transition.is_some() {
        return Err(errors::known("E0000112"));
    }
    if let Some(tag) = call.header("if-match")
        && tag != "*"
        && tag != render::tag(&user)
    {
        let why = "The entity tag does not match the current state of the resource.";
        return Err(errors::explained(412, "E0000001", why));
    }
    let given = body(call)?;
    members(&given)?;
    let credentials = credentials(&given)?;
    if let Some(mut changed) = profile(&given)? {
        if how == Update::Full {
            let missing: Vec<String> =
                user.profile.keys().filter(|name| !changed.contains_key(*name)).cloned().collect();
            changed.extend(missing.into_iter().map(|name| (name, Value::Null)));
        }
        if user.is_mastered() {
            let mastered = |name: &String| !state.schema.is_oktas_own(name);
            match state.quirks.mastered {
                Mastered::Refuse if changed.keys().any(mastered) => {
                    return Err(errors::known("E0000023"));
                }
                Mastered::Refuse => {}
                Mastered::Ignore => changed.retain(|name, _| !mastered(name)),
            }
        }
        let mut stored = user.profile.clone();
        stored.extend(changed.clone());
        check(state, &stored, &changed, Some(&user.id), "updateUser")?;
        changed.retain(|name, _| !state.org.ignored.contains(name));
        for (name, value) in &changed {
            if value.is_null() {
                user.profile.remove(name);
            }
        }
        user.profile.extend(kept(state, changed));
    }
    if let Some(set) = credentials.password {
        if user.provider != "OKTA" {
            return Err(errors::known("E0000014"));
        }
        if let Password::Text(text) = set {
            password(state, &text, user.text("login"))?;
        }
        user.has_password = true;
        user.times.password_changed = Some(now);
        if matches!(user.status, Status::Provisioned | Status::Recovery | Status::PasswordExpired) {
            user.arrive(Status::Active, now);
        }
    }
    user.times.last_updated = now;
    Ok(user)
}

/// Handles `DELETE /api/v1/users/{id}`: the first one deactivates, the second one deletes for good.
pub fn delete(state: &mut State, call: &Call, key: &str, now: Timestamp) -> Answer {
    let user = match lifecycle::target(state, key) {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    if user.transition.is_some() {
        return errors::known("E0000112");
    }
    if user.status == Status::Deprovisioned {
        state.users.remove(&user.id, now);
        return Answer::empty(204);
    }
    match lifecycle::deactivate(state, call, user, now) {
        Ok(_) => Answer::empty(204),
        Err(refused) => refused,
    }
}
