//! `access::decide` against the oracle, and the promises that hold for any answer of the oracle.

use bobsync::domain::{
    access::{Decision, Missing, decide, decide_with},
    account::Access,
    budget::{Blackout, Budgets, ScopeShrink},
    calendar::{Zones, end_of, start_of},
    employee::{Cell, Day, Employee, Fields, Values},
    employment::Because,
    ended::Ended,
    known::{Known, Met, Overrides, Revoked},
    mapping::{Compare, Mapping, Row, Source},
    safety::{Protected, ShortRead},
    settings::{AccessEnds, Create, ExistingEmployees, Settings, UserStatus},
    why::Why,
};
use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, date},
    tz::TimeZone,
};
use proptest::prelude::*;

use crate::oracle::{self, Before, Facts, Shown, Wishes};

/// Zones with every kind of difficulty: clocks that skip midnight (Beirut, Santiago, Cairo, Azores)
/// or repeat it (Havana, Azores), half an hour of summer time (Lord Howe), quarters (Kathmandu,
/// Chatham), both ends of the day.
const ZONES: [&str; 17] = [
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Santiago",
    "America/Havana",
    "America/St_Johns",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
];

/// Days around which clocks change in one of the zones, turns of the year, a leap day.
fn anchors() -> Vec<Date> {
    vec![
        date(2024, 2, 29),
        date(2025, 12, 31),
        date(2026, 1, 1),
        date(2026, 3, 8),
        date(2026, 3, 29),
        date(2026, 4, 5),
        date(2026, 4, 24),
        date(2026, 6, 15),
        date(2026, 9, 6),
        date(2026, 9, 27),
        date(2026, 10, 4),
        date(2026, 10, 25),
        date(2026, 10, 30),
        date(2026, 11, 1),
    ]
}

fn any_zone() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&ZONES[..])
}

fn any_day(anchor: Date) -> impl Strategy<Value = Shown> {
    let near = prop_oneof![6 => -2..=2_i64, 1 => Just(-400_i64), 1 => Just(-40), 1 => Just(40)];
    prop_oneof![
        1 => Just(Shown::Hidden),
        2 => Just(Shown::Empty),
        1 => proptest::sample::select(vec!["", "soon", "02/11/2026", "2026-13-01"]).prop_map(Shown::text),
        8 => near.prop_map(move |days| Shown::Text((anchor + days.days()).to_string())),
        1 => near_midnight(anchor),
    ]
}

/// A date that Bob sends with a time.
fn near_midnight(anchor: Date) -> impl Strategy<Value = Shown> {
    (-2..=2_i64).prop_map(move |days| Shown::Text(format!("{}T00:00:00", anchor + days.days())))
}

fn any_text(words: &'static [&'static str]) -> impl Strategy<Value = Shown> {
    prop_oneof![1 => Just(Shown::Hidden), 1 => Just(Shown::Empty), 8 => proptest::sample::select(words).prop_map(Shown::text)]
}

fn any_facts(anchor: Date) -> impl Strategy<Value = Facts> {
    (
        any_text(&[
            "noa.lind@example.com",
            "Noa.Lind@EXAMPLE.com ",
            "kim@MÜNCHEN.example",
            "kim@xn--mnchen-3ya.example",
            "ola@sub.example.com",
            "nobody",
        ]),
        any_text(&[
            "Hired",
            "Employed",
            "employed",
            "Employed",
            "Garden leave",
            "Leave",
            "Parental leave",
            "Sabbatical",
            "Terminated",
            "TERMINATED",
            " ",
        ]),
        any_text(&["Active", "Inactive", "ACTIVE", "inactive", "frozen"]),
        any_day(anchor),
        any_day(anchor),
        any_day(anchor),
        any_text(&["Berlin", " Berlin ", "Auckland", "Nowhere"]),
        (any_day(anchor), any_day(anchor)),
        proptest::option::weighted(0.06, any_day(anchor)),
        (
            proptest::bool::weighted(0.04),
            proptest::sample::select(vec![Before::Nothing, Before::LeftAlone, Before::Managed]),
        ),
    )
        .prop_map(
            |(
                email,
                lifecycle,
                status,
                start,
                termination,
                last_day,
                site,
                (leave_start, leave_end),
                revoked,
                (deleted, before),
            )| Facts {
                email,
                lifecycle,
                status,
                start,
                termination,
                last_day,
                site,
                leave_start,
                leave_end,
                revoked,
                before,
                deleted,
            },
        )
}

fn any_wishes() -> impl Strategy<Value = Wishes> {
    (
        prop_oneof![Just(Create::OnStartDate), Just(Create::OnCreation)],
        prop_oneof![2 => Just(UserStatus::AccordingToBob), 1 => Just(UserStatus::AlwaysActive), 1 => Just(UserStatus::AlwaysInactive)],
        prop_oneof![
            3 => Just(vec![]),
            1 => Just(vec!["example.com"]),
            1 => Just(vec!["xn--mnchen-3ya.example", "example.com"]),
        ],
        proptest::bool::weighted(0.75),
        prop_oneof![Just(AccessEnds::EndOfDay), Just(AccessEnds::StartOfDay)],
        any_zone(),
        (any_zone(), any_zone()),
        proptest::bool::weighted(0.04),
    )
        .prop_map(|(create, user_status, domains, trigger, ends, default_zone, (berlin, auckland), hands_off)| Wishes {
            create,
            user_status,
            domains: domains.into_iter().map(str::to_owned).collect(),
            trigger,
            ends,
            default_zone,
            sites: vec![("Berlin", berlin), ("Auckland", auckland)],
            hands_off,
        })
}

/// A moment: close to the anchor, or within a second or an hour of the midnight of one of the
/// dates.
fn any_case() -> impl Strategy<Value = (Wishes, Facts, Timestamp)> {
    proptest::sample::select(anchors()).prop_flat_map(|anchor| {
        let moment = (
            0..6_usize,
            prop_oneof![Just(0_i64), Just(-1), Just(1), Just(3600), Just(-3600)],
            -4 * 96..4 * 96_i64,
        );
        (any_wishes(), any_facts(anchor), moment).prop_map(
            move |(wishes, facts, (which, seconds, quarters))| {
                let boundary = match which {
                    0 => oracle::starts(&wishes, &facts),
                    1 | 2 => oracle::ends(&wishes, &facts).map(|(at, _)| at),
                    _ => None,
                };
                let now = match boundary {
                    Some(at) => at + seconds.seconds(),
                    None => {
                        anchor.to_zoned(TimeZone::UTC).expect("a date of this century").timestamp()
                            + (quarters * 15).minutes()
                    }
                };
                (wishes, facts, now)
            },
        )
    })
}

/// Returns the settings for the core; decisions do not use the mapping.
pub fn settings(wishes: &Wishes) -> Settings {
    let row = Row {
        target: "email".into(),
        source: Source::Field(1),
        on_create_only: false,
        compare: Compare::IgnoringCase,
        required: true,
    };
    Settings {
        create: wishes.create,
        user_status: wishes.user_status,
        email_domains: wishes.domains.clone(),
        disabling_trigger: wishes.trigger,
        access_ends: wishes.ends,
        scope: None,
        budgets: Budgets::default(),
        field_blackout: Blackout::default(),
        scope_shrink: ScopeShrink::default(),
        report_drift: false,
        protected: Protected::default(),
        short_read: ShortRead::default(),
        adopt: true,
        existing_employees: ExistingEmployees::NextPass,
        zones: Zones::new(wishes.default_zone, wishes.sites.iter().copied()).expect("known zones"),
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

fn cell(shown: &Shown) -> Cell<'_> {
    match shown {
        Shown::Hidden => Cell::Absent,
        Shown::Empty => Cell::Null,
        Shown::Text(text) => Cell::Text(text),
    }
}

/// Returns the row that Bob would send.
fn employee(facts: &Facts) -> Employee {
    if facts.deleted {
        return Employee::gone("3332883894235038486");
    }
    let cells = [
        Cell::Text("3332883894235038486"),
        cell(&facts.email),
        cell(&facts.lifecycle),
        cell(&facts.status),
        cell(&facts.start),
        cell(&facts.termination),
        cell(&facts.last_day),
        cell(&facts.site),
        cell(&facts.leave_start),
        cell(&facts.leave_end),
    ];
    Employee::from_values(Values::from_cells(cells.into_iter())).expect("a row with an id")
}

fn decided(wishes: &Wishes, facts: &Facts, now: Timestamp) -> Decision {
    decide(&settings(wishes), &known(wishes, facts), &employee(facts), now)
}

/// Returns what the `EmployeeSync` says.
fn known(wishes: &Wishes, facts: &Facts) -> Known {
    Known {
        overrides: Overrides { hands_off: wishes.hands_off, ..Overrides::default() },
        met: match facts.before {
            Before::Nothing => Met::New,
            Before::LeftAlone => Met::Unmanaged,
            Before::Managed => Met::Managed,
        },
        revoked: facts.revoked.as_ref().map(|start| Revoked {
            at: "2026-01-01T00:00:00Z".parse().expect("a time"),
            start: Day::read(cell(start)).date(),
        }),
        ended: None,
        kept_in: false,
    }
}

/// Returns the access after a decision, for an account that had `before`, and for an employee
/// without an account.
fn leads_to(decision: &Decision, before: Option<Access>) -> Option<Access> {
    match (before, decision.missing) {
        (Some(before), _) => Some(decision.existing.unwrap_or(before)),
        (None, Missing::Create(access)) => Some(access),
        (None, Missing::NotYet | Missing::Never) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_what_the_contract_says((wishes, facts, now) in any_case()) {
        let decision = decided(&wishes, &facts, now);
        let expected = oracle::answer(&wishes, &facts, now);
        prop_assert_eq!((decision.managed, decision.existing, decision.missing, decision.why), (expected.managed, expected.existing, expected.missing, expected.why));
        let next = decision.next.map(|next| (next.at, next.access, next.because));
        prop_assert_eq!(next, oracle::next(&wishes, &facts, now));
    }

    #[test]
    fn the_scope_is_evaluated_once_at_most((wishes, facts, now) in any_case()) {
        let asked = std::cell::Cell::new(0_u32);
        let holds = || {
            asked.set(asked.get() + 1);
            None
        };
        let decision = decide_with(&settings(&wishes), &known(&wishes, &facts), &employee(&facts), now, &holds);
        prop_assert_eq!(decision, decided(&wishes, &facts, now));
        prop_assert!(asked.get() <= 1);
    }

    #[test]
    fn whom_a_guard_keeps_in_is_decided_as_if_every_domain_were_listed((wishes, facts, now) in any_case()) {
        let everywhere = Wishes { domains: Vec::new(), ..wishes.clone() };
        let known = Known { met: Met::Managed, kept_in: true, ..known(&wishes, &facts) };
        let kept = decide(&settings(&wishes), &known, &employee(&facts), now);
        let managed = decide(&settings(&everywhere), &Known { kept_in: false, ..known.clone() }, &employee(&facts), now);
        prop_assert_eq!(kept, managed);
        prop_assert!(kept.managed || kept.why == Why::HandsOff, "{:?}", kept);
    }

    #[test]
    fn midnights_are_the_first_instants_of_days(zone in any_zone(), anchor in proptest::sample::select(anchors()), days in -3..=3_i64) {
        let day = anchor + days.days();
        let tz = TimeZone::get(zone).unwrap();
        prop_assert_eq!(start_of(day, &tz), oracle::midnight(day, zone));
        prop_assert_eq!(end_of(day, &tz), oracle::midnight(day + 1.day(), zone));
    }

    #[test]
    fn nobody_is_active_without_evidence_of_employment((wishes, facts, now) in any_case()) {
        let decision = decided(&wishes, &facts, now);
        if decision.existing == Some(Access::Active) || decision.missing == Missing::Create(Access::Active) {
            let employee = employee(&facts);
            let evidence = employee.lifecycle != bobsync::domain::employee::Lifecycle::Unknown
                || employee.status == bobsync::domain::employee::BobStatus::Active;
            prop_assert!(wishes.user_status == UserStatus::AlwaysActive || evidence);
            prop_assert!(employee.lifecycle != bobsync::domain::employee::Lifecycle::Terminated);
            prop_assert!(!employee.deleted && !wishes.hands_off);
        }
    }

    #[test]
    fn nobody_is_suspended_without_positive_evidence((wishes, facts, now) in any_case()) {
        let decision = decided(&wishes, &facts, now);
        if decision.existing == Some(Access::Suspended) {
            let day = |shown: &Shown| matches!(shown, Shown::Text(text) if text.starts_with("20"));
            let says = |shown: &Shown, words: &[&str]| matches!(shown, Shown::Text(text) if words.contains(&text.trim().to_lowercase().as_str()));
            let a_status = says(&facts.status, &["inactive"]) || says(&facts.lifecycle, &["terminated", "hired"]);
            let a_date = wishes.trigger && (day(&facts.termination) || day(&facts.last_day));
            let a_start = oracle::starts(&wishes, &facts).is_some_and(|at| at > now);
            prop_assert!(facts.deleted || facts.revoked.is_some() || a_status || a_date || a_start, "{:?}", decision);
        }
    }

    #[test]
    fn nothing_hidden_ever_suspends(wishes in any_wishes(), now in -10_000_000..10_000_000_i64) {
        let facts = Facts {
            email: Shown::text("noa.lind@example.com"),
            lifecycle: Shown::Hidden,
            status: Shown::Hidden,
            start: Shown::Hidden,
            termination: Shown::Hidden,
            last_day: Shown::Hidden,
            site: Shown::Hidden,
            leave_start: Shown::Hidden,
            leave_end: Shown::Hidden,
            revoked: None,
            before: Before::Nothing,
            deleted: false,
        };
        let decision = decided(&wishes, &facts, Timestamp::from_second(1_780_000_000 + now).unwrap());
        prop_assert_ne!(decision.existing, Some(Access::Suspended));
        prop_assert_eq!(decision.next, None);
    }

    #[test]
    fn the_same_question_has_the_same_answer((wishes, facts, now) in any_case(), before in proptest::option::of(prop_oneof![Just(Access::Active), Just(Access::Suspended)])) {
        let decision = decided(&wishes, &facts, now);
        prop_assert_eq!(decision, decided(&wishes, &facts, now));
        let after = leads_to(&decision, before);
        prop_assert!(after.is_none() || decision.existing.is_none() || after == decision.existing || before.is_none());
        // A new account is created as an existing one would become, so no change follows the
        // create.
        if let (Missing::Create(created), Some(existing)) = (decision.missing, decision.existing) {
            prop_assert_eq!(created, existing);
        }
    }

    #[test]
    fn hands_off_means_that_nothing_is_decided((wishes, facts, now) in any_case()) {
        let decision = decided(&Wishes { hands_off: true, ..wishes.clone() }, &facts, now);
        let also = decided(&Wishes { domains: vec![], hands_off: false, ..wishes }, &facts, now);
        let also = also.ends_access().then_some(also.why);
        prop_assert_eq!(decision, Decision { managed: false, existing: None, missing: Missing::Never, why: Why::HandsOff, also, date: None, next: None });
    }

    #[test]
    fn the_next_transition_is_ahead_and_comes_true((wishes, facts, now) in any_case(), before in proptest::option::of(prop_oneof![Just(Access::Active), Just(Access::Suspended)])) {
        let decision = decided(&wishes, &facts, now);
        if let Some(next) = decision.next.filter(|next| matches!(next.because, Because::LeaveStart | Because::LeaveEnd)) {
            // No date says whether Bob's status really changes with a leave.
            prop_assert!(next.at > now);
        } else if let Some(next) = decision.next {
            prop_assert!(next.at > now);
            let then = decided(&wishes, &facts, next.at);
            // An employee with an account has that access then. An employee without one gets an
            // account with it, or never gets one.
            let access = then.existing.or(match then.missing { Missing::Create(access) => Some(access), _ => None });
            prop_assert_eq!(access, Some(next.access));
            prop_assert_ne!((then.existing, then.missing), (decision.existing, decision.missing));
        }
        // Until then, or always, time alone changes nothing.
        let until = decision.next.map_or(now + (24 * 1000).hours(), |next| next.at - 1.second());
        let seconds = until.as_second() - now.as_second();
        let mut access = leads_to(&decision, before);
        for step in 0..=8 {
            let at = Timestamp::from_second(now.as_second() + seconds * step / 8).unwrap().max(now);
            let then = decided(&wishes, &facts, at);
            let later = leads_to(&then, access);
            prop_assert_eq!(later, access, "at {}, although the next transition is {:?}", at, decision.next);
            access = later;
        }
    }

    #[test]
    fn dates_of_an_earlier_employment_end_nothing((wishes, facts, now) in any_case()) {
        let start = match &facts.start { Shown::Text(text) => text.get(..10).and_then(|text| text.parse::<Date>().ok()), _ => None };
        if let Some(start) = start {
            let old = Shown::Text((start - 1.day()).to_string());
            let with = Facts { termination: old.clone(), last_day: old, ..facts.clone() };
            let without = Facts { termination: Shown::Empty, last_day: Shown::Empty, ..facts };
            prop_assert_eq!(decided(&wishes, &with, now), decided(&wishes, &without, now));
        }
    }

    #[test]
    fn terminated_wins_with_the_trigger_on((wishes, facts, now) in any_case()) {
        let wishes = Wishes { trigger: true, hands_off: false, domains: vec![], ..wishes };
        let facts = Facts { lifecycle: Shown::text("Terminated"), deleted: false, revoked: None, ..facts };
        let decision = decided(&wishes, &facts, now);
        prop_assert_eq!((decision.existing, decision.missing, decision.why, decision.next), (Some(Access::Suspended), Missing::Never, Why::Terminated, None));
    }

    #[test]
    fn with_the_trigger_off_the_end_dates_disable_nobody((wishes, facts, now) in any_case()) {
        let wishes = Wishes { trigger: false, ..wishes };
        let dateless = Facts { termination: Shown::Empty, last_day: Shown::Empty, ..facts.clone() };
        prop_assert_eq!(decided(&wishes, &facts, now), decided(&wishes, &dateless, now));
        if facts.deleted {
            prop_assert_eq!(decided(&wishes, &facts, now).existing, None);
        }
    }

    #[test]
    fn only_listed_domains_are_managed((wishes, facts, now) in any_case()) {
        let wishes = Wishes { domains: vec!["somewhere.example".to_owned()], hands_off: false, ..wishes };
        let why = if facts.email == Shown::Hidden { Why::ScopeUnknown } else { Why::DomainNotListed };
        let facts = Facts { deleted: false, before: Before::LeftAlone, ..facts };
        let decision = decided(&wishes, &facts, now);
        let alone = decision.left_alone();
        prop_assert_eq!((decision.managed, alone.why, alone.existing), (false, why, None));
        // Only one thing may happen to an account with the mark: an end of the employment takes
        // access.
        let listed = decided(&Wishes { domains: vec![], ..wishes }, &facts, now);
        prop_assert_eq!(decision.existing, listed.ends_access().then_some(Access::Suspended));
        prop_assert!(decision.existing.is_none() || decision.because().contains(why.sentence()) && decision.because().contains(listed.why.sentence()));
    }
}

#[test]
fn an_end_on_record_takes_access_from_somebody_whom_bob_does_not_show() {
    let wishes = Wishes {
        create: Create::OnCreation,
        user_status: UserStatus::AccordingToBob,
        domains: vec![],
        trigger: true,
        ends: AccessEnds::EndOfDay,
        default_zone: "Europe/Berlin",
        sites: vec![],
        hands_off: false,
    };
    let now = "2026-11-24T10:00:00Z".parse().expect("a time");
    let unseen = Employee::unread("1");
    let on_record = |why, date| Some(Ended { why, date, at: Timestamp::MIN });
    let trigger_off = Wishes { trigger: false, ..wishes.clone() };
    for (why, day) in [
        (Why::Terminated, None),
        (Why::LastDayOfWork, Some(date(2026, 11, 20))),
        (Why::TerminationDate, Some(date(2026, 11, 20))),
    ] {
        let known = Known { met: Met::Managed, ended: on_record(why, day), ..Known::default() };
        let decision = decide(&settings(&wishes), &known, &unseen, now);
        let said =
            (decision.managed, decision.existing, decision.missing, decision.why, decision.date);
        assert_eq!(said, (true, Some(Access::Suspended), Missing::Never, why, day));
        // The settings left the employee out before: only access is taken.
        let left_out = Known { met: Met::Unmanaged, ..known.clone() };
        assert!(decide(&settings(&wishes), &left_out, &unseen, now).only_ends_access());
        let hands_off = Known {
            overrides: Overrides { hands_off: true, ..Overrides::default() },
            ..known.clone()
        };
        let decision = decide(&settings(&wishes), &hands_off, &unseen, now);
        assert_eq!(
            (decision.existing, decision.why, decision.also),
            (None, Why::HandsOff, Some(why))
        );
        assert_eq!(decide(&settings(&trigger_off), &known, &unseen, now).existing, None);
        // A row of Bob decides by itself.
        let cells = [
            Cell::Text("1"),
            Cell::Null,
            Cell::Text("Employed"),
            Cell::Text("Active"),
            Cell::Null,
            Cell::Null,
            Cell::Null,
        ];
        let shown =
            Employee::from_values(Values::from_cells(cells.into_iter())).expect("a row with an id");
        assert_eq!(decide(&settings(&wishes), &known, &shown, now).existing, Some(Access::Active));
    }
    let at_work = Known { met: Met::Managed, ..Known::default() };
    assert_eq!(
        decide(&settings(&wishes), &at_work, &unseen, now).existing,
        None,
        "absence is no evidence"
    );
}

#[test]
fn a_start_date_that_is_also_the_last_day_by_its_beginning_never_gives_access() {
    let wishes = Wishes {
        create: Create::OnStartDate,
        user_status: UserStatus::AccordingToBob,
        domains: vec![],
        trigger: true,
        ends: AccessEnds::StartOfDay,
        default_zone: "Europe/Berlin",
        sites: vec![],
        hands_off: false,
    };
    let day = Shown::text("2026-12-01");
    let facts = Facts {
        email: Shown::text("noa.lind@example.com"),
        lifecycle: Shown::text("Hired"),
        status: Shown::text("Inactive"),
        start: day.clone(),
        termination: Shown::Empty,
        last_day: day,
        site: Shown::Empty,
        leave_start: Shown::Empty,
        leave_end: Shown::Empty,
        revoked: None,
        before: Before::Nothing,
        deleted: false,
    };
    let next = decided(&wishes, &facts, "2026-11-01T00:00:00Z".parse().unwrap())
        .next
        .expect("something is ahead");
    assert_eq!(
        next.access,
        Access::Suspended,
        "the day brings no access, so none may be announced"
    );
}
