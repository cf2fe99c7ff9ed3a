//! Another writer at the provider who sets values back again and again: told, stopped, and right by itself when it is over.

use serde_json::{Value, json};

use crate::{
    budgets::{held, leave, staff, suspended},
    support::{Controller, Moving, Story, condition, ready, until},
};

async fn title(story: &Story, employee: &str) -> Value {
    story.simulated.account(employee).await.expect("an account")["title"].clone()
}

/// Another tool writes a title of its own.
async fn other_writer(story: &Story, employee: &str) {
    let account = story.simulated.account(employee).await.expect("an account");
    story
        .simulated
        .patch(&format!("/onelogin/users/{}", account["id"]), json!({"title": "Of another tool"}))
        .await;
}

/// How many writes a pass makes.
async fn pass(story: &Story) -> u64 {
    let before = story.simulated.writes().await;
    story.sync().await;
    story.simulated.writes().await - before
}

/// `Ready` of this employee, and its message.
async fn said(story: &Story, employee: &str) -> (String, String, String) {
    condition(&story.person(employee).await.expect("an EmployeeSync"), "Ready").expect("Ready")
}

/// Returns how many warnings with this reason there are about an employee.
async fn warnings(story: &Story, employee: &str, reason: &str) -> usize {
    story.warnings(&format!("onelogin-{employee}"), reason).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_that_another_tool_sets_back_is_contested_after_six_writes_and_in_sync_when_the_tool_stops()
 {
    let story = Story::begin("contested", 0).await;
    let people = staff(&story, 3).await;
    let fought = &people[0];
    let controller = Moving::start(&story, "2026-11-24T09:00:00Z").await;
    story
        .integrate(json!({"interval": "24h", "safety": {"updates": {"atLeast": 100, "per": "2h"}}}))
        .await;
    story.ready("Converged").await;
    story.simulated.change(fought, json!({"work.title": "Keeper of Keys"})).await;
    assert_eq!(pass(&story).await, 1);
    // The tool comes less often than bobsync looks: in every other look the value is in place.
    for round in 0..5 {
        other_writer(&story, fought).await;
        assert_eq!((pass(&story).await, pass(&story).await), (1, 0), "round {round}");
        assert_eq!(said(&story, fought).await.1, "InSync");
        if round == 2 {
            // Half an hour lies between the first writes and the last ones.
            controller.to(&story, "2026-11-24T09:30:00Z").await;
        }
    }
    let before =
        story.people().get(&format!("onelogin-{fought}")).await.unwrap().metadata.resource_version;
    assert_eq!(pass(&story).await, 0);
    assert_eq!(
        story.people().get(&format!("onelogin-{fought}")).await.unwrap().metadata.resource_version,
        before,
        "at rest no status"
    );
    other_writer(&story, fought).await;
    assert_eq!((pass(&story).await, pass(&story).await), (0, 0));
    let (status, reason, message) = said(&story, fought).await;
    assert_eq!((&*status, &*reason), ("False", "Contested"));
    let expected = "sets title back: written 6 times within the window of spec.safety.updates, and not again before 2026-11-24T11:3";
    assert!(
        message.contains(expected)
            && message.contains("OneLogin")
            && message.contains("Stop the other writer"),
        "{message}"
    );
    let person = story.person(fought).await.unwrap();
    assert_eq!(condition(&person, "Stalled").unwrap().1, "Contested");
    until("one warning tells that it has begun", || async {
        match warnings(&story, fought, "Contested").await {
            1 => Ok(()),
            count => Err(format!("{count} warnings")),
        }
    })
    .await;
    let attributes = condition(&person, "AttributesSynced").unwrap();
    assert_eq!(
        (&*attributes.0, &*attributes.1, attributes.2.contains("title")),
        ("False", "Differs", true)
    );
    assert_eq!(condition(&person, "AccessSynced").unwrap().0, "True");
    let known = &person.status.as_ref().unwrap().set_back;
    assert_eq!(
        (known.len(), &*known[0].attribute, known[0].written_at.len(), known[0].contested),
        (1, "title", 6, Some(true))
    );
    assert!(!serde_json::to_string(&person.status).unwrap().contains("Keeper"), "no value");
    let integration = story.ready("Converged").await.status.unwrap();
    assert_eq!(integration.employees.unwrap().failing, 1);
    assert_eq!(warnings(&story, fought, "Contested").await, 1, "and no further pass tells again");
    // What else changes goes out, another employee's title too.
    story.simulated.change(fought, json!({"root.surname": "Vane"})).await;
    story.simulated.change(&people[1], json!({"work.title": "Keeper of Lamps"})).await;
    assert_eq!((pass(&story).await, pass(&story).await), (2, 0));

    // A window after the last write it is written once more, and set back again: one write in a window.
    controller.to(&story, "2026-11-24T11:40:00Z").await;
    assert_eq!((pass(&story).await, title(&story, fought).await), (1, "Keeper of Keys".into()));
    other_writer(&story, fought).await;
    assert_eq!((pass(&story).await, pass(&story).await), (0, 0));
    assert_eq!(said(&story, fought).await.1, "Contested");
    // The tool stops: the next write stays, and after another window nothing is known any more.
    controller.to(&story, "2026-11-24T13:50:00Z").await;
    assert_eq!((pass(&story).await, pass(&story).await), (1, 0));
    assert_eq!(said(&story, fought).await.1, "InSync");
    assert_eq!(story.ready("Converged").await.status.unwrap().employees.unwrap().failing, 0);
    controller.to(&story, "2026-11-24T16:00:00Z").await;
    assert_eq!(pass(&story).await, 0);
    assert_eq!(story.person(fought).await.unwrap().status.unwrap().set_back, []);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contested_title_is_known_after_a_restart_keeps_no_leaver_in_and_is_written_when_a_person_asks()
 {
    let story = Story::begin("asked", 0).await;
    let people = staff(&story, 3).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "safety": {"updates": {"atLeast": 100}}})).await;
    story.ready("Converged").await;
    for id in &people[..2] {
        story.simulated.change(id, json!({"work.title": "Keeper of Keys"})).await;
    }
    assert_eq!(pass(&story).await, 2);
    let both_fight = async || {
        for id in &people[..2] {
            other_writer(&story, id).await;
        }
        pass(&story).await
    };
    for _ in 0..3 {
        assert_eq!(both_fight().await, 2);
    }
    assert!(controller.stop().await);
    let controller = Controller::start(&story).await;
    for _ in 0..2 {
        assert_eq!(both_fight().await, 2);
    }
    assert_eq!(both_fight().await, 0, "six writes each, before the restart and after it");
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    assert_eq!(pass(&story).await, 0);
    assert_eq!(said(&story, &people[1]).await.1, "Contested");
    // Access is about something else.
    leave(&story, &people[1..2]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people[1..2]).await, 1);
    assert_eq!(title(&story, &people[1]).await, "Of another tool");
    // A person has stopped the other writer, and asks.
    let asked = json!({"metadata": {"annotations": {bobsync::api::SYNC_REQUESTED: "stopped"}}});
    let name = format!("onelogin-{}", people[0]);
    story
        .people()
        .patch(&name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(asked))
        .await
        .unwrap();
    until("the title is written again", || async {
        let person = story.person(&people[0]).await.unwrap();
        if ready(&person) == ("True".into(), "InSync".into()) {
            Ok(())
        } else {
            Err(format!("{:?}", ready(&person)))
        }
    })
    .await;
    assert_eq!(title(&story, &people[0]).await, "Keeper of Keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_whose_maps_differ_stop_after_few_writes_and_one_says_so() {
    let one = Story::begin("one", 0).await;
    let people = staff(&one, 3).await;
    let mut other = Story::begin("other", 0).await;
    other.simulated = one.simulated.clone();
    let (_one, _other) = (Controller::start(&one).await, Controller::start(&other).await);
    let map = |title: Value| {
        let mut rows = vec![
            json!({"target": "email", "field": "root.email"}),
            json!({"target": "username", "field": "root.email"}),
        ];
        rows.push(title);
        json!({"interval": "24h", "mapping": rows, "safety": {"updates": {"atLeast": 100}}})
    };
    one.integrate(map(json!({"target": "title", "formula": "One {root.surname}"}))).await;
    one.ready("Converged").await;
    other.integrate(map(json!({"target": "title", "formula": "Other {root.surname}"}))).await;
    other.ready("Converged").await;
    one.simulated.forget_calls().await;
    let mut writes = Vec::new();
    for _ in 0..9 {
        writes.push(pass(&one).await + pass(&other).await);
    }
    assert!(writes.iter().sum::<u64>() <= 3 * 12 && writes[7..] == [0, 0], "{writes:?}");
    // One of the two gives in and says so; what the other one wrote stays.
    let mut told = Vec::new();
    for story in [&one, &other] {
        let status = story.integration().await.status.unwrap();
        let ready =
            bobsync::api::conditions::find(&status.conditions, "Ready").unwrap().reason.clone();
        told.push((
            said(story, &people[0]).await.1,
            said(story, &people[2]).await.1,
            status.employees.unwrap().failing,
            ready,
        ));
    }
    told.sort();
    // All of its employees fail for one cause, which is a mistake in the settings.
    let expected = [("Contested", 3, "InvalidSettings"), ("InSync", 0, "Converged")];
    let expected = expected.map(|(reason, failing, ready)| {
        (reason.to_owned(), reason.to_owned(), failing, ready.to_owned())
    });
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fight_about_few_employees_cannot_use_the_budget_up_unseen() {
    let story = Story::begin("fight", 0).await;
    let people = staff(&story, 12).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "safety": {"updates": {"max": "0%", "atLeast": 8, "per": "24h"}}})).await;
    story.ready("Converged").await;
    for id in &people[..2] {
        story.simulated.change(id, json!({"work.title": "Keeper of Keys"})).await;
    }
    assert_eq!(pass(&story).await, 2);
    for _ in 0..3 {
        for id in &people[..2] {
            other_writer(&story, id).await;
        }
        assert_eq!(pass(&story).await, 2);
    }
    let done = story.integration().await.status.unwrap().budgets.unwrap().updates.unwrap().done;
    assert_eq!(done, 8, "four changes of two employees");
    story.simulated.change(&people[5], json!({"work.title": "Keeper of Lamps"})).await;
    assert_eq!(pass(&story).await, 0);
    let (_, reason, because) = held(&story.ready("PlanHeld").await);
    assert_eq!(reason, "BudgetExceeded");
    let expected = "1 update planned, 8 done within the window to 2 employees, and the limit is 8";
    assert!(because.contains(expected), "{because}");
}
