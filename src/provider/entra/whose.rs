//! What has to be known of users in addition to a write: the members that it does not write, and
//! which user has an address that is taken.

use super::{Entra, encoded, page_in, write::touches_organization};
use crate::{
    domain::{
        account::{AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::{
        Error,
        answers::{Route, Sent},
    },
};

impl Entra {
    /// Returns the write with what the account has, if the write needs that and does not have it.
    pub(super) async fn completed(
        &self,
        mapping: &Mapping,
        id: &str,
        write: &AccountWrite,
    ) -> Result<Option<AccountWrite>, Error> {
        if write.foreign.is_some() || !touches_organization(mapping, write) {
            return Ok(None);
        }
        let now = self.by_key(mapping, id).await?;
        Ok(now.map(|now| AccountWrite {
            foreign: now.foreign.map(|text| text.as_ref().into()),
            ..write.clone()
        }))
    }

    /// Returns the error of a create with a taken address, in the meaning that it has for this
    /// employee. If the user with the address has no mark, or has this employee's mark, and has
    /// another name, a second user of the same employee would be made.
    pub(super) async fn whose_address(
        &self,
        mapping: &Mapping,
        write: &AccountWrite,
        error: Error,
    ) -> Error {
        let Error::Duplicate { field: Some(field) } = &error else { return error };
        if field != "mail" && !field.eq_ignore_ascii_case("proxyAddresses") {
            return error;
        }
        let sent = |target: &str| {
            write.attributes.iter().find_map(|(row, value)| match value {
                NewValue::Set(text) if *mapping.rows[*row].target == *target => Some(&**text),
                _ => None,
            })
        };
        let Some(address) = sent("mail").or_else(|| sent("userPrincipalName")) else {
            return error;
        };
        let reader = self.reader(mapping);
        let filter = encoded(&format!("mail eq '{}'", address.replace('\'', "''")));
        let path = self.path(&format!("/users?$filter={filter}&{}", reader.query()));
        let Ok(answer) = self.get(Route::FIND, &path, Sent::Key(address)).await else {
            return error;
        };
        let Ok(page) = page_in(&answer) else { return error };
        let theirs = |mark: Option<&str>| mark.is_none() || mark == write.mark.as_deref();
        let is_theirs = page
            .value
            .iter()
            .filter_map(|user| reader.account(user))
            .any(|account| theirs(account.mark.as_deref()));
        if !is_theirs {
            return error;
        }
        let said = "an account with this mail has another userPrincipalName: where people log in by another name than their mail, map \
                    userPrincipalName to that name (formula or cel) and mail to the address";
        Error::Conflict { said: said.to_owned() }
    }
}
