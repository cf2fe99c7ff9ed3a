//! Providers at which the login decides, because several accounts may have one e-mail. Such a
//! provider may also take two logins for the same that differ only in accents.

use foldhash::{HashMap, HashMapExt as _};

use super::{Account, Candidate, Matcher, PersonIndex, Taken, own};
use crate::domain::mapping::{key, key_of};

/// Who wants a login or an e-mail.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// By e-mail.
    addresses: HashMap<String, super::Owners>,
    /// By login, without accents.
    letters: HashMap<String, super::Owners>,
}

impl Matcher<'_> {
    /// Notes the login and the e-mail that an employee should have.
    pub(super) fn want_login(&mut self, person: PersonIndex, login: Option<&str>) {
        let employee = &self.people[person as usize].employee;
        let Some(row) = self.mapping.address else { return };
        if let Some(address) = self.mapping.text(row, employee) {
            own(&mut self.logins.addresses, key_of(address).into_owned(), person);
        }
        if let Some(login) = login {
            own(&mut self.logins.letters, letters(login), person);
        }
    }

    /// Takes in an account with this login. `free` says that it may be adopted.
    pub(super) fn see_login(
        &mut self,
        account: &Account<'_>,
        login: Option<&str>,
        owner: Option<PersonIndex>,
        free: bool,
        holder: impl Fn() -> Taken,
    ) {
        let (Some(row), Some(login)) = (self.mapping.address, login) else { return };
        let all = |owners: Option<&super::Owners>| -> Vec<PersonIndex> {
            owners.into_iter().flat_map(super::Owners::iter).collect()
        };
        for person in all(self.logins.letters.get(&letters(login))) {
            let same = all(self.by_email.get(login)).contains(&person);
            if !same && Some(person) != owner {
                self.found[person as usize].take(holder());
            }
        }
        let address = account.attributes.get(row).and_then(Option::as_deref).map(key);
        let wants = address.and_then(|address| self.logins.addresses.get(&*address));
        for person in all(wants.filter(|_| free && self.adopt)) {
            let candidate = self.candidate(person, account, false);
            let found = &mut self.found[person as usize];
            found.by_address_again |= found.by_address.is_some();
            found.by_address = Some(candidate);
        }
    }

    /// Leaves an account that was found only by its e-mail to the one employee that it can belong
    /// to. It is no match if its login is another employee's, or if several employees want it.
    pub(super) fn settle_addresses(&mut self) {
        let mut wanted: HashMap<Box<str>, u32> = HashMap::new();
        for found in &self.found {
            for candidate in found.by_email.iter().chain(&found.by_address) {
                *wanted.entry(candidate.account.clone()).or_default() += 1;
            }
        }
        for found in &mut self.found {
            let own = found.by_email.as_ref().map(|candidate| &candidate.account);
            let other = |candidate: &Candidate| {
                Some(&candidate.account) == own || wanted[&candidate.account] > 1
            };
            if found.by_address.as_deref().is_some_and(other) {
                found.by_address = None;
            }
        }
    }
}

/// Returns a login without accents.
fn letters(login: &str) -> String {
    if login.is_ascii() { login.to_owned() } else { deunicode::deunicode(login).to_lowercase() }
}

/// Returns whether a text may be Bob's id of an employee, which is a number of 19 digits. Numbers
/// that other systems give to employees are much shorter.
pub(super) fn may_be_a_mark(text: &str) -> bool {
    text.len() >= 15 && text.bytes().all(|byte| byte.is_ascii_digit())
}
