//! The order of changes: the rules of every queue, for any dependencies between its changes and any
//! order in which they end.

use std::collections::HashSet;

use bobsync::domain::{
    access::Missing,
    account::{Access, AccountWrite, NewValue},
    employee::{Cell, Fields},
    mapping::{Compare, Mapping, Row, Source},
    matching::{Person, PersonIndex},
    plan::{Change, ChangeKind, EmployeePlan, Fate, Manager, Plan, Planned, Ruling, Stage},
    priority::{Class, Queue, is_position},
    why::Why,
};
use proptest::prelude::*;

use crate::fixture;

const EMAIL: usize = 0;
const HOBBY: usize = 1;
const MANAGER: usize = 2;
const TITLE: usize = 3;

fn mapping() -> Mapping {
    let mut fields = Fields::default();
    let mut row = |target: &str, field: &str, compare| Row {
        target: target.into(),
        source: Source::Field(fields.want(field)),
        on_create_only: false,
        compare,
        required: false,
    };
    let rows = vec![
        row("email", "root.email", Compare::IgnoringCase),
        row("hobby", "about.hobbies", Compare::Exact),
        row("manager", "about.buddy", Compare::Person),
        row("title", "work.title", Compare::Exact),
    ];
    Mapping { address: None, rows, fields, email: EMAIL, username: EMAIL, manager: Some(MANAGER) }
}

fn person(number: usize, why: Why) -> Person {
    let id = number.to_string();
    fixture::person(
        fixture::employee([Cell::Text(&id)].into_iter()),
        fixture::decided(None, Missing::Never, why),
    )
}

/// A generated change: its class, since when it waits, and which employees it needs.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    class: Class,
    since: i64,
    manager: Option<u32>,
    after: Option<u32>,
    go: bool,
}

fn change(number: u32, drawn: &Drawn) -> Change {
    let text = |row: usize| vec![(row, NewValue::Set("x".into()))];
    let write = |attributes, access| AccountWrite { attributes, access, ..AccountWrite::default() };
    let (kind, stage, write) = match drawn.class {
        Class::Revocation | Class::Leaver => {
            (ChangeKind::Update, Stage::Suspend, write(Vec::new(), Some(Access::Suspended)))
        }
        Class::Joiner => {
            (ChangeKind::Create, Stage::Create, write(text(EMAIL), Some(Access::Active)))
        }
        Class::Mover => (ChangeKind::Update, Stage::Rest, write(text(TITLE), None)),
        Class::Cosmetic => (ChangeKind::Update, Stage::Rest, write(text(HOBBY), None)),
    };
    let account = (kind == ChangeKind::Update).then(|| number.to_string().into());
    let (manager, after) = (drawn.manager, drawn.after);
    Change {
        person: number,
        kind,
        account,
        write,
        replaced: Vec::new(),
        manager,
        after,
        stage,
        level: 0,
        look_up_first: false,
        also: Vec::new(),
        ruling: Ruling {
            fate: if drawn.go { Fate::Goes } else { Fate::Held },
            ..Ruling::default()
        },
    }
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let one = (
        0..5_usize,
        0..9_i64,
        proptest::option::weighted(0.3, 0..40_u32),
        proptest::option::weighted(0.2, 0..40_u32),
        any::<bool>(),
    );
    let one = one.prop_map(|(class, since, manager, after, held)| Drawn {
        class: Class::ALL[class],
        since,
        manager,
        after,
        go: !held || since > 3,
    });
    proptest::collection::vec(one, 0..40)
}

struct Scene {
    mapping: Mapping,
    people: Vec<Person>,
    plan: Plan,
}

/// Employee `n` has change `n`.
fn scene(drawn: &[Drawn]) -> Scene {
    let why = |class| if class == Class::Revocation { Why::AccessRevoked } else { Why::Terminated };
    let standing = |number| EmployeePlan {
        account: None,
        manager: Manager::Nothing,
        block: None,
        change: Some(number),
        drifted: Vec::new(),
        kept: Vec::new(),
        contested: Vec::new(),
        withheld: Vec::new(),
        beside: None,
        several: false,
        stays_open: false,
    };
    Scene {
        mapping: mapping(),
        people: drawn
            .iter()
            .enumerate()
            .map(|(number, one)| person(number, why(one.class)))
            .collect(),
        plan: Plan {
            changes: (0..).zip(drawn).map(|(number, one)| change(number, one)).collect(),
            standings: (0..drawn.len()).map(standing).collect(),
            ..Plan::default()
        },
    }
}

impl Scene {
    fn queue(&self, since: impl Fn(PersonIndex) -> i64) -> Queue {
        Queue::new(&self.planned(), &since, &|_| false)
    }

    fn planned(&self) -> Planned<'_> {
        Planned { mapping: &self.mapping, people: &self.people, plan: self.plan.clone() }
    }
}

/// Returns the changes that a change needs, as the plan names them.
fn needs(drawn: &[Drawn], at: usize) -> Vec<usize> {
    let one = &drawn[at];
    if one.class <= Class::Leaver {
        return Vec::new();
    }
    let there = |other: &usize| *other != at && drawn.get(*other).is_some_and(|other| other.go);
    one.manager.into_iter().chain(one.after).map(|other| other as usize).filter(there).collect()
}

/// Returns whether a change waits for this one, directly or not, and so waits for itself.
fn in_a_circle(drawn: &[Drawn], at: usize) -> bool {
    let (mut open, mut seen) = (needs(drawn, at), HashSet::new());
    while let Some(next) = open.pop() {
        if next == at {
            return true;
        }
        if seen.insert(next) {
            open.extend(needs(drawn, next));
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_goes_once_and_after_what_it_needs(drawn in drawn(), order in proptest::collection::vec(0..8_usize, 40), at_once in 1..9_usize) {
        let scene = scene(&drawn);
        let mut queue = scene.queue(|person| drawn[person as usize].since);
        let circle = (0..drawn.len()).any(|at| drawn[at].go && in_a_circle(&drawn, at));
        let (mut under_way, mut ended, mut gone, mut turns) = (Vec::new(), HashSet::new(), HashSet::new(), 0);
        for pick in order.into_iter().cycle() {
            while under_way.len() < at_once && let Some(next) = queue.next(turns) {
                prop_assert!(drawn[next].go && gone.insert(next), "{next} is held, or went before");
                let early = needs(&drawn, next).into_iter().find(|needed| !ended.contains(needed));
                prop_assert!(circle || early.is_none(), "{next} does not wait for {early:?}");
                under_way.push(next);
            }
            let waiting: usize = queue.depths().iter().map(|(count, _)| count).sum();
            prop_assert_eq!(waiting, drawn.iter().filter(|one| one.go).count() - gone.len());
            if under_way.is_empty() {
                break;
            }
            let done = under_way.swap_remove(pick % under_way.len());
            ended.insert(done);
            turns += u64::from(queue.ended(done));
        }
        prop_assert_eq!(ended.len(), drawn.iter().filter(|one| one.go).count(), "everything goes");
    }

    #[test]
    fn whose_access_ends_goes_first_and_the_oldest_of_a_class_first(mut drawn in drawn()) {
        drawn.iter_mut().for_each(|one| (one.manager, one.after) = (None, None));
        let scene = scene(&drawn);
        let mut queue = scene.queue(|person| drawn[person as usize].since);
        let (mut order, mut turns) = (Vec::new(), 0);
        while let Some(next) = queue.next(turns) {
            order.push(next);
            turns += u64::from(queue.ended(next));
        }
        let urgent = |at: &usize| drawn[*at].class <= Class::Leaver;
        prop_assert!(order.is_sorted_by_key(|at| !urgent(at)));
        prop_assert!(order.iter().filter(|at| urgent(at)).is_sorted_by_key(|at| drawn[*at].class));
        for class in Class::ALL {
            let of_class = order.iter().filter(|at| drawn[**at].class == class);
            prop_assert!(of_class.is_sorted_by_key(|at| drawn[*at].since), "{class:?}");
        }
    }

    #[test]
    fn no_class_starves_however_many_of_the_others_come(many in proptest::collection::vec(2..4_usize, 1..60), turns in 0..100_u64) {
        // Joiners without end, and a few others: each of the others is carried out within a bounded
        // number of turns.
        let mut drawn: Vec<Drawn> = many.iter().map(|class| Drawn { class: Class::ALL[*class + 1], since: 9, manager: None, after: None, go: true }).collect();
        let others = drawn.len();
        drawn.extend((0..others * 16 + 16).map(|_| Drawn { class: Class::Joiner, since: 0, manager: None, after: None, go: true }));
        let scene = scene(&drawn);
        let mut queue = scene.queue(|person| drawn[person as usize].since);
        let mut left: HashSet<usize> = (0..others).collect();
        for turn in 0..=others as u64 * 16 {
            let next = queue.next(turns + turn).expect("joiners without end");
            queue.ended(next);
            left.remove(&next);
        }
        prop_assert!(left.is_empty(), "{} of {others} still wait", left.len());
        // Joiners still have most of the turns.
        let joiners = (0..16).filter(|_| queue.next(turns).is_some_and(|next| drawn[next].class == Class::Joiner)).count();
        prop_assert!(joiners >= 12, "{joiners} of 16");
    }
}

#[test]
fn turns_are_counted_over_passes_so_that_short_ones_do_not_begin_with_joiners_for_ever() {
    let of = |class| Drawn { class, since: 0, manager: None, after: None, go: true };
    let drawn = [of(Class::Joiner), of(Class::Joiner), of(Class::Mover), of(Class::Cosmetic)];
    // One turn in each pass, as with a provider that accepts one call in a quarter of a minute.
    let first: Vec<Class> = (0..16)
        .map(|turns| {
            let scene = scene(&drawn);
            drawn[scene.queue(|_| 0).next(turns).expect("somebody waits")].class
        })
        .collect();
    assert_eq!(first.iter().filter(|class| **class == Class::Mover).count(), 3);
    assert_eq!(first.iter().filter(|class| **class == Class::Cosmetic).count(), 1);
}

#[test]
fn whom_a_joiner_needs_comes_with_the_joiner() {
    let of = |class, since, after| Drawn { class, since, manager: None, after, go: true };
    // A new employee takes the e-mail that a renamed colleague gives up: that colleague goes before
    // older joiners.
    let drawn = [
        of(Class::Joiner, 5, None),
        of(Class::Joiner, 1, Some(2)),
        of(Class::Cosmetic, 9, None),
        of(Class::Joiner, 2, None),
    ];
    let scene = scene(&drawn);
    let mut queue = scene.queue(|person| drawn[person as usize].since);
    let mut order = Vec::new();
    while let Some(next) = queue.next(0) {
        order.push(next);
        queue.ended(next);
    }
    assert_eq!(order, [2, 1, 3, 0]);
}

#[test]
fn what_failed_before_goes_last_in_its_class_and_comes_along_with_those_who_need_it() {
    let of = |class, since, manager| Drawn { class, since, manager, after: None, go: true };
    let drawn = [
        of(Class::Joiner, 1, None),
        of(Class::Joiner, 2, None),
        of(Class::Joiner, 9, None),
        of(Class::Leaver, 1, None),
        of(Class::Leaver, 5, None),
        // Needs the account of the second, which failed before.
        of(Class::Joiner, 7, Some(1)),
    ];
    let scene = scene(&drawn);
    let failed = |change: &Change| change.person < 2 || change.person == 3;
    let mut queue = Queue::new(&scene.planned(), &|person| drawn[person as usize].since, &failed);
    assert_eq!(
        queue.depths()[Class::Joiner as usize],
        (4, Some(1)),
        "the one that waits longest counts, wherever it stands"
    );
    let mut order = Vec::new();
    while let Some(next) = queue.next(0) {
        order.push(next);
        queue.ended(next);
    }
    assert_eq!(order, [4, 3, 1, 5, 2, 0]);
}

#[test]
fn what_is_at_stake_follows_from_what_is_written() {
    let mapping = mapping();
    let access =
        |kind, access| AccountWrite { access, ..AccountWrite::default() }.into_change(kind);
    let text = |row| {
        AccountWrite {
            attributes: vec![(row, NewValue::Set("x".into()))],
            ..AccountWrite::default()
        }
        .into_change(ChangeKind::Update)
    };
    let fired = person(1, Why::Terminated);
    assert_eq!(
        Class::of(
            &access(ChangeKind::Update, Some(Access::Suspended)),
            &person(1, Why::AccessRevoked),
            &mapping
        ),
        Class::Revocation
    );
    for (change, class) in [
        (access(ChangeKind::Update, Some(Access::Suspended)), Class::Leaver),
        (access(ChangeKind::Update, Some(Access::Active)), Class::Joiner),
        (access(ChangeKind::Create, Some(Access::Active)), Class::Joiner),
        // An account that waits for a start date.
        (access(ChangeKind::Create, Some(Access::Suspended)), Class::Mover),
        (access(ChangeKind::Adopt, None), Class::Mover),
        (text(EMAIL), Class::Mover),
        (text(TITLE), Class::Mover),
        (text(MANAGER), Class::Mover),
        (text(HOBBY), Class::Cosmetic),
    ] {
        assert_eq!(Class::of(&change, &fired, &mapping), class, "{change:?}");
    }
    assert!(
        is_position("work.department")
            && is_position("internal.status")
            && !is_position("work.workMobile")
            && !is_position("about.hobbies")
    );
}

/// Makes the cases above readable.
trait IntoChange {
    fn into_change(self, kind: ChangeKind) -> Change;
}

impl IntoChange for AccountWrite {
    fn into_change(self, kind: ChangeKind) -> Change {
        let drawn = Drawn { class: Class::Mover, since: 0, manager: None, after: None, go: true };
        Change { kind, write: self, ..change(1, &drawn) }
    }
}
