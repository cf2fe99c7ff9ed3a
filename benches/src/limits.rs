//! R6: how close a flood of joiners comes to the provider's limit.
//!
//! At the published limit, 5,000 calls an hour, 10,000 joiners take two hours. The simulator uses a
//! shorter window here: it allows as many calls in one to five minutes, and the provider's headers
//! say so. The product uses the headers, as with any tenant, and does not know about the bench.
//! Other causes of delay (the API server, the processor, whole seconds in headers, pauses of whole
//! seconds after a 429) weigh more in a shorter window. So the ratio at the published window is
//! smaller than the measured one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::ControlPlane;

use crate::{
    Ratio,
    scene::{Controller, OKTA, ONE_LOGIN, Provider, Scene},
};

/// A flood at a provider's limit.
struct Flood {
    provider: &'static Provider,
    name: &'static str,
    joiners: usize,
    /// Calls in a window.
    limit: usize,
    /// Seconds of a window.
    window: u32,
    /// What sets the limit at the control API, if it is not the published one.
    set: Option<(&'static str, Value)>,
    faults: Vec<Value>,
}

/// OneLogin's calls in a window.
const LIMIT: usize = 5000;
/// Okta's calls of `/api/v1/users` in a minute.
const OKTAS: usize = 300;
/// Joiners sent to Bob in one call of the control API.
const AT_ONCE: usize = 2000;

/// Without faults, and with 5 % of the calls to the provider answered 429 or 503.
pub async fn measure(
    plane: &ControlPlane,
    joiners: usize,
    windows: [u32; 2],
) -> Result<Vec<Ratio>> {
    let [plain, faulty] = windows;
    let at_one_login = |name, window, faults| Flood {
        provider: &ONE_LOGIN,
        name,
        joiners,
        limit: LIMIT,
        window,
        set: Some(("/onelogin/limits", json!({"limit": LIMIT, "seconds": window}))),
        faults,
    };
    let value = flood(plane, at_one_login("flood", plain, Vec::new())).await?;
    let what = "time to converge joiners / the floor of the provider's limit";
    let mut ratios = vec![Ratio {
        id: "R6a",
        what,
        employees: joiners,
        value,
        goal: "<= 1.05",
        met: value <= 1.05,
        provider: "OneLogin",
    }];
    // The second rule sees the calls that the first one passes.
    let faults = vec![
        json!({"kind": "status", "status": 429, "headers": {"Retry-After": "1"}, "pathPrefix": "/api/", "probability": 0.025, "seed": 5}),
        json!({"kind": "status", "status": 503, "pathPrefix": "/api/", "probability": 0.0256, "seed": 7}),
    ];
    let value = flood(plane, at_one_login("faulty-flood", faulty, faults)).await?;
    let what = "the same with 5 % of 429 and 503";
    ratios.push(Ratio {
        id: "R6b",
        what,
        employees: joiners,
        value,
        goal: "<= 1.15",
        met: value <= 1.15,
        provider: "OneLogin",
    });
    Ok(ratios)
}

/// Joiners at Okta, with its published limits in real minutes.
pub async fn of_okta(plane: &ControlPlane, joiners: usize) -> Result<Ratio> {
    let (provider, name, limit, window) = (&OKTA, "okta-flood", OKTAS, 60);
    let flooding = Flood { provider, name, joiners, limit, window, set: None, faults: Vec::new() };
    let value = flood(plane, flooding).await?;
    Ok(Ratio {
        id: "R6a",
        what: "time to converge joiners / the floor of the provider's limit",
        employees: joiners,
        value,
        goal: "<= 1.05",
        met: value <= 1.05,
        provider: OKTA.name,
    })
}

/// Returns the time until all employees are in sync, divided by the time that the calls need at the
/// limit.
#[allow(clippy::cast_precision_loss)]
async fn flood(plane: &ControlPlane, flood: Flood) -> Result<f64> {
    let Flood { provider, name, joiners, limit, window, set, faults } = flood;
    let scene = Scene::set(plane, name, 0, provider).await?;
    let mut hired = 0;
    while hired < joiners {
        let many: Vec<Value> = (hired..joiners.min(hired + AT_ONCE)).map(joiner).collect();
        hired += many.len();
        scene.control("POST", "/bob/employees", Value::Array(many)).await?;
    }
    if let Some((path, body)) = set {
        scene.control("PUT", path, body).await?;
    }
    for fault in faults {
        scene.control("POST", &format!("/{}/faults", provider.service), fault).await?;
    }
    let _controller = Controller::start(plane, &scene.namespace, &scene.endpoints()).await?;
    scene.forget_calls().await?;
    let began = Instant::now();
    scene.integrate().await?;
    scene.converged().await?;
    let took = began.elapsed();
    let users = format!("/{}/users", provider.service);
    let accounts = scene.control("GET", &users, Value::Null).await?.as_array().map_or(0, Vec::len);
    anyhow::ensure!(accounts == joiners, "{accounts} accounts for {joiners} joiners");
    // A window is open from its first call on: the calls of the first window are free, and each
    // further window must be waited for.
    let calls = granted(&scene).await?;
    let floor = Duration::from_secs(u64::from(window)) * u32::try_from((calls - 1) / limit)?;
    anyhow::ensure!(
        !floor.is_zero(),
        "{joiners} joiners fit into one window of {limit}: there is no floor to compare with"
    );
    eprintln!(
        "bench:   {name}: {calls} calls in {:.1} s, and the floor is {:.1} s",
        took.as_secs_f64(),
        floor.as_secs_f64()
    );
    Ok(took.as_secs_f64() / floor.as_secs_f64())
}

/// Calls that the limit counted: the creations, and the pages of the listing. Calls that a fault
/// answered did not reach it.
async fn granted(scene: &Scene) -> Result<usize> {
    let service = scene.provider.service;
    let calls = scene.control("GET", &format!("/{service}/calls"), Value::Null).await?;
    let applied = calls["appliedWrites"].as_u64().context("a count")?;
    let listing = scene.provider.create.replace("POST", "GET");
    let lists = calls["byRoute"][&listing].as_u64().unwrap_or(0);
    Ok(usize::try_from(applied + lists)?)
}

pub fn joiner(number: usize) -> Value {
    json!({
        "root.firstName": "Robin", "root.surname": format!("Joiner{number}"), "root.email": format!("joiner.{number}@example.com"),
        "work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active",
        "internal.terminationDate": null, "employee.lastDayOfWork": null,
    })
}
