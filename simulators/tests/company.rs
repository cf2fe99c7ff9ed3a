//! The generated company: the same for the same seed, with employees of every kind.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use simulators::company::{SITES, Summary, generate};

fn people(count: usize, seed: u64) -> (Summary, Vec<Value>) {
    let now: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
    let company = generate(count, seed, now);
    (
        Summary::of(&company),
        company.employees.iter().map(|employee| company.human(employee)).collect(),
    )
}

#[test]
fn the_same_seed_makes_the_same_people() {
    assert_eq!(people(500, 3), people(500, 3));
    assert_ne!(people(500, 3).1, people(500, 4).1);
    assert!(people(0, 1).1.is_empty());
    assert_eq!(people(1, 1).0.without_manager, 1);
}

#[test]
fn every_kind_is_there_in_about_its_share() {
    let (summary, _) = people(2_000, 1);
    let share = |count: usize| count * 1_000 / 2_000;
    assert!((25..60).contains(&share(summary.future_starters)), "{summary:?}");
    assert!((75..125).contains(&share(summary.leavers)), "{summary:?}");
    assert!(
        summary.on_leave_active > 0 && summary.on_leave_inactive > 0 && summary.garden_leave > 0,
        "{summary:?}"
    );
    assert!(summary.on_notice > 0 && summary.without_mobile > 0, "{summary:?}");
    assert_eq!(summary.active + summary.inactive, 2_000);
    assert_eq!(summary.sites.len(), SITES.len());
}

#[test]
fn managers_form_one_tree_and_addresses_are_unique_and_plain() {
    let (_, people) = people(3_000, 9);
    let bosses: HashMap<&str, Option<&str>> = people
        .iter()
        .map(|person| (person["id"].as_str().unwrap(), person["work.manager"].as_str()))
        .collect();
    for id in bosses.keys() {
        let mut at = *id;
        let mut steps = 0;
        while let Some(boss) = bosses[at] {
            at = boss;
            steps += 1;
            assert!(steps < 20, "a loop above {id}");
        }
        assert_eq!(at, people[0]["id"].as_str().unwrap());
    }
    let mut emails: Vec<&str> =
        people.iter().map(|person| person["root.email"].as_str().unwrap()).collect();
    assert!(
        emails.iter().all(|email| email.is_ascii()
            && email.ends_with("@example.com")
            && !email.contains(' '))
    );
    emails.sort_unstable();
    emails.dedup();
    assert_eq!(emails.len(), 3_000);
}

#[test]
fn dates_fit_the_stage() {
    let (_, people) = people(2_000, 2);
    for person in &people {
        let date = |field: &str| person[field].as_str();
        let start = date("work.startDate").unwrap();
        match person["internal.lifecycleStatus"].as_str().unwrap() {
            "Hired" => assert!(start > "2026-11-24"),
            "Terminated" => {
                assert!(start < date("employee.lastDayOfWork").unwrap());
                assert!(date("employee.lastDayOfWork") <= date("internal.terminationDate"));
                assert!(date("internal.terminationDate") < Some("2026-11-24"));
            }
            "Garden leave" => {
                assert!(date("employee.lastDayOfWork") < Some("2026-11-24"));
                assert!(date("internal.terminationDate") > Some("2026-11-24"));
            }
            _ => assert!(start < "2026-11-24"),
        }
    }
}
