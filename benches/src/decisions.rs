//! The cost of one decision: how many a single core makes in a second for 100,000 employees, and
//! how often each allocates. The employees come from the simulator's Bob through the product's own
//! reader, so the mix of statuses, dates and sites is that of a company.

use std::time::{Duration, Instant};

use anyhow::Result;
use bobsync::{
    bob::Reader,
    domain::{
        access::decide,
        employee::Employee,
        known::{Known, Met},
        settings::Settings,
    },
    engine::settings::{endpoints::AllowedEndpoints, validate::validate},
};
use serde_json::{Value, json};
use simulators::{Options, World};

use crate::Ratio;

/// Employees decided on.
const EMPLOYEES: usize = 100_000;
/// How long to measure.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// Returns the plain settings, and settings with everything that costs time: domains and a scope.
pub async fn measure() -> Result<Vec<Ratio>> {
    let plain = settings(json!({}))?;
    let rich = settings(json!({
        "emailDomains": ["example.com", "example.org"],
        "scope": "employee.work.site != 'Contractors' && employee.work.department != 'Interns'",
    }))?;
    let mut ratios = Vec::new();
    for (settings, speed, allocations) in [
        (
            plain,
            "decisions per second on one core, default settings",
            "allocations per decision, default settings",
        ),
        (
            rich,
            "decisions per second on one core, with domains and a CEL scope",
            "allocations per decision, with domains and a CEL scope",
        ),
    ] {
        let employees = employees(&settings).await?;
        let (per_second, per_decision) = cost(&settings, &employees);
        ratios.push(Ratio {
            id: "D1",
            what: speed,
            employees: EMPLOYEES,
            value: per_second,
            goal: "",
            met: true,
            provider: "-",
        });
        ratios.push(Ratio {
            id: "D2",
            what: allocations,
            employees: EMPLOYEES,
            value: per_decision,
            goal: "",
            met: true,
            provider: "-",
        });
    }
    Ok(ratios)
}

#[allow(clippy::cast_precision_loss)]
fn cost(settings: &Settings, employees: &[Employee]) -> (f64, f64) {
    let known = Known { met: Met::Managed, ..Known::default() };
    let now = jiff::Timestamp::now();
    let everybody = || {
        employees
            .iter()
            .map(|employee| u64::from(decide(settings, &known, employee, now).managed))
            .sum::<u64>()
    };
    let allocated = allocation_counter::measure(|| {
        std::hint::black_box(everybody());
    });
    let began = Instant::now();
    let mut decisions = 0;
    while began.elapsed() < LONG_ENOUGH {
        std::hint::black_box(everybody());
        decisions += employees.len();
    }
    (
        decisions as f64 / began.elapsed().as_secs_f64(),
        allocated.count_total as f64 / employees.len() as f64,
    )
}

fn settings(provisioning: Value) -> Result<Settings> {
    let spec = serde_json::from_value(json!({
        "mode": "Enforce",
        "bob": {"credentialsSecretRef": {"name": "bob"}, "timeZone": "Europe/London", "siteTimeZones": {"Berlin": "Europe/Berlin", "Auckland": "Pacific/Auckland"}},
        "provider": {"oneLogin": {"region": "US", "credentialsSecretRef": {"name": "onelogin"}}},
        "provisioning": provisioning,
    }))?;
    Ok(validate(&spec, &AllowedEndpoints::default())
        .map_err(|stop| anyhow::anyhow!(stop.message))?
        .settings)
}

async fn employees(settings: &Settings) -> Result<Vec<Employee>> {
    let world =
        World::try_start(Options { employees: EMPLOYEES, seed: 11, ..Options::default() }).await?;
    let fields = &settings.mapping.fields;
    let body = json!({"fields": fields.ids(), "showInactive": true, "humanReadable": "APPEND"});
    let request = reqwest::Client::new()
        .post(format!("{}/v1/people/search", world.bob_url()))
        .basic_auth("SERVICE-1", Some("bob-token-1"));
    let answer = request.json(&body).send().await?.error_for_status()?.bytes().await?;
    let mut reader = Reader::new(fields);
    reader.feed(&answer).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(reader.finish().map_err(|error| anyhow::anyhow!("{error}"))?.employees)
}
