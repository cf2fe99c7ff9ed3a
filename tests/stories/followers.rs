//! A replica that does not lead collects no work, and takes over with one full pass.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{Controller, Story, until};

/// Returns the lines of the queues on the metrics page that are not 0.
async fn queued(controller: &Controller) -> Vec<String> {
    let page = controller.metrics().await;
    let queues = page.lines().filter(|line| line.starts_with("bobsync_queue_"));
    let queued: Vec<String> = queues.map(str::to_owned).collect();
    assert!(queued.len() >= 4, "{page}");
    queued.into_iter().filter(|line| !line.ends_with(" 0") && !line.ends_with(" 0.0")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_queues_nothing_and_takes_over_with_one_search_and_one_listing() {
    let (story, first) = Story::converged(
        "follower",
        30,
        json!({"interval": "24h", "safety": {"updates": {"max": "100%"}, "fieldBlackout": {"max": "100%"}}}),
    )
    .await;
    let second = Controller::start(&story).await;
    let people: Vec<String> = story
        .everybody()
        .await
        .into_iter()
        .map(|person| person.spec.employee_id)
        .take(25)
        .collect();
    for (number, employee) in people.iter().enumerate() {
        let patch = json!({"spec": {"attributes": {"title": format!("Title {number}")}}});
        let name = format!("onelogin-{employee}");
        story
            .people()
            .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("a pin");
    }
    until("every pin is carried out", || async {
        let accounts = story.simulated.accounts().await;
        let titled = accounts
            .iter()
            .filter(|account| {
                account["title"].as_str().is_some_and(|title| title.starts_with("Title "))
            })
            .count();
        let expected = accounts
            .iter()
            .filter(|account| people.iter().any(|id| account["external_id"] == **id))
            .count();
        if titled == expected && titled > 15 {
            Ok(())
        } else {
            Err(format!("{titled} of {expected}"))
        }
    })
    .await;
    story.sync().await;
    // The follower has received what the leader wrote.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(queued(&second).await, Vec::<String>::new());
    assert!(!second.leads().await && first.leads().await);

    story.simulated.forget_calls().await;
    assert!(first.stop().await);
    until("the second has looked at everybody", || async {
        let calls = story.simulated.calls("onelogin", "GET /api/2/users").await;
        if second.leads().await && calls > 0 { Ok(()) } else { Err(calls.to_string()) }
    })
    .await;
    story.ready("Converged").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(queued(&second).await, Vec::<String>::new());
    let calls =
        (story.simulated.get("/bob/calls").await, story.simulated.get("/onelogin/calls").await);
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 1, "{calls:?}");
    assert_eq!(story.simulated.calls("onelogin", "GET /api/2/users").await, 1, "{calls:?}");
    assert_eq!(story.simulated.calls("onelogin", "GET /api/2/users/{id}").await, 0, "{calls:?}");
    assert_eq!(story.simulated.writes().await, 0);
    // It works on new events.
    let active =
        story.simulated.accounts().await[0]["external_id"].as_str().expect("a mark").to_owned();
    story.simulated.change(&active, json!({"work.department": "Lamps"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&active).await.expect("an account")["department"], "Lamps");
}
