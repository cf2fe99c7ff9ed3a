//! An administrator's edits in the portal.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::state::State;
use super::users::User;
use super::writes::{apply, defaults};
use super::{rules, writes};
use crate::front::{Answer, Content};

impl State {
    /// Applies an administrator's edit in the portal, old enough to be seen everywhere. Creates the
    /// user when `id` is `None`. Properties that only the directory writes are accepted too.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<&str>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        let own = |name: &str| rules::READ_ONLY.contains(&name) || name == "manager";
        let (directory, mut given): (Map<String, Value>, Map<String, Value>) =
            given.clone().into_iter().partition(|(name, _)| own(name));
        let numbered = given.remove("onPremisesExtensionAttributes");
        let words = |answer: Answer| match answer.content {
            Content::Full(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Content::Pieces(_) => "refused".to_owned(),
        };
        let mut checked = rules::check(self, &given, id.is_none()).map_err(words)?;
        checked.extend(numbered.map(|value| ("onPremisesExtensionAttributes".to_owned(), value)));
        let mut user = match id {
            Some(id) => self.users.get(id).cloned().ok_or("no such user")?,
            None => User {
                id: self.users.next_id(),
                members: defaults(now),
                manager: None,
                made: None,
                indexed: None,
            },
        };
        writes::unique(self, &checked, &user.id).map_err(words)?;
        apply(&mut user.members, checked);
        for (name, value) in directory {
            match (name.as_str(), value) {
                ("manager", Value::Null) => user.manager = None,
                ("manager", value) => user.manager = value.as_str().map(str::to_owned),
                (name, Value::Null) => drop(user.members.remove(name)),
                (name, value) => drop(user.members.insert(name.to_owned(), value)),
            }
        }
        user.indexed = None;
        let id = user.id.clone();
        self.users.put(user);
        Ok(id)
    }
}
