//! An administrator's edits, which the index shows at once.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::state::State;
use super::users::{Status, User, folded};

/// What an edit may name; what it does not name stays.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Edit {
    /// Null empties an attribute.
    profile: Map<String, Value>,
    status: Option<Status>,
    /// The type of `credentials.provider`.
    provider: Option<String>,
    /// Whether there is a password.
    password: Option<bool>,
}

/// Takes an instant out of an edit: null removes it, and without one `current` stays.
fn time(
    given: &mut Map<String, Value>,
    name: &str,
    current: Option<Timestamp>,
) -> Result<Option<Timestamp>, String> {
    let Some(value) = given.remove(name) else { return Ok(current) };
    serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
}

impl State {
    /// Applies an administrator's edit in the console. Creates the user when `id` is `None`: ACTIVE
    /// unless the edit says otherwise, with a password if the status needs one.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<&str>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        let mut given = given.clone();
        let mut user = match id {
            Some(id) => self.users.get(id).cloned().ok_or("no such user")?,
            None => User::new(self.users.next_id(), now),
        };
        let mut times = user.times;
        times.last_login = time(&mut given, "lastLogin", times.last_login)?;
        let activated = time(&mut given, "activated", None)?;
        times.password_changed = time(&mut given, "passwordChanged", times.password_changed)?;
        let edit: Edit = serde_json::from_value(json!(given)).map_err(|error| error.to_string())?;
        user.times = times;
        for (name, value) in &edit.profile {
            if self.schema.property(name).is_none() {
                return Err(format!("{name} is not in the schema"));
            }
            if value.is_null() {
                user.profile.remove(name);
                continue;
            }
            self.schema.check(name, value).map_err(|why| format!("{name}: {why}"))?;
            user.profile.insert(name.clone(), value.clone());
        }
        let login = folded(user.text("login"));
        let taken = |other: &User| other.id != user.id && folded(other.text("login")) == login;
        if login.is_empty() || self.users.rows().any(taken) {
            return Err("the login is missing or taken".to_owned());
        }
        user.provider = edit.provider.unwrap_or(user.provider);
        if let Some(status) = edit.status.or(id.is_none().then_some(Status::Active)) {
            user.arrive(status, now);
        }
        let without = [Status::Staged, Status::Provisioned, Status::Deprovisioned];
        let password = id.is_none() && !without.contains(&user.status);
        user.has_password = edit.password.unwrap_or(user.has_password || password);
        if user.has_password && user.times.password_changed.is_none() {
            user.times.password_changed = Some(now);
        }
        user.times.activated = activated.or(user.times.activated);
        user.times.last_updated = now;
        let id = user.id.clone();
        self.users.put_indexed(user);
        Ok(id)
    }
}
