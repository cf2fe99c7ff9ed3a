//! R12: duplicate accounts, lost updates and wrong disables. R14: late leavers. There are two
//! sources, and `make test` runs both: the exhaustive walk through the protocol (`tests/protocol`),
//! and a company that lives with faults on both sides (`tests/soak`). A run with a finding ends
//! there, so the count covers the run up to then.

use anyhow::Result;
use testbed::ControlPlane;

use crate::{Ratio, protocol, soak};

/// Days of the company's life.
const DAYS: u32 = 1000;

/// Walks and lives.
#[allow(clippy::cast_precision_loss)]
pub async fn measure(plane: &ControlPlane) -> Result<Vec<Ratio>> {
    let walked = tokio::task::spawn_blocking(|| {
        protocol::explorer::explore_all(&protocol::scenarios::all(), |scenario| scenario.allowed)
    });
    let (broken, states) = match walked.await? {
        Ok(counts) => (0.0, counts.states),
        Err(said) => {
            eprintln!("bench:   {said}");
            (1.0, 0)
        }
    };
    eprintln!("bench:   {states} states of the protocol");
    let seen = soak::soak(plane, soak::Wish { seed: 12, days: DAYS }).await;
    eprintln!(
        "bench:   {} days, {} events, {} faults, {} restarts, {} writes, compared {} times, {:.0} s",
        seen.days,
        seen.events,
        seen.faults,
        seen.restarts,
        seen.writes,
        seen.rests,
        seen.took.as_secs_f64()
    );
    eprintln!(
        "bench:   {} leavers, {} of them waited for a fault to end",
        seen.leavers.out, seen.leavers.waited
    );
    seen.wrong.iter().for_each(|wrong| eprintln!("bench:   {wrong}"));
    let count = |kind: soak::judge::Kind| {
        seen.wrong.iter().filter(|wrong| wrong.kind == kind).count() as f64
    };
    let ratio = |id, what, value| Ratio {
        id,
        what,
        employees: 0,
        value,
        goal: "0",
        met: value == 0.0,
        provider: "OneLogin",
    };
    Ok(vec![
        ratio(
            "R12a",
            "duplicate accounts over all fault runs",
            count(soak::judge::Kind::Duplicate),
        ),
        ratio("R12b", "lost updates over all fault runs", count(soak::judge::Kind::LostUpdate)),
        ratio("R12c", "wrong disables over all fault runs", count(soak::judge::Kind::Disable)),
        ratio("R12d", "accesses given or accounts written wrongly over all fault runs", {
            count(soak::judge::Kind::Access) + count(soak::judge::Kind::NotOurs)
        }),
        ratio(
            "R14",
            "leavers with access two intervals after Bob and the provider both answer",
            seen.leavers.late.len() as f64,
        ),
        ratio(
            "R12e",
            "rules broken in every state of the protocol: crashes, takeovers, lost answers, late writes",
            broken,
        ),
    ])
}
