//! Cases of values that the provider keeps in another form than they were sent: they are written once, and not in every pass.

use std::{collections::HashMap, time::Duration};

use bobsync::{
    domain::{
        account::{Access, AccountState},
        budget::{Budget, Budgets},
        kept::Kept,
        matching::{Person, PersonIndex},
        plan::{Plan, Planned},
        set_back::Window,
    },
    engine::pass::{outcome::Outcome, record::kept::after},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    passes::{active, done, mapping, pass, person},
    tenant::{Tenant, account, rows, update, write},
};

/// An employee with this title and this state; what is known of the account's values comes along.
fn titled(name: &str, title: &str, access: Access, known: &[Person]) -> Vec<Person> {
    let mut wanted = account(name);
    wanted.attributes[rows::TITLE] = Some(title.to_owned().into());
    let kept = known.first().and_then(|known| known.kept.clone());
    vec![Person { kept, ..person(&wanted, None, access) }]
}

/// A window of so many hours that ends so many hours after the beginning.
fn window(hours: u64, now: i64) -> Window {
    let updates = Budget { max_percent: 30, at_least: 20, per: Duration::from_hours(hours) };
    Window::of(
        &Budgets { updates: Some(updates), ..Budgets::default() },
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000 + now),
    )
}

/// One pass, and what is known after it. Answers the plan, and whether the title was written.
async fn look<T: Tenant>(
    tenant: &T,
    people: &mut [Person],
) -> (Plan, HashMap<PersonIndex, Outcome>, bool) {
    // Where the window is empty nothing counts as a fight.
    look_at(tenant, people, window(0, 0)).await
}

async fn look_at<T: Tenant>(
    tenant: &T,
    people: &mut [Person],
    window: Window,
) -> (Plan, HashMap<PersonIndex, Outcome>, bool) {
    for kept in people.iter_mut().filter_map(|person| person.kept.as_mut()) {
        kept.look(window, false);
    }
    let (plan, outcomes) = pass(tenant, people).await;
    let mapping = mapping(tenant);
    let planned = Planned { mapping: &mapping, people, plan };
    let known = |index| after(&planned, index, &[], outcomes.get(&index), window);
    let kept: Vec<_> = (0..).zip(planned.people).map(|(index, _)| known(index)).collect();
    let plan = planned.plan;
    people.iter_mut().zip(kept).for_each(|(person, kept)| person.kept = kept);
    let wrote = plan
        .changes
        .iter()
        .any(|change| change.write.attributes.iter().any(|(row, _)| *row == rows::TITLE));
    (plan, outcomes, wrote)
}

/// How often the title is written until a pass writes nothing.
async fn writes<T: Tenant>(tenant: &T, people: &mut [Person]) -> u32 {
    for count in 0..8 {
        if !look(tenant, people).await.2 {
            return count;
        }
    }
    panic!("the title is written for ever");
}

/// Where the answer to a change shows what is kept, one write tells it.
fn once<T: Tenant>() -> u32 {
    if T::CATALOG.capabilities.answers_changes { 1 } else { 2 }
}

async fn set_title<T: Tenant>(tenant: &T, id: &str, title: &str) {
    update(tenant, id, &write(&[(rows::TITLE, Some(title))])).await.0.unwrap();
}

pub async fn a_value_that_is_kept_in_another_form_is_written_once_until_either_side_changes<
    T: Tenant,
>(
    tenant: &T,
) {
    tenant.keep_texts(true, None).await;
    let mut noa = titled("noa", "Team  Lead Zoe\u{308}", Access::Active, &[]);
    let id = done(&look(tenant, &mut noa).await.1, 0);
    let more = writes(tenant, &mut noa).await;
    assert!(
        more < once::<T>() || !T::CATALOG.capabilities.answers_changes && more == 2,
        "{more} after the create"
    );
    assert_eq!(
        tenant.look(&id).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Team Lead Zoë")
    );
    // At rest nothing is written at all, and the row is known. So it is after a restart.
    for _ in 0..2 {
        let before = tenant.calls().await;
        let (plan, ..) = look(tenant, &mut noa).await;
        assert!(plan.changes.is_empty(), "{:?}", plan.changes);
        assert_eq!(
            (&plan.standings[0].kept[..], tenant.calls().await),
            (&[rows::TITLE][..], before + 1)
        );
        let lines = noa[0].kept.as_ref().unwrap().to_list();
        assert!(lines.len() == 1 && !lines[0].contains("Lead"), "{lines:?}");
        noa[0].kept = Some(Box::new(Kept::from_list(lines.iter().map(String::as_str))));
    }
    // Another value of the same account is written, and this one is not.
    let mut moved = account("noa");
    (moved.attributes[rows::TITLE], moved.attributes[rows::DEPARTMENT]) =
        (Some("Team  Lead Zoe\u{308}".into()), Some("Sales".into()));
    let mut moved = [Person { kept: noa[0].kept.clone(), ..person(&moved, None, Access::Active) }];
    let (plan, ..) = look(tenant, &mut moved).await;
    let written: Vec<usize> =
        plan.changes[0].write.attributes.iter().map(|(row, _)| *row).collect();
    assert_eq!(written, [rows::DEPARTMENT]);
    assert_eq!(writes(tenant, &mut moved).await, 0);
    // A person changes it at the provider: one write.
    set_title(tenant, &id, "By hand").await;
    let mut noa = titled("noa", "Team  Lead Zoe\u{308}", Access::Active, &moved);
    assert_eq!(writes(tenant, &mut noa).await, 1);
    assert_eq!(
        tenant.look(&id).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Team Lead Zoë")
    );
    // Bob has another value.
    let mut noa = titled("noa", "Team  Boss", Access::Active, &noa);
    assert_eq!(writes(tenant, &mut noa).await, once::<T>());
    assert_eq!(
        tenant.look(&id).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Team Boss")
    );
    // Bob has the value as the provider keeps it: nothing to write, and nothing to remember.
    let mut noa = titled("noa", "Team Boss", Access::Active, &noa);
    assert_eq!((writes(tenant, &mut noa).await, &noa[0].kept), (0, &None));
}

pub async fn a_value_that_is_kept_in_another_form_each_time_is_given_up_after_three_writes<
    T: Tenant,
>(
    tenant: &T,
) {
    let title = "Head-of-Everything-and-More";
    let mut noa = titled("noa", title, Access::Active, &[]);
    let id = done(&look(tenant, &mut noa).await.1, 0);
    let mut written = 0;
    for round in 0..8_usize {
        // Something changes it behind our back, and what is made of the next write is another form again.
        tenant.keep_texts(false, None).await;
        set_title(tenant, &id, &format!("Changed {round}")).await;
        tenant.keep_texts(false, Some(20 - round)).await;
        written += u32::from(look(tenant, &mut noa).await.2);
    }
    assert_eq!(written, 3);
    let known = noa[0].kept.as_ref().unwrap();
    assert_eq!(known.given_up().collect::<Vec<_>>(), [&*tenant.mapping().rows[rows::TITLE].target]);
    // Access still goes out, with all other changes.
    let mut noa = titled("noa", title, Access::Suspended, &noa);
    assert!(!look(tenant, &mut noa).await.2);
    assert_eq!(tenant.look(&id).await.unwrap().state, AccountState::Suspended);
    // Bob has another value: it is written.
    tenant.keep_texts(false, None).await;
    let mut noa = titled("noa", "Head", Access::Suspended, &noa);
    assert_eq!((writes(tenant, &mut noa).await, &noa[0].kept), (1, &None));
}

pub async fn what_is_set_back_again_and_again_is_contested_and_comes_right_when_the_other_writer_stops<
    T: Tenant,
>(
    tenant: &T,
) {
    let mut noa = [active("noa")];
    let id = done(&look(tenant, &mut noa).await.1, 0);
    let title = async || tenant.look(&id).await.unwrap().attributes[rows::TITLE].clone();
    let contested =
        |noa: &[Person]| noa[0].kept.as_ref().map_or(0, |kept| kept.contested().count());
    // The other writer comes every two hours, bobsync looks every hour: what it wrote is in place in between.
    let mut written = 0;
    for hour in 0..20 {
        if hour % 2 == 0 {
            set_title(tenant, &id, "By hand").await;
        }
        written += u32::from(look_at(tenant, &mut noa, window(24, hour)).await.2);
    }
    assert_eq!((written, title().await.as_deref(), contested(&noa)), (6, Some("By hand"), 1));
    let plan = look_at(tenant, &mut noa, window(24, 20)).await.0;
    assert_eq!((&plan.standings[0].contested[..], plan.changes.len()), (&[rows::TITLE][..], 0));
    // Access still goes out, with all other changes, and another value of Bob.
    let kept = noa[0].kept.clone();
    let mut leaver = titled("noa", "Engineer", Access::Suspended, &noa);
    assert!(!look_at(tenant, &mut leaver, window(24, 20)).await.2);
    assert_eq!(tenant.look(&id).await.unwrap().state, AccountState::Suspended);
    let mut promoted = titled("noa", "Head", Access::Active, &noa);
    assert!(look_at(tenant, &mut promoted, window(24, 20)).await.2);
    assert_eq!((title().await.as_deref(), contested(&promoted)), (Some("Head"), 0));
    // A window after the last write it is written once more. Where that stays, nothing is contested any more.
    noa[0].kept = kept;
    set_title(tenant, &id, "By hand").await;
    assert!(!look_at(tenant, &mut noa, window(24, 33)).await.2);
    assert!(look_at(tenant, &mut noa, window(24, 34)).await.2);
    assert_eq!(title().await.as_deref(), Some("Engineer"));
    assert!(!look_at(tenant, &mut noa, window(24, 35)).await.2);
    assert_eq!(contested(&noa), 0);
    assert!(!look_at(tenant, &mut noa, window(24, 58)).await.2);
    assert_eq!(noa[0].kept, None, "it has stayed for a window");
}
