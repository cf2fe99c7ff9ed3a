//! What the columns of `kubectl get` show of employees.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    budgets::{leave, staff},
    support::{Controller, Story, until},
};

/// Returns what `kubectl get esync -o wide` shows in this column for this employee.
async fn column(story: &Story, employee: &str, title: &str) -> String {
    let name = format!("onelogin-{employee}");
    let table = story
        .plane
        .kubectl(&["get", "esync", &name, "-n", &story.namespace, "-o", "wide"])
        .await
        .expect("kubectl runs");
    let table = String::from_utf8(table.stdout).expect("text");
    let lines: Vec<&str> = table.lines().collect();
    let at = lines[0].find(title).expect("the column");
    lines[1][at..].split("  ").next().unwrap_or_default().trim().to_owned()
}

async fn last_action_is(story: &Story, employee: &str, wanted: &str) {
    until(&format!("the last action is {wanted}"), || async {
        let shown = column(story, employee, "LAST ACTION").await;
        if shown == wanted { Ok(()) } else { Err(shown) }
    })
    .await;
}

/// Waits until the newest line of the history is about a failed change of this kind.
async fn failed(story: &Story, employee: &str, action: &str) {
    until(&format!("a {action} has failed"), || async {
        let person = story.person(employee).await;
        let status = person.and_then(|person| person.status).unwrap_or_default();
        let history = serde_json::to_value(status.history).unwrap();
        if history[0]["outcome"] == "Failed" && history[0]["action"] == action {
            Ok(())
        } else {
            Err(history.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_failed_is_not_shown_as_the_last_action() {
    let story = Story::begin("columns", 0).await;
    let people = staff(&story, 2).await;
    let id = &people[0];
    let refuses = |method: &str, body: &str| json!({"kind": "status", "status": 403, "method": method, "bodyContains": body});
    let faults = "/onelogin/faults";
    story.simulated.post(faults, refuses("POST", "robin.0@example.com")).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h"})).await;
    failed(&story, id, "Create").await;
    assert_eq!(column(&story, id, "LAST ACTION").await, "", "no account was created");
    assert_eq!(column(&story, &people[1], "LAST ACTION").await, "Create");
    story.simulated.delete(faults).await;
    let asked = |value: &str| {
        let annotation = json!({"bobsync.dev/sync-requested-at": value});
        Patch::Merge(json!({"metadata": {"annotations": annotation}}))
    };
    let name = format!("onelogin-{id}");
    story.people().patch(&name, &PatchParams::default(), &asked("created")).await.unwrap();
    last_action_is(&story, id, "Create").await;

    story.simulated.post(faults, refuses("PUT", "Keeper of Lamps")).await;
    story.simulated.change(id, json!({"work.title": "Keeper of Lamps"})).await;
    story.people().patch(&name, &PatchParams::default(), &asked("updated")).await.unwrap();
    failed(&story, id, "Update").await;
    assert_eq!(column(&story, id, "LAST ACTION").await, "Create");
    story.simulated.delete(faults).await;
    leave(&story, &people[..1]).await;
    story.people().patch(&name, &PatchParams::default(), &asked("left")).await.unwrap();
    last_action_is(&story, id, "Suspend").await;
}
