//! The map of stops. docs/safety.md says in one table what goes on and what waits in each trouble
//! at Bob, a provider, the API server or the controller. Each row happens here, with a leaver, a
//! mover, a joiner, an event and an immediate revocation under way. The tests assert the cells of
//! the row. A test has the name of its row.

use std::collections::BTreeMap;

use table::Goes;

/// Makes a test of each named row, and a list of the rows.
macro_rules! rows {
    ($($name:ident),* $(,)?) => {
        pub(super) const ROWS: &[&str] = &[$(stringify!($name)),*];

        mod row {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::map_of_stops::table::Row::named(stringify!($name))).await;
                }
            )*
        }
    };
}

mod api_server;
mod bob;
mod controller;
mod provider;
mod stage;
mod table;

/// The only two rows that stop a leaver: more tries would do harm or could not succeed.
const STOPPED: [&str; 2] = ["bob_refuses_the_service_user", "provider_refuses_the_credential"];

/// The rows in which a leaver waits: it is not known who has left, the provider accepts nothing,
/// this process may not write, or a person or a guard holds the change.
const WAITING: [&str; 21] = [
    "api_server_is_away",
    "lease_is_held_by_another",
    "bob_forbids_every_read",
    "bob_is_down",
    "bob_does_not_answer",
    "bob_answers_half",
    "bob_answers_with_a_page",
    "bob_throttles",
    "bob_answers_empty",
    "bob_hides_the_lifecycle_field",
    "provider_forbids_everything",
    "provider_throttles",
    "provider_is_down",
    "provider_does_not_answer",
    "provider_fails_every_write",
    "provider_is_in_maintenance",
    "guard_holds_a_flood_of_leavers",
    "person_suspends_the_integration",
    "person_asks_for_a_dry_run",
    "person_breaks_the_settings",
    "person_names_a_missing_secret",
];

#[test]
fn each_row_happens_and_whatever_happens_has_a_row() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for row in table::all() {
        counts.entry(row.id).or_default().0 += 1;
    }
    for name in [api_server::ROWS, bob::ROWS, controller::ROWS, provider::ROWS].concat() {
        counts.entry(name.to_owned()).or_default().1 += 1;
    }
    let wrong: Vec<_> = counts.iter().filter(|(_, counts)| **counts != (1, 1)).collect();
    assert!(wrong.is_empty(), "one row and one story each (rows, stories): {wrong:?}");
}

#[test]
fn no_row_stops_a_leaver_except_two() {
    for row in table::all() {
        let no = [row.suspensions, row.revocations].contains(&Goes::No);
        assert_eq!(no, STOPPED.contains(&row.id.as_str()), "{}: {}", row.id, row.suspensions_cell);
        assert_eq!(
            no,
            row.suspensions_cell.contains("the next try is"),
            "{}: {}",
            row.id,
            row.suspensions_cell
        );
    }
}

#[test]
fn a_leaver_waits_only_where_nothing_else_can_be_done() {
    for row in table::all() {
        let waits = row.suspensions == Goes::Waits;
        assert_eq!(
            waits,
            WAITING.contains(&row.id.as_str()),
            "{}: {}",
            row.id,
            row.suspensions_cell
        );
        // An immediate revocation needs neither Bob nor the current settings.
        if row.id.starts_with("bob_") {
            assert_eq!(row.revocations, Goes::Yes, "{}: {}", row.id, row.suspensions_cell);
        }
    }
}
