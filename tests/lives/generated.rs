//! Generated lives: one to four employees who share e-mails and managers, through days on which
//! clocks change and over years. People at the provider and administrators change things meanwhile.
//! A life that breaks a rule is shrunk, and printed as the YAML of a golden life.

use bobsync::domain::{employment::Because, plan::Planned};
use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, date},
    tz::TimeZone,
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    judge,
    life::{Fragment, Life, Step},
    world::{Order, Pass, World},
};

const PEOPLE: [&str; 4] = ["ada", "ben", "cleo", "dov"];

/// Near these days clocks change in one of the zones, or a year ends.
const ANCHORS: [Date; 8] = [
    date(2024, 2, 29),
    date(2025, 12, 31),
    date(2026, 3, 8),
    date(2026, 3, 29),
    date(2026, 4, 5),
    date(2026, 9, 6),
    date(2026, 10, 25),
    date(2026, 6, 15),
];

/// What happens in one step; days count from the anchor.
#[derive(Clone, Debug)]
enum Event {
    Clock,
    Bob(usize, Vec<(&'static str, Told)>),
    Provider(&'static str, Vec<(&'static str, Value)>),
    Settings(Vec<(&'static str, Value)>),
    Mapping(Value),
    Override(usize, &'static str, Value),
}

/// A new value in Bob.
#[derive(Clone, Debug)]
enum Told {
    Day(i64),
    Value(Value),
}

fn text(
    field: &'static str,
    words: &'static [&'static str],
) -> impl Strategy<Value = (&'static str, Told)> {
    let value = prop_oneof![8 => select(words).prop_map(Value::from), 1 => Just(Value::Null), 1 => Just(json!("hidden"))];
    value.prop_map(move |value| (field, Told::Value(value)))
}

fn day(field: &'static str) -> impl Strategy<Value = (&'static str, Told)> {
    let days = prop_oneof![6 => -2..=2_i64, 1 => Just(-40), 1 => Just(40), 1 => Just(400)];
    let value = prop_oneof![8 => days.prop_map(Told::Day), 2 => Just(Told::Value(Value::Null)), 1 => Just(Told::Value(json!("hidden")))];
    value.prop_map(move |value| (field, value))
}

fn field() -> impl Strategy<Value = (&'static str, Told)> {
    prop_oneof![
        3 => text("root.email", &[
            "ada@example.com", "Ada@Example.com", "ben@example.com", "ben@other.example", "cleo@MÜNCHEN.example", "dov@example.com", "office@example.com",
        ]),
        4 => text("internal.lifecycleStatus", &[
            "Employed", "employed", "Hired", "Terminated", "Garden leave", "Leave", "PARENTAL LEAVE", "Sabbatical",
        ]),
        4 => text("internal.status", &["Active", "Inactive", "ACTIVE"]),
        3 => day("work.startDate"),
        3 => day("internal.terminationDate"),
        2 => day("employee.lastDayOfWork"),
        1 => day("employee.recentLeaveStartDate"),
        1 => day("employee.recentLeaveEndDate"),
        1 => text("work.site", &["Berlin", "Auckland", "Honolulu", "Beirut", "Azores", "Santiago", "Nowhere"]),
        2 => text("work.manager", &["ada", "ben", "cleo", "dov", "zoe"]),
        2 => text("work.title", &["Engineer", " Engineer ", "Director"]),
        1 => text("work.department", &["Finance", "Sales"]),
        1 => text("root.firstName", &["Ada", "Ben", "Office"]),
        1 => any::<bool>().prop_map(|unlisted| ("unlisted", Told::Value(json!(unlisted)))),
        1 => Just(("delete", Told::Value(json!(true)))),
    ]
}

/// An employee who is at work, so that not all lives are about absent employees.
fn at_work() -> impl Strategy<Value = Vec<(&'static str, Told)>> {
    proptest::collection::vec(field(), 0..3).prop_map(|mut fields| {
        fields.insert(0, ("internal.lifecycleStatus", Told::Value(json!("Employed"))));
        fields.insert(1, ("internal.status", Told::Value(json!("Active"))));
        fields.insert(2, ("work.startDate", Told::Day(-400)));
        fields
    })
}

fn edit() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        3 => select(vec![0, 1, 2, 3, 5]).prop_map(|status| ("status", json!(status))),
        2 => select(vec![Value::Null, json!("ada"), json!("ben"), json!("zoe")]).prop_map(|mark| ("external_id", mark)),
        2 => select(vec!["ada@example.com", "ben@example.com", "OFFICE@example.com", "stranger@example.com"]).prop_map(|email| ("email", json!(email))),
        1 => select(vec!["ada@example.com", "office", "ben@other.example"]).prop_map(|name| ("username", json!(name))),
        1 => select(vec![Value::Null, json!("Wizard"), json!("Engineer")]).prop_map(|title| ("title", title)),
        1 => select(vec![Value::Null, json!("ben"), json!("hand")]).prop_map(|id| ("manager_user_id", id)),
        1 => Just(("delete", json!(true))),
    ]
}

fn setting() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        select(vec!["OnEmployeeStartDate", "OnEmployeeCreation"])
            .prop_map(|word| ("create", json!(word))),
        select(vec!["AccordingToBob", "AlwaysActive", "AlwaysInactive"])
            .prop_map(|word| ("userStatus", json!(word))),
        any::<bool>().prop_map(|on| ("disablingTrigger", json!(on))),
        select(vec!["EndOfLastDay", "StartOfLastDay"]).prop_map(|word| ("accessEnds", json!(word))),
        select(vec![json!([]), json!(["example.com"]), json!(["EXAMPLE.com", "münchen.example"])])
            .prop_map(|list| ("emailDomains", list)),
    ]
}

fn mapping() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        json!([{"target": "email", "field": "root.email"}, {"target": "username", "formula": "{root.firstName}.{root.surname}"},
               {"target": "manager_user_id", "field": "work.manager"}]),
        json!([{"target": "title", "formula": "{work.title} - {work.department}"}, {"target": "username", "field": "root.email", "apply": "OnCreate"},
               {"target": "email", "field": "root.email"}, {"target": "department", "field": "work.department", "apply": "OnCreate"}]),
    ])
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Clock),
        8 => (0..PEOPLE.len(), proptest::collection::vec(field(), 1..4)).prop_map(|(who, fields)| Event::Bob(who, fields)),
        3 => (select(vec!["ada", "ben", "hand", "hand-2"]), proptest::collection::vec(edit(), 1..3)).prop_map(|(id, edits)| Event::Provider(id, edits)),
        2 => proptest::collection::vec(setting(), 1..3).prop_map(Event::Settings),
        1 => mapping().prop_map(Event::Mapping),
        1 => (0..PEOPLE.len(), any::<bool>()).prop_map(|(who, off)| Event::Override(who, "suspend", json!(off))),
        1 => (0..PEOPLE.len(), select(vec![Value::Null, json!("AlwaysActive"), json!("AlwaysInactive"), json!("AccordingToBob")]))
            .prop_map(|(who, word)| Event::Override(who, "userStatus", word)),
        1 => (0..PEOPLE.len(), select(vec![Value::Null, json!({"title": "Keeper"}), json!({"title": ""}), json!({"title": "Keeper", "company": "Acme"})]))
            .prop_map(|(who, attributes)| Event::Override(who, "attributes", attributes)),
    ]
}

/// Seconds until the next step: zero, up to a day in quarters of an hour, a second around a full
/// hour, days, years.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => Just(0_i64),
        4 => (1..96_i64).prop_map(|quarters| quarters * 900),
        2 => (1..48_i64, -1..=1_i64).prop_map(|(hours, seconds)| hours * 3600 + seconds),
        2 => select(vec![1_i64, 2, 30]).prop_map(|days| days * 86_400),
        1 => select(vec![366_i64, 400]).prop_map(|days| days * 86_400),
    ]
}

fn any_life() -> impl Strategy<Value = Life> {
    let people = proptest::collection::vec(at_work(), 1..=PEOPLE.len());
    let settings = proptest::collection::vec(setting(), 0..3);
    let steps = proptest::collection::vec((pause(), event()), 1..12);
    (select(&ANCHORS[..]), people, settings, steps).prop_map(|(anchor, people, settings, steps)| {
        let count = people.len();
        let mut now = anchor.to_zoned(TimeZone::UTC).expect("a date of this century").timestamp()
            - 50.hours();
        let mut life = Life {
            title: "a generated life".to_owned(),
            about: String::new(),
            settings: Fragment::new(),
            steps: Vec::new(),
        };
        if !settings.is_empty() {
            life.settings.insert("provisioning".to_owned(), object(settings));
        }
        let mut first = Step::at(now);
        for (who, fields) in people.into_iter().enumerate() {
            first.bob.insert(PEOPLE[who].to_owned(), told(fields, anchor));
        }
        life.steps.push(first);
        for (pause, event) in steps {
            now += pause.seconds();
            life.steps.push(step(now, event, anchor, count));
        }
        life
    })
}

fn object(pairs: Vec<(&'static str, Value)>) -> Value {
    Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn told(fields: Vec<(&'static str, Told)>, anchor: Date) -> Fragment {
    let value = |told| match told {
        Told::Day(days) => json!((anchor + days.days()).to_string()),
        Told::Value(value) => value,
    };
    fields.into_iter().map(|(field, told)| (field.to_owned(), value(told))).collect()
}

fn step(at: Timestamp, event: Event, anchor: Date, people: usize) -> Step {
    let mut step = Step::at(at);
    match event {
        Event::Clock => {}
        Event::Bob(who, fields) => {
            drop(step.bob.insert(PEOPLE[who % people].to_owned(), told(fields, anchor)))
        }
        Event::Provider(id, edits) => {
            let edits = edits.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            step.provider.insert(id.to_owned(), edits);
        }
        Event::Settings(settings) => {
            drop(step.settings.insert("provisioning".to_owned(), object(settings)))
        }
        Event::Mapping(rows) => drop(step.settings.insert("mapping".to_owned(), rows)),
        Event::Override(who, key, value) => {
            let spec = Fragment::from([(key.to_owned(), value)]);
            step.overrides.insert(PEOPLE[who % people].to_owned(), spec);
        }
    }
    step
}

/// Runs the life, and the judge checks every pass.
pub fn live(life: &Life) -> Result<(), String> {
    let mut world = World::new(&life.settings);
    for (number, step) in life.steps.iter().enumerate() {
        world.happen(step);
        watch(&mut world).map_err(|said| format!("step {number}, {}: {said}", step.at.at))?;
    }
    Ok(())
}

fn watch(world: &mut World) -> Result<(), String> {
    let start = world.clone();
    let mut stood = true;
    let mut last;
    let mut passes = 0;
    loop {
        let before = world.clone();
        last = world.pass(Order::Forwards);
        judge::one_pass(&before, &last, world)?;
        let mut turned = before.clone();
        let other = turned.pass(Order::Backwards);
        if digest(world, &last) != digest(&turned, &other) {
            return Err("the digest of the plan depends on the order".to_owned());
        }
        // Two employees want one username that differs from their e-mail: the provider gives it to
        // the first one.
        if !last.writes.iter().chain(&other.writes).any(|write| write.refused) {
            judge::same_worlds(world, &turned)?;
        }
        if last.writes.is_empty() {
            break;
        }
        if !stood {
            return Err(format!("another pass at the same moment writes again: {:?}", last.writes));
        }
        // A second pass may write only a value that another account blocked (or that was refused
        // with it), and managers with an account that came after an access that does not wait for
        // it.
        let blocked = last.writes.iter().any(|write| write.refused)
            || last.plan.standings.iter().any(|standing| standing.block.is_some());
        stood = blocked
            || last.plan.changes.iter().any(|change| {
                change.manager.is_some() && (change.suspends() || change.reactivates())
            });
        passes += 1;
        if passes > 8 {
            return Err("passes go on and on".to_owned());
        }
    }
    if !world.clone().pass(Order::Forwards).writes.is_empty() {
        return Err("after a pass that wrote nothing, the next one writes".to_owned());
    }
    judge::at_rest(&start, &last, world)?;
    time_alone(world, &last)
}

fn digest(world: &World, pass: &Pass) -> String {
    let (mapping, people) = (&world.settings.mapping, &pass.people[..]);
    Planned { mapping, people, plan: pass.plan.clone() }.digest()
}

/// Before the announced moment time alone changes nothing. At that moment the announced change
/// comes.
fn time_alone(world: &World, now: &Pass) -> Result<(), String> {
    let next = world.next(now).map(|(at, _)| at);
    let until = next.map_or(world.now + (24 * 800).hours(), |at| at - 1.second());
    for part in [1, 9, 10] {
        let mut then = world.clone();
        then.now = Timestamp::from_second(
            world.now.as_second() + (until.as_second() - world.now.as_second()) * part / 10,
        )
        .expect("within the calendar")
        .max(world.now);
        let pass = then.pass(Order::Forwards);
        if !pass.writes.is_empty() {
            return Err(format!(
                "at {} something is written, and the next transition is {next:?}: {:?}",
                then.now, pass.writes
            ));
        }
    }
    let Some(at) = next else { return Ok(()) };
    let mut then = world.clone();
    then.now = at;
    let pass = then.pass(Order::Forwards);
    for (index, before) in now.people.iter().enumerate() {
        let Some(announced) = before.decision.next.filter(|next| next.at == at) else { continue };
        if matches!(announced.because, Because::LeaveStart | Because::LeaveEnd) {
            // Only Bob's status begins and ends a leave.
            continue;
        }
        let after = &pass.people[index].decision;
        let who = before.employee.id();
        if (after.existing, after.missing) == (before.decision.existing, before.decision.missing) {
            return Err(format!("{who}: {announced:?} was announced, and nothing changed then"));
        }
        let account = then
            .objects
            .get(who)
            .and_then(|object| object.account.as_ref())
            .and_then(|id| then.accounts.get(id));
        // One of several accounts, or one on record with another's mark, is not written for any
        // employee.
        let several = then
            .accounts
            .values()
            .filter(|account| account.external_id.as_deref() == Some(who))
            .count()
            > 1;
        let account = account.filter(|account| {
            !several && account.external_id.as_deref().is_none_or(|mark| mark == who)
        });
        let suspended = account.map(|account| account.status == 2);
        let wanted = announced.access == bobsync::domain::account::Access::Suspended;
        if suspended.is_some_and(|suspended| after.existing.is_some() && suspended != wanted) {
            return Err(format!(
                "{who}: {announced:?} was announced, and the account has another access then"
            ));
        }
    }
    Ok(())
}

/// `PROPTEST_CASES` raises the number of lives.
fn cases(usual: u32) -> ProptestConfig {
    let cases =
        std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn every_rule_holds_at_every_step_of_every_life(life in any_life()) {
        if let Err(said) = live(&life) {
            return Err(TestCaseError::fail(said));
        }
    }

    #[test]
    fn a_life_that_is_printed_can_be_read_again(life in any_life()) {
        prop_assert_eq!(Life::read(&life.yaml()).map_err(TestCaseError::fail)?, life);
    }
}
