//! From an event to the account: the time and the cost among a thousand employees and among a
//! hundred thousand (R10), and how long a leaver waits behind ten thousand joiners (R7).

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};
use testbed::ControlPlane;

use crate::{
    Ratio,
    limits::joiner,
    process::cpu_seconds,
    ratios::median,
    scene::{Controller, ONE_LOGIN, SIGNED_WITH, Scene},
};

/// Events at each size, each about another employee, far enough apart for Bob's fifty searches a
/// minute.
const EVENTS: usize = 24;
const APART: Duration = Duration::from_millis(1600);
/// This many more come alone after a pause: the first of a row is read sooner than the next ones.
const ALONE: usize = 8;
const CALM: Duration = Duration::from_millis(5500);
/// Leavers on an idle queue, and as many behind the joiners.
const LEAVERS: usize = 15;
/// The pause in which the work of an event ends.
const SETTLED: Duration = Duration::from_millis(300);

/// Measures R10 and the latency at these sizes, the smallest first.
pub async fn measure(plane: &ControlPlane, sizes: &[usize]) -> Result<Vec<Ratio>> {
    let mut ratios = Vec::new();
    let mut smallest: Option<(usize, Cost)> = None;
    for &employees in sizes {
        eprintln!("bench: events among {employees} employees");
        let cost = among(plane, employees).await?;
        let [cpu, alone, latency] =
            [cost.cpu, cost.alone, cost.latency].map(|seconds| seconds * 1e3);
        eprintln!(
            "bench:   one event takes {cpu:.2} ms of CPU; its account changes after {alone:.0} ms, and {latency:.0} ms in a row"
        );
        let row = |id, what, value, goal, met| Ratio {
            id,
            what,
            employees,
            value,
            goal,
            met,
            provider: "OneLogin",
        };
        ratios.push(row(
            "-",
            "seconds from an event alone to the changed account, median",
            cost.alone,
            "<= 0.5",
            cost.alone <= 0.5,
        ));
        ratios.push(row(
            "-",
            "the same in a row of events",
            cost.latency,
            "<= 1",
            cost.latency <= 1.0,
        ));
        ratios.push(row("-", "the slowest of all", cost.slowest, "<= 2", cost.slowest <= 2.0));
        if let Some((_, small)) = &smallest {
            let value = cost.cpu / small.cpu;
            ratios.push(row(
                "R10",
                "CPU of one webhook / the same in the smallest company",
                value,
                "<= 1.2",
                value <= 1.2,
            ));
        } else {
            smallest = Some((employees, cost));
        }
    }
    Ok(ratios)
}

struct Cost {
    cpu: f64,
    alone: f64,
    latency: f64,
    slowest: f64,
}

async fn among(plane: &ControlPlane, employees: usize) -> Result<Cost> {
    let scene = Scene::set(plane, &format!("events-{employees}"), employees, &ONE_LOGIN).await?;
    let controller = Controller::start(plane, &scene.namespace, &scene.endpoints()).await?;
    scene.integrate().await?;
    scene.converged().await?;
    let people = at_work(&scene, ALONE + EVENTS).await?;
    anyhow::ensure!(people.len() == ALONE + EVENTS, "{} people at work", people.len());
    // The first ones warm up connections and caches.
    let (calm, row) = people.split_at(ALONE);
    let mut alone = Vec::new();
    for id in calm {
        tokio::time::sleep(CALM).await;
        alone.push(changed(&scene, &controller, id).await?.as_secs_f64());
    }
    tokio::time::sleep(SETTLED).await;
    let before = cpu_seconds(controller.pid())?;
    let mut latencies = Vec::new();
    for id in row {
        latencies.push(changed(&scene, &controller, id).await?.as_secs_f64());
        tokio::time::sleep(APART).await;
    }
    #[allow(clippy::cast_precision_loss)]
    let cpu = (cpu_seconds(controller.pid())? - before) / row.len() as f64;
    let slowest = latencies.iter().chain(&alone[1..]).copied().fold(0.0, f64::max);
    Ok(Cost { cpu, alone: median(alone), latency: median(latencies), slowest })
}

/// Changes an employee's title in Bob, pushes the event, and waits until the provider has the
/// change.
async fn changed(scene: &Scene, controller: &Controller, id: &str) -> Result<Duration> {
    scene
        .control(
            "PATCH",
            &format!("/bob/employees/{id}"),
            json!({"work.title": "Keeper of Numbers"}),
        )
        .await?;
    let writes = scene.writes().await?;
    let began = Instant::now();
    push(controller, "employee.updated", id).await?;
    written(scene, writes, began).await
}

async fn push(controller: &Controller, kind: &str, id: &str) -> Result<()> {
    let body = event(kind, &json!({"employeeId": id}), jiff::Timestamp::now()).to_string();
    let answer = send(&controller.webhooks, Some(SIGNED_WITH), body.into_bytes()).await;
    if answer == Some(200) { Ok(()) } else { bail!("the event was answered with {answer:?}") }
}

async fn written(scene: &Scene, before: f64, began: Instant) -> Result<Duration> {
    while scene.writes().await? <= before {
        if began.elapsed() > Duration::from_secs(30) {
            bail!("nothing was written within 30 s");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(began.elapsed())
}

async fn at_work(scene: &Scene, most: usize) -> Result<Vec<String>> {
    let employees = scene.control("GET", "/bob/employees", Value::Null).await?;
    let word =
        |employee: &Value, field: &str| employee[field].as_str().unwrap_or_default().to_lowercase();
    let works = |employee: &&Value| {
        word(employee, "internal.lifecycleStatus") == "employed"
            && word(employee, "internal.status") == "active"
            && employee["internal.terminationDate"].is_null()
            && employee["employee.lastDayOfWork"].is_null()
    };
    let found = employees.as_array().into_iter().flatten().filter(works);
    Ok(found
        .filter_map(|employee| employee["root.id"].as_str().map(str::to_owned))
        .take(most)
        .collect())
}

/// Measures R7. The joiners wait for the provider at its published limit, so most of them wait for
/// hours.
pub async fn overtaking(plane: &ControlPlane, joiners: usize) -> Result<Vec<Ratio>> {
    let mut scene = Scene::set(plane, "overtaking", 1000, &ONE_LOGIN).await?;
    // They are in Bob and known from the beginning, so only the queue differs.
    let mut ids = Vec::new();
    for from in (0..joiners).step_by(2000) {
        let many: Vec<Value> = (from..joiners.min(from + 2000)).map(starter).collect();
        let made = scene.control("POST", "/bob/employees", Value::Array(many)).await?;
        ids.extend(
            made.as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one["id"].as_str().map(str::to_owned)),
        );
    }
    let controller = Controller::start(plane, &scene.namespace, &scene.endpoints()).await?;
    scene.integrate().await?;
    scene.converged().await?;
    scene.pass().await?;
    let people = at_work(&scene, 2 * LEAVERS + 1).await?;
    left(&scene, &controller, &people[0]).await?;
    let mut idle = Vec::new();
    for id in &people[1..=LEAVERS] {
        idle.push(left(&scene, &controller, id).await?.as_secs_f64());
    }
    let starts = json!({"work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    for id in &ids {
        scene.control("PATCH", &format!("/bob/employees/{id}"), starts.clone()).await?;
    }
    scene.control("PUT", "/onelogin/limits", json!({"limit": 5000, "remaining": 1500})).await?;
    scene.ask().await?;
    // At full speed down to the reserve, and then one call every few seconds.
    let (mut before, mut seen) = (scene.writes().await?, Instant::now());
    let began = Instant::now();
    while seen.elapsed() < Duration::from_secs(3) || before < 500.0 {
        let writes = scene.writes().await?;
        if writes > before + 5.0 {
            (before, seen) = (writes, Instant::now());
        }
        if began.elapsed() > Duration::from_mins(5) {
            bail!("the joiners do not wait for the provider");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let accounts = scene.calls("onelogin", ONE_LOGIN.create).await?;
    let mut behind = Vec::new();
    for id in &people[LEAVERS + 1..] {
        behind.push(left(&scene, &controller, id).await?.as_secs_f64());
    }
    let (idle, behind) = (median(idle), median(behind));
    eprintln!(
        "bench:   a leaver is out after {:.0} ms, and after {:.0} ms behind {joiners} joiners, of whom {accounts} calls were through",
        idle * 1e3,
        behind * 1e3
    );
    let value = behind / idle;
    let what = "a leaver's time behind queued joiners / the same on an idle queue";
    Ok(vec![Ratio {
        id: "R7",
        what,
        employees: joiners,
        value,
        goal: "<= 1.2",
        met: value <= 1.2,
        provider: "OneLogin",
    }])
}

/// A joiner of the flood with a distant start date.
fn starter(number: usize) -> Value {
    let mut joiner = joiner(number);
    let later = json!({"work.startDate": "2099-03-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    if let (Some(joiner), Value::Object(later)) = (joiner.as_object_mut(), later) {
        joiner.extend(later);
    }
    joiner
}

/// Returns the time until the account of a leaver is suspended.
async fn left(scene: &Scene, controller: &Controller, id: &str) -> Result<Duration> {
    scene
        .control(
            "PATCH",
            &format!("/bob/employees/{id}"),
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await?;
    let suspended = async || scene.suspensions().await;
    let before = suspended().await?;
    let began = Instant::now();
    push(controller, "employee.left", id).await?;
    while suspended().await? <= before {
        if began.elapsed() > Duration::from_secs(60) {
            bail!("a leaver is not out within a minute");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    tokio::time::sleep(SETTLED).await;
    Ok(took)
}
