//! An administrator's edits in the console.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::state::State;
use super::users::{User, Users};
use super::{rules, writes};

impl State {
    /// Applies an administrator's edit in the console. Creates the user when `id` is `None`.
    /// Members that only JumpCloud or another directory writes may be set here: `STAGED`, `admin`,
    /// `restrictedFields`, `account_locked`, `activated`.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<&str>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        let mut checked = given.clone();
        let own: Vec<(String, Value)> =
            ["admin", "restrictedFields", "activated", "password_expired"]
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), checked.remove(*name)?)))
                .collect();
        rules::check(self, &checked, true).map_err(|answer| match answer.content {
            crate::front::Content::Full(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            crate::front::Content::Pieces(_) => "refused".to_owned(),
        })?;
        let mut user = match id {
            Some(id) => self.users.get(id).cloned().ok_or("no such user")?,
            None => {
                let mut members = Users::defaults(now);
                members.insert("state".into(), json!("ACTIVATED"));
                members.insert("activated".into(), json!(true));
                User { id: self.users.next_id(), members, made: None }
            }
        };
        writes::apply(self, &mut user.members, checked);
        user.members.extend(own);
        let id = user.id.clone();
        self.users.put(user);
        Ok(id)
    }
}
