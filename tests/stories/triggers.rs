//! What else asks for a look, and that a look at one person is held to the measure of all.

use std::process::Command;

use serde_json::json;
use simulators::bob::webhooks::{event, send};

use crate::support::{Controller, Story, ready, until};

/// Runs `bobsync sync` as an administrator and gives what it printed.
async fn bobsync_sync(story: &Story, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobsync"));
    command.args(["sync", "--namespace", &story.namespace]).args(arguments).env("KUBECONFIG", story.plane.kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_can_be_asked_for_at_the_terminal_for_one_for_some_and_for_all() {
    let (story, _controller) = Story::converged("terminal", 8, json!({"interval": "24h"})).await;
    let (id, employee) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    story.simulated.forget_calls().await;
    let email = employee["root.email"].as_str().unwrap();
    let said = bobsync_sync(&story, &["--employee", email, "--wait"]).await.expect("success");
    assert!(said.contains("1 person") && said.contains("done: 1 InSync"), "{said}");
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Head of Nothing");
    assert_eq!(story.simulated.calls("onelogin", "GET /api/2/users").await, 0, "nobody is listed for one person");
    let history = story.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(serde_json::to_value(history[0].trigger).unwrap(), "Manual");

    let said = bobsync_sync(&story, &["onelogin", "--selector", "bobsync.dev/integration=onelogin", "--wait"]).await.expect("success");
    let people = story.everybody().await.len();
    assert!(said.contains(&format!("a sync of {people} people")) && said.contains("done: "), "{said}");
    let said = bobsync_sync(&story, &["onelogin", "--wait"]).await.expect("success");
    assert!(said.contains("done. Converged"), "{said}");
    let refused = bobsync_sync(&story, &["--employee", "nobody@example.com"]).await.expect_err("nobody");
    assert!(refused.contains("nobody@example.com"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drip_of_single_leavers_is_held_once_the_window_is_spent() {
    let story = Story::begin("drip", 20).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    // A tenth of the eleven to twenty accounts: two. A single pass that took itself for the whole company would allow one.
    let budget = json!({"disables": {"max": "10%", "atLeast": 1, "per": "24h"}});
    let hook = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "bob": hook, "safety": budget})).await;
    story.ready("Converged").await;
    let active: Vec<String> = {
        let accounts = story.simulated.accounts().await;
        let active = accounts.iter().filter(|account| account["status"] == 1);
        active.filter_map(|account| account["external_id"].as_str().map(str::to_owned)).take(3).collect()
    };
    story.simulated.forget_calls().await;
    for (number, id) in active.iter().enumerate() {
        let listed = story.simulated.calls("onelogin", "GET /api/2/users").await;
        assert_eq!(listed, 0, "a single pass that is within the budget needs no look at everybody");
        story.simulated.change(id, json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"})).await;
        let body = event("employee.left", &json!({"employeeId": id}), jiff::Timestamp::now()).to_string();
        assert_eq!(send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await, Some(200));
        let reason = if number < 2 { "InSync" } else { "Held" };
        until(&format!("leaver {number} is {reason}"), || async {
            let status = story.simulated.account(id).await.map(|account| account["status"].clone());
            let said = ready(&story.person(id).await.unwrap()).1;
            let suspended = status == Some(json!(2));
            if said == reason && suspended == (number < 2) { Ok(()) } else { Err(format!("{said} {status:?}")) }
        })
        .await;
    }
    let object = story.ready("PlanHeld").await;
    assert_eq!(object.status.unwrap().plan.unwrap().disables, 1, "said of the integration as a whole");
}
