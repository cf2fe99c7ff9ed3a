//! The measurements.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::ControlPlane;

use crate::{
    Ratio,
    parsing::Payloads,
    process::{cpu_seconds, memory_kib},
    scene::{Controller, ONE_LOGIN, Provider, Scene, binary},
};

/// OneLogin's page.
const PAGE: f64 = 100.0;
/// Returns how many passes are measured, with a parse after each: many for a small company with
/// short passes, and for a large one no more than OneLogin's published limit allows in an hour.
fn passes(employees: usize) -> u32 {
    u32::try_from(100_000 / employees.max(1)).unwrap_or(u32::MAX).clamp(3, 25)
}

fn ratio(
    id: &'static str,
    what: &'static str,
    employees: usize,
    value: f64,
    goal: &'static str,
    met: bool,
) -> Ratio {
    Ratio { id, what, employees, value, goal, met, provider: "OneLogin" }
}

impl Ratio {
    fn of(self, provider: &'static str) -> Self {
        Self { provider, ..self }
    }
}

/// Measures R1 to R5, R8 and R9 for a company of this size.
#[allow(clippy::cast_precision_loss)]
pub async fn of_company(plane: &ControlPlane, employees: usize) -> Result<Vec<Ratio>> {
    let mut scene = Scene::set(plane, &format!("bench-{employees}"), employees, &ONE_LOGIN).await?;
    let controller = Controller::start(plane, &scene.namespace, &scene.endpoints()).await?;
    let (idle, _) = memory_kib(controller.pid())?;
    scene.integrate().await?;
    scene.converged().await?;
    scene.published_limit().await?;
    scene.pass().await?;

    // Steady passes: nothing changed.
    let accounts =
        scene.control("GET", "/onelogin/users", Value::Null).await?.as_array().map_or(0, Vec::len);
    let payloads = Payloads::fetch(&scene).await?;
    scene.forget_calls().await?;
    plane.audit_mark().await?;
    // Passes and parses alternate, so that a busy machine slows both. The median ignores short
    // peaks.
    let (mut cpu, mut parse) = (Vec::new(), Vec::new());
    let passes = passes(employees);
    for _ in 0..passes {
        let before = cpu_seconds(controller.pid())?;
        scene.pass().await?;
        parse.push(payloads.cpu_seconds(passes)?);
        cpu.push(cpu_seconds(controller.pid())? - before);
    }
    let passes = f64::from(passes);
    let (cpu, parse) = (median(cpu), median(parse));
    eprintln!("bench:   a pass takes {:.1} ms of CPU, parsing {:.1} ms", cpu * 1e3, parse * 1e3);
    let reads = scene.calls("onelogin", "GET /api/2/users").await? / passes;
    let searches = scene.calls("bob", "POST /v1/people/search").await? / passes;
    let steady_writes = scene.writes().await?;
    let steady_patches = people_writes(plane, &scene.namespace).await?;
    let (settled, peak) = memory_kib(controller.pid())?;

    // A change for every tenth employee at work.
    let changed = change_titles(&scene, employees / 10).await?;
    scene.forget_calls().await?;
    plane.audit_mark().await?;
    scene.pass().await?;
    let writes = scene.writes().await?;
    let patches = people_writes(plane, &scene.namespace).await?;

    let changed = changed as f64;
    let grown = settled.saturating_sub(idle) as f64 / employees as f64;
    Ok(vec![
        ratio(
            "R1",
            "provider writes / changed employees",
            employees,
            writes / changed,
            "1.00",
            (writes / changed - 1.0).abs() < 0.005,
        ),
        ratio(
            "R2",
            "provider reads per pass / ceil(accounts / page)",
            employees,
            reads / (accounts as f64 / PAGE).ceil(),
            "1.00",
            (reads - (accounts as f64 / PAGE).ceil()).abs() < 0.01,
        ),
        ratio("R3", "Bob calls per pass", employees, searches, "1", (searches - 1.0).abs() < 0.01),
        ratio(
            "R4a",
            "provider writes in all steady passes",
            employees,
            steady_writes,
            "0",
            steady_writes == 0.0,
        ),
        ratio(
            "R4b",
            "EmployeeSync writes in all steady passes",
            employees,
            steady_patches,
            "0",
            steady_patches == 0.0,
        ),
        ratio(
            "R5",
            "status patches / employees whose outcome changed",
            employees,
            patches / changed,
            "<= 1.0",
            patches <= changed,
        ),
        ratio(
            "R8",
            "CPU of a steady pass / CPU of parsing its two payloads",
            employees,
            cpu / parse,
            "<= 1.5",
            cpu / parse <= 1.5,
        ),
        ratio(
            "R9a",
            "KiB resident per employee beyond the idle process",
            employees,
            grown,
            "<= 1.5",
            grown <= 1.5,
        ),
        ratio(
            "R9b",
            "peak / settled resident memory",
            employees,
            peak as f64 / settled as f64,
            "<= 1.3",
            peak as f64 <= 1.3 * settled as f64,
        ),
    ])
}

/// Measures R1, R2 and R4 of another provider, at its published limits.
#[allow(clippy::cast_precision_loss)]
pub async fn of_provider(
    plane: &ControlPlane,
    provider: &'static Provider,
    employees: usize,
) -> Result<Vec<Ratio>> {
    let mut scene =
        Scene::set(plane, &format!("bench-{}", provider.service), employees, provider).await?;
    let _controller = Controller::start(plane, &scene.namespace, &scene.endpoints()).await?;
    scene.integrate().await?;
    scene.converged().await?;
    scene.pass().await?;
    let accounts = scene
        .control("GET", &format!("/{}/users", provider.service), Value::Null)
        .await?
        .as_array()
        .map_or(0, Vec::len);
    scene.forget_calls().await?;
    let passes = 5;
    for _ in 0..passes {
        scene.pass().await?;
    }
    let all =
        scene.control("GET", &format!("/{}/calls", provider.service), Value::Null).await?["total"]
            .as_f64()
            .unwrap_or(f64::NAN);
    let reads = all / f64::from(passes) / (accounts as f64 / provider.page as f64).ceil();
    let steady = scene.writes().await?;
    let changed = change_titles(&scene, employees / 10).await? as f64;
    scene.forget_calls().await?;
    scene.pass().await?;
    let writes = scene.writes().await? / changed;
    let exact = |value: f64| (value - 1.0).abs() < 0.005;
    let name = provider.name;
    Ok(vec![
        ratio(
            "R1",
            "provider writes / changed employees",
            employees,
            writes,
            "1.00",
            exact(writes),
        )
        .of(name),
        ratio(
            "R2",
            "all provider calls per pass / ceil(accounts / page)",
            employees,
            reads,
            "1.00",
            exact(reads),
        )
        .of(name),
        ratio("R4a", "provider writes in all steady passes", employees, steady, "0", steady == 0.0)
            .of(name),
    ])
}

/// Measures R13: start to ready, and the size of the binary, which is all that an image holds.
#[allow(clippy::cast_precision_loss)]
pub async fn of_start(plane: &ControlPlane) -> Result<Vec<Ratio>> {
    let mut milliseconds = Vec::new();
    for _ in 0..5 {
        let controller = Controller::start(plane, "default", &[]).await?;
        milliseconds.push(controller.ready_after.as_secs_f64() * 1000.0);
    }
    let ready = median(milliseconds);
    let megabytes = std::fs::metadata(binary()?)?.len() as f64 / 1e6;
    Ok(vec![
        ratio(
            "R13a",
            "milliseconds from start to ready, median of five",
            0,
            ready,
            "<= 100",
            ready <= 100.0,
        ),
        ratio(
            "R13b",
            "megabytes of the binary, which is all that an image holds",
            0,
            megabytes,
            "<= 15",
            megabytes <= 15.0,
        ),
    ])
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the writes to EmployeeSyncs since the audit mark; reads do not count.
#[allow(clippy::cast_precision_loss)]
async fn people_writes(plane: &ControlPlane, namespace: &str) -> Result<f64> {
    let events = plane.audit().await?;
    Ok(events
        .iter()
        .filter(|event| {
            event.namespace == namespace && event.resource == "employeesyncs" && event.is_write()
        })
        .count() as f64)
}

async fn change_titles(scene: &Scene, most: usize) -> Result<usize> {
    let employees = scene.control("GET", "/bob/employees", Value::Null).await?;
    let mut changed = 0;
    for employee in employees.as_array().into_iter().flatten() {
        let word = |field: &str| employee[field].as_str().unwrap_or_default().to_lowercase();
        if word("internal.lifecyclestatus").is_empty()
            && word("internal.lifecycleStatus") == "employed"
            && word("internal.status") == "active"
        {
            let id = employee["root.id"].as_str().unwrap_or_default();
            scene
                .control(
                    "PATCH",
                    &format!("/bob/employees/{id}"),
                    json!({"work.title": "Keeper of Numbers"}),
                )
                .await?;
            changed += 1;
            if changed == most {
                break;
            }
        }
    }
    Ok(changed)
}
