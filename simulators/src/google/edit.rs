//! An administrator's edits in the console.

use jiff::Timestamp;
use serde_json::Value;

use super::rules;
use super::state::State;
use super::users::User;
use super::writes::{apply, defaults};

impl State {
    /// Applies an administrator's edit in the console, old enough to be seen everywhere. Creates
    /// the user when `id` is `None`.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<u128>,
        given: &serde_json::Map<String, Value>,
        now: Timestamp,
    ) -> Result<u128, String> {
        let checked = rules::check(self, given).map_err(|answer| match answer.content {
            crate::front::Content::Full(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            crate::front::Content::Pieces(_) => "refused".to_owned(),
        })?;
        let mut user = match id {
            Some(id) => self.users.get(id).cloned().ok_or("no such user")?,
            None => {
                User { id: self.users.next_id(), members: defaults(now), made: None, indexed: None }
            }
        };
        apply(&mut user.members, checked, id.is_none());
        // Only the console gives rights.
        for name in ["isAdmin", "isDelegatedAdmin"] {
            if let Some(flag) = given.get(name).filter(|flag| flag.is_boolean()) {
                user.members.insert(name.into(), flag.clone());
            }
        }
        if self.users.is_taken(user.email(), Some(user.id)) {
            return Err("the address is in use".to_owned());
        }
        user.indexed = None;
        let id = user.id;
        self.users.put(user);
        Ok(id)
    }
}
