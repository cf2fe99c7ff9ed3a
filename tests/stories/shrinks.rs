//! A setting that takes too many employees out of management at once: they stay managed until a
//! person approves it.

use bobsync::api::{ProvisioningIntegration, employee_sync::Access};
use serde_json::{Value, json};

use crate::{
    budgets::{held, staff},
    support::{Controller, Story, until},
};

async fn unmanaged(story: &Story) -> usize {
    let status = |person: &bobsync::api::EmployeeSync| {
        person.status.as_ref().and_then(|status| status.access)
    };
    story
        .everybody()
        .await
        .iter()
        .filter(|person| status(person) == Some(Access::Unmanaged))
        .count()
}

fn in_scope(integration: &ProvisioningIntegration) -> u32 {
    integration
        .status
        .as_ref()
        .and_then(|status| status.employees.as_ref())
        .map_or(0, |employees| employees.in_scope)
}

async fn leave(story: &Story, id: &str) {
    let left = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(id, left).await;
}

async fn until_state(story: &Story, id: &str, state: u32) {
    until("the account is in this state", || async {
        let account = story.simulated.account(id).await.unwrap();
        if account["status"] == state { Ok(()) } else { Err(account.to_string()) }
    })
    .await;
}

fn domains(list: &[&str]) -> Value {
    json!({"provisioning": {"emailDomains": list}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misspelt_domain_takes_nobody_out_of_management_and_leavers_still_lose_access() {
    let story = Story::begin("shrink", 4).await;
    let people = staff(&story, 200).await;
    let mut controller = Controller::start(&story).await;
    story.integrate(domains(&["example.com"])).await;
    let managed = in_scope(&story.ready("Converged").await);
    let before = unmanaged(&story).await;
    story.integrate(domains(&["exmaple.com"])).await;
    leave(&story, &people[0]).await;
    let integration = story.ready("PlanHeld").await;
    let (digest, reason, message) = held(&integration);
    assert_eq!(reason, "ScopeShrink");
    assert!(
        message.contains("by provisioning.emailDomains") && message.contains(&digest),
        "{message}"
    );
    assert_eq!((unmanaged(&story).await, in_scope(&integration)), (before, managed));
    until_state(&story, &people[0], 2).await;

    // A leaver and a mover after that, and a new process.
    leave(&story, &people[1]).await;
    story.simulated.change(&people[2], json!({"work.title": "Keeper of Lamps"})).await;
    controller.stop().await;
    controller = Controller::start(&story).await;
    story.sync().await;
    until_state(&story, &people[1], 2).await;
    assert_eq!(story.simulated.account(&people[2]).await.unwrap()["title"], "Keeper of Lamps");
    assert_eq!(
        (unmanaged(&story).await, held(&story.ready("PlanHeld").await).1),
        (before, "ScopeShrink".to_owned())
    );

    // The setting is corrected: nothing is held, and no employee has lost access.
    story.integrate(domains(&["example.com"])).await;
    story.ready("Converged").await;
    assert_eq!(unmanaged(&story).await, before);

    // The setting is wanted: with the digest they leave management, and an old digest releases
    // nothing later.
    story.integrate(domains(&["exmaple.com"])).await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    let approved =
        json!({"provisioning": {"emailDomains": ["exmaple.com"]}, "approvedPlan": digest});
    story.integrate(approved).await;
    story.ready("Converged").await;
    let active = people.len() - 2;
    assert!(unmanaged(&story).await >= active, "{}", unmanaged(&story).await);
    let status = story.integration().await.status.unwrap();
    assert_eq!(
        status.approved.map(|approved| (approved.digest, approved.leaving)),
        Some((digest.clone(), false))
    );
    story
        .integrate(
            json!({"provisioning": {"emailDomains": ["example.com"]}, "approvedPlan": digest}),
        )
        .await;
    story.ready("Converged").await;
    story
        .integrate(
            json!({"provisioning": {"emailDomains": ["exmaple.com"]}, "approvedPlan": digest}),
        )
        .await;
    let (again, reason, _) = held(&story.ready("PlanHeld").await);
    assert_eq!(reason, "ScopeShrink");
    assert_ne!(again, digest);
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_leave_the_scope_at_once_and_a_flood_in_bob_does_not() {
    let story = Story::begin("drip", 4).await;
    let people = staff(&story, 40).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provisioning": {"scope": "employee.work.site != 'Berlin'"}})).await;
    story.ready("Converged").await;
    for id in &people[..9] {
        story.simulated.change(id, json!({"work.site": "Berlin"})).await;
    }
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&people[0]).await, "OutOfScope");
    for id in &people[9..30] {
        story.simulated.change(id, json!({"work.site": "Berlin"})).await;
    }
    story.ask().await;
    let (_, reason, message) = held(&story.ready("PlanHeld").await);
    assert_eq!(reason, "ScopeShrink");
    assert!(
        message.contains("21 by provisioning.scope") && message.contains("the limit is 10"),
        "{message}"
    );
    assert_eq!(story.reason(&people[9]).await, "InSync");
    // A look at one of them does not release it either.
    let asked = json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "now"}}});
    let name = format!("onelogin-{}", people[9]);
    story
        .people()
        .patch(&name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(asked))
        .await
        .unwrap();
    until("the sync request is answered", || async {
        let handled = story
            .person(&people[9])
            .await
            .and_then(|person| person.status)
            .and_then(|status| status.last_handled_sync_at);
        if handled.as_deref() == Some("now") { Ok(()) } else { Err(format!("{handled:?}")) }
    })
    .await;
    assert_eq!(story.reason(&people[9]).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_that_the_scope_would_be_held() {
    let story = Story::begin("dryshrink", 4).await;
    staff(&story, 30).await;
    let _controller = Controller::start(&story).await;
    story.integrate(domains(&["example.com"])).await;
    story.ready("Converged").await;
    let before = unmanaged(&story).await;
    story
        .integrate(json!({"mode": "DryRun", "provisioning": {"emailDomains": ["exmaple.com"]}}))
        .await;
    let integration = story.ready("DryRun").await;
    let status = integration.status.unwrap();
    let ready = bobsync::api::conditions::find(&status.conditions, "Ready").unwrap();
    assert!(ready.message.contains("would leave management at once"), "{}", ready.message);
    assert_eq!(unmanaged(&story).await, before);
}
