//! Which account belongs to which employee.

use serde_json::json;

use crate::support::{Controller, Story, condition, ready, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_accounts_are_adopted_by_email_and_strangers_are_left_alone() {
    let story = Story::begin("adopt", 20).await;
    let (id, employee) = story.simulated.somebody().await;
    let email = employee["root.email"].as_str().unwrap().to_owned();
    let adopted = story
        .simulated
        .post(
            "/onelogin/users",
            json!({"email": email.to_uppercase(), "username": email, "firstname": "Old", "lastname": "Name", "status": 1}),
        )
        .await;
    let stranger = story
        .simulated
        .post("/onelogin/users", json!({"email": "robot@example.com", "username": "robot", "firstname": "R", "lastname": "B", "status": 1}))
        .await;
    // The account with this e-mail bears another employee's mark.
    let employees = story.simulated.employees().await;
    let other = employees
        .iter()
        .find(|e| {
            e["root.id"] != id.as_str()
                && e["internal.lifecycleStatus"]
                    .as_str()
                    .unwrap_or_default()
                    .eq_ignore_ascii_case("employed")
                && e["internal.status"] == "Active"
        })
        .unwrap();
    let other_id = other["root.id"].as_str().unwrap().to_owned();
    let claimed = story
        .simulated
        .post(
            "/onelogin/users",
            json!({"email": other["root.email"], "username": other["root.email"], "firstname": "C", "lastname": "D", "status": 1, "external_id": "999"}),
        )
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!(account["id"], adopted["id"]);
    assert_eq!(account["firstname"], employee["root.firstName"]);
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person).1, "InSync");
    assert_eq!(
        serde_json::to_value(person.status.unwrap().account.unwrap().matched_by).unwrap(),
        "Email"
    );
    for untouched in [stranger, claimed] {
        let at = untouched["id"].clone();
        assert_eq!(
            story.simulated.get(&format!("/onelogin/users/{at}")).await,
            untouched,
            "not ours"
        );
    }
    assert_eq!(story.reason(&other_id).await, "Conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn email_on_one_account_and_username_on_another_is_a_conflict() {
    let story = Story::begin("split", 10).await;
    let (id, employee) = story.simulated.somebody().await;
    let email = employee["root.email"].clone();
    story
        .simulated
        .post("/onelogin/users", json!({"email": email, "username": "one", "firstname": "A", "lastname": "B", "status": 1}))
        .await;
    story
        .simulated
        .post("/onelogin/users", json!({"email": "two@example.com", "username": email, "firstname": "A", "lastname": "B", "status": 1}))
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&id).await, "Conflict");
    assert!(story.simulated.account(&id).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hands_off_and_suspend_leave_accounts_alone() {
    let (story, _controller) = Story::converged("hands-off", 20, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let patch = json!({"spec": {"suspend": true}});
    story
        .people()
        .patch(
            &format!("onelogin-{id}"),
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(patch.clone()),
        )
        .await
        .unwrap();
    until("the person is hands-off", || async {
        match story.reason(&id).await {
            reason if reason == "HandsOff" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 1);
    // The whole integration.
    story
        .integrations()
        .patch("onelogin", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch))
        .await
        .unwrap();
    story.ready("Suspended").await;
    let patch = json!({"spec": {"suspend": false}});
    story
        .people()
        .patch(
            &format!("onelogin-{id}"),
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(patch.clone()),
        )
        .await
        .unwrap();
    story.simulated.forget_calls().await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        story.simulated.calls("bob", "POST /v1/people/search").await,
        0,
        "suspended: nothing is even read"
    );
    story
        .integrations()
        .patch("onelogin", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch))
        .await
        .unwrap();
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_change_at_the_provider_is_only_reported_where_the_settings_say_so() {
    let (story, controller) =
        Story::converged("drift", 12, json!({"safety": {"driftPolicy": "Report"}})).await;
    let (id, _) = story.simulated.somebody().await;
    let before = story.simulated.account(&id).await.unwrap();
    let at = format!("/onelogin/users/{}", before["id"]);
    story.simulated.patch(&at, json!({"title": "Wizard", "status": 2})).await;
    story.simulated.forget_calls().await;
    story.sync().await;
    story.ready("Converged").await;
    // Access is always set back. The title is reported, and left.
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!((&account["title"], &account["status"]), (&json!("Wizard"), &json!(1)));
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "Drifted".into()));
    let (status, _, message) = condition(&person, "AttributesSynced").unwrap();
    assert!(
        status == "False" && message.contains("title") && !message.contains("Wizard"),
        "{message}"
    );
    let told = serde_json::to_string(&person.status).unwrap();
    assert!(!told.contains("Wizard"), "no value is told: {told}");

    // Another process decides the same, and writes nothing.
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "Drifted");
    assert_eq!(story.simulated.writes().await, 0);

    // A change in Bob is written; other values stay.
    story.simulated.change(&id, json!({"work.department": "Lighthouses"})).await;
    story.sync().await;
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!(
        (&account["title"], &account["department"]),
        (&json!("Wizard"), &json!("Lighthouses"))
    );
    story.simulated.change(&id, json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Keeper of Lamps");
    assert_eq!(story.reason(&id).await, "InSync");

    // With the other policy the value is set back, and nothing is kept for the comparison.
    story.simulated.patch(&at, json!({"title": "Wizard"})).await;
    story.integrate(json!({"safety": {"driftPolicy": "Correct"}})).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Keeper of Lamps");
    assert!(story.person(&id).await.unwrap().status.unwrap().last_applied.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_accounts_are_never_written_and_a_leaver_loses_access_on_every_account_of_theirs()
{
    let story = Story::begin("protected", 12).await;
    let (id, employee) = story.simulated.somebody().await;
    let email = employee["root.email"].as_str().unwrap().to_owned();
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let account = story.simulated.account(&id).await.unwrap();
    story.integrate(json!({"safety": {"protectedAccounts": [email.to_uppercase()]}})).await;
    story.ready("Converged").await;
    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive", "work.title": "Gone"}))
        .await;
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap(), account, "never written");
    assert_eq!(story.simulated.writes().await, 0);
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "SuspendByHand".into()));
    let message = condition(&person, "Ready").unwrap().2;
    assert!(message.contains("protectedAccounts") && message.contains("Terminated"), "{message}");
    assert_eq!(
        condition(&person, "AccessSynced").unwrap().0,
        "False",
        "and nobody is told that access is as decided"
    );

    // No longer protected, with a second account that bears the mark: each account loses access,
    // whichever is the right one.
    let second = json!({"email": "second@example.com", "username": "second", "firstname": "S", "lastname": "D", "status": 1, "external_id": id});
    let second = story.simulated.post("/onelogin/users", second).await;
    story.integrate(json!({"safety": {"protectedAccounts": []}})).await;
    story.ready("Converged").await;
    story.sync().await;
    for at in [&account["id"], &second["id"]] {
        assert_eq!(
            story.simulated.get(&format!("/onelogin/users/{at}")).await["status"],
            2,
            "{at}"
        );
    }
    assert_eq!(story.reason(&id).await, "Ambiguous");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adopted_account_gets_its_owner_although_a_value_is_refused() {
    let story = Story::begin("claim", 8).await;
    let (id, employee) = story.simulated.somebody().await;
    let account = json!({"email": employee["root.email"], "username": employee["root.email"], "firstname": "O", "lastname": "N", "status": 1});
    let account = story.simulated.post("/onelogin/users", account).await;
    story.simulated.change(&id, json!({"work.title": "Chief Xylophonist"})).await;
    story
        .simulated
        .put("/onelogin/refuse", json!({"rules": [{"field": "title", "contains": "Xylophonist"}]}))
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&id).await, "Rejected");
    let at = format!("/onelogin/users/{}", account["id"]);
    assert_eq!(
        story.simulated.get(&at).await["external_id"],
        id.as_str(),
        "the mark is on, and nobody else can be taken for its owner"
    );
    // A new e-mail in Bob does not make it another account.
    story
        .simulated
        .change(&id, json!({"root.email": "renamed@example.com", "work.title": "Chief Flautist"}))
        .await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "InSync");
    assert_eq!(story.simulated.get(&at).await["email"], "renamed@example.com");
}
