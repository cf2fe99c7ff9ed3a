//! The API server refuses, is away for a while, or forgets its past. The controller converges,
//! nothing is written twice to the provider, and no history line is lost while the process runs.

use serde_json::{Value, json};
use testbed::{
    ControlPlane, Options, Proxy,
    proxy::{Act, Method},
};

use crate::support::{Controller, Story, ready, until};

/// Starts a converged company with a controller that goes through a proxy.
async fn begun(name: &str) -> (Story, Proxy, Controller) {
    let story = Story::begin(name, 8).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let controller = Controller::behind(&story, &proxy).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    (story, proxy, controller)
}

fn objects(story: &Story) -> String {
    format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/employeesyncs", story.namespace)
}

async fn journal(story: &Story) -> Vec<Value> {
    story.simulated.get("/onelogin/journal").await.as_array().cloned().unwrap_or_default()
}

fn starter(email: &str) -> Value {
    json!({
        "root.email": email, "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active",
        "internal.terminationDate": null, "employee.lastDayOfWork": null,
    })
}

/// Returns the actions of the history, newest first.
async fn history(story: &Story, person: &str) -> Vec<String> {
    let object = story.person(person).await.unwrap_or_else(|| panic!("{person} has an object"));
    let history = serde_json::to_value(object.status.unwrap_or_default().history).unwrap();
    history
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| line["action"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Changes a starter, a mover and a leaver while `trouble` is under way; then it ends.
async fn survives(story: &Story, round: &str, trouble: impl AsyncFn(), over: impl AsyncFn()) {
    let mover = story.simulated.hire(starter(&format!("mover.{round}@example.com"))).await;
    let leaver = story.simulated.hire(starter(&format!("leaver.{round}@example.com"))).await;
    story.sync().await;
    let before = journal(story).await.len();
    let hired = story.simulated.hire(starter(&format!("starter.{round}@example.com"))).await;
    story.simulated.change(&mover, json!({"work.title": "Keeper of Lamps"})).await;
    story
        .simulated
        .change(
            &leaver,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    trouble().await;
    let asked = story.ask().await;
    over().await;
    story.answered(&asked).await;
    until(&format!("{round}: everybody is in sync"), || async {
        let people = story.everybody().await;
        let wrong: Vec<_> =
            people.iter().map(ready).filter(|(status, _)| status != "True").collect();
        let there = people.iter().any(|person| person.spec.employee_id == hired);
        if wrong.is_empty() && there { Ok(()) } else { Err(format!("{there} {wrong:?}")) }
    })
    .await;
    story.sync().await;
    let written = journal(story).await.split_off(before);
    let mut marks: Vec<_> = written
        .iter()
        .map(|change| change["after"]["external_id"].as_str().unwrap_or_default())
        .collect();
    marks.sort_unstable();
    // A suspension that is not on record is made again, because no read shows whether sessions were
    // ended.
    let again = marks.iter().filter(|mark| **mark == leaver).count();
    marks.dedup_by(|one, other| one == other && **one == *leaver);
    assert!(again >= 1, "{round}");
    let mut all = [&*hired, &*mover, &*leaver];
    all.sort_unstable();
    assert_eq!(marks, all, "{round}: each is written once");
    assert_eq!(story.simulated.account(&leaver).await.unwrap()["status"], 2, "{round}");
    assert_eq!(story.simulated.account(&hired).await.unwrap()["status"], 1, "{round}");
    assert_eq!(history(story, &hired).await, ["Create"], "{round}");
    assert_eq!(history(story, &mover).await, ["Update", "Create"], "{round}");
    let mut lines = history(story, &leaver).await;
    assert!(lines.len() <= again + 1, "{round}: a line for each suspension at most: {lines:?}");
    lines.dedup();
    assert_eq!(lines, ["Suspend", "Create"], "{round}");
}

/// Waits longer than the controller tries one call.
async fn outlasts_every_try(controller: &Controller) {
    let given_up = || controller.log().matches("a status could not be written").count();
    let (before, began) = (given_up(), std::time::Instant::now());
    while given_up() < before + 3 {
        // A call without an answer is waited for as long as an admission webhook may take, and each
        // is tried several times.
        assert!(began.elapsed().as_secs() < 240, "writes are given up: {}", given_up());
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_on_every_status_write_for_a_while() {
    let (story, proxy, controller) = begun("conflicts").await;
    let statuses = format!("{}/*/status", objects(&story));
    let trouble = async || proxy.rule(Act::Status(409), Method::PATCH, &statuses, None);
    let over = async || {
        outlasts_every_try(&controller).await;
        proxy.clear();
    };
    survives(&story, "conflicts", trouble, over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_fails_every_write_and_read_of_objects_for_a_while() {
    let (story, proxy, controller) = begun("failing").await;
    let all = format!("{}*", objects(&story));
    let trouble = async || {
        for (code, method) in [(503, Method::GET), (500, Method::POST), (500, Method::PATCH)] {
            proxy.rule(Act::Status(code), method, &all, None);
        }
    };
    let over = async || {
        outlasts_every_try(&controller).await;
        proxy.clear();
    };
    survives(&story, "failing", trouble, over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_away_for_a_while() {
    let (story, proxy, controller) = begun("away").await;
    let statuses = format!("{}/*/status", objects(&story));
    // The trouble ends when the first record is on its way.
    let trouble = async || {
        proxy.rule(Act::Delay(std::time::Duration::from_secs(30)), Method::PATCH, &statuses, None)
    };
    let over = async || {
        until("a record is on its way", || async {
            if proxy.struck().is_empty() { Err("none".to_owned()) } else { Ok(()) }
        })
        .await;
        proxy.down();
        proxy.clear();
        outlasts_every_try(&controller).await;
        proxy.up();
    };
    survives(&story, "away", trouble, over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applied_record_whose_answers_are_all_lost_stands_once() {
    let (story, proxy, controller) = begun("unheard").await;
    let statuses = format!("{}/*/status", objects(&story));
    let trouble = async || proxy.rule(Act::HoldAfter, Method::PATCH, &statuses, None);
    let over = async || {
        outlasts_every_try(&controller).await;
        proxy.clear();
    };
    survives(&story, "unheard", trouble, over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_expire_begin_anew_and_nothing_is_missed() {
    let (story, proxy, _controller) = begun("expired").await;
    let (id, _) = story.simulated.somebody().await;
    let before = journal(&story).await.len();
    let versions = || async {
        story.everybody().await.into_iter().map(|p| p.metadata.resource_version).collect::<Vec<_>>()
    };
    let steady = versions().await;
    // The list after it fails at first.
    for (round, failures) in [0, 1, 2].into_iter().enumerate() {
        proxy.rule(Act::Status(410), Method::GET, &objects(&story), Some(failures));
        proxy.expire_watches();
        story.sync().await;
        assert_eq!(
            journal(&story).await.len(),
            before,
            "round {round}: nothing changed, nothing is written"
        );
        assert_eq!(versions().await, steady, "round {round}");
    }
    // A person's change while there is no watch is seen, and carried out once.
    proxy.rule(Act::Status(500), Method::GET, &objects(&story), Some(1));
    proxy.expire_watches();
    let patch = json!({"spec": {"attributes": {"title": "Head of Nothing"}}});
    let merge = kube::api::Patch::Merge(patch);
    story
        .people()
        .patch(&format!("onelogin-{id}"), &kube::api::PatchParams::default(), &merge)
        .await
        .expect("a person's change");
    until("the override is carried out", || async {
        let account = story.simulated.account(&id).await.unwrap();
        if account["title"] == "Head of Nothing" {
            Ok(())
        } else {
            Err(account["title"].to_string())
        }
    })
    .await;
    story.sync().await;
    assert_eq!(journal(&story).await.len(), before + 1);
    assert_eq!(story.reason(&id).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_an_etcd_that_has_forgotten_its_past() {
    // The story kills its own server, not the shared one.
    let plane = ControlPlane::start(Options::default()).await.expect("a control plane");
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    plane.apply_yaml(include_str!("../../crds/bobsync.dev.yaml")).await.expect("the CRDs");
    let story = Story::on(plane, "compacted", 8).await;
    story.namespaces().await;
    story.chart().await;
    story.secrets().await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let (id, _) = story.simulated.somebody().await;
    let mover = story.simulated.hire(starter("mover@example.com")).await;
    story.sync().await;
    let before = journal(&story).await.len();

    // While no watch runs, an EmployeeSync is deleted, another is pinned, and all revisions in
    // between are forgotten.
    controller.pause();
    story
        .people()
        .delete(&format!("onelogin-{id}"), &kube::api::DeleteParams::default())
        .await
        .expect("deleted");
    let pin =
        kube::api::Patch::Merge(json!({"spec": {"attributes": {"title": "Head of Nothing"}}}));
    story
        .people()
        .patch(&format!("onelogin-{mover}"), &kube::api::PatchParams::default(), &pin)
        .await
        .expect("pinned");
    let revision = plane.compact().await.expect("etcd compacts");
    plane.end_server();
    controller.resume();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    plane.start_server().await.expect("the server is back");
    assert!(revision > 0);
    until("the override is carried out", || async {
        let account = story.simulated.account(&mover).await.unwrap_or_default();
        if account["title"] == "Head of Nothing" {
            Ok(())
        } else {
            Err(account["title"].to_string())
        }
    })
    .await;
    until("the EmployeeSync is back", || async {
        let person = story.person(&id).await.ok_or("not there")?;
        if ready(&person).1 == "InSync" { Ok(()) } else { Err(ready(&person).1) }
    })
    .await;
    story.sync().await;
    assert_eq!(journal(&story).await.len(), before + 1, "one write, for what was pinned");
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_could_not_be_recorded_counts_in_its_budget() {
    let (story, proxy, controller) = begun("uncounted").await;
    let first = story.simulated.hire(starter("first.leaver@example.com")).await;
    let second = story.simulated.hire(starter("second.leaver@example.com")).await;
    story.sync().await;
    story
        .integrate(json!({"safety": {"disables": {"max": "0%", "atLeast": 1, "per": "24h"}}}))
        .await;
    story.ready("Converged").await;
    proxy.rule(
        Act::Status(503),
        Method::PATCH,
        &format!("{}/onelogin-{first}/status", objects(&story)),
        None,
    );
    let left = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&first, left.clone()).await;
    story.ask().await;
    until("the record is given up", || async {
        if controller.log().contains("a status could not be written") {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await;
    story.simulated.change(&second, left).await;
    story.ask().await;
    until("the second is held", || async {
        let said = story.reason(&second).await;
        if said == "Held" { Ok(()) } else { Err(said) }
    })
    .await;
    assert_eq!(story.simulated.account(&first).await.unwrap()["status"], 2);
    assert_eq!(
        story.simulated.account(&second).await.unwrap()["status"],
        1,
        "the one of this day is spent"
    );
}
