//! Other triggers of a look. A look at one employee uses the limits of the whole company.

use std::process::Command;

use serde_json::json;
use simulators::bob::webhooks::{event, send};

use crate::support::{Controller, Story, ready, until};

/// Runs `bobsync sync` as an administrator and returns what it printed.
async fn bobsync_sync(story: &Story, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobsync"));
    command
        .args(["sync", "--namespace", &story.namespace])
        .args(arguments)
        .env("KUBECONFIG", story.plane.kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic")
        .expect("the binary runs");
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
    assert!(said.contains("1 employee") && said.contains("done: 1 InSync"), "{said}");
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Head of Nothing");
    assert_eq!(
        story.simulated.calls("onelogin", "GET /api/2/users").await,
        0,
        "nobody is listed for one person"
    );
    let history = story.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(serde_json::to_value(history[0].trigger).unwrap(), "Manual");

    let said = bobsync_sync(
        &story,
        &["onelogin", "--selector", "bobsync.dev/integration=onelogin", "--wait"],
    )
    .await
    .expect("success");
    let people = story.everybody().await.len();
    assert!(
        said.contains(&format!("a sync of {people} employees")) && said.contains("done: "),
        "{said}"
    );
    let said = bobsync_sync(&story, &["onelogin", "--wait"]).await.expect("success");
    assert!(said.contains("done. Converged"), "{said}");
    let refused =
        bobsync_sync(&story, &["--employee", "nobody@example.com"]).await.expect_err("nobody");
    assert!(refused.contains("nobody@example.com"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_answered_at_the_terminal_is_said_at_once() {
    let story = Story::begin("speechless", 1).await;
    story.integrate(json!({"suspend": true})).await;
    let person = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": "onelogin-4711"},
        "spec": {"employeeId": "4711", "integrationRef": {"name": "onelogin"}}});
    let params = kube::api::PatchParams::apply("story").force();
    story
        .people()
        .patch("onelogin-4711", &params, &kube::api::Patch::Apply(person))
        .await
        .expect("an EmployeeSync");
    let refused =
        async |arguments: &[&str]| bobsync_sync(&story, arguments).await.expect_err("refused");
    let suspended = format!(
        "{}/onelogin is suspended: the request is answered after spec.suspend is removed",
        story.namespace
    );
    let began = std::time::Instant::now();
    for whom in [&["onelogin"][..], &["--employee", "4711"], &["onelogin", "-l", "!nothing"]] {
        assert!(refused(&[whom, &["--wait"]].concat()).await.contains(&suspended), "{whom:?}");
        assert!(
            bobsync_sync(&story, whom).await.expect("it is asked for").contains(&suspended),
            "{whom:?}"
        );
    }
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    let nowhere = format!(
        "there is no ProvisioningIntegration `elsewhere` in the namespace `{}`",
        story.namespace
    );
    for whom in
        [&["elsewhere"][..], &["elsewhere", "--employee", "4711"], &["elsewhere", "-l", "a=b"]]
    {
        assert!(refused(whom).await.contains(&nowhere), "{whom:?}");
    }
    let said = refused(&["onelogin", "-l", "team in platform"]).await;
    assert!(
        said.contains("`team in platform` is not a label selector: ") && said.contains("parse"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drip_of_single_leavers_is_held_once_the_window_is_spent() {
    let story = Story::begin("drip", 20).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    // A tenth of the eleven to twenty accounts is two. A partial pass that counted only itself would
    // allow one.
    let budget = json!({"disables": {"max": "10%", "atLeast": 1, "per": "24h"}});
    let hook = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "bob": hook, "safety": budget})).await;
    story.ready("Converged").await;
    let active: Vec<String> = {
        let accounts = story.simulated.accounts().await;
        let active = accounts.iter().filter(|account| account["status"] == 1);
        active
            .filter_map(|account| account["external_id"].as_str().map(str::to_owned))
            .take(3)
            .collect()
    };
    story.simulated.forget_calls().await;
    for (number, id) in active.iter().enumerate() {
        let listed = story.simulated.calls("onelogin", "GET /api/2/users").await;
        assert_eq!(
            listed, 0,
            "a partial pass that is within the budget needs no look at all employees"
        );
        story
            .simulated
            .change(
                id,
                json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
            )
            .await;
        let body =
            event("employee.left", &json!({"employeeId": id}), jiff::Timestamp::now()).to_string();
        assert_eq!(send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await, Some(200));
        let reason = if number < 2 { "InSync" } else { "Held" };
        until(&format!("leaver {number} is {reason}"), || async {
            let status = story.simulated.account(id).await.map(|account| account["status"].clone());
            let said = ready(&story.person(id).await.unwrap()).1;
            let suspended = status == Some(json!(2));
            if said == reason && suspended == (number < 2) {
                Ok(())
            } else {
                Err(format!("{said} {status:?}"))
            }
        })
        .await;
    }
    let object = story.ready("PlanHeld").await;
    assert_eq!(
        object.status.unwrap().plan.unwrap().disables,
        1,
        "said of the integration as a whole"
    );
}

/// Begins a company without webhooks of its own; the story sends the events.
async fn hooked(name: &str, employees: usize, spec: serde_json::Value) -> (Story, Controller) {
    let story = Story::begin(name, employees).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let mut whole = json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
    if let (Some(whole), Some(spec)) = (whole.as_object_mut(), spec.as_object()) {
        whole.extend(spec.clone());
    }
    story.integrate(whole).await;
    (story, controller)
}

async fn deliver(controller: &Controller, kind: &str, id: &str) {
    let body = event(kind, &json!({"employeeId": id}), jiff::Timestamp::now()).to_string();
    assert_eq!(send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await, Some(200));
}

async fn until_reason(story: &Story, id: &str, reason: &str) {
    until(&format!("{id} is {reason}"), || async {
        let said = story.reason(id).await;
        if said == reason { Ok(()) } else { Err(said) }
    })
    .await;
}

/// Returns the ids of employees who are at work and have an account.
async fn at_work(story: &Story, count: usize) -> Vec<String> {
    let accounts = story.simulated.accounts().await;
    let active = accounts.iter().filter(|account| account["status"] == 1);
    active
        .filter_map(|account| account["external_id"].as_str().map(str::to_owned))
        .take(count)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attribute_that_events_change_one_by_one_freezes_as_if_they_had_come_at_once() {
    let blackout = json!({"safety": {"fieldBlackout": {"max": "1%", "atLeast": 2}}});
    let (story, controller) = hooked("drip-blackout", 20, blackout).await;
    story.ready("Converged").await;
    let people = at_work(&story, 3).await;
    for (number, id) in people.iter().enumerate() {
        story.simulated.change(id, json!({"work.title": "Keeper of Mistakes"})).await;
        deliver(&controller, "employee.updated", id).await;
        if number < 2 {
            until(&format!("title {number} is there"), || async {
                match story.simulated.account(id).await {
                    Some(account) if account["title"] == "Keeper of Mistakes" => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
            // The same employee twice counts once.
            deliver(&controller, "employee.updated", id).await;
        }
        until_reason(&story, id, if number < 2 { "InSync" } else { "Frozen" }).await;
    }
    let object = story.ready("PlanHeld").await;
    let because = object.status.unwrap().plan.unwrap().held_because.unwrap();
    assert!(
        because.contains("events have changed it for 2 others within the interval"),
        "{because}"
    );
    assert_ne!(story.simulated.account(&people[2]).await.unwrap()["title"], "Keeper of Mistakes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_long_pass_is_about_to_do_counts_in_the_budget_of_an_event() {
    let (story, controller) = hooked(
        "beside",
        20,
        json!({"safety": {"disables": {"max": "1%", "atLeast": 3, "per": "24h"}}}),
    )
    .await;
    story.ready("Converged").await;
    let people = at_work(&story, 4).await;
    let left = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    // Every write takes a while, so the statuses do not show yet what the pass has released.
    let slow =
        json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 4000});
    story.simulated.post("/onelogin/faults", slow).await;
    for id in &people[..3] {
        story.simulated.change(id, left.clone()).await;
    }
    let before = story.simulated.calls("onelogin", "GET /api/2/users").await;
    story.ask().await;
    until("the pass has listed", || async {
        let lists = story.simulated.calls("onelogin", "GET /api/2/users").await;
        if lists > before { Ok(()) } else { Err(format!("{lists} calls")) }
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    story.simulated.change(&people[3], left).await;
    deliver(&controller, "employee.left", &people[3]).await;
    until_reason(&story, &people[3], "Held").await;
    for id in &people[..3] {
        until(&format!("{id} is suspended"), || async {
            let status = story.simulated.account(id).await.map(|account| account["status"].clone());
            if status == Some(json!(2)) { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }
    assert_eq!(
        story.simulated.account(&people[3]).await.unwrap()["status"],
        1,
        "the fourth of three"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_whose_account_comes_later_reaches_the_reports_without_a_pass_over_everybody() {
    let (story, controller) = hooked("later-boss", 6, json!({})).await;
    story.ready("Converged").await;
    let boss = json!({"root.email": "boss@example.com", "work.startDate": "2099-01-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"});
    let boss = story.simulated.hire(boss).await;
    deliver(&controller, "employee.created", &boss).await;
    until_reason(&story, &boss, "NotDue").await;
    let report = json!({"root.email": "report@example.com", "work.startDate": "2022-01-01", "work.manager": boss,
        "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    let report = story.simulated.hire(report).await;
    deliver(&controller, "employee.created", &report).await;
    until_reason(&story, &report, "InSync").await;
    assert!(story.simulated.account(&report).await.unwrap()["manager_user_id"].is_null());
    let passes = async || {
        let metrics = controller.metrics().await;
        metrics
            .lines()
            .find(|line| line.starts_with("bobsync_passes_total{outcome=\"Converged\"}"))
            .map(str::to_owned)
    };
    let before = passes().await;
    let starts = json!({"work.startDate": "2022-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    story.simulated.change(&boss, starts).await;
    deliver(&controller, "employee.joined", &boss).await;
    until("the report's account names the manager", || async {
        let own = story.simulated.account(&boss).await.map(|account| account["id"].clone());
        let named = story.simulated.account(&report).await.unwrap()["manager_user_id"].clone();
        if own.as_ref() == Some(&named) { Ok(()) } else { Err(format!("{named} and {own:?}")) }
    })
    .await;
    assert!(before.is_some() && passes().await == before, "nobody else was looked at for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_in_a_dry_run_does_not_hide_a_conflict() {
    let story = Story::begin("dry", 6).await;
    let stranger = json!({"email": "taken@example.com", "username": "taken@example.com", "firstname": "Old", "lastname": "Name", "external_id": "4711"});
    story.simulated.post("/onelogin/users", stranger).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let hire = json!({"root.email": "taken@example.com", "work.startDate": "2022-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    let id = story.simulated.hire(hire).await;
    let hook = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    story.integrate(json!({"interval": "24h", "mode": "DryRun", "bob": hook})).await;
    story.ready("DryRun").await;
    until_reason(&story, &id, "Conflict").await;
    let (other, _) = story.simulated.somebody().await;
    let creates = async || story.integration().await.status.unwrap().plan.unwrap().creates;
    let before = creates().await;
    // An event about another employee is answered too: by another full pass.
    let joiner = story
        .simulated
        .hire(json!({"root.email": "fresh@example.com", "work.startDate": "2022-01-01"}))
        .await;
    for id in [&id, &other, &joiner] {
        deliver(&controller, "employee.updated", id).await;
    }
    until("the plan has the joiner", || async {
        assert_eq!(story.reason(&id).await, "Conflict", "what only a listing shows");
        let now = creates().await;
        if now == before + 1 { Ok(()) } else { Err(format!("{now} creates, and {before} before")) }
    })
    .await;
    assert_eq!(story.reason(&id).await, "Conflict");
    assert_eq!(story.simulated.writes().await, 0, "a dry run writes nothing");
}
