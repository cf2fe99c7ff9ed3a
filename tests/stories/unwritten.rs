//! An EmployeeSync that the API server refuses, passes that are cut off, and requests that the next
//! process answers.

use std::time::{Duration, Instant};

use bobsync::api::conditions;
use serde_json::{Value, json};

use crate::{
    attempts::{SECRET, deliver, hooked},
    budgets::{leave, staff},
    support::{Controller, Story, until},
};

/// Returns a policy that refuses this operation on objects of this name in the story's namespace.
fn policy(story: &Story, operation: &str, resource: &str, name: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {namespace}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
    resourceRules: [{{apiGroups: [bobsync.dev], apiVersions: [v1alpha1], operations: [{operation}], resources: [{resource}]}}]
  validations: [{{expression: "object.metadata.name != '{name}'", message: "this name is not allowed"}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {namespace}}}
spec: {{policyName: {namespace}, validationActions: [Deny]}}
"#,
        namespace = story.namespace,
    )
}

/// Takes the policy away.
async fn allow(story: &Story) {
    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        let deleted =
            story.plane.kubectl(&["delete", kind, &story.namespace]).await.expect("kubectl runs");
        assert!(deleted.status.success());
    }
}

/// Applies a policy that refuses to create objects of this name, and waits until it works.
async fn refuse(story: &Story, name: &str) {
    let policy = policy(story, "CREATE", "employeesyncs", name);
    story.plane.apply_yaml(&policy).await.expect("a policy");
    let object: bobsync::api::EmployeeSync = serde_json::from_value(json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": name},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": name.trim_start_matches("onelogin-")},
    }))
    .expect("an object");
    let dry = kube::api::PostParams { dry_run: true, ..kube::api::PostParams::default() };
    until("the policy is at work", || async {
        match story.people().create(&dry, &object).await {
            Err(kube::Error::Api(status)) if status.message.contains("not allowed") => Ok(()),
            other => Err(format!("{:?}", other.map(|_| ()))),
        }
    })
    .await;
}

/// Applies a policy that refuses to write the status of the object of this name, and waits until it
/// works.
async fn refuse_status(story: &Story, name: &str) {
    let policy = policy(story, "UPDATE", "employeesyncs/status", name);
    story.plane.apply_yaml(&policy).await.expect("a policy");
    let dry = kube::api::PatchParams { dry_run: true, ..kube::api::PatchParams::default() };
    until("the policy is at work", || async {
        let patch = kube::api::Patch::Merge(json!({"status": {"lastHandledSyncAt": "never"}}));
        match story.people().patch_status(name, &dry, &patch).await {
            Err(kube::Error::Api(status)) if status.message.contains("not allowed") => Ok(()),
            other => Err(format!("{:?}", other.map(|_| ()))),
        }
    })
    .await;
}

fn condition(status: &bobsync::api::ProvisioningIntegrationStatus, kind: &str) -> (String, String) {
    let condition = conditions::find(&status.conditions, kind).expect("a condition");
    (condition.reason.clone(), condition.message.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_a_policy_refuses_is_a_failing_employee_and_budgets_hold() {
    let story = Story::begin("unwritten", 0).await;
    let people = staff(&story, 30).await;
    let refused = format!("onelogin-{}", people[7]);
    refuse(&story, &refused).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "safety": {"creates": {"max": "0%", "atLeast": 1, "per": "24h"}}})).await;
    let status = story.ready("Converged").await.status.expect("a status");
    let counts = status.employees.clone().expect("counts");
    assert_eq!((counts.in_scope, counts.failing), (30, 1));
    let (reason, message) = condition(&status, "EmployeesFailing");
    assert_eq!(reason, "SomeFailing");
    assert!(
        message.contains(&refused) && message.contains("ValidatingAdmissionPolicy"),
        "{message}"
    );
    assert!(
        message.contains("NotRecorded") && message.contains("this name is not allowed"),
        "{message}"
    );
    assert!(status.first_pass_at.is_some());
    assert_eq!(story.simulated.accounts().await.len(), 30);

    for number in 0..6 {
        let joiner = json!({
            "root.firstName": "Mio", "root.surname": "Dale", "root.email": format!("mio.{number}@example.com"), "work.startDate": "2022-03-01",
            "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
        });
        story.simulated.hire(joiner).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    assert_eq!(story.simulated.accounts().await.len(), 30, "six are more than one");

    allow(&story).await;
    until("it is written by itself, and told no more", || async {
        let object = story.person(&people[7]).await.is_some();
        let message =
            condition(&story.integration().await.status.expect("a status"), "EmployeesFailing").1;
        if object && message.is_empty() { Ok(()) } else { Err(format!("{object} {message}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_whose_status_is_refused_is_suspended_once_and_told_once() {
    let story = Story::begin("unwritten", 0).await;
    let people = staff(&story, 6).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    let name = format!("onelogin-{}", people[0]);
    refuse_status(&story, &name).await;
    leave(&story, &people[..1]).await;
    story.simulated.forget_calls().await;
    for _ in 0..3 {
        story.sync().await;
    }
    let account = story.simulated.account(&people[0]).await.expect("an account");
    assert_eq!(account["status"], 2);
    for call in ["PUT /api/2/users/{id}", "PUT /api/1/users/{id}/logout"] {
        assert_eq!(story.simulated.calls("onelogin", call).await, 1, "{call}");
    }
    allow(&story).await;
    let lines = until("what was done is on record", || async {
        let status = story.person(&people[0]).await.and_then(|person| person.status);
        let status = status.unwrap_or_default();
        let actions = status.history.iter().map(|line| format!("{:?}", line.action));
        let suspended: Vec<String> = actions.filter(|action| action == "Suspend").collect();
        if suspended.is_empty() { Err(format!("{:?}", status.access)) } else { Ok(suspended) }
    })
    .await;
    assert_eq!(lines.len(), 1, "a history line is there once");
}

/// A partial pass is refused while a full pass is under way, which
/// leaves that employee to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_a_single_pass_meets_is_told_at_once_and_stays_told_after_the_full_pass() {
    let story = Story::begin("unwritten-single", 0).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let people = staff(&story, 6).await;
    let controller = Controller::start(&story).await;
    story.integrate(hooked(json!({}))).await;
    story.ready("Converged").await;
    refuse_status(&story, &format!("onelogin-{}", people[0])).await;
    // The full pass waits for the listing of the provider.
    let slow = json!({"kind": "delay", "delayMs": 6000, "method": "GET", "exactPath": "/api/2/users", "times": 1});
    story.simulated.post("/onelogin/faults", slow).await;
    let searches = async || story.simulated.calls("bob", "POST /v1/people/search").await;
    let before = searches().await;
    let asked = story.ask().await;
    until("the full pass has read Bob", || async {
        let now = searches().await;
        if now > before { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    story.simulated.change(&people[0], json!({"work.title": "Keeper of Lamps"})).await;
    let event = deliver(&controller, "employee.updated", &people[0], jiff::Timestamp::now()).await;
    assert_eq!(event, Some(200));
    let counter = r#"bobsync_status_patches_total{kind="EmployeeSync",outcome="failed"} "#;
    until("the status is refused", || async {
        let page = controller.metrics().await;
        let count = page.lines().find_map(|line| line.strip_prefix(counter)).unwrap_or("0");
        if count == "0" { Err(count.to_owned()) } else { Ok(()) }
    })
    .await;
    let handled = story.integration().await.status.and_then(|status| status.last_handled_sync_at);
    assert_ne!(handled.as_deref(), Some(&*asked), "the full pass is still under way");
    let status = story.answered(&asked).await.status.expect("a status");
    let message = condition(&status, "EmployeesFailing").1;
    assert!(
        message.contains("1 NotRecorded") && message.contains("this name is not allowed"),
        "{message}"
    );
    assert_eq!(status.employees.map(|counts| counts.failing), Some(1));
    allow(&story).await;
    until("it is written, and nobody fails", || async {
        let status = story.integration().await.status.expect("a status");
        match status.employees.as_ref().map(|counts| counts.failing) {
            Some(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_pass_is_cut_off_by_a_stop_is_answered_by_the_successor() {
    let story = Story::begin("cut-off", 0).await;
    let people = staff(&story, 40).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "safety": {"updates": {"max": "100%"}, "fieldBlackout": {"max": "100%"}}})).await;
    story.ready("Converged").await;
    for id in &people {
        story.simulated.change(id, json!({"work.title": "Keeper of Lamps"})).await;
    }
    story
        .simulated
        .post("/onelogin/faults", json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 1500}))
        .await;
    let asked = story.ask().await;
    let titled = async || -> usize {
        let accounts = story.simulated.accounts().await;
        accounts.iter().filter(|account| account["title"] == "Keeper of Lamps").count()
    };
    until("the pass is at work", || async {
        if titled().await > 0 { Ok(()) } else { Err("nobody".to_owned()) }
    })
    .await;
    assert!(controller.stop().await);
    assert!(titled().await < 40, "some are left");
    let status = story.integration().await.status.expect("a status");
    assert_ne!(status.last_handled_sync_at.as_deref(), Some(&*asked), "it is not through");
    story.simulated.delete("/onelogin/faults").await;
    let _controller = Controller::start(&story).await;
    story.answered(&asked).await;
    assert_eq!(titled().await, 40);
    let triggers: Vec<Value> = story
        .everybody()
        .await
        .into_iter()
        .map(|person| json!(person.status.expect("a status").history[0].trigger))
        .collect();
    assert!(triggers.iter().all(|trigger| *trigger == "Manual"), "{triggers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_speaks_of_the_generation_that_it_refuses() {
    let story = Story::begin("spoken-of", 2).await;
    let people = staff(&story, 30).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let _controller = Controller::start(&story).await;
    story.integrate(hooked(json!({}))).await;
    story.ready("Converged").await;
    crate::budgets::leave(&story, &people[..8]).await;
    story.integrate(hooked(json!({"retention": "100h"}))).await;
    let object = story.ready("PlanHeld").await;
    let status = object.status.expect("a status");
    assert_eq!(status.observed_generation, object.metadata.generation);
    assert_eq!(
        conditions::find(&status.conditions, "Reconciling").map(|c| &*c.status),
        Some("True")
    );
}

/// What an observer saw while all accounts were made at this interval.
struct Course {
    took: Duration,
    /// The longest time without a new account.
    longest: Duration,
    /// The messages of `Ready` meanwhile.
    said: Vec<(String, String)>,
}

/// Starts a company of 190 joiners. Their accounts are made at this interval, eight at once and
/// three seconds each.
async fn makes_accounts(name: &str, interval: &str) -> Course {
    let story = Story::begin(name, 0).await;
    staff(&story, 190).await;
    story
        .simulated
        .post("/onelogin/faults", json!({"kind": "delay", "method": "POST", "pathPrefix": "/api/2/users", "delayMs": 3000}))
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"interval": interval})).await;
    let (mut began, mut count, mut last, mut longest, mut said) =
        (Instant::now(), 0, Instant::now(), Duration::ZERO, Vec::new());
    while count < 190 {
        assert!(began.elapsed() < Duration::from_secs(180), "{count} accounts");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = story.simulated.accounts().await.len();
        if now > count {
            if count > 0 {
                longest = longest.max(last.elapsed());
            } else {
                began = Instant::now();
            }
            (count, last) = (now, Instant::now());
        }
        if let Some(status) =
            story.integration().await.status.filter(|status| !status.conditions.is_empty())
        {
            let ready = condition(&status, "Ready");
            if said.last() != Some(&ready) {
                said.push(ready);
            }
        }
    }
    let took = began.elapsed();
    story.ready("Converged").await;
    Course { took, longest, said }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_lasts_for_longer_than_an_interval_is_followed_by_the_next_at_once() {
    let (short, long) =
        tokio::join!(makes_accounts("deadline", "1m"), makes_accounts("no-deadline", "24h"));
    assert!(short.took > Duration::from_secs(60), "there was a deadline in between");
    assert!(short.longest < Duration::from_secs(10), "no account was made for {:?}", short.longest);
    // At the deadline the eighth place waits for the slowest one, and Bob and the provider are read
    // again.
    let most = long.took + long.took / 20 + Duration::from_secs(4);
    assert!(
        short.took < most,
        "{:?} at an interval of a minute, {:?} at one of a day",
        short.took,
        long.took
    );
    let mut told = short.said.iter().filter(|(_, message)| message.contains("goes on at once"));
    let (reason, message) = told.next().expect("what is left is told");
    assert!(reason == "Progressing" && message.contains(|c: char| c.is_ascii_digit()), "{message}");
}
