//! The ratios of the design, measured in one run on one machine: a table on the terminal and
//! `target/bench/ratios.json`. There is no assertion on time: a ratio that misses its goal is
//! printed as missed, and the run still succeeds.
//!
//! - `scene`: control plane, simulators, the release binary of the controller, and the counters of
//!   all three.
//! - `process`: CPU time and memory of a process, from the kernel.
//! - `parsing`: the cost of only parsing the two payloads of a pass.
//! - `ratios`: the measurements, one function each. `decisions`: the cost of one decision.
//! - `events`: from an event to the account. `webhooks`: how many a core accepts. `roster`: what one
//!   integration costs another. `limits`: a flood of joiners against the provider's limit.
//!   `safety`: what must never happen, counted over the walk through the protocol and a company's
//!   life with faults, both from `tests/`.

mod decisions;
mod events;
mod limits;
mod parsing;
mod process;
#[allow(dead_code)] // the tests ask it for more than a bench does
#[path = "../../tests/protocol/model/mod.rs"]
mod protocol;
mod ratios;
mod roster;
mod safety;
mod scene;
#[path = "../../tests/soak/run/mod.rs"]
mod soak;
mod webhooks;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use serde::Serialize;

/// Measures the ratios.
#[derive(Parser)]
struct Options {
    /// Company sizes.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    employees: Vec<usize>,
    /// Company size with each of the other providers; none: without them.
    #[arg(long, default_value_t = 600)]
    provider_employees: usize,
    /// Joiners of the flood; none: without it.
    #[arg(long, default_value_t = 10_000)]
    joiners: usize,
    /// Company sizes among which events are measured, the smallest first; none: without them.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_value = "1000,100000")]
    events: Vec<usize>,
    /// Seconds of the provider's window during a flood, without faults and with them.
    #[arg(long, value_delimiter = ',', num_args = 1.., default_value = "120,300")]
    windows: Vec<u32>,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// The path of the JSON.
    #[arg(long, default_value = "target/bench/ratios.json")]
    out: PathBuf,
}

/// A part of the benches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Passes,
    Providers,
    Limits,
    Webhooks,
    Roster,
    Overtaking,
    Events,
    Safety,
    Start,
    Decisions,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// Number in the design, with a letter if it has two parts.
    pub id: &'static str,
    /// What is divided by what.
    pub what: &'static str,
    /// Company size; 0 if it does not matter.
    pub employees: usize,
    /// The ratio.
    pub value: f64,
    /// The goal, as the design states it.
    pub goal: &'static str,
    /// Whether it is met.
    pub met: bool,
    /// The provider; a dash if it does not matter.
    pub provider: &'static str,
}

#[derive(Serialize)]
struct Results {
    machine: process::Machine,
    ratios: Vec<Ratio>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    bobsync::cluster::connect::install_crypto();
    let mut ratios = Vec::new();
    eprintln!("bench: starting the control plane");
    let plane = testbed::ControlPlane::start(testbed::Options {
        audit: true,
        ..testbed::Options::default()
    })
    .await?;
    plane.apply_yaml(&bobsync::engine::settings::rules::crds_yaml()?).await?;
    if options.wants(Part::Passes) {
        for &employees in &options.employees {
            eprintln!("bench: {employees} employees");
            ratios.extend(ratios::of_company(&plane, employees).await?);
        }
    }
    if options.wants(Part::Providers) && options.provider_employees > 0 {
        for provider in scene::OTHERS {
            eprintln!("bench: {} employees with {}", options.provider_employees, provider.name);
            ratios.extend(ratios::of_provider(&plane, provider, options.provider_employees).await?);
        }
    }
    if options.wants(Part::Limits) && options.joiners > 0 {
        eprintln!("bench: {} joiners", options.joiners);
        let windows = options.windows[..].try_into().context("--windows takes two numbers")?;
        ratios.extend(limits::measure(&plane, options.joiners, windows).await?);
    }
    if options.wants(Part::Limits) && options.provider_employees > 0 {
        eprintln!("bench: {} joiners at Okta", options.provider_employees);
        ratios.push(limits::of_okta(&plane, options.provider_employees).await?);
    }
    if options.wants(Part::Webhooks) {
        eprintln!("bench: webhooks");
        ratios.extend(webhooks::measure().await?);
    }
    if options.wants(Part::Roster) {
        eprintln!("bench: two integrations in one process");
        ratios.extend(roster::measure().await?);
    }
    if options.wants(Part::Overtaking) && options.joiners > 0 {
        eprintln!("bench: a leaver behind {} joiners", options.joiners);
        ratios.extend(events::overtaking(&plane, options.joiners).await?);
    }
    if options.wants(Part::Events) {
        ratios.extend(events::measure(&plane, &options.events).await?);
    }
    if options.wants(Part::Safety) {
        eprintln!("bench: what must never happen");
        ratios.extend(safety::measure(&plane).await?);
    }
    if options.wants(Part::Start) {
        ratios.extend(ratios::of_start(&plane).await?);
    }
    if options.wants(Part::Decisions) {
        eprintln!("bench: decisions");
        ratios.extend(decisions::measure().await?);
    }
    print_table(&ratios);
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text =
        serde_json::to_string_pretty(&Results { machine: process::Machine::look(), ratios })?;
    std::fs::write(&options.out, text + "\n").with_context(|| options.out.display().to_string())?;
    eprintln!("bench: written to {}", options.out.display());
    Ok(())
}

fn print_table(ratios: &[Ratio]) {
    println!(
        "{:<5} {:<16} {:>10} {:>10}  {:<10} {:<5} what",
        "id", "provider", "employees", "value", "goal", "met"
    );
    for ratio in ratios {
        println!(
            "{:<5} {:<16} {:>10} {:>10.3}  {:<10} {:<5} {}",
            ratio.id,
            ratio.provider,
            ratio.employees,
            ratio.value,
            ratio.goal,
            if ratio.met { "yes" } else { "NO" },
            ratio.what
        );
    }
}
