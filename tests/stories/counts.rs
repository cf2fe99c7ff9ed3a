//! `kubectl get pi` agrees with `kubectl get esync` after every kind of pass, and says when a
//! budget has room again.

use std::collections::BTreeMap;

use bobsync::api::{
    ProvisioningIntegrationStatus, conditions,
    employee_sync::Access,
    integration::{BudgetState, EmployeeCounts},
    reasons::EmployeeReason,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    budgets::{held, leave, staff, suspended},
    support::{Controller, Moving, Story, ready, until},
};

pub async fn status(story: &Story) -> ProvisioningIntegrationStatus {
    story.integration().await.status.unwrap_or_default()
}

pub fn said(status: &ProvisioningIntegrationStatus, kind: &str) -> (String, String, String) {
    let condition = conditions::find(&status.conditions, kind).expect("the condition");
    (condition.status.clone(), condition.reason.clone(), condition.message.clone())
}

/// Returns the counts of the EmployeeSyncs, as a reader of `kubectl get esync` would add them up.
async fn sums(story: &Story) -> (EmployeeCounts, BTreeMap<String, u32>) {
    let (mut counts, mut reasons) = (EmployeeCounts::default(), BTreeMap::new());
    for person in story.everybody().await {
        let status = person.status.clone().unwrap_or_default();
        let (yes, reason) = ready(&person);
        // No account is protected in these stories, so hands off comes from the EmployeeSync.
        let nothing = status.access.is_none()
            || status.access == Some(Access::Unmanaged)
            || reason == "HandsOff";
        if nothing || status.access == Some(Access::Absent) && yes == "True" {
            continue;
        }
        counts.in_scope += 1;
        match &*reason {
            _ if yes == "True" => counts.ready += 1,
            "Pending" => counts.pending += 1,
            "Held" => counts.held += 1,
            "Frozen" => counts.frozen += 1,
            _ => {
                counts.failing += 1;
                *reasons.entry(reason).or_default() += 1;
            }
        }
    }
    (counts, reasons)
}

/// Waits until the integration's counts are those of its EmployeeSyncs, and `holds` accepts them.
pub async fn agree(
    story: &Story,
    what: &str,
    holds: impl Fn(&EmployeeCounts) -> bool,
) -> ProvisioningIntegrationStatus {
    until(what, || async {
        let (wanted, reasons) = sums(story).await;
        let status = status(story).await;
        let counts = status.employees.clone().unwrap_or_default();
        let told = EmployeeCounts { in_bob: 0, ..counts.clone() };
        let failing = said(&status, "EmployeesFailing");
        let names_all =
            reasons.iter().all(|(reason, count)| failing.2.contains(&format!("{count} {reason}")));
        if told == wanted
            && holds(&counts)
            && names_all
            && (failing.0 == "True") == (counts.failing > 0)
        {
            Ok(status)
        } else {
            Err(format!("{wanted:?} {reasons:?} {counts:?} {failing:?}"))
        }
    })
    .await
}

pub fn gauge(metrics: &str, state: &str) -> Option<u32> {
    let line = metrics.lines().find(|line| {
        line.starts_with("bobsync_employees{") && line.contains(&format!("state=\"{state}\""))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn request(story: &Story, employee: &str, value: &str) {
    let patch = Patch::Merge(
        json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": value}}}),
    );
    story
        .people()
        .patch(&format!("onelogin-{employee}"), &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_gauges_follow_passes_over_single_people() {
    let story = Story::begin("counts", 2).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    let before = agree(&story, "all are in sync", |counts| counts.failing == 0).await;
    let (all, passed) = (before.employees.unwrap().ready, before.last_pass.unwrap().finished_at);

    story.simulated.change(&people[0], json!({"work.title": "x".repeat(300)})).await;
    request(&story, &people[0], "refused").await;
    until("one is rejected", || async {
        let reason = story.reason(&people[0]).await;
        if reason == "Rejected" { Ok(()) } else { Err(reason) }
    })
    .await;
    let began = std::time::Instant::now();
    let after =
        agree(&story, "one fails", |counts| counts.failing == 1 && counts.ready == all - 1).await;
    assert!(began.elapsed().as_secs() < 7, "at most five seconds later: {:?}", began.elapsed());
    assert_eq!(said(&after, "Ready").1, "Converged", "who fails does not hold up a pipeline");
    assert_eq!(
        said(&after, "Ready").2,
        format!("{} of {all} employees in scope are in sync, 1 fails.", all - 1)
    );
    let metrics = controller.metrics().await;
    assert_eq!(
        (gauge(&metrics, "failing"), gauge(&metrics, "in_sync")),
        (Some(1), Some(all - 1)),
        "{metrics}"
    );

    story.simulated.change(&people[0], json!({"work.title": "Keeper of Lamps"})).await;
    request(&story, &people[0], "corrected").await;
    let after =
        agree(&story, "none fails", |counts| counts.failing == 0 && counts.ready == all).await;
    assert_eq!(gauge(&controller.metrics().await, "failing"), Some(0));
    let last = until("the partial pass is the last one that changed anything", || async {
        let last = status(&story).await.last_pass.unwrap();
        if last.updated == 1 { Ok(last) } else { Err(format!("{last:?}")) }
    })
    .await;
    assert!(last.finished_at.0 >= passed.0 && after.employees.unwrap().in_bob >= all, "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_held_or_frozen_does_not_fail_and_a_held_plan_follows_single_passes() {
    let story = Story::begin("counts-held", 2).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    for id in &people[8..20] {
        story.simulated.change(id, json!({"work.department": "Lamps"})).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    let status = agree(&story, "8 are held, 12 are frozen", |counts| {
        (counts.held, counts.frozen, counts.failing) == (8, 12, 0)
    })
    .await;
    let metrics = controller.metrics().await;
    let states = ["held", "frozen", "failing"].map(|state| gauge(&metrics, state));
    assert_eq!(states, [Some(8), Some(12), Some(0)], "{metrics}");
    let (_, _, message) = said(&status, "PlanHeld");
    assert!(message.starts_with("FieldBlackout: the target department"), "{message}");
    assert!(message.contains("; BudgetExceeded: 8 suspensions planned"), "{message}");
    assert!(!message.contains('\n'), "{message}");

    // One of them does not leave after all, and no full pass is requested.
    story
        .simulated
        .change(
            &people[0],
            json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
        )
        .await;
    request(&story, &people[0], "stays").await;
    agree(&story, "seven are held", |counts| counts.held == 7).await;
    until("the plan holds seven", || async {
        let plan = self::status(&story).await.plan.unwrap();
        if plan.disables == 7 { Ok(()) } else { Err(format!("{plan:?}")) }
    })
    .await;
    assert_eq!(suspended(&story, &people).await, 0);
}

/// Makes a second integration for the same tenant.
async fn second(story: &Story, spec: Value) -> ProvisioningIntegrationStatus {
    let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "second"}, "spec": spec});
    let patch = Patch::Apply(object);
    let generation = story
        .integrations()
        .patch("second", &PatchParams::apply("story").force(), &patch)
        .await
        .unwrap()
        .metadata
        .generation;
    until("the second integration is through", || async {
        let status = story.integrations().get("second").await.unwrap().status.unwrap_or_default();
        if status.observed_generation == generation {
            Ok(status)
        } else {
            Err(format!("{:?}", status.conditions))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_all_of_whose_employees_another_one_manages_is_not_ready() {
    let story = Story::begin("taken", 2).await;
    let people = staff(&story, 6).await;
    let _controller = Controller::start(&story).await;
    let first = story
        .integrate(json!({"provisioning": {"scope": "employee.root.firstName == 'Robin'"}}))
        .await;
    story.ready("Converged").await;
    let mut spec = serde_json::to_value(&first.spec).unwrap();
    let status = second(&story, spec.clone()).await;
    let (yes, reason, message) = said(&status, "Ready");
    assert_eq!((&*yes, &*reason), ("False", "TenantTaken"), "{message}");
    assert!(message.contains(&format!("{}/onelogin", story.namespace)), "{message}");
    assert_eq!(said(&status, "Stalled").0, "True");
    assert_eq!(status.employees.unwrap().failing, 6);

    // It also has one employee of its own.
    let own = story.simulated.hire(json!({"root.firstName": "Kim", "root.email": "kim@example.com", "work.startDate": "2022-03-01"})).await;
    spec["provisioning"]["scope"] = json!("employee.root.firstName in ['Robin', 'Kim']");
    let status = second(&story, spec).await;
    assert_eq!(said(&status, "Ready").1, "Converged", "{:?}", status.conditions);
    let counts = status.employees.unwrap();
    assert_eq!((counts.ready, counts.failing), (1, 6));
    assert!(
        story.simulated.account(&own).await.is_some() && story.reason(&people[0]).await == "InSync"
    );
}

/// Returns the spec of a second integration with employees that the first one manages.
async fn taken(story: &Story) -> Value {
    story
        .secret("bob-first", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "bob-token-1")])
        .await;
    let first = json!({"interval": "24h", "bob": {"credentialsSecretRef": {"name": "bob-first"}}});
    let first = story.integrate(first).await;
    story.ready("Converged").await;
    let mut spec = serde_json::to_value(&first.spec).unwrap();
    spec["bob"]["credentialsSecretRef"]["name"] = json!("bob");
    assert_eq!(said(&second(story, spec.clone()).await, "Ready").1, "TenantTaken");
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_employee_changes_hands_when_the_older_integration_is_applied_again() {
    let story = Story::begin("again", 2).await;
    let people = staff(&story, 4).await;
    let _controller = Controller::start(&story).await;
    let mut spec = taken(&story).await;
    story.integrations().delete("onelogin", &DeleteParams::background()).await.unwrap();
    until("it is gone", || async {
        let there = story.integrations().get_opt("onelogin").await.unwrap().is_some()
            || story.person(&people[0]).await.is_some();
        if there { Err("it is there".to_owned()) } else { Ok(()) }
    })
    .await;
    story
        .integrate(
            json!({"interval": "24h", "bob": {"credentialsSecretRef": {"name": "bob-first"}}}),
        )
        .await;
    let status = story.ready("Converged").await.status.unwrap();
    let counts = status.employees.unwrap();
    assert_eq!(
        (counts.failing, counts.ready),
        (0, counts.in_scope),
        "it is the younger one now, and keeps its people"
    );
    spec["interval"] = json!("11m");
    assert_eq!(
        said(&second(&story, spec).await, "Ready").1,
        "TenantTaken",
        "the other one has looked again"
    );
    assert_eq!(story.reason(&people[0]).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_gets_out_although_the_integration_that_manages_the_employee_can_do_nothing() {
    let story = Story::begin("idle-elder", 2).await;
    let people = staff(&story, 4).await;
    let _controller = Controller::start(&story).await;
    let mut spec = taken(&story).await;
    story
        .secret("bob-first", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "wrong")])
        .await;
    story.ready("BobUnauthorized").await;
    leave(&story, &people[..1]).await;
    story.simulated.change(&people[1], json!({"work.title": "Keeper of Lamps"})).await;
    spec["interval"] = json!("11m");
    let status = second(&story, spec).await;
    assert_eq!(suspended(&story, &people).await, 1, "{:?}", status.conditions);
    let other = story.simulated.account(&people[1]).await.unwrap();
    assert_ne!(other["title"], "Keeper of Lamps", "nothing is handed over but what a leaver needs");
    let reason =
        async |id: &str| ready(&story.people().get(&format!("second-{id}")).await.unwrap()).1;
    assert_eq!(reason(&people[1]).await, "Conflict");
    assert_ne!(reason(&people[0]).await, "Conflict");
}

/// A provider that refuses every write is a matter of the settings, and not of each employee.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_all_of_whose_employees_fail_for_one_cause_is_not_ready_until_it_ends() {
    let story = Story::begin("one-cause", 2).await;
    let people = staff(&story, 4).await;
    let _controller = Controller::start(&story).await;
    let robins = json!({"scope": "employee.root.firstName == 'Robin'"});
    let row = |target: &str, field: &str| json!({"target": target, "field": field});
    let base = [row("email", "root.email"), row("username", "root.email")];
    let broken = json!({"target": "company", "cel": "employee.root.firstName + [1][7]"});
    let mapping = |more: Option<Value>| Value::Array(base.iter().cloned().chain(more).collect());
    story
        .integrate(
            json!({"interval": "24h", "provisioning": robins, "mapping": mapping(Some(broken))}),
        )
        .await;
    let status = story.ready("InvalidSettings").await.status.unwrap();
    let (_, _, message) = said(&status, "Ready");
    assert!(
        message.starts_with("All 4 employees in scope fail") && message.contains("MappingFailed"),
        "{message}"
    );
    assert_eq!(story.reason(&people[0]).await, "MappingFailed");
    story.integrate(json!({"mapping": mapping(None)})).await;
    let status = story.ready("Converged").await.status.unwrap();
    assert_eq!(said(&status, "Stalled").0, "False");
}

fn later(at: &Timestamp) -> String {
    at.checked_add(SignedDuration::from_secs(1)).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_budget_says_how_it_stands_and_when_it_has_room_again() {
    let story = Story::begin("room", 2).await;
    let people = staff(&story, 30).await;
    let controller = Moving::start(&story, "2026-11-24T09:00:00Z").await;
    // The status shows the settings in force if the spec leaves them out.
    story.integrate(json!({"interval": "24h", "safety": {"disables": {}}})).await;
    let status = story.ready("Converged").await.status.unwrap();
    let budgets = status.budgets.unwrap();
    let limits = [&budgets.disables, &budgets.reactivations, &budgets.updates]
        .map(|state| state.as_ref().unwrap().limit);
    assert_eq!((limits, budgets.creates), ([5, 10, 20], None));

    leave(&story, &people[..4]).await;
    story.sync().await;
    controller.to(&story, "2026-11-24T10:00:00Z").await;
    leave(&story, &people[4..5]).await;
    request(&story, &people[4], "leaves").await;
    let spent =
        |status: &ProvisioningIntegrationStatus| status.budgets.clone().unwrap().disables.unwrap();
    let state = until("the partial pass counts", || async {
        let state = spent(&self::status(&story).await);
        if state.done == 5 { Ok(state) } else { Err(format!("{state:?}")) }
    })
    .await;
    assert_eq!((state.limit, state.planned), (5, 0));
    let opens: Timestamp = state.opens_at.expect("no room now").0;
    assert!(opens.to_string().starts_with("2026-11-25T09:00:"), "{opens}");

    leave(&story, &people[5..6]).await;
    story.sync().await;
    let status = story.ready("PlanHeld").await.status.unwrap();
    assert_eq!(
        spent(&status),
        BudgetState {
            limit: 5,
            done: 5,
            planned: 1,
            opens_at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(opens))
        }
    );
    assert_eq!(suspended(&story, &people).await, 5);
    // No sync is requested: the time has come.
    controller.to(&story, &later(&opens)).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 6);
    leave(&story, &people[6..14]).await;
    story.sync().await;
    let integration = story.ready("PlanHeld").await;
    let state = spent(integration.status.as_ref().unwrap());
    assert_eq!(
        (state.planned, &state.opens_at),
        (8, &None),
        "more than the limit: a person has to approve it"
    );
    assert!(held(&integration).2.contains("8 suspensions planned"));
    controller.stop().await;
}

/// A first pass with many employees reports them in one event, and reports every warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_over_many_publishes_few_events_and_every_warning() {
    let story = Story::begin("few-events", 2).await;
    staff(&story, 60).await;
    // A required value: 1, 10 to 19, 2, and 20 to 29.
    let rules =
        ["robin.1", "robin.2"].map(|contains| json!({"field": "email", "contains": contains}));
    story.simulated.put("/onelogin/refuse", json!({"rules": rules})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let events: Api<Event> = Api::namespaced(story.client.clone(), &story.namespace);
    let of = async |reason: &str, kind: &str| {
        let all = events.list(&ListParams::default()).await.expect("a list").items;
        let about = |event: &Event| event.regarding.as_ref().and_then(|about| about.kind.clone());
        let matching = all.into_iter().filter(|event| {
            event.reason.as_deref() == Some(reason) && about(event).as_deref() == Some(kind)
        });
        matching.map(|event| event.note.unwrap_or_default()).collect::<Vec<_>>()
    };
    let summary = until("the summary is there", || async {
        let said = of("AccountCreated", "ProvisioningIntegration").await;
        if said.is_empty() { Err("none".to_owned()) } else { Ok(said) }
    })
    .await;
    assert_eq!(summary.len(), 1);
    assert!(summary[0].starts_with("40 employees in one pass; 20 of them"), "{summary:?}");
    assert_eq!(of("AccountCreated", "EmployeeSync").await.len(), 20);
    until("every refusal is told", || async {
        let told = of("Rejected", "EmployeeSync").await.len();
        if told == 22 { Ok(()) } else { Err(format!("{told}")) }
    })
    .await;
}

#[test]
fn every_reason_that_fails_is_one_of_the_closed_list() {
    let not_failing = ["Pending", "Held", "Frozen"];
    for reason in EmployeeReason::ALL {
        let told = not_failing.contains(&reason.as_str()) || reason.is_ready();
        assert_eq!(reason.is_failure(), !told, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_sites_and_of_hidden_fields_follows_passes_over_single_people() {
    let story = Story::begin("company", 2).await;
    let people = staff(&story, 12).await;
    for (number, employee) in story.simulated.employees().await.iter().enumerate() {
        let site = if number == 0 { "Auckland" } else { "Berlin" };
        story
            .simulated
            .change(employee["root.id"].as_str().unwrap(), json!({"work.site": site}))
            .await;
    }
    let _controller = Controller::start(&story).await;
    story.simulated.put("/bob/permissions", json!({"hiddenFields": ["work.title"]})).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    let before = status(&story).await;
    assert_eq!(
        said(&before, "TimeZonesComplete").0,
        "True",
        "{:?}",
        said(&before, "TimeZonesComplete")
    );
    assert_eq!(
        said(&before, "MappingComplete").1,
        "SourceUnavailable",
        "{:?}",
        said(&before, "MappingComplete")
    );
    let searches = story.simulated.calls("onelogin", "GET /api/2/users").await;

    // One moves to a site without a zone, and Bob shows titles again: no caller asks for a full pass.
    story.simulated.put("/bob/permissions", json!({})).await;
    story.simulated.change(&people[0], json!({"work.site": "Tokyo"})).await;
    request(&story, &people[0], "moved").await;
    let began = std::time::Instant::now();
    until("both follow", || async {
        let status = status(&story).await;
        let (zones, mapping) =
            (said(&status, "TimeZonesComplete"), said(&status, "MappingComplete"));
        if zones.0 == "False" && zones.2.contains("Tokyo (1)") && mapping.1 == "Complete" {
            Ok(())
        } else {
            Err(format!("{zones:?} {mapping:?}"))
        }
    })
    .await;
    assert!(began.elapsed() < std::time::Duration::from_secs(12), "{:?}", began.elapsed());
    story.simulated.change(&people[0], json!({"work.site": "Berlin"})).await;
    request(&story, &people[0], "back").await;
    until("the site is gone", || async {
        let zones = said(&status(&story).await, "TimeZonesComplete");
        if zones.0 == "True" { Ok(()) } else { Err(format!("{zones:?}")) }
    })
    .await;
    assert_eq!(
        story.simulated.calls("onelogin", "GET /api/2/users").await,
        searches,
        "no full pass"
    );
}
