//! A Secret that changes while a pass is under way.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Controller, Story, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_while_a_pass_is_under_way_is_used_within_a_minute() {
    let story = Story::begin("rotation", 40).await;
    let slow =
        json!({"kind": "delay", "method": "POST", "pathPrefix": "/api/2/users", "delayMs": 20_000});
    story.simulated.post("/onelogin/faults", slow).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "1h"})).await;
    let creates = async || story.simulated.calls("onelogin", "POST /api/2/users").await;
    let tokens = async || story.simulated.calls("onelogin", "POST /auth/oauth2/v2/token").await;
    until("the pass has begun to create", || async {
        if creates().await > 0 { Ok(()) } else { Err("no create".to_owned()) }
    })
    .await;
    let (before, began) = (tokens().await, Instant::now());
    story
        .secret(
            "onelogin",
            &[("clientId", "client-1"), ("clientSecret", "secret-1"), ("note", "rotated")],
        )
        .await;
    until("the new credential asks for a token of its own", || async {
        let now = tokens().await;
        if now > before {
            Ok(())
        } else {
            Err(format!("{now} tokens, {} creates", creates().await))
        }
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(creates().await < 40, "the first pass would have gone on for another minute and more");
    story.simulated.delete("/onelogin/faults").await;
    story.ready("Converged").await;
    assert_eq!(
        story.integration().await.status.unwrap().employees.map(|counts| counts.failing),
        Some(0)
    );
}
