//! An administrator's edits.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::patch;
use super::rules;
use super::state::State;
use super::users::Resource;

impl State {
    /// Applies an administrator's edit, seen everywhere at once. Creates the user when `id` is
    /// `None`. Null clears, objects are merged, and `groups` may be set too.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<&str>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        let mut resource = match id {
            Some(id) => {
                self.users.get(id).map(|user| user.resource.clone()).ok_or("no such user")?
            }
            None => Resource::from_iter([("active".to_owned(), json!(true))]),
        };
        let mut given = given.clone();
        let groups = given.remove("groups");
        patch::merge(self, &mut resource, &given, false).map_err(|refused| refused.detail)?;
        match groups {
            Some(Value::Null) => drop(resource.remove("groups")),
            Some(groups) => drop(resource.insert("groups".into(), groups)),
            None => {}
        }
        rules::whole(self, &resource, id).map_err(|refused| refused.detail)?;
        let Some(id) = id else {
            return Ok(self.users.add(resource, now, true));
        };
        self.users.change(id, resource, now, 0);
        self.users.settle(id);
        Ok(id.to_owned())
    }
}
