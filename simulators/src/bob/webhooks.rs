//! The events that Bob sends (apidocs.hibob.com, "Webhook events v2" and "Working with webhooks"):
//! a ping when a webhook is set up, then every event signed over its raw body, in order, and again
//! with exponential back-off until it is answered with 200.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::Sha512;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::http;

/// Bob's `companyId`; `root.companyId` of every employee.
pub const COMPANY: u64 = 637_323;

/// "Must answer within 10 s".
const TIMEOUT: Duration = Duration::from_secs(10);
/// The first pause after a failed delivery, doubled each time. Bob's own steps are not published
/// and take minutes.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Counts of one webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deliveries {
    /// Answered with 200.
    pub delivered: u64,
    /// Tries without a 200.
    pub failed: u64,
    /// Not answered with 200 yet.
    pub pending: u64,
}

/// A webhook that is set up; dropping it ends its deliveries.
#[derive(Debug)]
pub struct Webhook {
    pub url: String,
    pub secret: String,
    queue: mpsc::UnboundedSender<Vec<u8>>,
    counts: Arc<Mutex<Deliveries>>,
    task: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the `Bob-Signature` of a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// Returns the body of an event.
pub fn event(kind: &str, data: &Value, at: Timestamp) -> Value {
    json!({
        "companyId": COMPANY, "type": kind, "triggeredBy": "system", "triggeredAt": at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
        "version": "v2", "data": data,
    })
}

/// Returns the events of a change: the fields that were written, and the meaning of the new status.
pub fn events_of_change(id: u64, given: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let employee = json!({"employeeId": id.to_string()});
    let updates: Vec<Value> = given
        .keys()
        .filter(|field| *field != "root.id")
        .map(|field| json!({"id": field}))
        .collect();
    let mut events =
        vec![("employee.updated", json!({"employeeId": id.to_string(), "fieldUpdates": updates}))];
    let word =
        |field: &str| given.get(field).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    match word("internal.lifecycleStatus").as_str() {
        "terminated" | "garden leave" => events.push(("employee.left", employee.clone())),
        "" | "employed" | "hired" => {}
        _ => events.push(("employee.temporaryLeave", employee.clone())),
    }
    match word("internal.status").as_str() {
        "active" => events.push(("employee.activated", employee)),
        "inactive" => events.push(("employee.inactivated", employee)),
        _ => {}
    }
    events
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    signature: Option<String>,
    body: Vec<u8>,
) -> Option<u16> {
    let mut request =
        http.post(url).timeout(TIMEOUT).header("content-type", "application/json").body(body);
    if let Some(signature) = signature {
        request = request.header("Bob-Signature", signature);
    }
    Some(request.send().await.ok()?.status().as_u16())
}

impl Webhook {
    /// Sets a webhook up. Bob tests the address first.
    ///
    /// # Errors
    /// When neither form of the ping is answered with 2xx.
    pub async fn set_up(url: String, secret: String) -> Result<Self, String> {
        let http = http();
        let mut answers = Vec::new();
        for ping in ["Ping test", r#"{"text":"Ping test"}"#] {
            let answer = post(&http, &url, None, ping.into()).await;
            if answer.is_some_and(|status| (200..300).contains(&status)) {
                answers.clear();
                break;
            }
            answers.push(answer);
        }
        if !answers.is_empty() {
            return Err(format!("the ping was answered with {answers:?}"));
        }
        let (queue, mut bodies) = mpsc::unbounded_channel::<Vec<u8>>();
        let counts = Arc::new(Mutex::new(Deliveries::default()));
        let (told, to, key) = (counts.clone(), url.clone(), secret.clone());
        let task = tokio::spawn(async move {
            while let Some(body) = bodies.recv().await {
                let mut pause = PAUSE;
                while post(&http, &to, Some(sign(&key, &body)), body.clone()).await != Some(200) {
                    told.lock().expect("counts").failed += 1;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                let mut counts = told.lock().expect("counts");
                counts.delivered += 1;
                counts.pending -= 1;
            }
        });
        Ok(Self { url, secret, queue, counts, task })
    }

    /// Puts an event in line.
    pub fn push(&self, event: &Value) {
        self.counts.lock().expect("counts").pending += 1;
        let _ = self.queue.send(event.to_string().into_bytes());
    }

    pub fn deliveries(&self) -> Deliveries {
        *self.counts.lock().expect("counts")
    }
}

/// Sends one body at once, signed with `secret` or not, and returns the status of the answer.
pub async fn send(url: &str, secret: Option<&str>, body: Vec<u8>) -> Option<u16> {
    let signature = secret.map(|secret| sign(secret, &body));
    post(&http(), url, signature, body).await
}
