//! A provider in memory with the properties that the protocol needs: unique addresses (the mapping
//! ignores case), ids that are never used again, marks that need not be unique, writes that are
//! applied as a whole or not at all.

use std::collections::BTreeMap;

use bobsync::{
    domain::{
        account::{Access, Account as Listed, AccountState, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::{Error, Key},
};

/// One account; its id is its index in the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// E-mail and username, which are the same here.
    pub email: String,
    /// The mark.
    pub mark: Option<String>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Everything else that is not empty, by the provider's name.
    pub attributes: BTreeMap<String, String>,
}

/// A call of the engine, as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A look-up.
    Find(By),
    /// A write.
    Write(Write),
}

/// The key of a look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    Id(String),
    Mark(String),
    Email(String),
}

/// A write, with everything that is needed to apply it without its sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Write {
    /// The account; `None` makes one.
    pub id: Option<String>,
    /// The provider's names and new values; `None` empties.
    pub set: Vec<(String, Option<String>)>,
    /// The mark to write.
    pub mark: Option<String>,
    /// Access to give (`true`) or take.
    pub active: Option<bool>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Id and account of each account found.
    Found(Vec<(String, Account)>),
    /// The write is applied.
    Written(String, Account),
    /// Another account has the address.
    Duplicate,
    /// There is no such account.
    NotFound,
    /// The credential may not write this account. Nothing is applied.
    Forbidden,
    /// The value of this attribute is refused. Nothing is applied.
    Rejected(&'static str),
    /// No answer came.
    Lost,
}

/// The provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Provider {
    /// Every account that was ever made.
    pub accounts: Vec<Account>,
}

impl By {
    /// Returns the engine's key.
    pub fn of(key: Key<'_>) -> Self {
        match key {
            Key::Id(id) => Self::Id(id.to_owned()),
            Key::Mark(mark) | Key::MarkOrAddress(mark, _) => Self::Mark(mark.to_owned()),
            Key::Email(email) => Self::Email(email.to_owned()),
        }
    }
}

impl Write {
    /// Returns the engine's write, with names instead of rows.
    pub fn of(id: Option<&str>, write: &AccountWrite, mapping: &Mapping) -> Self {
        let value = |value: &NewValue| match value {
            NewValue::Set(text) => Some(text.to_string()),
            NewValue::Clear => None,
        };
        Self {
            id: id.map(str::to_owned),
            set: write
                .attributes
                .iter()
                .map(|(row, new)| (mapping.rows[*row].target.to_string(), value(new)))
                .collect(),
            mark: write.mark.as_deref().map(str::to_owned),
            active: write.access.map(|access| access == Access::Active),
        }
    }

    /// Returns the value for this attribute, if the write has one.
    pub fn value(&self, target: &str) -> Option<&str> {
        self.set.iter().find(|(own, _)| own == target).and_then(|(_, value)| value.as_deref())
    }
}

impl Provider {
    /// Answers a look-up.
    pub fn find(&self, by: &By) -> Answer {
        let matches = |id: &str, account: &Account| match by {
            By::Id(wanted) => id == wanted,
            By::Mark(wanted) => account.mark.as_ref() == Some(wanted),
            By::Email(wanted) => account.email.eq_ignore_ascii_case(wanted),
        };
        let all = self
            .accounts
            .iter()
            .enumerate()
            .map(|(index, account)| (index.to_string(), account.clone()));
        Answer::Found(all.filter(|(id, account)| matches(id, account)).collect())
    }

    /// Applies a write, or refuses it.
    pub fn write(&mut self, write: &Write) -> Answer {
        let index = match &write.id {
            None => self.accounts.len(),
            Some(id) => match id.parse().ok().filter(|index| *index < self.accounts.len()) {
                Some(index) => index,
                None => return Answer::NotFound,
            },
        };
        let blank = || Account {
            email: String::new(),
            mark: None,
            suspended: false,
            attributes: BTreeMap::new(),
        };
        let mut account = self.accounts.get(index).cloned().unwrap_or_else(blank);
        for (target, value) in &write.set {
            match (target.as_str(), value) {
                ("email", Some(email)) => account.email.clone_from(email),
                ("username", _) => {}
                (_, Some(value)) => drop(account.attributes.insert(target.clone(), value.clone())),
                (_, None) => drop(account.attributes.remove(target)),
            }
        }
        if let Some(mark) = &write.mark {
            account.mark = Some(mark.clone());
        }
        if let Some(active) = write.active {
            account.suspended = !active;
        }
        let taken = |(other, have): (usize, &Account)| {
            other != index && have.email.eq_ignore_ascii_case(&account.email)
        };
        if self.accounts.iter().enumerate().any(taken) {
            return Answer::Duplicate;
        }
        if index == self.accounts.len() {
            self.accounts.push(account.clone());
        } else {
            self.accounts[index] = account.clone();
        }
        Answer::Written(index.to_string(), account)
    }
}

impl Account {
    /// Returns the account as the engine sees it.
    pub fn listed(&self, id: &str, mapping: &Mapping) -> Listed<'static> {
        let own = |text: &str| std::borrow::Cow::Owned(text.to_owned());
        let value = |target: &str| match target {
            "email" | "username" => Some(own(&self.email)),
            other => self.attributes.get(other).map(|text| own(text)),
        };
        Listed {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: own(id),
            mark: self.mark.as_deref().map(own),
            email: Some(own(&self.email)),
            username: Some(own(&self.email)),
            state: if self.suspended { AccountState::Suspended } else { AccountState::Active },
            attributes: mapping.rows.iter().map(|row| value(&row.target)).collect(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        }
    }
}

impl Answer {
    /// Returns an answered look-up, as the engine gets it.
    pub fn found(self, mapping: &Mapping) -> Vec<Listed<'static>> {
        match self {
            Self::Found(accounts) => {
                accounts.iter().map(|(id, account)| account.listed(id, mapping)).collect()
            }
            other => panic!("a look-up was answered {other:?}"),
        }
    }

    /// Returns an answered write, as the engine gets it.
    pub fn written(self, mapping: &Mapping) -> Result<Listed<'static>, Error> {
        match self {
            Self::Written(id, account) => Ok(account.listed(&id, mapping)),
            Self::Duplicate => Err(Error::Duplicate { field: None }),
            Self::NotFound => Err(Error::NotFound),
            Self::Forbidden => Err(Error::Forbidden { said: "not this account".to_owned() }),
            Self::Rejected(field) => Err(Error::Rejected {
                field: Some(field.to_owned()),
                said: "not this value".to_owned(),
            }),
            Self::Lost => Err(Error::Unknown { said: "no answer".to_owned() }),
            Self::Found(_) => panic!("a write was answered like a look-up"),
        }
    }
}
