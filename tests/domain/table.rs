//! `docs/decisions.md` holds the decision as a table. This test makes the table with the decision
//! function, and the page must hold exactly it. `make snapshots` writes it into the page.

use std::fmt::Write as _;

use bobsync::domain::{
    access::{Decision, Missing, decide, unless_waiting},
    account::Access,
    baseline::{Baseline, mapped},
    budget::{Blackout, Budgets, ScopeShrink},
    calendar::Zones,
    employee::{Cell, Employee, Fields, Values},
    known::{CREATED, Known, Met, Overrides, Revoked},
    mapping::{Compare, Mapping, Row, Source},
    safety::{Protected, ShortRead},
    settings::{AccessEnds, Create, ExistingEmployees, Settings, UserStatus},
    why::Why,
};
use jiff::{Timestamp, civil::date};

/// One line of the table: what Bob says on 24 November 2026.
struct Situation {
    title: &'static str,
    /// `internal.lifecycleStatus`, `internal.status`
    says: [&'static str; 2],
    /// Start, termination, last day of work; "" is empty.
    dates: [&'static str; 3],
    known: fn() -> Known,
    deleted: bool,
}

const PAST: &str = "2026-11-20";
const AHEAD: &str = "2026-12-01";
const HIDDEN: &str = "hidden";
const LONG_AGO: &str = "2020-01-01";

const fn says(
    title: &'static str,
    lifecycle: &'static str,
    status: &'static str,
    dates: [&'static str; 3],
) -> Situation {
    Situation { title, says: [lifecycle, status], dates, known: Known::default, deleted: false }
}

fn situations() -> Vec<Situation> {
    let revoked = || Known {
        revoked: Some(Revoked { at: "2026-11-23T09:00:00Z".parse().expect("a time"), start: None }),
        ..Known::default()
    };
    vec![
        says("the start date lies ahead", "Hired", "Inactive", [AHEAD, "", ""]),
        says("Hired, and no start date", "Hired", "Inactive", ["", "", ""]),
        says(
            "the start date has come, and Bob still says Hired",
            "Hired",
            "Inactive",
            [PAST, "", ""],
        ),
        says("Employed, Active", "Employed", "Active", [LONG_AGO, "", ""]),
        says("Employed, Inactive", "Employed", "Inactive", [LONG_AGO, "", ""]),
        says("any leave, Active", "Parental leave", "Active", [LONG_AGO, "", ""]),
        says("any leave, Inactive", "Sabbatical", "Inactive", [LONG_AGO, "", ""]),
        says(
            "the end lies ahead, Employed, Active",
            "Employed",
            "Active",
            [LONG_AGO, AHEAD, AHEAD],
        ),
        says(
            "garden leave, and the last day of work lies ahead",
            "Garden leave",
            "Inactive",
            [LONG_AGO, AHEAD, AHEAD],
        ),
        says(
            "garden leave, last day of work empty, Active",
            "Garden leave",
            "Active",
            [LONG_AGO, AHEAD, ""],
        ),
        says(
            "garden leave, last day of work empty, Inactive",
            "Garden leave",
            "Inactive",
            [LONG_AGO, AHEAD, ""],
        ),
        says("the last day of work is over", "Garden leave", "Inactive", [LONG_AGO, AHEAD, PAST]),
        says("the termination date is over", "Employed", "Active", [LONG_AGO, PAST, ""]),
        says(
            "the dates that are over belong to an earlier employment",
            "Employed",
            "Active",
            [PAST, "2026-11-01", "2026-11-01"],
        ),
        says("Terminated", "Terminated", "Inactive", [LONG_AGO, "", ""]),
        says("Terminated, and still Active in Bob", "Terminated", "Active", [LONG_AGO, "", ""]),
        Situation {
            known: revoked,
            ..says("access was revoked immediately", "Employed", "Active", [LONG_AGO, AHEAD, AHEAD])
        },
        Situation {
            deleted: true,
            ..says("the employee file is deleted (read by id: not found)", "", "", ["", "", ""])
        },
        says("the start date is hidden, Employed, Active", "Employed", "Active", [HIDDEN, "", ""]),
        says(
            "the start date is hidden, Employed, Inactive",
            "Employed",
            "Inactive",
            [HIDDEN, "", ""],
        ),
        says(
            "the last day of work or the termination date is hidden, Employed, Active",
            "Employed",
            "Active",
            [LONG_AGO, "", HIDDEN],
        ),
        says("Bob shows neither status", "", "", [LONG_AGO, "", ""]),
    ]
}

fn employee(situation: &Situation) -> Employee {
    if situation.deleted {
        return Employee::gone("1");
    }
    let cell = |text: &'static str| match text {
        "" => Cell::Null,
        HIDDEN => Cell::Absent,
        text => Cell::Text(text),
    };
    let [lifecycle, status] =
        situation.says.map(|word| if word.is_empty() { Cell::Absent } else { Cell::Text(word) });
    let [start, termination, last_day] = situation.dates.map(cell);
    let email = Cell::Text("noa.lind@example.com");
    let cells = [
        Cell::Text("1"),
        email,
        lifecycle,
        status,
        start,
        termination,
        last_day,
        Cell::Null,
        Cell::Null,
        Cell::Null,
    ];
    Employee::from_values(Values::from_cells(cells.into_iter())).expect("a row with an id")
}

fn settings(user_status: UserStatus, create: Create, trigger: bool) -> Settings {
    let row = Row {
        target: "email".into(),
        source: Source::Field(1),
        on_create_only: false,
        compare: Compare::IgnoringCase,
        required: true,
    };
    Settings {
        create,
        user_status,
        email_domains: Vec::new(),
        scope: None,
        budgets: Budgets::default(),
        field_blackout: Blackout::default(),
        scope_shrink: ScopeShrink::default(),
        report_drift: false,
        protected: Protected::default(),
        short_read: ShortRead::default(),
        adopt: true,
        existing_employees: ExistingEmployees::NextPass,
        disabling_trigger: trigger,
        access_ends: AccessEnds::EndOfDay,
        zones: Zones::new("UTC", []).expect("UTC"),
        mapping: Mapping {
            address: None,
            rows: vec![row],
            fields: Fields::default(),
            email: 0,
            username: 0,
            manager: None,
        },
    }
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Active => "active",
        Access::Suspended => "suspended",
    }
}

fn missing(missing: Missing) -> String {
    match missing {
        Missing::Create(access) => format!("created {}", word(access)),
        Missing::NotYet => "not yet".to_owned(),
        Missing::Never => "none".to_owned(),
    }
}

/// Prints what happens to an existing account, and what happens without an account.
fn told(by_start: &Decision, by_creation: &Decision) -> String {
    assert_eq!(
        (by_start.existing, by_start.why),
        (by_creation.existing, by_creation.why),
        "the create setting speaks of creation only"
    );
    let existing = by_start.existing.map_or("as it is", word);
    if by_start.missing == by_creation.missing {
        return format!("{existing} / {}", missing(by_start.missing));
    }
    format!(
        "{existing} / {} ({} with `OnEmployeeCreation`)",
        missing(by_start.missing),
        missing(by_creation.missing)
    )
}

fn table(trigger: bool) -> String {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let mut text = String::from(
        "| Bob says | `AccordingToBob` | `AlwaysActive` | `AlwaysInactive` |\n| --- | --- | --- | --- |\n",
    );
    for situation in situations() {
        let employee = employee(&situation);
        let known = (situation.known)();
        let column = |user_status| {
            let decided =
                |create| decide(&settings(user_status, create, trigger), &known, &employee, now);
            let decision = decided(Create::OnStartDate);
            // An EmployeeSync with the same setting gets the same answer.
            let pinned = Known {
                overrides: Overrides { user_status: Some(user_status), ..Overrides::default() },
                ..known.clone()
            };
            let other = settings(UserStatus::AlwaysActive, Create::OnStartDate, trigger);
            assert_eq!(decide(&other, &pinned, &employee, now), decision);
            told(&decision, &decided(Create::OnCreation))
        };
        let columns =
            [UserStatus::AccordingToBob, UserStatus::AlwaysActive, UserStatus::AlwaysInactive]
                .map(column);
        writeln!(text, "| {} | {} |", situation.title, columns.join(" | ")).expect("text");
    }
    text
}

/// Returns the table for `existingEmployees: OnChange`: which employees wait for a change. The first
/// pass ended on 10 November 2026.
fn on_change() -> String {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let mut settings = Settings {
        existing_employees: ExistingEmployees::OnChange,
        ..settings(UserStatus::AccordingToBob, Create::OnStartDate, true)
    };
    settings.mapping.fields.want(CREATED);
    let mut text = String::from(
        "| Bob first shows the employee | Employed, Active | the end is over |\n| --- | --- | --- |\n",
    );
    for (title, first_pass, entered) in [
        ("in the first pass", true, Cell::Text("2026-11-24")),
        (
            "later, with a date of entry before the day of the first pass",
            false,
            Cell::Text("2026-11-09"),
        ),
        ("later, with a date of entry on that day or after it", false, Cell::Text("2026-11-10")),
        ("later, and Bob does not show the date of entry", false, Cell::Absent),
    ] {
        let column = |termination: Cell<'static>| {
            let [id, email, lifecycle, status, start] =
                ["1", "noa.lind@example.com", "Employed", "Active", LONG_AGO].map(Cell::Text);
            let empty = Cell::Null;
            let cells = [
                id,
                email,
                lifecycle,
                status,
                start,
                termination,
                empty,
                empty,
                empty,
                empty,
                entered,
            ];
            let employee = Employee::from_values(Values::from_cells(cells.into_iter()))
                .expect("a row with an id");
            let met =
                Met::without_record(&settings, &employee, first_pass, Some(date(2026, 11, 10)));
            let known = Known { met, ..Known::default() };
            let now_says = Baseline::of(&settings, &mapped(&settings.mapping), &employee, now);
            let decision = unless_waiting(
                &settings,
                &known,
                decide(&settings, &known, &employee, now),
                Some(now_says),
            );
            if [Some(decision.why), decision.also].contains(&Some(Why::AwaitingChange)) {
                assert!(!decision.managed, "{title}: {decision:?}");
                return decision.existing.map_or("waits".to_owned(), |access| {
                    format!("waits, and an account with the mark is {}", word(access))
                });
            }
            told(&decision, &decision)
        };
        writeln!(text, "| {title} | {} | {} |", column(Cell::Null), column(Cell::Text(PAST)))
            .expect("text");
    }
    text
}

#[test]
fn the_page_holds_the_decision() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/decisions.md");
    let page = std::fs::read_to_string(path).expect("docs/decisions.md");
    let mut wanted = page.clone();
    for (name, table) in [("on", table(true)), ("off", table(false)), ("on-change", on_change())] {
        let (begin, end) = (format!("<!-- table: {name} -->\n"), format!("<!-- end: {name} -->"));
        let from =
            wanted.find(&begin).expect("the page marks where the table begins") + begin.len();
        let to = wanted.find(&end).expect("and where it ends");
        wanted.replace_range(from..to, &table);
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        return std::fs::write(path, &wanted).expect("the page is written");
    }
    assert!(
        page == wanted,
        "docs/decisions.md does not say what the code decides; `make snapshots` writes it:\n{wanted}"
    );
}

/// The cases that come before the table.
#[test]
fn some_people_are_left_alone_whatever_bob_says() {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    for situation in situations() {
        let employee = employee(&situation);
        let known = (situation.known)();
        let plain = settings(UserStatus::AccordingToBob, Create::OnStartDate, true);
        let hands_off = Known {
            overrides: Overrides { hands_off: true, ..Overrides::default() },
            ..known.clone()
        };
        let elsewhere = Settings { email_domains: vec!["example.org".to_owned()], ..plain.clone() };
        let before = Known { met: Met::Unmanaged, ..known.clone() };
        for decision in [
            decide(&plain, &hands_off, &employee, now),
            decide(&elsewhere, &before, &employee, now).left_alone(),
        ] {
            assert!(
                !decision.managed && decision.existing.is_none(),
                "{}: {decision:?}",
                situation.title
            );
        }
    }
}
