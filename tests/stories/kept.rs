//! Values that the provider keeps in another form than they were sent: they are written once,
//! reported, and left.

use serde_json::{Value, json};

use crate::{
    budgets::staff,
    support::{Controller, Story, condition, ready},
};

/// Returns what `AttributesSynced` says of this employee, and what the status keeps.
async fn told(story: &Story, employee: &str) -> ((String, String, String), Vec<String>) {
    let person = story.person(employee).await.expect("an EmployeeSync");
    let said = condition(&person, "AttributesSynced").expect("AttributesSynced");
    (said, person.status.unwrap().kept_differently)
}

async fn title(story: &Story, employee: &str) -> Value {
    story.simulated.account(employee).await.expect("an account")["title"].clone()
}

/// Returns how many writes `count` passes make.
async fn writes(story: &Story, count: usize) -> u64 {
    let before = story.simulated.writes().await;
    for _ in 0..count {
        story.sync().await;
    }
    story.simulated.writes().await - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_that_is_kept_in_another_form_is_written_once_told_and_left_until_either_side_changes()
 {
    let story = Story::begin("kept", 0).await;
    let people = staff(&story, 17).await;
    story
        .simulated
        .put("/onelogin/quirks", json!({"foldBlanks": true, "composeLetters": true}))
        .await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"safety": {"fieldBlackout": {"max": "100%", "atLeast": 100}}})).await;
    story.ready("Converged").await;
    for id in &people[..15] {
        story.simulated.change(id, json!({"work.title": "Keeper  of Lumie\u{300}res"})).await;
    }
    assert_eq!(writes(&story, 1).await, 15);
    let before: Vec<_> = story
        .everybody()
        .await
        .into_iter()
        .map(|person| person.metadata.resource_version)
        .collect();
    assert_eq!(writes(&story, 3).await, 0, "a pass at rest writes nothing");
    let after: Vec<_> = story
        .everybody()
        .await
        .into_iter()
        .map(|person| person.metadata.resource_version)
        .collect();
    assert_eq!(after, before, "nor a status");
    for id in &people[..15] {
        assert_eq!(title(&story, id).await, "Keeper of Lumi\u{e8}res");
        let ((status, reason, message), kept) = told(&story, id).await;
        assert_eq!((status.as_str(), reason.as_str()), ("True", "KeptDifferently"));
        assert!(message.contains("title") && !message.contains("Keeper"), "{message}");
        assert!(
            kept.len() == 1 && kept[0].starts_with("title=") && !kept[0].contains("Keeper"),
            "{kept:?}"
        );
        assert_eq!(ready(&story.person(id).await.unwrap()), ("True".into(), "InSync".into()));
    }
    assert_eq!(
        told(&story, &people[15]).await.1,
        Vec::<String>::new(),
        "only what is kept in another form is remembered"
    );

    // A new process knows it from the statuses.
    assert!(controller.stop().await);
    let controller = Controller::start(&story).await;
    assert_eq!(writes(&story, 1).await, 0);

    // A person changes it at the provider: one write. Bob changes it: one write.
    let account = story.simulated.account(&people[0]).await.unwrap();
    story
        .simulated
        .patch(&format!("/onelogin/users/{}", account["id"]), json!({"title": "By hand"}))
        .await;
    assert_eq!(
        (writes(&story, 2).await, title(&story, &people[0]).await),
        (1, "Keeper of Lumi\u{e8}res".into())
    );
    story.simulated.change(&people[0], json!({"work.title": "Keeper  of Keys"})).await;
    assert_eq!(
        (writes(&story, 2).await, title(&story, &people[0]).await),
        (1, "Keeper of Keys".into())
    );
    assert_eq!(told(&story, &people[0]).await.0.1, "KeptDifferently");
    // Bob has the form that the provider keeps: nothing is written, and the status keeps no digests
    // any more.
    story.simulated.change(&people[0], json!({"work.title": "Keeper of Keys"})).await;
    assert_eq!(writes(&story, 2).await, 0);
    let (said, kept) = told(&story, &people[0]).await;
    assert_eq!((said.1.as_str(), kept), ("Equal", Vec::<String>::new()));
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_the_tenant_that_sets_a_title_back_is_told_after_few_writes_and_stops_no_suspension()
 {
    let story = Story::begin("rule", 0).await;
    let people = staff(&story, 3).await;
    let rule = json!({"when": {"field": "email", "equals": "robin.0@example.com"}, "set": {"title": "By rule"}});
    story.simulated.put("/onelogin/quirks", json!({"mappings": [rule]})).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    story.simulated.change(&people[0], json!({"work.title": "Keeper of Lamps"})).await;
    assert!(writes(&story, 4).await <= 3, "no write after the third");
    assert_eq!(writes(&story, 2).await, 0);
    assert_eq!(title(&story, &people[0]).await, "By rule");
    let ((_, reason, message), _) = told(&story, &people[0]).await;
    assert!(reason == "KeptDifferently" && message.contains("title"), "{reason}: {message}");
    // The employee's other fields and the access are still written.
    story.simulated.change(&people[0], json!({"root.surname": "Vane"})).await;
    assert_eq!(writes(&story, 2).await, 1);
    assert_eq!(story.simulated.account(&people[0]).await.unwrap()["lastname"], "Vane");
    let leaves = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&people[0], leaves).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&people[0]).await.unwrap()["status"], 2);
    assert_eq!((writes(&story, 2).await, title(&story, &people[0]).await), (0, "By rule".into()));
    assert!(controller.stop().await);
}
