//! Faults between the controller and the two services, and other activity at the provider.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::{Control, Fault, FaultKind, client::Service, rng::Rng};

/// Sets a few faults that strike at random and end by themselves. Returns how many.
pub async fn some(control: &Control, rng: &mut Rng) -> u32 {
    none(control).await;
    let count = rng.below(6);
    for _ in 0..count {
        let service = if rng.chance(0.3) { Service::Bob } else { Service::OneLogin };
        let fault = one(rng)
            .times(1 + u64::try_from(rng.below(3)).unwrap_or(0))
            .probability(0.35, rng.draw());
        let fault = match rng.below(6) {
            0 => fault.method("GET"),
            1 | 2 => fault.method("POST").path(if service == Service::Bob {
                "/v1"
            } else {
                "/api/2/users"
            }),
            3 | 4 => fault.method("PUT"),
            _ => fault,
        };
        control.fault(service, &fault).await.expect("a fault");
    }
    if rng.chance(0.1) {
        control.revoke_tokens().await.expect("revoked");
    }
    u32::try_from(count).unwrap_or(0)
}

fn one(rng: &mut Rng) -> Fault {
    match rng.below(12) {
        0 => Fault::new(FaultKind::Status).status(429).header("Retry-After", "1"),
        1 => Fault::new(FaultKind::Status).status(503),
        2 => Fault::new(FaultKind::Status).status(500),
        3 => Fault::new(FaultKind::Html),
        4 => Fault::new(FaultKind::Html).status(502),
        5 => Fault::new(FaultKind::ErrorObject),
        6 => Fault::new(FaultKind::Truncate),
        7 => Fault::new(FaultKind::Reset),
        8 | 9 => Fault::new(FaultKind::ResetAfterApply),
        10 => Fault::new(FaultKind::StatusAfterApply).status(502),
        _ => Fault::new(FaultKind::Delay).delay_ms(60),
    }
}

/// Ends all faults.
pub async fn none(control: &Control) {
    control.clear_faults(Service::Bob).await.expect("cleared");
    control.clear_faults(Service::OneLogin).await.expect("cleared");
}

/// Sometimes adds and removes accounts of strangers while the provider lists, so that pages shift.
pub fn visitors(control: &Control, rng: &mut Rng) -> impl Future<Output = ()> + use<> {
    let busy = rng.chance(0.3);
    let (control, pause) = (control.clone(), 2 + u64::try_from(rng.below(12)).unwrap_or(0));
    let number = rng.draw();
    let at_work = tokio::spawn(async move {
        for turn in 0..(if busy { 6 } else { 0 }) {
            let name = format!("visitor.{number}.{turn}@example.org");
            let made = control
                .create_user(json!({"email": name, "username": name}))
                .await
                .expect("an account");
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let id = made.get("id").and_then(Value::as_i64).expect("an id");
            if turn % 2 == 0 {
                control.delete_user(id).await.expect("deleted");
            }
        }
        // One of the first accounts of the listing is deleted: all later ones move up.
        let users = control.users().await.expect("users");
        let first = users
            .iter()
            .find(|user| user["email"].as_str().is_some_and(|email| email.starts_with("visitor.")));
        if let Some(id) = first.and_then(|user| user["id"].as_i64()).filter(|_| busy) {
            let _ = control.delete_user(id).await;
        }
    });
    async move { at_work.await.expect("no panic") }
}
