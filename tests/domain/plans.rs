//! The rules of every plan, for any crowd. A plan that was carried out leaves nothing to plan.

use std::collections::{HashMap, HashSet};

use bobsync::domain::{
    access::Missing,
    account::{Access, Account, AccountState, AccountWrite, NewValue},
    mapping::{Mapping, Origin, key},
    matching::{Matcher, Person, PersonIndex},
    plan::{
        Block, Change, ChangeCounts, ChangeKind, Conflict, Manager, Plan, Planned, Stage, plan,
    },
    priority::Queue,
};
use proptest::prelude::*;

use crate::{
    crowd::{
        Crowd, EMAIL, MANAGER, NAMES, Someone, Stance, TITLE, Told, USERNAME, any_crowd,
        any_shuffled, root_id,
    },
    matching::{Whose, waits_for, whose},
};

/// Represents every conflict.
const CONFLICT: Block = Block::Conflict(Conflict::Several);

/// Returns the plan for these employees and accounts.
pub fn planned(crowd: &Crowd, people: &[Person], accounts: &[Account<'static>]) -> Plan {
    let mapping = crowd.mapping();
    let mut matcher = Matcher::new(&mapping, people, crowd.adopt);
    accounts.iter().cloned().for_each(|account| matcher.see(account));
    plan(matcher, crowd.whole).plan
}

/// A provider in memory. It keeps e-mails and usernames unique, and refuses a write as a whole.
struct Tenant {
    mapping: Mapping,
    accounts: Vec<Account<'static>>,
}

impl Tenant {
    fn refuses(&self, id: Option<&str>, write: &AccountWrite) -> bool {
        write.attributes.iter().any(|(row, value)| {
            let NewValue::Set(text) = value else { return false };
            self.accounts.iter().filter(|account| Some(&*account.id) != id).any(|account| {
                let have = match *row {
                    EMAIL => &account.email,
                    USERNAME => &account.username,
                    _ => return false,
                };
                have.as_deref().is_some_and(|have| key(have) == key(text))
            })
        })
    }

    /// Writes to an account, or to a new one, and returns its id.
    fn write(&mut self, id: Option<&str>, write: &AccountWrite) -> Result<Box<str>, ()> {
        if self.refuses(id, write) {
            return Err(());
        }
        let at = match id {
            Some(id) => self
                .accounts
                .iter()
                .position(|account| *account.id == *id)
                .expect("the account is there"),
            None => {
                let id = format!("new-{}", self.accounts.len());
                let attributes = vec![None; self.mapping.rows.len()].into();
                let (mark, state) = (None, AccountState::Unactivated);
                self.accounts.push(Account {
                    phase: bobsync::domain::account::AccountPhase::Usual,
                    id: id.into(),
                    mark,
                    email: None,
                    username: None,
                    state,
                    attributes,
                    administrator: false,
                    elsewhere: false,
                    foreign: None,
                });
                self.accounts.len() - 1
            }
        };
        let account = &mut self.accounts[at];
        for (row, value) in &write.attributes {
            account.attributes[*row] = match value {
                NewValue::Set(text) => Some(text.to_string().into()),
                NewValue::Clear => None,
            };
        }
        account.email.clone_from(&account.attributes[EMAIL]);
        account.username.clone_from(&account.attributes[USERNAME]);
        account.mark =
            write.mark.as_deref().map(|mark| mark.to_owned().into()).or(account.mark.take());
        account.state = match write.access {
            Some(Access::Active) => AccountState::Active,
            Some(Access::Suspended) => AccountState::Suspended,
            None => account.state,
        };
        Ok((*account.id).into())
    }
}

/// The result of a plan.
struct After {
    accounts: Vec<Account<'static>>,
    /// The employees, with the accounts that are now on record as theirs.
    people: Vec<Person>,
    refused: HashSet<PersonIndex>,
}

/// Carries a plan out, change by change, in the order of the queue. "Access goes out by itself
/// where a mixed write was refused."
fn carry_out(
    crowd: &Crowd,
    people: &[Person],
    accounts: &[Account<'static>],
    plan: &Plan,
) -> After {
    let mut tenant = Tenant { mapping: crowd.mapping(), accounts: accounts.to_vec() };
    let mut held: HashMap<PersonIndex, Box<str>> = HashMap::new();
    let mut refused = HashSet::new();
    for (index, standing) in (0..).zip(&plan.standings) {
        held.extend(standing.account.as_ref().map(|account| (index, account.id.clone())));
    }
    let mut late = Vec::new();
    let mut queue = {
        let whole = Planned { mapping: &tenant.mapping, people, plan: plan.clone() };
        Queue::new(&whole, &|_| 0, &|_| false)
    };
    while let Some(next) = queue.next(0) {
        let change = &plan.changes[next];
        queue.ended(next);
        let mut write = change.write.clone();
        match change.manager.map(|manager| (manager, held.get(&manager))) {
            Some((_, Some(id))) => write.attributes.push((MANAGER, NewValue::Set(id.clone()))),
            Some((manager, None)) => late.push((change.person, manager)),
            None => {}
        }
        for account in &change.also {
            tenant.write(Some(account), &write).expect("access alone is never refused");
        }
        match tenant.write(change.account.as_deref(), &write) {
            Ok(id) => drop(held.insert(change.person, id)),
            Err(()) => {
                refused.insert(change.person);
                if let Some(id) = &change.account {
                    let alone = AccountWrite { access: write.access, ..AccountWrite::default() };
                    tenant.write(Some(id), &alone).expect("access alone is never refused");
                }
            }
        }
    }
    for (person, manager) in late.iter().chain(&plan.late_managers) {
        if let (Some(id), Some(manager)) = (held.get(person), held.get(manager)) {
            let write = AccountWrite {
                attributes: vec![(MANAGER, NewValue::Set(manager.clone()))],
                ..AccountWrite::default()
            };
            tenant.write(Some(id), &write).expect("a manager is not refused");
        }
    }
    let people = (0..).zip(people).map(|(index, person)| {
        let known_account = held.get(&index).cloned().or_else(|| person.known_account.clone());
        Person { known_account, ..person.clone() }
    });
    After { accounts: tenant.accounts, people: people.collect(), refused }
}

/// Suspensions, reactivations, creations, the rest.
fn rank(change: &Change) -> u8 {
    match (change.kind, change.write.access) {
        (ChangeKind::Create, _) => 2,
        (_, Some(Access::Suspended)) => 0,
        (_, Some(Access::Active)) => 1,
        (_, None) => 3,
    }
}

fn name(crowd: &Crowd, person: PersonIndex) -> &'static str {
    NAMES[crowd.people[person as usize].who]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_change_is_for_somebody_and_for_an_account_of_theirs(crowd in any_crowd()) {
        let (people, accounts) = (crowd.people(), crowd.accounts());
        let plan = planned(&crowd, &people, &accounts);
        prop_assert_eq!(plan.standings.len(), people.len());
        let (mut persons, mut touched) = (HashSet::new(), HashSet::new());
        for (position, change) in plan.changes.iter().enumerate() {
            let one = &crowd.people[change.person as usize];
            let id = people[change.person as usize].employee.id();
            prop_assert!(people[change.person as usize].decision.managed);
            prop_assert!(persons.insert(change.person), "two changes for {}", name(&crowd, change.person));
            prop_assert_eq!(plan.standings[change.person as usize].change, Some(position));
            prop_assert!(!change.write.is_empty() || change.manager.is_some());
            prop_assert!(change.write.mark.as_deref().is_none_or(|mark| mark == id));
            let said = whose(&crowd, one);
            match (&change.account, change.kind) {
                (None, ChangeKind::Create) => {
                    // No employee gets a second account.
                    prop_assert!(said == Whose::None || (said == Whose::Taken && waits_for(&crowd, one).is_some()), "{:?}", said);
                    prop_assert_eq!(change.write.mark.as_deref(), Some(id));
                    prop_assert_eq!(change.look_up_first, !crowd.whole || one.recorded.is_some());
                }
                (Some(account), ChangeKind::Adopt | ChangeKind::Update) => {
                    prop_assert!(touched.insert(account.clone()), "two people write to #{account}");
                    let read = accounts.iter().find(|read| *read.id == **account).expect("an account of the listing");
                    prop_assert!(read.mark.as_deref().is_none_or(|mark| mark == id), "#{} bears another's mark", account);
                    let is_theirs = matches!(&said, Whose::One { id, marked, .. } if **id == **account && *marked == (change.kind == ChangeKind::Update));
                    // A manager alone does not write the mark; every other change does.
                    let manager_alone = change.write.attributes.iter().all(|(row, _)| *row == MANAGER) && change.write.access.is_none();
                    // Of several accounts with the mark each loses access once its employee must.
                    let bears = read.mark.as_deref() == Some(id) && said == Whose::Ambiguous;
                    let occasion = change.write.occasion;
                    let access_alone = change.write == AccountWrite { access: Some(Access::Suspended), occasion, ..AccountWrite::default() };
                    prop_assert!(is_theirs || (bears && access_alone) || (manager_alone && change.write.mark.is_none()), "{:?} for {:?}", change, said);
                    prop_assert_eq!(change.kind == ChangeKind::Adopt, change.write.mark.is_some());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn access_goes_only_where_the_decision_says_so(crowd in any_crowd()) {
        let (people, accounts) = (crowd.people(), crowd.accounts());
        let plan = planned(&crowd, &people, &accounts);
        for change in &plan.changes {
            let decision = people[change.person as usize].decision;
            let read = accounts.iter().find(|read| Some(&*read.id) == change.account.as_deref()).map(|read| read.state);
            match (change.kind, change.write.access) {
                (ChangeKind::Create, access) => prop_assert_eq!(access.map(Missing::Create), Some(decision.missing)),
                (_, Some(access)) => {
                    prop_assert_eq!(decision.existing, Some(access));
                    let already = if access == Access::Active { AccountState::Active } else { AccountState::Suspended };
                    prop_assert_ne!(read, Some(already));
                    // Locks and password states belong to the active employee.
                    prop_assert!(access == Access::Suspended || read != Some(AccountState::Other));
                }
                (_, None) => {}
            }
        }
        // Access is taken: no obstacle keeps a leaver's account open, nor does a second account,
        // unless it has another employee's e-mail.
        for (one, person) in crowd.people.iter().zip(&people).filter(|(_, person)| person.decision.existing == Some(Access::Suspended)) {
            let others = |email: Option<&str>| {
                crowd.people.iter().any(|other| {
                    other.who != one.who && other.stance != Stance::NotManaged && email.is_some() && email.map(key) == other.wanted_email().map(key)
                })
            };
            let open = |read: &&Account<'_>| read.mark.as_deref() == Some(person.employee.id()) && read.state != AccountState::Suspended && !others(read.email.as_deref());
            for read in accounts.iter().filter(open).filter(|_| person.decision.managed) {
                let theirs = |change: &&Change| change.suspends() && people[change.person as usize].employee.id() == person.employee.id();
                let mut closed = plan.changes.iter().filter(theirs).flat_map(|change| change.account.iter().chain(&change.also));
                prop_assert!(closed.any(|account| **account == *read.id), "{:?}", one);
            }
        }
        for (person, standing) in people.iter().zip(&plan.standings) {
            let open = standing.account.as_ref().is_some_and(|held| held.state != AccountState::Suspended);
            if person.decision.existing == Some(Access::Suspended) && open {
                prop_assert!(standing.change.is_some_and(|change| plan.changes[change].suspends()), "{:?}", standing);
            }
        }
    }

    #[test]
    fn standings_say_what_stands_in_the_way(crowd in any_crowd()) {
        let (people, accounts) = (crowd.people(), crowd.accounts());
        let plan = planned(&crowd, &people, &accounts);
        for ((one, person), standing) in crowd.people.iter().zip(&people).zip(&plan.standings) {
            let required = if person.employee.deleted { None } else if one.wanted_email().is_none() { Some(EMAIL) } else { crowd.username(one).is_none().then_some(USERNAME) };
            let told = |row| if row == EMAIL || !crowd.style.own_usernames { one.email } else { one.username };
            let empty = [EMAIL, USERNAME].into_iter().find(|row| !one.deleted && told(*row) == Told::Empty);
            let creates = matches!(person.decision.missing, Missing::Create(_));
            let open = standing.account.as_ref().is_some_and(|held| held.state != AccountState::Suspended);
            // A leaver does not wait for an e-mail.
            let leaves = open && person.decision.existing == Some(Access::Suspended);
            let waits = waits_for(&crowd, one).filter(|_| !leaves);
            let missing = |row| Block::MissingAttribute(Origin::of(row, &person.employee));
            let expected = match whose(&crowd, one) {
                _ if !person.decision.managed => None,
                Whose::Ambiguous => Some(Block::Ambiguous),
                Whose::One { taken: true, .. } if waits.is_none() => Some(CONFLICT),
                // An existing account keeps what Bob hides.
                Whose::One { .. } => empty.map(missing),
                Whose::None if creates => required.map(missing),
                Whose::Taken if creates && waits.is_none() => Some(required.map_or(CONFLICT, missing)),
                Whose::Taken if creates => required.map(missing),
                // An account without a mark that has a leaver's e-mail may be the leaver's.
                Whose::Taken if one.stance == Stance::Left && standing.beside.is_some() => {
                    let free = |read: &&Account<'_>| read.mark.is_none() && read.state != AccountState::Suspended && read.email.as_deref().map(key) == one.wanted_email().map(key);
                    prop_assert!(accounts.iter().any(|read| free(&read)), "{:?}", one);
                    Some(CONFLICT)
                }
                // An employee who gets no account blocks no other.
                Whose::None | Whose::Taken => None,
            };
            let told = standing.block.clone().map(|block| if matches!(block, Block::Conflict(_)) { CONFLICT } else { block });
            prop_assert_eq!(&told, &expected, "{:?}", one);
            let change = standing.change.map(|change| &plan.changes[change]);
            prop_assert_eq!(change.is_some_and(|change| change.kind == ChangeKind::Create), creates && expected.is_none() && matches!(whose(&crowd, one), Whose::None | Whose::Taken));
            if let Some(after) = change.and_then(|change| change.after) {
                prop_assert_eq!(Some(crowd.people[after as usize].who), waits.map(|giver| giver.who));
            }
            // A value that another account has is not requested.
            if expected == Some(CONFLICT) {
                prop_assert!(change.is_none_or(|change| change.write.attributes.iter().all(|(row, _)| ![EMAIL, USERNAME].contains(row))));
            }
        }
    }

    #[test]
    fn attributes_are_written_where_they_differ_and_nowhere_else(crowd in any_crowd()) {
        let (people, accounts) = (crowd.people(), crowd.accounts());
        let mapping = crowd.mapping();
        for change in planned(&crowd, &people, &accounts).changes {
            let one = &crowd.people[change.person as usize];
            if whose(&crowd, one) == Whose::Ambiguous {
                prop_assert!(change.write.attributes.is_empty());
                continue;
            }
            let read = accounts.iter().find(|read| Some(&*read.id) == change.account.as_deref());
            let told = [one.email, if crowd.style.own_usernames { one.username } else { one.email }, one.title];
            for (row, told) in told.into_iter().enumerate() {
                let told = if one.deleted { crate::crowd::Told::Hidden } else { told };
                let have = read.and_then(|read| read.attributes[row].as_deref());
                let equal = |want: &str| have.is_some_and(|have| if row == TITLE { have == want } else { key(have) == key(want) });
                let new = change.write.attributes.iter().find(|(written, _)| *written == row).map(|(_, value)| value);
                let expected = match told {
                    _ if read.is_some() && mapping.rows[row].on_create_only => None,
                    crate::crowd::Told::Text(want) if !equal(want) => Some(NewValue::Set(want.into())),
                    crate::crowd::Told::Empty if have.is_some() && !mapping.rows[row].required => Some(NewValue::Clear),
                    _ => None,
                };
                // A conflict holds both e-mail and username, whichever of them is in the way.
                let taken = row != TITLE && change.after.is_none() && matches!(whose(&crowd, one), Whose::One { taken: true, .. });
                prop_assert_eq!(new, expected.as_ref().filter(|_| !taken), "row {} of {:?}", row, one);
            }
        }
    }

    #[test]
    fn leavers_come_first_and_managers_before_their_people(crowd in any_crowd()) {
        let (people, accounts) = (crowd.people(), crowd.accounts());
        let plan = planned(&crowd, &people, &accounts);
        prop_assert!(plan.changes.is_sorted_by_key(|change| (change.stage, change.level)), "{:?}", plan.changes);
        prop_assert!(plan.changes.is_sorted_by_key(|change| !change.suspends()), "{:?}", plan.changes);
        for (at, change) in plan.changes.iter().enumerate() {
            if let Some(giver) = change.after {
                let before = plan.standings[giver as usize].change.expect("who gives something up has a change");
                let (this, that) = ((change.stage, change.level), (plan.changes[before].stage, plan.changes[before].level));
                prop_assert!(before < at && that < this, "{} after {}", name(&crowd, change.person), name(&crowd, giver));
            }
        }
        let made: HashMap<_, _> = plan.changes.iter().enumerate().filter(|(_, c)| c.kind == ChangeKind::Create).map(|(at, c)| (c.person, at)).collect();
        for (at, change) in plan.changes.iter().enumerate() {
            let Some(manager) = change.manager else { continue };
            // Only a manager with an account that is still to be made is waited for. (Access does
            // not wait.)
            let before = *made.get(&manager).expect("the manager's account is made by this plan");
            let access_first = change.stage < Stage::Create;
            prop_assert!(access_first || before < at, "{} before {}", name(&crowd, change.person), name(&crowd, manager));
            prop_assert!(access_first || change.stage > Stage::Create || change.level > plan.changes[before].level);
        }
        for (person, standing) in (0..).zip(&plan.standings) {
            let now = standing.change.is_some_and(|change| plan.changes[change].manager.is_some());
            let late = plan.late_managers.iter().filter(|(late, _)| *late == person).count();
            prop_assert_eq!(usize::from(now) + late, usize::from(standing.manager == Manager::Pending), "{}", name(&crowd, person));
        }
    }

    #[test]
    fn counts_are_of_every_change_once(crowd in any_crowd()) {
        let plan = planned(&crowd, &crowd.people(), &crowd.accounts());
        let ChangeCounts { creates, reactivations, updates, disables } = plan.counts();
        let of = |wanted| plan.changes.iter().filter(|change| rank(change) == wanted).count();
        prop_assert_eq!([disables, reactivations, creates, updates].map(|n| n as usize), [of(0), of(1), of(2), of(3)]);
    }

    #[test]
    fn the_order_of_people_and_accounts_does_not_matter_to_the_digest((crowd, other) in any_shuffled()) {
        let digest = |crowd: &Crowd| {
            let people = crowd.people();
            let plan = planned(crowd, &people, &crowd.accounts());
            Planned { mapping: &crowd.mapping(), people: &people, plan }.digest()
        };
        prop_assert_eq!(digest(&crowd), digest(&other), "{:?}", other);
    }

    #[test]
    fn what_was_carried_out_needs_no_second_time(crowd in any_crowd()) {
        let (mut people, mut accounts) = (crowd.people(), crowd.accounts());
        let mut before: Option<(Plan, After)> = None;
        for round in 0.. {
            let plan = planned(&crowd, &people, &accounts);
            if let Some((first, after)) = &before {
                for change in &plan.changes {
                    let standing = &first.standings[change.person as usize];
                    let waited = standing.block.is_some() || (standing.account.is_none() && standing.change.is_none());
                    let manager = standing.manager != Manager::Nothing && change.write.attributes.iter().all(|(row, _)| *row == MANAGER);
                    prop_assert!(
                        waited || manager || after.refused.contains(&change.person),
                        "round {}: {} again: {:?}", round, name(&crowd, change.person), change
                    );
                }
            }
            // An employee who waited for another one moves up by at most one place in each round.
            prop_assert!(round <= people.len() + 2, "no end: {:?}", plan.changes);
            if plan.changes.is_empty() && plan.late_managers.is_empty() {
                break;
            }
            let after = carry_out(&crowd, &people, &accounts, &plan);
            for change in &plan.changes {
                // An employee who waited for an e-mail gets it, unless another employee wants the
                // same one.
                let one = &crowd.people[change.person as usize];
                let keys = |one: &crate::crowd::Someone| [one.wanted_email(), crowd.username(one)].map(|text| text.map(key));
                let alone = crowd.people.iter().filter(|other| keys(other).iter().any(|their| their.is_some() && keys(one).contains(their))).count() == 1;
                if let Some(giver) = change.after.filter(|_| alone) {
                    prop_assert!(after.refused.contains(&giver) || !after.refused.contains(&change.person), "{:?}", change);
                }
            }
            for account in &after.accounts {
                let twins = after.accounts.iter().filter(|other| other.mark.is_some() && other.mark == account.mark).count();
                let before = crowd.accounts.iter().filter(|other| other.mark.is_some() && other.mark.as_deref() == account.mark.as_deref()).count();
                prop_assert!(twins <= before.max(1), "two accounts for {:?}", account.mark);
            }
            people.clone_from(&after.people);
            accounts.clone_from(&after.accounts);
            before = Some((plan, after));
        }
    }

    #[test]
    fn what_nobody_claims_is_never_touched(crowd in any_crowd()) {
        let (people, accounts) = (crowd.people(), crowd.accounts());
        let plan = planned(&crowd, &people, &accounts);
        let after = carry_out(&crowd, &people, &accounts, &plan);
        for (before, stored) in accounts.iter().zip(&crowd.accounts) {
            let claimed = crowd.people.iter().any(|one| matches!(whose(&crowd, one), Whose::One { id, .. } if id == stored.id));
            let now = after.accounts.iter().find(|account| account.id == before.id).expect("nothing is ever deleted");
            // Several accounts of one employee: each of them loses access once the employee must,
            // and nothing else changes.
            let several = |one: &Someone| whose(&crowd, one) == Whose::Ambiguous && stored.mark.as_deref() == Some(&root_id(one.who));
            let lost = Account { state: AccountState::Suspended, ..before.clone() };
            let leaves = crowd.people.iter().zip(&people).any(|(one, person)| several(one) && person.decision.existing == Some(Access::Suspended));
            prop_assert!(claimed || now == before || (leaves && *now == lost), "{:?}", stored);
        }
    }

    #[test]
    fn a_target_the_provider_lacks_is_left_out_and_the_rest_flows(crowd in any_crowd()) {
        let people = crowd.people();
        let whole = planned(&crowd, &people, &crowd.accounts());
        let mut without = whole.clone();
        without.without_rows(&[TITLE]);
        let mut expected = whole.changes;
        expected.iter_mut().for_each(|change| change.write.attributes.retain(|(row, _)| *row != TITLE));
        expected.retain(|change| !change.write.is_empty() || change.manager.is_some());
        prop_assert_eq!(&without.changes, &expected);
        for (person, standing) in (0..).zip(&without.standings) {
            prop_assert_eq!(standing.change, without.changes.iter().position(|change| change.person == person));
        }
    }
}
