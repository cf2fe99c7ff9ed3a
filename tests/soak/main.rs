//! Faults over a long time: a company lives for thousands of simulated days. Employees are hired,
//! move, go on leave, leave, come back, are renamed, hand addresses over, and are deleted.
//! Meanwhile everything fails that can: 429, 5xx, resets before and after the call is applied,
//! HTML, error objects, cut bodies, slow answers, expired tokens, pages that shift during a
//! listing, a controller that is stopped or killed at any moment of a pass.
//!
//! The controller is the real one, in a runtime of its own that is dropped to kill it, with a clock
//! that the test moves. It writes to a real API server and calls the strict simulators over
//! loopback HTTP.
//!
//! The judge checks the simulator's journal of applied writes at every step, with the account
//! before and after, not what the controller reports: no access without evidence of employment,
//! none taken without positive evidence, one account with one mark, no account of another employee
//! written, none deleted. Every few weeks the faults stop, and the provider must equal the decision
//! for every employee, by the sentences of `tests/domain/oracle.rs`.
//!
//! Several lives run at the same time. A failure prints its seed and how to run that life again.
//! `SOAK_DAYS` makes every life longer, `SOAK_SEED` runs one.

mod run;

use run::{Wish, soak};
use testbed::{ControlPlane, Options};

/// Days of one life. Three such lives take about two minutes on two cores.
const DAYS: u32 = 700;
const SEEDS: [u64; 3] = [1, 2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_days_with_faults_on_both_sides_and_every_write_is_right() {
    let read = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let days = read("SOAK_DAYS").map_or(DAYS, |days| u32::try_from(days).expect("not that long"));
    let seeds = read("SOAK_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed]);
    let plane = ControlPlane::start(Options::default()).await.expect("a control plane");
    plane
        .apply_yaml(&bobsync::engine::settings::rules::crds_yaml().expect("CRDs"))
        .await
        .expect("the API server takes the CRDs");
    let lives = seeds.iter().map(|&seed| soak(&plane, Wish { seed, days }));
    for (seed, seen) in seeds.iter().zip(futures::future::join_all(lives).await) {
        println!("seed {seed}: {seen:?}");
        let again = format!(
            "SOAK_SEED={seed} SOAK_DAYS={days} cargo test --locked -p bobsync --test soak -- --nocapture"
        );
        let wrong: Vec<String> = seen.wrong.iter().map(ToString::to_string).collect();
        assert!(
            wrong.is_empty(),
            "day {}, step {}: {}\nagain: {again}",
            seen.days,
            seen.steps,
            wrong.join("\n")
        );
        assert!(
            seen.days >= days && seen.writes > 0 && seen.rests > 0 && seen.faults > 0,
            "{seen:?}"
        );
    }
}
