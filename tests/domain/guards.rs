//! The guard on the whole plan, in crowds of colleagues who all change at once.

use bobsync::domain::{
    account::AccountState,
    budget::{Blackout, Budget, BudgetKind, Budgets},
    guard::{GuardFacts, Held, Population, Sight, guard},
    matching::{Person, PersonIndex},
    plan::{Approval, Block, Change, Fate, Plan, Planned},
};
use proptest::prelude::*;

use crate::{
    crowd::{Crowd, Stance, TITLE, Told, crowd, own_account_of, root_id, someone_else},
    plans::planned,
};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

const fn budget(max_percent: u32, at_least: u32) -> Budget {
    Budget { max_percent, at_least, per: DAY }
}

/// Returns employees at work with accounts. The first `leave` of them leave now, and the next
/// `move_on` get another title.
fn company(people: usize, leave: usize, move_on: usize) -> Crowd {
    let everybody = (0..people).map(|who| {
        let mut one = someone_else(who);
        if who < leave {
            one.stance = Stance::Left;
        } else if who < leave + move_on {
            one.title = Told::Text("Head of Nothing");
        }
        one
    });
    crowd(everybody.collect(), (0..people).map(own_account_of).collect())
}

/// What the guard is told of the employees.
#[derive(Default)]
struct Facts {
    /// How many changes of each kind went out, to half as many employees.
    spent: u32,
    /// For how many other employees each row was replaced.
    replaced_before: u32,
    /// The employees that the pass was asked for.
    explicit: Vec<PersonIndex>,
    /// Whether no employee's manager had an account.
    awaiting_manager: bool,
    /// The employees with a change of a plan that was released before.
    continues: Vec<PersonIndex>,
}

impl GuardFacts for Facts {
    fn spent(&self, _: BudgetKind) -> u32 {
        self.spent
    }

    fn updated(&self) -> u32 {
        self.spent.div_ceil(2)
    }

    fn replaced_before(&self, _: usize) -> u32 {
        self.replaced_before
    }

    fn starts(&self, _: PersonIndex) -> bool {
        false
    }

    fn awaiting_manager(&self, _: PersonIndex) -> bool {
        self.awaiting_manager
    }

    fn explicit(&self, person: PersonIndex) -> bool {
        self.explicit.contains(&person)
    }

    fn held_before(&self, _: PersonIndex) -> Option<u64> {
        None
    }

    fn continues(&self, change: &Change) -> bool {
        self.continues.contains(&change.person)
    }
}

struct Looked {
    plan: Plan,
    held: Held,
}

impl Looked {
    fn holds(&self) -> bool {
        self.plan.changes.iter().any(Change::is_held)
    }
}

/// Returns the plan with a field blackout of 40 %, at least 10.
fn look(
    crowd: &Crowd,
    budgets: Budgets,
    spent: u32,
    explicit: &[usize],
    first_pass: bool,
    approved: Option<&str>,
) -> Looked {
    look_with(crowd, budgets, spent, explicit, (first_pass, approved), 10)
}

fn look_with(
    crowd: &Crowd,
    budgets: Budgets,
    spent: u32,
    explicit: &[usize],
    (first_pass, approved): (bool, Option<&str>),
    at_least: u32,
) -> Looked {
    look_at_some(crowd, budgets, spent, explicit, (first_pass, approved), at_least, (None, 0))
}

/// Does the same with the crowd as a part of a larger company.
fn look_at_some(
    crowd: &Crowd,
    budgets: Budgets,
    spent: u32,
    explicit: &[usize],
    (first_pass, approved): (bool, Option<&str>),
    at_least: u32,
    (population, replaced_before): (Option<Population>, u32),
) -> Looked {
    let (people, accounts, mapping): (Vec<Person>, _, _) =
        (crowd.people(), crowd.accounts(), crowd.mapping());
    let mut plan = planned(crowd, &people, &accounts);
    let explicit = (0..)
        .zip(&crowd.people)
        .filter(|(_, one)| explicit.contains(&one.who))
        .map(|(person, _)| person)
        .collect();
    let (held, rulings) = guard(&Sight {
        planned: &Planned { mapping: &mapping, people: &people, plan: plan.clone() },
        facts: &Facts { spent, replaced_before, explicit, ..Facts::default() },
        budgets,
        field_blackout: Blackout { max_percent: 40, at_least },
        population,
        first_pass,
        restored: first_pass,
        approved,
        released_before: "",
    });
    plan.changes.iter_mut().zip(rulings).for_each(|(change, ruling)| change.ruling = ruling);
    Looked { plan, held }
}

#[test]
fn a_flood_of_suspensions_is_held_whole_and_the_rest_flows() {
    let crowd = company(100, 6, 10);
    let Looked { plan, held } = look(&crowd, Budgets::default(), 0, &[], false, None);
    for change in &plan.changes {
        assert_eq!(change.is_held(), change.suspends(), "all suspensions and nothing else");
    }
    let held = held.plan.expect("held");
    assert_eq!((held.counts.disables, held.counts.updates), (6, 0));
    assert_eq!(
        held.because,
        "BudgetExceeded: 6 suspensions planned, 0 done within the window, and the limit is 5"
    );
    assert_eq!(
        look(&company(100, 5, 10), Budgets::default(), 0, &[], false, None).held.plan,
        None,
        "five are no flood"
    );
}

#[test]
fn a_drip_passes_until_the_window_is_spent() {
    let one = company(100, 1, 0);
    assert!(look(&one, Budgets::default(), 4, &[], false, None).held.plan.is_none());
    assert!(look(&one, Budgets::default(), 5, &[], false, None).held.plan.is_some());
}

#[test]
fn the_measure_of_a_plan_about_one_person_is_the_whole_company() {
    let budgets = Budgets { disables: Some(budget(10, 1)), ..Budgets::default() };
    let one = company(1, 1, 0);
    let held = |spent, accounts| {
        let population = Population { accounts, managed: accounts };
        look_at_some(&one, budgets, spent, &[], (false, None), 10, (Some(population), 0))
            .held
            .plan
            .map(|held| held.because)
    };
    assert_eq!(held(1, 20), None, "the second of two");
    assert_eq!(
        held(2, 20).as_deref(),
        Some("BudgetExceeded: 1 suspension planned, 2 done within the window, and the limit is 2")
    );
    assert_eq!(held(2, 30), None);
    assert!(
        look(&one, budgets, 1, &[], false, None).held.plan.is_some(),
        "as if there were nobody else"
    );
}

#[test]
fn who_was_asked_for_passes_while_the_window_has_room() {
    let crowd = company(100, 8, 0);
    let passed = |spent, explicit: &[usize]| {
        let Looked { plan, .. } = look(&crowd, Budgets::default(), spent, explicit, false, None);
        plan.changes
            .iter()
            .filter(|change| !change.is_held())
            .map(|change| crowd.people[change.person as usize].who)
            .collect::<Vec<_>>()
    };
    assert_eq!(passed(0, &[3]), [3]);
    assert_eq!(passed(3, &[0, 1, 2]), [0, 1], "two more fit");
    assert!(passed(5, &[3]).is_empty());
}

#[test]
fn an_approval_releases_that_plan_and_no_other() {
    let crowd = company(100, 8, 30);
    let held = look(&crowd, Budgets::default(), 0, &[], false, None).held.plan.expect("held");
    let looked = look(&crowd, Budgets::default(), 0, &[], false, Some(&held.digest));
    let holds = looked.holds();
    let released = looked.held;
    assert_eq!(
        (released.plan, released.released_digest.as_deref(), holds),
        (None, Some(&*held.digest), false)
    );
    // The other employees' titles are not part of it; one more leaver is.
    let same =
        look(&company(100, 8, 25), Budgets::default(), 0, &[], false, Some(&held.digest)).held;
    assert!(same.plan.is_none());
    let other =
        look(&company(100, 9, 30), Budgets::default(), 0, &[], false, Some(&held.digest)).held;
    assert!(
        other.released_digest.is_none()
            && other.plan.is_some_and(|plan| plan.digest != held.digest)
    );
}

#[test]
fn the_first_pass_updates_and_creates_an_existing_population_but_does_not_suspend_it() {
    let mut crowd = company(100, 20, 60);
    crowd.accounts.iter_mut().for_each(|account| account.mark = None);
    let Looked { plan, .. } = look(&crowd, Budgets::default(), 0, &[], true, None);
    assert!(plan.changes.iter().all(|change| change.is_held() == change.suspends()));
    let later = look(&crowd, Budgets::default(), 0, &[], false, None).held.plan.expect("held");
    assert_eq!((later.counts.disables, later.counts.updates), (20, 60));
}

#[test]
fn an_account_that_bears_its_mark_was_dealt_with_before_and_has_its_limits_in_a_first_pass_too() {
    let crowd = company(100, 0, 60);
    let held = look(&crowd, Budgets::default(), 0, &[], true, None).held;
    assert_eq!(
        (&held.frozen[..], held.plan.map(|plan| plan.counts.updates)),
        (&[TITLE][..], Some(60))
    );
}

#[test]
fn an_integration_that_begins_without_a_status_gives_no_access_back_until_a_person_approves() {
    let mut crowd = company(100, 0, 3);
    crowd.accounts[7].state = AccountState::Suspended;
    crowd.accounts[8].state = AccountState::Suspended;
    // This account was not managed before: it has no mark, and is adopted as it is.
    (crowd.accounts[9].state, crowd.accounts[9].mark) = (AccountState::Suspended, None);
    let budgets = Budgets { reactivations: None, ..Budgets::default() };
    let Looked { plan, held } = look(&crowd, budgets, 0, &[], true, None);
    let held_now: Vec<u32> =
        plan.changes.iter().filter(|change| change.is_held()).map(|change| change.person).collect();
    assert_eq!(held_now, [7, 8], "and the titles of others go out");
    let said = held.plan.expect("held");
    assert!(
        said.restored && said.because.contains("2 reactivations") && said.counts.reactivations == 2,
        "{said:?}"
    );
    assert!(!look(&crowd, budgets, 0, &[], true, Some(&said.digest)).holds(), "approved");
    assert_eq!(look(&crowd, budgets, 0, &[], false, None).held.plan, None, "it has a status");
}

#[test]
fn an_attribute_that_would_change_for_too_many_freezes_and_the_rest_flows() {
    let mut crowd = company(100, 3, 50);
    // One of them also gets another e-mail.
    crowd.people[10].email = Told::Text("new.address@example.com");
    let Looked { plan, held } =
        look(&crowd, Budgets { updates: None, ..Budgets::default() }, 0, &[], false, None);
    assert_eq!(held.frozen, [TITLE]);
    assert!(!plan.changes.iter().any(Change::is_held), "nobody is held as a whole");
    let said = held.plan.expect("held");
    assert!(
        said.only_fields
            && said.because
                == "FieldBlackout: the target title (from work.title) would change for 50 employees at once, and the limit is 40",
        "{}",
        said.because
    );
    assert_eq!(said.counts.updates, 50);
    let (mapping, people) = (crowd.mapping(), crowd.people());
    let mut planned = Planned { mapping: &mapping, people: &people, plan };
    planned.freeze(&held.frozen);
    let plan = planned.plan;
    assert!(
        plan.changes.iter().all(|change| change
            .write
            .attributes
            .iter()
            .all(|(row, _)| *row != TITLE))
    );
    assert_eq!(plan.changes.len(), 4, "three leavers, and the e-mail");
    assert_eq!(
        plan.standings
            .iter()
            .filter(|standing| standing.block == Some(Block::Frozen(TITLE)))
            .count(),
        50
    );
    // An approved plan is carried out; with another value it is another plan.
    let budgets = Budgets { updates: None, ..Budgets::default() };
    assert!(look(&crowd, budgets, 0, &[], false, Some(&said.digest)).held.frozen.is_empty());
    crowd.people[20].title = Told::Text("Engineer of Nothing");
    assert_eq!(look(&crowd, budgets, 0, &[], false, Some(&said.digest)).held.frozen, [TITLE]);
}

#[test]
fn what_was_approved_before_goes_on_whatever_else_is_held_frozen_or_approved() {
    let crowd = company(100, 8, 50);
    let (people, accounts, mapping): (Vec<Person>, _, _) =
        (crowd.people(), crowd.accounts(), crowd.mapping());
    let plan = planned(&crowd, &people, &accounts);
    let number = |who: usize| u32::try_from(who).expect("few");
    let person = |who: usize| number(crowd.people.iter().position(|one| one.who == who).expect(""));
    let (leaver, mover) = (person(0), person(20));
    let look = |approved: Option<&str>| {
        let mut planned = Planned { mapping: &mapping, people: &people, plan: plan.clone() };
        let (held, rulings) = guard(&Sight {
            planned: &planned,
            facts: &Facts { continues: vec![leaver, mover], ..Facts::default() },
            budgets: Budgets { updates: None, ..Budgets::default() },
            field_blackout: Blackout { max_percent: 40, at_least: 10 },
            population: None,
            first_pass: false,
            restored: false,
            approved,
            released_before: "",
        });
        let changes = planned.plan.changes.iter_mut().zip(rulings);
        changes.for_each(|(change, ruling)| change.ruling = ruling);
        planned.freeze(&held.frozen);
        let approvals: Vec<_> = planned
            .plan
            .changes
            .iter()
            .map(|change| (change.person, change.goes(), change.ruling.approval))
            .collect();
        (held, approvals)
    };
    let (held, left) = look(None);
    let said = held.plan.expect("held");
    assert_eq!(
        (&held.frozen[..], said.counts.disables, said.counts.updates),
        (&[TITLE][..], 7, 50)
    );
    assert_eq!(left.len(), 8, "only suspensions are left, each with its own ruling");
    for (person, goes, approval) in left {
        let before = if person == leaver { Approval::Before } else { Approval::None };
        assert_eq!((goes, approval), (person == leaver, before), "{person}");
    }
    let (held, left) = look(Some(&said.digest));
    assert_eq!((held.released_digest, left.len()), (Some(said.digest), 58));
    for (person, goes, approval) in left {
        let expected = match person {
            _ if person == leaver => Approval::Before,
            _ if person == mover => Approval::Again,
            _ => Approval::Now,
        };
        assert_eq!((goes, approval), (true, expected), "{person}");
    }
}

#[test]
fn what_events_have_changed_within_the_interval_counts_with_a_plan_about_one_person() {
    let budgets = Budgets { updates: None, ..Budgets::default() };
    let population = Some(Population { accounts: 100, managed: 100 });
    let look = |crowd: &Crowd, before| {
        look_at_some(crowd, budgets, 0, &[], (false, None), 10, (population, before)).held
    };
    let one = company(1, 0, 1);
    assert_eq!(look(&one, 39).plan, None, "the fortieth of a hundred");
    let held = look(&one, 40);
    assert_eq!(held.frozen, [TITLE]);
    let said = held.plan.expect("held").because;
    let words = "FieldBlackout: the target title (from work.title) would change for 1 employee at once, events have changed it for 40 others within the interval, and the limit is 40";
    assert_eq!(said, words);
    assert!(look(&company(1, 0, 0), 90).frozen.is_empty(), "nobody is kept from what nobody wants");
    assert_eq!(look(&company(11, 0, 11), 30).frozen, [TITLE], "and with a plan about everybody");
}

#[test]
fn a_blank_is_a_change_and_a_first_value_is_none() {
    let mut crowd = company(100, 0, 0);
    crowd.people.iter_mut().for_each(|one| one.title = Told::Empty);
    let budgets = Budgets { updates: None, ..Budgets::default() };
    assert_eq!(
        look(&crowd, budgets, 0, &[], false, None).held.frozen,
        [TITLE],
        "blanked for everybody"
    );
    crowd.people.iter_mut().for_each(|one| one.title = Told::Text("Engineer"));
    crowd.accounts.iter_mut().for_each(|account| account.title = None);
    assert!(
        look(&crowd, budgets, 0, &[], false, None).held.frozen.is_empty(),
        "nothing is lost by a first value"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_out_never_passes_a_budget(people in 1..60_usize, leave in 0..30_usize, move_on in 0..30_usize, percent in 0..=100_u32, floor in 0..10_u32, spent in 0..20_u32) {
        let crowd = company(people, leave.min(people), move_on);
        let each = Some(budget(percent, floor));
        let budgets = Budgets { disables: each, updates: each, reactivations: each, creates: each };
        let explicit: Vec<usize> = (0..people).step_by(3).collect();
        let Looked { plan, held } = look_with(&crowd, budgets, spent, &explicit, (false, None), 1000);
        let limit = budgets.of(BudgetKind::Disable).expect("a budget").limit(u32::try_from(people).expect("few"));
        for suspensions in [true, false] {
            let of = |held_now: bool| plan.changes.iter().filter(|change| change.suspends() == suspensions && change.is_held() == held_now).count();
            let out = u32::try_from(of(false)).expect("few");
            prop_assert!(out == 0 || out + spent <= limit, "{out} of {limit} with {spent} spent");
            // Whole kinds: what fits is written, and what does not fit is held, except requested
            // ones.
            let all = u32::try_from(of(true)).expect("few") + out;
            prop_assert!(all + spent > limit || of(true) == 0);
        }
        prop_assert_eq!(held.plan.is_some(), plan.changes.iter().any(Change::is_held));
    }
}

/// Employees with a manager's account that came late, and a budget for updates without room.
fn reports(named_before: bool, awaiting_manager: bool) -> bool {
    let mut crowd = company(30, 0, 0);
    for who in 1..30 {
        crowd.people[who].manager = Told::Text(Box::leak(root_id(0).into_boxed_str()));
        crowd.accounts[who].manager = named_before.then_some("account-of-another");
    }
    let (people, accounts, mapping): (Vec<Person>, _, _) =
        (crowd.people(), crowd.accounts(), crowd.mapping());
    let plan = planned(&crowd, &people, &accounts);
    let (_, rulings) = guard(&Sight {
        planned: &Planned { mapping: &mapping, people: &people, plan: plan.clone() },
        facts: &Facts { awaiting_manager, ..Facts::default() },
        budgets: Budgets { updates: Some(budget(0, 0)), ..Budgets::default() },
        field_blackout: Blackout { max_percent: 100, at_least: 0 },
        population: None,
        first_pass: false,
        restored: false,
        approved: None,
        released_before: "uid",
    });
    assert_eq!(plan.changes.len(), 29);
    rulings.iter().any(|ruling| ruling.fate == Fate::Held)
}

#[test]
fn a_manager_whose_account_came_late_is_no_update_and_another_manager_is() {
    assert!(!reports(false, true), "it belongs to the creation");
    assert!(reports(false, false), "nobody waited for it");
    assert!(reports(true, true), "the account names another one");
}
