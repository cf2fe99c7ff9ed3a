//! What one integration costs another while it compares Bob's answer with all of its employees, and
//! what deletions that Bob has just reported cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bobsync::{
    api::{EmployeeSync, key::IntegrationKey},
    bob::webhook::SigningSecrets,
    cluster::{leadership::Leadership, roster::Roster},
    domain::employee::Employee,
    engine::{
        clock::Clock,
        intake::inbox::{Inbox, Received},
        integration::status::Saying,
        pass::observe::full::compare,
    },
    http::secret::Secret,
};
use jiff::Timestamp;
use serde_json::json;
use simulators::bob::webhooks::{event, sign};

use crate::{Ratio, ratios::median};

const EMPLOYEES: usize = 100_000;
/// How many deletions Bob has reported in the last minute.
const DELETIONS: usize = 3000;
/// How often Bob's answer is compared.
const ROUNDS: usize = 9;
const SECRET: &str = "s3cret";

/// Measures the comparison without deletions and with them, and a webhook of another integration
/// meanwhile.
pub async fn measure() -> Result<Vec<Ratio>> {
    let (calm, _) = compared(0).await?;
    let (busy, webhook) = compared(DELETIONS).await?;
    let row = |what, value, goal, met| Ratio {
        id: "-",
        what,
        employees: EMPLOYEES,
        value,
        goal,
        met,
        provider: "-",
    };
    Ok(vec![
        row(
            "milliseconds to compare Bob's answer with the roster, 3,000 just deleted",
            busy,
            "<= 100",
            busy <= 100.0,
        ),
        row("the same / with no deletion", busy / calm, "<= 1.5", busy / calm <= 1.5),
        row(
            "milliseconds of the slowest webhook of another integration meanwhile",
            webhook,
            "<= 10",
            webhook <= 10.0,
        ),
    ])
}

/// Returns the milliseconds of a comparison, the median, and of the slowest webhook of another
/// integration meanwhile.
async fn compared(deletions: usize) -> Result<(f64, f64)> {
    let roster = Roster::default();
    let (large, small) = (key("large"), key("small"));
    let employees = roster.come(&large);
    roster.come(&small);
    let now = Timestamp::now();
    for place in 0..EMPLOYEES {
        roster.see(&object("large", place, (place < deletions).then_some(now))?);
    }
    roster.see(&object("small", 1, None)?);
    let inbox = inbox(roster, &small)?;
    let over = Arc::new(AtomicBool::new(false));
    let comparing = std::thread::spawn({
        let over = over.clone();
        move || {
            let mut took = Vec::new();
            for _ in 0..ROUNDS {
                let mut answer: Vec<Employee> =
                    (0..EMPLOYEES).map(|place| Employee::expected(&place.to_string())).collect();
                let began = Instant::now();
                let apart = compare(&employees, &mut answer, now);
                took.push(began.elapsed());
                assert_eq!((apart.gone.len(), answer.len()), (deletions, EMPLOYEES - deletions));
            }
            over.store(true, Ordering::Release);
            took
        }
    });
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        if over.load(Ordering::Acquire) {
            break;
        }
        let body = body(number);
        let signature = sign(SECRET, body.as_bytes());
        let began = Instant::now();
        let received =
            inbox.receive("people", "small", Some(signature.as_bytes()), body.as_bytes()).await;
        slowest = slowest.max(began.elapsed());
        anyhow::ensure!(received == Received::Queued, "a webhook was answered {received:?}");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    let took = comparing.join().map_err(|_| anyhow::anyhow!("the comparison panicked"))?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    Ok((median(took.into_iter().map(milliseconds).collect()), milliseconds(slowest)))
}

fn key(name: &str) -> IntegrationKey {
    IntegrationKey { namespace: "people".into(), name: name.into() }
}

fn object(integration: &str, place: usize, deleted: Option<Timestamp>) -> Result<EmployeeSync> {
    let mut status =
        json!({"access": "Active", "account": {"id": place.to_string(), "matchedBy": "Mark"}});
    if let Some(at) = deleted {
        status["evidence"] = json!({"kind": "FileDeleted", "observedAt": at.to_string()});
    }
    serde_json::from_value(json!({
        "metadata": {"name": format!("{integration}-{place}"), "namespace": "people",
            "resourceVersion": "1", "generation": 1},
        "spec": {"integrationRef": {"name": integration}, "employeeId": place.to_string()},
        "status": status,
    }))
    .context("an EmployeeSync")
}

fn inbox(roster: Roster, key: &IntegrationKey) -> Result<Inbox> {
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().context("an address")?);
    let inbox =
        Inbox::new(kube::Client::try_from(nowhere)?, roster, Clock::system(), Leadership::always());
    inbox
        .open(key, "uid".to_owned(), Arc::new(Saying::default()))
        .sign_with(Some(SigningSecrets { current: Secret::new(SECRET), previous: None }));
    inbox.listed();
    Ok(inbox)
}

/// Returns an event about the employee of the small integration. No two are the same.
fn body(number: usize) -> String {
    let data = json!({"employeeId": "1", "fieldUpdates": [{"id": "work.title"}]});
    let mut body = event("employee.updated", &data, Timestamp::now());
    body["triggeredAt"] = format!("2026-10-14T09:21:07.{number:06}").into();
    body.to_string()
}
