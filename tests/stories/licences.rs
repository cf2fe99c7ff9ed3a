//! Employees without a free licence.

use serde_json::json;

use crate::{
    budgets::staff,
    support::{Controller, Story, ready, until},
};

/// Returns how many employees have this reason.
async fn having(story: &Story, people: &[String], reason: &str) -> usize {
    let mut count = 0;
    for id in people {
        count +=
            usize::from(story.person(id).await.is_some_and(|person| ready(&person).1 == reason));
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_without_a_licence_are_told_counted_and_come_right_by_themselves() {
    let story = Story::begin("licences", 0).await;
    let people = staff(&story, 40).await;
    story.simulated.put("/onelogin/quirks", json!({"licences": 10})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let accounts = story.simulated.accounts().await.len();
    assert!(
        (13..30).contains(&accounts),
        "creates stop soon after the licences end, not after everybody has an account: {accounts}"
    );
    assert_eq!(having(&story, &people, "InSync").await, 10);
    let without = having(&story, &people, "NoLicence").await;
    assert_eq!(without, accounts - 10, "whoever has an account and no licence is told so");
    assert_eq!(having(&story, &people, "Pending").await, 40 - accounts, "the others wait");
    let counted = story.integration().await.status.unwrap().employees.unwrap();
    assert_eq!(usize::try_from(counted.failing).unwrap(), without);

    story
        .simulated
        .put("/onelogin/quirks", json!({"licences": 100, "licensesWaiting": true}))
        .await;
    story.sync().await;
    until("everybody is in sync", || async {
        match having(&story, &people, "InSync").await {
            40 => Ok(()),
            count => Err(format!("{count} are")),
        }
    })
    .await;
}
