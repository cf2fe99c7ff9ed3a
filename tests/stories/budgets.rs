//! Budgets over time: too many changes at once wait for a person, single ones do not, and only the
//! approved plan is carried out.

use bobsync::api::{ProvisioningIntegration, conditions};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{Controller, Story, condition, ready, until};

pub(crate) async fn staff(story: &Story, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let person = json!({
            "root.firstName": "Robin", "root.surname": "Vale", "root.email": format!("robin.{number}@example.com"), "work.startDate": "2022-03-01",
            "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
        });
        ids.push(story.simulated.hire(person).await);
    }
    ids
}

pub(crate) async fn leave(story: &Story, people: &[String]) {
    for id in people {
        story
            .simulated
            .change(
                id,
                json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
            )
            .await;
    }
}

pub(crate) async fn suspended(story: &Story, people: &[String]) -> usize {
    let accounts = story.simulated.accounts().await;
    people
        .iter()
        .filter(|id| {
            accounts.iter().any(|account| account["external_id"] == ***id && account["status"] == 2)
        })
        .count()
}

pub(crate) async fn approve(story: &Story, digest: &str, who: &str) {
    let spec = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "spec": {"approvedPlan": digest}});
    story
        .integrations()
        .patch("onelogin", &PatchParams::apply(who).force(), &Patch::Apply(spec))
        .await
        .expect("admitted");
}

pub(crate) fn held(integration: &ProvisioningIntegration) -> (String, String, String) {
    let status = integration.status.clone().unwrap_or_default();
    let condition = conditions::find(&status.conditions, "PlanHeld").expect("PlanHeld");
    let plan = status.plan.expect("a plan");
    (plan.digest, condition.reason.clone(), condition.message.clone())
}

/// Makes accounts of these employees that existed before the integration, with other first names.
async fn accounts_from_before(story: &Story, count: usize) {
    let accounts: Vec<_> = (0..count)
        .map(|number| {
            let email = format!("robin.{number}@example.com");
            json!({"email": email, "username": email, "firstname": "R.", "lastname": "Vale", "status": 1})
        })
        .collect();
    story.simulated.post("/onelogin/users", json!(accounts)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_pass_did_counts_in_no_later_budget_but_for_suspensions() {
    let story = Story::begin("first", 4).await;
    let people = staff(&story, 80).await;
    // 60 are adopted and updated, 20 are made. Six of the 60 have left.
    accounts_from_before(&story, 60).await;
    leave(&story, &people[..5]).await;
    let budgets = json!({"safety": {
        "creates": {"max": "10%", "atLeast": 10}, "updates": {"max": "0%", "atLeast": 20}, "disables": {"max": "0%", "atLeast": 5},
        "fieldBlackout": {"max": "100%"},
    }});
    let controller = Controller::start(&story).await;
    story.integrate(budgets.clone()).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 5);

    // A mover and a joiner of the same day, also in a process that knows only the statuses.
    story.simulated.change(&people[10], json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&people[10]).await.unwrap()["title"], "Keeper of Lamps");
    controller.stop().await;
    let _controller = Controller::start(&story).await;
    let joiner = story
        .simulated
        .hire(json!({"root.firstName": "Jo", "root.surname": "Ner", "root.email": "jo.ner@example.com",
        "work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active",
        "internal.terminationDate": null, "employee.lastDayOfWork": null}))
        .await;
    story.simulated.change(&people[11], json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    story.ready("Converged").await;
    assert!(story.simulated.account(&joiner).await.is_some());

    // The suspensions of the first pass have spent their budget, and two of the updates are spent.
    leave(&story, &people[5..6]).await;
    for id in &people[20..39] {
        story.simulated.change(id, json!({"work.title": "Miller"})).await;
    }
    story.ask().await;
    let (_, reason, message) = held(&story.ready("PlanHeld").await);
    assert_eq!(reason, "BudgetExceeded");
    assert!(
        message.contains("1 suspension planned, 5 done")
            && message.contains("19 updates planned, 2 done"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_leavers_waits_for_a_person_and_the_rest_flows() {
    let story = Story::begin("flood", 4).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.simulated.change(&people[20], json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    let integration = story.ready("PlanHeld").await;
    let (digest, reason, message) = held(&integration);
    assert_eq!(reason, "BudgetExceeded");
    assert!(
        message.contains("8 suspensions planned")
            && message.contains("the limit is 5")
            && message.contains(&digest),
        "{message}"
    );
    assert_eq!(suspended(&story, &people).await, 0, "a flood has no first victims");
    assert_eq!(
        story.simulated.account(&people[20]).await.unwrap()["title"],
        "Keeper of Lamps",
        "the other kinds flow"
    );
    let person = story.person(&people[0]).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Held".into()));
    assert!(condition(&person, "Ready").unwrap().2.contains("suspend the account"));

    // The same data in another process gives the same digest. A wrong digest releases nothing.
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    story.sync().await;
    assert_eq!(held(&story.ready("PlanHeld").await).0, digest);
    approve(&story, &format!("sha256:{}", "0".repeat(64)), "somebody").await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);

    // One requested suspension passes while the window has room. The plan is another one after
    // that.
    let patch = Patch::Merge(
        json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "now"}}}),
    );
    story
        .people()
        .patch(&format!("onelogin-{}", people[0]), &PatchParams::default(), &patch)
        .await
        .unwrap();
    until("the one is suspended", || async {
        let count = suspended(&story, &people).await;
        if count == 1 { Ok(()) } else { Err(format!("{count} are suspended")) }
    })
    .await;
    story.sync().await;
    let rest = held(&story.ready("PlanHeld").await).0;
    assert_ne!(rest, digest);
    approve(&story, &digest, "jane").await;
    story.sync().await;
    assert_eq!(
        suspended(&story, &people).await,
        1,
        "the plan that was approved is not the plan any more"
    );

    approve(&story, &rest, "jane").await;
    let integration = story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 8);
    let approved = integration.status.unwrap().approved.unwrap();
    assert_eq!((approved.digest.as_str(), approved.by.as_deref()), (rest.as_str(), Some("jane")));
    let history = story.person(&people[1]).await.unwrap().status.unwrap().history;
    assert_eq!(history[0].plan.as_deref(), Some(rest.as_str()));

    // Approved suspensions did not use the window; the requested one did. Four more fit, two do
    // not.
    leave(&story, &people[8..12]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 12);
    leave(&story, &people[12..13]).await;
    story.sync().await;
    let integration = story.ready("PlanHeld").await;
    assert!(
        held(&integration).2.contains("1 suspension planned, 5 done"),
        "{}",
        held(&integration).2
    );
    // The cause is gone: nothing is held.
    story
        .simulated
        .change(
            &people[12],
            json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
        )
        .await;
    story.sync().await;
    let integration = story.ready("Converged").await;
    assert!(integration.status.unwrap().plan.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_a_guard_would_hold() {
    let story = Story::begin("would-hold", 2).await;
    let people = staff(&story, 30).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    story.integrate(json!({"mode": "DryRun"})).await;
    story.ready("DryRun").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let status = story.ready("DryRun").await.status.unwrap();
    let said = &conditions::find(&status.conditions, "Ready").unwrap().message;
    assert!(said.contains("suspend 8 accounts; a guard would hold part of it: BudgetExceeded: 8 suspensions planned"), "{said}");
    assert_eq!(suspended(&story, &people).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creations_have_a_budget_where_one_is_set_and_adoption_can_be_off() {
    let story = Story::begin("creates", 2).await;
    story
        .simulated
        .post(
            "/onelogin/users",
            json!({"email": "robin.0@example.com", "username": "robin.0@example.com", "status": 1}),
        )
        .await;
    let first = staff(&story, 1).await;
    let _controller = Controller::start(&story).await;
    let safety = json!({"creates": {"max": "0%", "atLeast": 3, "per": "24h"}, "adoption": "Never"});
    story.integrate(json!({"safety": safety})).await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&first[0]).await, "Conflict");
    let why = condition(&story.person(&first[0]).await.unwrap(), "Ready").unwrap().2;
    assert!(
        why.contains("with spec.safety.adoption: Never an account without a mark is not adopted"),
        "{why}"
    );
    assert!(story.simulated.account(&first[0]).await.is_none());
    let before = story.simulated.accounts().await.len();
    let mut spec = json!({"root.email": "many.0@example.com", "work.startDate": "2022-03-01"});
    for number in 0..30 {
        spec["root.email"] = format!("many.{number}@example.com").into();
        story.simulated.hire(spec.clone()).await;
    }
    story.sync().await;
    let integration = story.ready("PlanHeld").await;
    assert_eq!(integration.status.unwrap().plan.unwrap().creates, 30);
    assert_eq!(story.simulated.accounts().await.len(), before);
    // The API server refuses an invalid budget.
    let bad = Patch::Merge(json!({"spec": {"safety": {"disables": {"max": "5"}}}}));
    assert!(story.integrations().patch("onelogin", &PatchParams::default(), &bad).await.is_err());
    story.integrate(json!({"safety": {"creates": null, "adoption": "MatchByEmail"}})).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.accounts().await.len(), before + 30);
    assert_eq!(story.reason(&first[0]).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attribute_that_would_be_blanked_for_everybody_freezes_and_thaws_by_itself() {
    let story = Story::begin("blackout", 2).await;
    let people = staff(&story, 30).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let before = story.simulated.account(&people[3]).await.unwrap();
    for id in &people[..20] {
        story.simulated.change(id, json!({"work.department": null})).await;
    }
    story.simulated.change(&people[3], json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    let integration = story.ready("PlanHeld").await;
    let (digest, reason, message) = held(&integration);
    assert_eq!(reason, "FieldBlackout");
    assert!(
        message.contains("department (from work.department) would change for 20 employees"),
        "{message}"
    );
    let account = story.simulated.account(&people[3]).await.unwrap();
    assert_eq!(
        (&account["department"], &account["title"]),
        (&before["department"], &json!("Keeper of Lamps")),
        "the rest flows"
    );
    assert_eq!(story.reason(&people[3]).await, "Frozen");
    assert_eq!(story.reason(&people[25]).await, "InSync");
    // For most of them the cause goes away by itself.
    for id in &people[..15] {
        story.simulated.change(id, json!({"work.department": before["department"]})).await;
    }
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(
        story.simulated.account(&people[18]).await.unwrap()["department"]
            .as_str()
            .unwrap_or_default(),
        "",
        "five are no blackout"
    );
    assert_eq!(story.reason(&people[3]).await, "InSync");
    // Or a person approves.
    for id in &people[..15] {
        story.simulated.change(id, json!({"work.department": "Lighthouses"})).await;
    }
    story.sync().await;
    let next = held(&story.ready("PlanHeld").await).0;
    assert_ne!(next, digest);
    approve(&story, &next, "jane").await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.account(&people[3]).await.unwrap()["department"], "Lighthouses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_plan_of_leavers_stays_and_can_be_approved_while_bob_hides_them() {
    let story = Story::begin("flood-hidden", 4).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let digest = held(&story.ready("PlanHeld").await).0;
    let visible = json!({"visibleLifecycles": ["Hired", "Employed", "Garden leave", "Leave"], "outOfSight": "forbidden"});
    story.simulated.put("/bob/permissions", visible).await;
    story.sync().await;
    let hidden = held(&story.ready("SourceSuspect").await);
    assert_eq!(
        (hidden.0.as_str(), hidden.1.as_str()),
        (digest.as_str(), "BudgetExceeded"),
        "{}",
        hidden.2
    );
    // Another process has only what is on record.
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    story.sync().await;
    assert_eq!(held(&story.ready("SourceSuspect").await).0, digest);
    assert_eq!(story.reason(&people[0]).await, "Held");
    assert_eq!(suspended(&story, &people).await, 0);
    approve(&story, &digest, "jane").await;
    until("the plan goes out", || async {
        let count = suspended(&story, &people).await;
        if count == 8 { Ok(()) } else { Err(format!("{count} are suspended")) }
    })
    .await;
}
