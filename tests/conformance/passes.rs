//! Cases of whole passes: the provider's listing, its plan, and the engine's own execution, without
//! Bob and a cluster. The decision is given; the tests check the result in the tenant.

use std::{collections::HashMap, sync::atomic::AtomicU64};

use bobsync::{
    api::employee_sync::MatchedBy,
    cluster::leadership::Leadership,
    domain::{
        access::Missing,
        account::{Access, AccountState, AccountWrite},
        employee::Cell,
        mapping::{Mapping, Source},
        matching::{Matcher, Person, PersonIndex},
        plan::{Block, ChangeKind, Conflict, Plan, Planned, plan},
        safety::{Protected, ProtectedBy},
        why::Why,
    },
    engine::{
        intake::claims::Claims,
        pass::{
            execute::{Execution, Pace, Summary, execute},
            guard::Released,
            outcome::{Failure, Outcome},
        },
    },
    provider::Initial,
};
use parking_lot::Mutex;
use simulators::{Fault, FaultKind};

use crate::{
    fixture,
    tenant::{Account, Calls, Tenant, account, can, mark, rows},
};

/// Returns the tenant's mapping, with a field of Bob for each row.
pub fn mapping<T: Tenant>(tenant: &T) -> Mapping {
    let mut mapping = tenant.mapping().clone();
    for (row, one) in mapping.rows.iter_mut().enumerate() {
        one.source = Source::Field(row + 1);
    }
    mapping
}

/// Returns an employee in Bob who should have the attributes of this account. The manager is given
/// by name.
pub fn person(wanted: &Account, manager: Option<&str>, access: Access) -> Person {
    let manager = manager.map(mark);
    let mut texts: Vec<Option<&str>> = vec![wanted.mark.as_deref()];
    texts.extend(wanted.attributes.iter().map(Option::as_deref));
    texts[rows::MANAGER + 1] = manager.as_deref();
    let cells: Vec<Cell<'_>> =
        texts.into_iter().map(|text| text.map_or(Cell::Null, Cell::Text)).collect();
    let decision = fixture::decided(Some(access), Missing::Create(access), Why::AtWork);
    fixture::person(fixture::employee(cells.into_iter()), decision)
}

pub fn active(name: &str) -> Person {
    person(&account(name), None, Access::Active)
}

/// Runs one pass. Returns the plan, and how each change ended.
pub async fn pass<T: Tenant>(
    tenant: &T,
    people: &[Person],
) -> (Plan, HashMap<PersonIndex, Outcome>) {
    let (plan, outcomes, summary) = pass_that_may_stop(tenant, people).await;
    assert!(summary.stop.is_none() && summary.cut.is_none(), "{summary:?}");
    (plan, outcomes)
}

/// Does the same, with the findings of the whole step.
pub async fn pass_that_may_stop<T: Tenant>(
    tenant: &T,
    people: &[Person],
) -> (Plan, HashMap<PersonIndex, Outcome>, Summary) {
    let mapping = mapping(tenant);
    let mut matcher = Matcher::new(&mapping, people, true);
    let listing = tenant
        .provider()
        .list(&mapping, &mut |account| matcher.see(account))
        .await
        .expect("a listing");
    let planned = plan(matcher, listing.whole);
    carry_out(tenant, planned, &listing.unavailable).await
}

pub async fn execute_plan<T: Tenant>(
    tenant: &T,
    planned: Planned<'_>,
    unavailable: &[usize],
) -> (Plan, HashMap<PersonIndex, Outcome>) {
    let (plan, outcomes, summary) = carry_out(tenant, planned, unavailable).await;
    assert!(summary.stop.is_none() && summary.cut.is_none(), "{summary:?}");
    (plan, outcomes)
}

async fn carry_out<T: Tenant>(
    tenant: &T,
    planned: Planned<'_>,
    unavailable: &[usize],
) -> (Plan, HashMap<PersonIndex, Outcome>, Summary) {
    let (outcomes, claims) = (Mutex::new(HashMap::new()), Claims::default());
    let summary = execute(
        &Execution {
            provider: tenant.provider(),
            initial: Ok(Initial::default()),
            unavailable,
            planned: &planned,
            released: &Released::default(),
            adopt: true,
            protected: &Protected::default(),
            pace: Pace::unhurried(&claims.begin_full(), &Leadership::always(), &AtomicU64::new(0)),
        },
        |person, outcome, _| drop(outcomes.lock().insert(person, outcome)),
    )
    .await;
    (planned.plan, outcomes.into_inner(), summary)
}

/// Checks that nothing is left to do.
pub async fn settled<T: Tenant>(tenant: &T, people: &[Person]) {
    let before = tenant.calls().await;
    let (plan, _) = pass(tenant, people).await;
    assert!(plan.changes.is_empty(), "{:?}", plan.changes);
    assert!(tenant.calls().await <= before + 1, "a page is all that is read");
}

/// Returns the id of the account that a change ended with.
pub fn done(outcomes: &HashMap<PersonIndex, Outcome>, person: PersonIndex) -> String {
    match outcomes.get(&person) {
        Some(Outcome::Done(done)) => done.account.to_string(),
        other => panic!("{other:?}"),
    }
}

pub async fn a_company_is_made_with_its_managers_and_then_nothing_is_written<T: Tenant>(
    tenant: &T,
) {
    let people = [
        person(&account("noa"), Some("boss"), Access::Active),
        person(&account("kim"), Some("noa"), Access::Suspended),
        person(&account("boss"), None, Access::Active),
        // These two manage each other.
        person(&account("ola"), Some("pia"), Access::Active),
        person(&account("pia"), Some("ola"), Access::Active),
    ];
    let (plan, outcomes) = pass(tenant, &people).await;
    assert!(
        plan.changes.iter().all(|change| change.kind == ChangeKind::Create)
            && plan.changes.len() == 5
    );
    for (name, index, manager, state) in [
        ("noa", 0, Some(2), AccountState::Active),
        ("kim", 1, Some(0), AccountState::Suspended),
        ("boss", 2, None, AccountState::Active),
        ("ola", 3, Some(4), AccountState::Active),
        ("pia", 4, Some(3), AccountState::Active),
    ] {
        let stored = tenant.look(&done(&outcomes, index)).await.unwrap();
        let reference = match manager {
            Some(manager) => Some(tenant.reference(&done(&outcomes, manager)).await),
            None => None,
        };
        assert_eq!(stored.attributes[rows::MANAGER].as_deref(), reference.as_deref(), "{name}");
        assert_eq!((stored.state, stored.mark.as_deref()), (state, Some(&*mark(name))), "{name}");
    }
    assert_eq!(tenant.size().await, 5);
    settled(tenant, &people).await;
}

pub async fn an_account_from_before_is_adopted_once<T: Tenant>(tenant: &T) {
    let mut old = account("noa");
    (old.mark, old.attributes[rows::TITLE]) = (None, Some("Old title".into()));
    let id = tenant.make(&[old]).await.remove(0);
    tenant.give_foreign(&id).await;
    let rest = tenant.rest(&id).await;
    let people = [active("noa")];
    let (plan, outcomes) = pass(tenant, &people).await;
    assert_eq!((plan.changes[0].kind, done(&outcomes, 0)), (ChangeKind::Adopt, id.clone()));
    let stored = tenant.look(&id).await.unwrap();
    assert_eq!(
        (stored.mark.as_deref(), stored.attributes[rows::TITLE].as_deref()),
        (Some(&*mark("noa")), Some("Engineer"))
    );
    assert_eq!(tenant.rest(&id).await, rest, "what is not ours is kept");
    settled(tenant, &people).await;
}

pub async fn an_account_of_somebody_else_is_a_conflict_and_two_with_one_mark_are_ambiguous<
    T: Tenant,
>(
    tenant: &T,
) {
    let mut theirs = account("noa");
    theirs.mark = Some(mark("somebody-else").into());
    let mut second = account("kim-2");
    second.mark = Some(mark("kim").into());
    let ids = tenant.make(&[theirs, account("kim"), second]).await;
    let mut held = Vec::new();
    for id in &ids {
        held.push(tenant.look(id).await);
    }
    let (plan, _) = pass(tenant, &[active("noa"), active("kim")]).await;
    let stranger = Conflict::Marked((*ids[0]).into());
    assert_eq!(
        (plan.standings[0].block.clone(), plan.standings[1].block.clone()),
        (Some(Block::Conflict(stranger)), Some(Block::Ambiguous))
    );
    for (id, held) in ids.iter().zip(held) {
        assert_eq!(tenant.look(id).await, held);
    }
    assert_eq!(tenant.size().await, 3);
}

pub async fn what_a_person_changed_is_put_back_and_an_account_that_was_deleted_is_made_anew<
    T: Tenant,
>(
    tenant: &T,
) {
    let people = [active("noa")];
    let (_, outcomes) = pass(tenant, &people).await;
    let id = done(&outcomes, 0);
    let wanted = tenant.look(&id).await;
    let by_hand = crate::tenant::write(&[
        (rows::TITLE, Some("By hand")),
        (rows::DEPARTMENT, None),
        (rows::FIRST, Some("Hand")),
    ]);
    let by_hand = AccountWrite { access: Some(Access::Suspended), ..by_hand };
    crate::tenant::update(tenant, &id, &by_hand).await.0.unwrap();
    assert_ne!(tenant.look(&id).await, wanted);
    pass(tenant, &people).await;
    assert_eq!(tenant.look(&id).await, wanted);

    tenant.delete(&id).await;
    let mut people = people;
    people[0].known_account = Some(id.as_str().into());
    let (plan, outcomes) = pass(tenant, &people).await;
    assert_eq!(plan.changes[0].kind, ChangeKind::Create);
    assert_ne!(done(&outcomes, 0), id);
    assert_eq!(tenant.size().await, 1);
    settled(tenant, &people).await;
}

pub async fn a_lost_answer_makes_no_second_account_and_no_second_change<T: Tenant>(tenant: &T) {
    let people = [active("noa")];
    tenant.fault(Calls::Creates, Fault::new(FaultKind::ResetAfterApply).times(1)).await;
    let (_, outcomes) = pass(tenant, &people).await;
    let id = done(&outcomes, 0);
    assert!(
        matches!(&outcomes[&0], Outcome::Done(done) if done.matched_by == MatchedBy::Created),
        "found by reading, not by trying again"
    );
    assert_eq!(tenant.size().await, 1);
    let mut changed = account("noa");
    changed.attributes[rows::TITLE] = Some("Lead".into());
    let people = [person(&changed, None, Access::Active)];
    tenant.fault(Calls::Updates, Fault::new(FaultKind::ResetAfterApply).times(1)).await;
    let (_, outcomes) = pass(tenant, &people).await;
    assert_eq!(done(&outcomes, 0), id);
    settled(tenant, &people).await;
}

pub async fn a_storm_of_refusals_for_their_number_is_waited_out<T: Tenant>(tenant: &T) {
    let storm = || Fault::new(FaultKind::Status).status(429).header("retry-after", "1").times(3);
    tenant.fault(Calls::Creates, storm()).await;
    let people: Vec<Person> = ["noa", "kim", "ola", "pia", "rui", "sol"].map(active).into();
    let (_, outcomes) = pass(tenant, &people).await;
    assert!(outcomes.values().all(|outcome| matches!(outcome, Outcome::Done(_))), "{outcomes:?}");
    assert_eq!(tenant.size().await, 6);
    settled(tenant, &people).await;
}

pub async fn one_refusal_blames_one_person_and_access_goes_all_the_same<T: Tenant>(tenant: &T) {
    let people = [active("noa"), active("kim")];
    let (_, outcomes) = pass(tenant, &people).await;
    let ids = [done(&outcomes, 0), done(&outcomes, 1)];
    tenant.refuse(rows::TITLE, "Forbidden Words").await;
    let titled = |name: &str, title: &'static str, access| {
        let mut wanted = account(name);
        wanted.attributes[rows::TITLE] = Some(title.into());
        person(&wanted, None, access)
    };
    let people = [
        titled("noa", "Some Forbidden Words", Access::Suspended),
        titled("kim", "Lead", Access::Active),
        titled("ola", "More Forbidden Words", Access::Active),
    ];
    let (_, outcomes) = pass(tenant, &people).await;
    for person in [0, 2] {
        let Outcome::Done(done) = &outcomes[&person] else { panic!("{outcomes:?}") };
        let Some((Failure::Rejected(said, _), left)) = &done.refused else { panic!("{done:?}") };
        assert!(
            said.contains(&*tenant.mapping().rows[rows::TITLE].target) && !said.contains("Words"),
            "{said}"
        );
        assert_eq!(*left, [rows::TITLE]);
    }
    let ola = tenant.look(&done(&outcomes, 2)).await.unwrap();
    assert_eq!(
        (ola.state, ola.attributes[rows::TITLE].is_none()),
        (AccountState::Active, true),
        "nor does it keep anybody from an account"
    );
    assert_eq!(
        tenant.look(&ids[0]).await.unwrap().state,
        AccountState::Suspended,
        "a refused attribute stops no suspension"
    );
    assert_eq!(
        tenant.look(&ids[1]).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Lead")
    );
}

pub async fn one_refused_account_of_a_leaver_keeps_no_other_open<T: Tenant>(tenant: &T) {
    let ids = tenant
        .make(
            &["kim", "kim-2", "kim-3"]
                .map(|name| Account { mark: Some(mark("kim").into()), ..account(name) }),
        )
        .await;
    let left = || person(&account("kim"), None, Access::Suspended);
    for refused in &ids {
        tenant.protect(refused).await;
        let (plan, outcomes) = pass(tenant, &[left()]).await;
        let Outcome::Failed { failure: Failure::Forbidden(_), account: None, .. } = &outcomes[&0]
        else {
            panic!("{outcomes:?}")
        };
        assert_eq!(plan.standings[0].block, Some(Block::Ambiguous));
        for id in &ids {
            let state = tenant.look(id).await.unwrap().state;
            assert_eq!(state == AccountState::Suspended, id != refused, "{id}: {state:?}");
            let back = AccountWrite { access: Some(Access::Active), ..AccountWrite::default() };
            if id != refused {
                crate::tenant::update(tenant, id, &back).await.0.unwrap();
            }
        }
    }
}

pub async fn an_account_that_cannot_be_read_is_told_of_and_no_other_is_made<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("kim")]).await;
    let mut people = [person(&account("noa"), None, Access::Suspended), active("kim")];
    people[0].decision.missing = Missing::Never;
    for (person, id) in people.iter_mut().zip(&ids) {
        (person.known_account, person.known_active) = (Some(id.as_str().into()), true);
    }
    let mapping = mapping(tenant);
    let unlisted = || plan(Matcher::new(&mapping, &people, true), false);
    tenant.fault(Calls::Reads, Fault::new(FaultKind::Status).status(403)).await;
    let (_, outcomes) = execute_plan(tenant, unlisted(), &[]).await;
    for person in [0, 1] {
        let Outcome::Failed { failure: Failure::Forbidden(_), account: None, .. } =
            &outcomes[&person]
        else {
            panic!("{outcomes:?}")
        };
    }
    assert_eq!(tenant.size().await, 2);
    tenant.heal().await;
    let (_, outcomes) = execute_plan(tenant, unlisted(), &[]).await;
    assert_eq!([done(&outcomes, 0), done(&outcomes, 1)], ids[..]);
    assert_eq!(
        tenant.look(&ids[0]).await.unwrap().state,
        AccountState::Suspended,
        "whoever left gets out once the refusal ends"
    );
    assert_eq!(tenant.size().await, 2);
}

pub async fn a_value_that_breaks_the_provider_keeps_no_access_open_and_no_other_value_out<
    T: Tenant,
>(
    tenant: &T,
) {
    let (_, outcomes) = pass(tenant, &[active("noa"), active("kim")]).await;
    let ids = [done(&outcomes, 0), done(&outcomes, 1)];
    for (round, status) in [500, 502, 503].into_iter().enumerate() {
        tenant
            .fault(
                Calls::Updates,
                Fault::new(FaultKind::Status).status(status).body_contains("Bad title"),
            )
            .await;
        let changed = |name: &str, access| {
            let mut wanted = account(name);
            wanted.attributes[rows::TITLE] = Some("Bad title".into());
            wanted.attributes[rows::DEPARTMENT] = Some(format!("Team {round}").into());
            person(&wanted, None, access)
        };
        let (_, outcomes) =
            pass(tenant, &[changed("noa", Access::Suspended), changed("kim", Access::Active)])
                .await;
        for (index, id) in (0..).zip(&ids) {
            let Outcome::Done(done) = &outcomes[&index] else { panic!("{status}: {outcomes:?}") };
            let Some((Failure::Retrying(said), left)) = &done.refused else { panic!("{done:?}") };
            assert!(
                said.contains(&*tenant.mapping().rows[rows::TITLE].target)
                    && said.contains(&status.to_string()),
                "{said}"
            );
            assert_eq!(
                (&left[..], &done.fields[..]),
                (&[rows::TITLE][..], &[rows::DEPARTMENT][..])
            );
            let stored = tenant.look(id).await.unwrap();
            assert_eq!(stored.state == AccountState::Suspended, index == 0);
            assert_eq!(stored.attributes[rows::DEPARTMENT], Some(format!("Team {round}").into()));
            assert_eq!(stored.attributes[rows::TITLE].as_deref(), Some("Engineer"));
        }
        tenant.heal().await;
        // The leaver comes back, for the next round.
        pass(tenant, &[active("noa"), active("kim")]).await;
    }
}

pub async fn an_address_that_is_taken_withholds_nothing_else<T: Tenant>(tenant: &T) {
    let (_, outcomes) = pass(tenant, &[active("noa"), active("kim")]).await;
    let id = done(&outcomes, 0);
    // Not known when the plan is made.
    let mut wanted = account("noa");
    (wanted.attributes[rows::EMAIL], wanted.attributes[rows::TITLE]) =
        (Some("pia@example.com".into()), Some("Lead".into()));
    if tenant.mapping().username != rows::EMAIL {
        wanted.attributes[tenant.mapping().username] = Some("pia@example.com".into());
    }
    let people = [person(&wanted, None, Access::Active)];
    let mapping = mapping(tenant);
    let mut matcher = Matcher::new(&mapping, &people, true);
    tenant.provider().list(&mapping, &mut |account| matcher.see(account)).await.expect("a listing");
    let plan = plan(matcher, true);
    tenant.make(&[account("pia")]).await;
    let (_, outcomes) = execute_plan(tenant, plan, &[]).await;
    let Outcome::Done(done) = &outcomes[&0] else { panic!("{outcomes:?}") };
    assert!(
        matches!(&done.refused, Some((Failure::Conflict(_), left)) if left.contains(&rows::EMAIL)),
        "{done:?}"
    );
    let stored = tenant.look(&id).await.unwrap();
    assert_eq!(
        (stored.attributes[rows::TITLE].as_deref(), stored.email.as_deref()),
        (Some("Lead"), Some("noa@example.com"))
    );
}

pub async fn an_administrator_is_recognised_and_never_written<T: Tenant>(tenant: &T) {
    if !can::<T>("the provider says which accounts are administrators'", |can| {
        can.tells_administrators
    }) {
        return;
    }
    let mut unmarked = account("kim");
    unmarked.mark = None;
    let ids = tenant.make(&[account("noa"), unmarked, account("ola")]).await;
    for id in &ids[..2] {
        tenant.promote(id).await;
        assert!(
            crate::tenant::listed(tenant, id).await.administrator,
            "a look-up tells it as well"
        );
    }
    assert!(!crate::tenant::listed(tenant, &ids[2]).await.administrator);
    let leaves = |name: &str| {
        let mut wanted = account(name);
        wanted.attributes[rows::TITLE] = Some("Lead".into());
        person(&wanted, None, Access::Suspended)
    };
    let people = [leaves("noa"), leaves("kim"), leaves("ola")];
    let held = [tenant.look(&ids[0]).await, tenant.look(&ids[1]).await];
    let (plan, outcomes) = pass(tenant, &people).await;
    for person in [0, 1] {
        assert_eq!(plan.standings[person].block, Some(Block::Protected(ProtectedBy::Role)));
        assert_eq!(tenant.look(&ids[person]).await, held[person], "neither adopted nor suspended");
    }
    assert_eq!(
        (outcomes.len(), done(&outcomes, 2)),
        (1, ids[2].clone()),
        "who is none is suspended"
    );
    // An account that appears when one is to be made is not taken over either.
    let mut before = account("pia");
    before.mark = None;
    let late = tenant.make(&[before]).await.remove(0);
    tenant.promote(&late).await;
    let held = tenant.look(&late).await;
    let people = [active("pia")];
    let mapping = mapping(tenant);
    let plan = bobsync::domain::plan::plan(Matcher::new(&mapping, &people, true), true);
    let (_, outcomes) = execute_plan(tenant, plan, &[]).await;
    assert!(
        matches!(&outcomes[&0], Outcome::Failed { failure: Failure::Protected(_), .. }),
        "{outcomes:?}"
    );
    assert_eq!(tenant.look(&late).await, held);
    // The same for an account on record that the listing does not have.
    let mut people = [leaves("noa")];
    people[0].known_account = Some(ids[0].as_str().into());
    people[0].known_active = true;
    let held = tenant.look(&ids[0]).await;
    let plan = bobsync::domain::plan::plan(Matcher::new(&mapping, &people, true), true);
    let (_, outcomes) = execute_plan(tenant, plan, &[]).await;
    assert!(
        matches!(&outcomes[&0], Outcome::Failed { failure: Failure::Protected(_), .. }),
        "{outcomes:?}"
    );
    assert_eq!(tenant.look(&ids[0]).await, held);
}

pub async fn an_account_of_another_directory_is_left_to_it<T: Tenant>(tenant: &T) {
    if !T::TELLS_MASTERS {
        println!(
            "SKIPPED for {}: it does not say whether another directory is the master of an account",
            T::CATALOG.name
        );
        return;
    }
    let mut unmarked = account("kim");
    unmarked.mark = None;
    let ids = tenant.make(&[account("noa"), unmarked]).await;
    for id in &ids {
        tenant.master(id).await;
        assert!(crate::tenant::listed(tenant, id).await.elsewhere, "a look-up tells it as well");
    }
    let held = [tenant.look(&ids[0]).await, tenant.look(&ids[1]).await];
    // A leaver, and an employee with another title.
    let mut titled = account("kim");
    titled.attributes[rows::TITLE] = Some("Lead".into());
    let people =
        [person(&account("noa"), None, Access::Suspended), person(&titled, None, Access::Active)];
    let (plan, outcomes) = pass(tenant, &people).await;
    for person in [0, 1] {
        assert_eq!(plan.standings[person].block, Some(Block::ManagedElsewhere));
        assert_eq!(tenant.look(&ids[person]).await, held[person], "nothing is written");
    }
    assert!(outcomes.is_empty(), "{outcomes:?}");
    // An account that appears: at a create, and for an account on record that is not in the
    // listing.
    let mut people = [
        person(&account("kim"), None, Access::Active),
        person(&account("noa"), None, Access::Suspended),
    ];
    people[1].known_account = Some(ids[0].as_str().into());
    people[1].known_active = true;
    let mapping = mapping(tenant);
    let plan = bobsync::domain::plan::plan(Matcher::new(&mapping, &people, true), true);
    let (_, outcomes) = execute_plan(tenant, plan, &[]).await;
    for person in [0, 1] {
        let failure = match outcomes.get(&person) {
            Some(Outcome::Failed { failure, .. }) => failure,
            other => panic!("{person}: {other:?}"),
        };
        assert_eq!(*failure, Failure::ManagedElsewhere);
    }
    assert_eq!(
        [tenant.look(&ids[0]).await, tenant.look(&ids[1]).await],
        held,
        "nothing is written"
    );
}

pub async fn what_is_told_of_an_account_after_a_change_is_as_the_tenant_has_it<T: Tenant>(
    tenant: &T,
) {
    let titled = |title: &'static str, manager, access| {
        let mut wanted = account("noa");
        wanted.attributes[rows::TITLE] = Some(title.into());
        [person(&wanted, manager, access), active("boss")]
    };
    // With any answer of a provider, a change without access keeps the reported state.
    for (title, manager, access) in [
        ("Engineer", None, Access::Active),
        ("Lead", None, Access::Active),
        ("Lead", None, Access::Suspended),
        ("Boss", None, Access::Suspended),
        ("Boss", Some("boss"), Access::Suspended),
        ("Lead", None, Access::Suspended),
        ("Lead", None, Access::Active),
    ] {
        let (_, outcomes) = pass(tenant, &titled(title, manager, access)).await;
        let Outcome::Done(done) = &outcomes[&0] else { panic!("{outcomes:?}") };
        let stored = tenant.look(&done.account).await.unwrap();
        assert_eq!(done.state, stored.state, "{title} {manager:?} {access:?}");
        assert_eq!(stored.state == AccountState::Suspended, access == Access::Suspended);
        assert!(!done.manager_pending);
    }
}
