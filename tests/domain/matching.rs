//! `matching` against an oracle that checks the contract's sentences for each employee and each
//! account.

use bobsync::domain::{
    account::AccountState,
    matching::{Match, Matcher, Taken},
};
use proptest::prelude::*;

use crate::crowd::{
    Crowd, EMAIL, Someone, Stance, Stored, USERNAME, any_crowd, any_shuffled, root_id,
};

/// The oracle's answer for one employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// No account, and none in the way.
    None,
    /// This account; whether another account has the e-mail or username, and whether it bears the
    /// mark.
    One { id: &'static str, taken: bool, marked: bool },
    /// Several.
    Ambiguous,
    /// None, and another account has the e-mail or username.
    Taken,
}

fn same(a: Option<&str>, b: Option<&str>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a.trim().to_lowercase() == b.trim().to_lowercase())
}

/// "The mark on an account is exactly Bob's `root.id`."
fn bears_mark_of(account: &Stored, one: &Someone) -> bool {
    account.mark == Some(root_id(one.who))
}

/// A person removed the mark, and exactly one record says which employee the account belongs to.
fn recorded_for(crowd: &Crowd, account: &Stored, one: &Someone) -> bool {
    let records = crowd.people.iter().filter(|other| other.recorded == Some(account.id)).count();
    account.mark.is_none() && one.recorded == Some(account.id) && records == 1
}

/// It has no mark, and no employee has a record of it.
fn is_free(crowd: &Crowd, account: &Stored) -> bool {
    account.mark.is_none() && !crowd.people.iter().any(|one| recorded_for(crowd, account, one))
}

/// Returns the accounts of this employee with any e-mail: those with the mark, else the recorded
/// one.
fn own<'a>(crowd: &'a Crowd, one: &Someone) -> Vec<&'a Stored> {
    let marked: Vec<_> =
        crowd.accounts.iter().filter(|account| bears_mark_of(account, one)).collect();
    if marked.is_empty() {
        crowd.accounts.iter().filter(|account| recorded_for(crowd, account, one)).collect()
    } else {
        marked
    }
}

/// "Two Bob profiles with one e-mail: the account stays with the profile whose mark it bears, else
/// with the one active in Bob; the other is `Conflict`."
fn loses_shared_email(crowd: &Crowd, one: &Someone) -> bool {
    let email = one.wanted_email();
    let sharers: Vec<_> = crowd
        .people
        .iter()
        .filter(|other| other.stance != Stance::NotManaged && same(other.wanted_email(), email))
        .collect();
    if sharers.len() < 2 || one.stance == Stance::NotManaged {
        return false;
    }
    let holders: Vec<_> = sharers
        .iter()
        .filter(|other| own(crowd, other).iter().any(|account| same(account.email, email)))
        .collect();
    let active: Vec<_> = sharers.iter().filter(|other| other.active_in_bob).collect();
    match (&holders[..], &active[..]) {
        ([only], _) | ([], [only]) => only.who != one.who,
        _ => true,
    }
}

/// Returns which account belongs to which employee, by the contract.
pub fn whose(crowd: &Crowd, one: &Someone) -> Whose {
    let managed = one.stance != Stance::NotManaged;
    let has_email = |account: &Stored| managed && same(account.email, one.wanted_email());
    let has_either = |account: &Stored| {
        has_email(account) || (managed && same(account.username, crowd.username(one)))
    };
    let loses = loses_shared_email(crowd, one);
    match own(crowd, one)[..] {
        [] => {}
        [account] => {
            let taken = loses
                || crowd.accounts.iter().any(|other| other.id != account.id && has_either(other));
            return Whose::One { id: account.id, taken, marked: account.mark.is_some() };
        }
        _ => return Whose::Ambiguous,
    }
    // "An account without a mark may be adopted by e-mail."
    let adoptable = |account: &Stored| crowd.adopt && is_free(crowd, account) && has_email(account);
    let in_the_way =
        crowd.accounts.iter().any(|account| has_either(account) && !adoptable(account));
    let candidates: Vec<_> = crowd.accounts.iter().filter(|account| adoptable(account)).collect();
    match candidates[..] {
        _ if loses || in_the_way => Whose::Taken,
        [] => Whose::None,
        [account] => Whose::One { id: account.id, taken: false, marked: false },
        _ => Whose::Ambiguous,
    }
}

/// Returns the employee who gives up, in the same plan, the e-mail or username that this employee
/// should have. The one account in the way belongs to an employee who gets others, and those are
/// not blocked for good. No employees wait in a circle.
pub fn waits_for<'a>(crowd: &'a Crowd, one: &Someone) -> Option<&'a Someone> {
    fn giver<'a>(crowd: &'a Crowd, one: &Someone) -> Option<&'a Someone> {
        let mine: Vec<_> = own(crowd, one).iter().map(|account| account.id).collect();
        let wants = [one.wanted_email(), crowd.username(one)];
        let has = |account: &Stored| {
            [account.email, account.username]
                .iter()
                .zip(wants)
                .any(|(have, want)| same(*have, want))
        };
        let in_the_way: Vec<_> = crowd
            .accounts
            .iter()
            .filter(|account| !mine.contains(&account.id) && has(account))
            .collect();
        let [account] = in_the_way[..] else { return None };
        // The employee it already belongs to, not the one who may adopt it.
        let owner = crowd
            .people
            .iter()
            .find(|other| matches!(own(crowd, other)[..], [only] if only.id == account.id))?;
        let theirs = [owner.wanted_email(), crowd.username(owner)];
        let others = theirs
            .iter()
            .all(|their| their.is_some() && !wants.iter().any(|want| same(*their, *want)));
        let kept = !crowd.style.once[EMAIL] && !crowd.style.once[USERNAME];
        (owner.who != one.who && owner.stance != Stance::NotManaged && kept && others)
            .then_some(owner)
    }
    if loses_shared_email(crowd, one) {
        return None;
    }
    let first = giver(crowd, one)?;
    let (mut at, mut path) = (first, vec![one.who]);
    loop {
        if path.contains(&at.who) {
            return None;
        }
        path.push(at.who);
        match whose(crowd, at) {
            Whose::One { taken: false, .. } => return Some(first),
            // A leaver does not wait, and gives up nothing while something else is taken.
            Whose::One { taken: true, id, .. }
                if at.leaves()
                    && crowd.accounts.iter().any(|account| {
                        account.id == id && account.state != AccountState::Suspended
                    }) =>
            {
                return None;
            }
            Whose::One { taken: true, .. } if !loses_shared_email(crowd, at) => {
                at = giver(crowd, at)?
            }
            _ => return None,
        }
    }
}

/// Returns what the code says, in the oracle's terms.
fn matched(crowd: &Crowd) -> Vec<Whose> {
    let (mapping, people) = (crowd.mapping(), crowd.people());
    let mut matcher = Matcher::new(&mapping, &people, crowd.adopt);
    crowd.accounts().into_iter().for_each(|account| matcher.see(account));
    let said = matcher.finish().into_iter().map(|found| match found {
        Match::None => Whose::None,
        Match::Taken { .. } => Whose::Taken,
        Match::Ambiguous { .. } => Whose::Ambiguous,
        Match::One { candidate, taken } => {
            let account = crowd
                .accounts
                .iter()
                .find(|account| *account.id == *candidate.account)
                .expect("an account of the listing");
            Whose::One { id: account.id, taken: taken != Taken::No, marked: candidate.marked }
        }
    });
    said.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn everybody_s_account_is_the_one_the_contract_names(crowd in any_crowd()) {
        for (one, said) in crowd.people.iter().zip(matched(&crowd)) {
            prop_assert_eq!(&said, &whose(&crowd, one), "for {:?}", one);
        }
    }

    #[test]
    fn the_order_of_accounts_and_people_does_not_matter((crowd, other) in any_shuffled()) {
        let (said, again) = (matched(&crowd), matched(&other));
        for (one, again) in other.people.iter().zip(again) {
            prop_assert_eq!(&said[one.who], &again, "for {:?}", one);
        }
    }

    #[test]
    fn an_account_is_nobody_s_or_one_s((crowd, _) in any_shuffled()) {
        let mut held: Vec<_> = matched(&crowd).into_iter().filter_map(|said| match said {
            Whose::One { id, .. } => Some(id),
            _ => None,
        }).collect();
        held.sort_unstable();
        let all = held.len();
        held.dedup();
        prop_assert_eq!(all, held.len());
    }
}
