//! A person applies an integration. Moments later OneLogin equals Bob, and every employee has an
//! object that says so.

use std::collections::HashMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use crate::support::{Controller, Story, condition, name, ready, until};

/// Returns what a provider should hold for an employee, by a simple rule on Bob's fields: 1 active,
/// 2 suspended, `None` no account.
pub(crate) fn expected(employee: &Value, now: Timestamp) -> Option<i64> {
    let text = |field: &str| employee[field].as_str().unwrap_or_default();
    let lifecycle = text("internal.lifecycleStatus").to_lowercase();
    let zone = TimeZone::get(match text("work.site") {
        "Berlin" => "Europe/Berlin",
        "Auckland" => "Pacific/Auckland",
        _ => "Europe/London",
    })
    .unwrap();
    let midnight = |date: Date| date.to_zoned(zone.clone()).unwrap().timestamp();
    let day = |field: &str| employee[field].as_str().and_then(|text| text.parse::<Date>().ok());
    let start = day("work.startDate");
    let left = ["internal.terminationDate", "employee.lastDayOfWork"]
        .into_iter()
        .filter_map(day)
        .filter(|date| start.is_none_or(|start| *date >= start))
        .min()
        .is_some_and(|last| midnight(last.tomorrow().unwrap()) <= now);
    if lifecycle == "terminated" || left || start.is_some_and(|start| midnight(start) > now) {
        return None;
    }
    let active = text("internal.status").eq_ignore_ascii_case("active")
        || matches!(lifecycle.as_str(), "hired" | "garden leave");
    Some(if active { 1 } else { 2 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_equals_bob_and_everybody_has_an_object() {
    let story = Story::begin("first-sync", 120).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let integration = story.ready("Converged").await;

    let now = Timestamp::now();
    let employees = story.simulated.employees().await;
    let accounts: HashMap<String, Value> = story
        .simulated
        .accounts()
        .await
        .into_iter()
        .map(|account| (account["external_id"].as_str().unwrap().to_owned(), account))
        .collect();
    let by_id: HashMap<&str, &Value> =
        accounts.iter().map(|(mark, account)| (mark.as_str(), account)).collect();
    let mut wanted = 0;
    for employee in &employees {
        let id = employee["root.id"].as_str().unwrap();
        let account = by_id.get(id);
        match expected(employee, now) {
            None => assert!(account.is_none(), "{id} has left or not started, and has an account"),
            Some(status) => {
                wanted += 1;
                let account = account.unwrap_or_else(|| panic!("{id} has no account"));
                assert_eq!(account["status"], status, "{id}: {employee}");
                for (target, field) in [
                    ("email", "root.email"),
                    ("username", "root.email"),
                    ("firstname", "root.firstName"),
                    ("lastname", "root.surname"),
                    ("phone", "work.workPhone"),
                    ("title", "work.title"),
                    ("department", "work.department"),
                ] {
                    assert_eq!(
                        account[target].as_str().unwrap_or_default(),
                        employee[field].as_str().unwrap_or_default(),
                        "{id} {target}"
                    );
                }
                let cell = account["custom_attributes"]["work_cell"].as_str().unwrap_or_default();
                assert_eq!(
                    cell,
                    employee["work.workMobile"].as_str().unwrap_or_default(),
                    "{id} work_cell"
                );
                let manager = employee["work.manager"]
                    .as_str()
                    .and_then(|manager| by_id.get(manager))
                    .map(|manager| manager["id"].clone());
                assert_eq!(
                    account["manager_user_id"],
                    manager.unwrap_or(Value::Null),
                    "{id} manager"
                );
            }
        }
    }
    assert_eq!(accounts.len(), wanted, "nobody else has an account");

    // One write for each account, one search, and no extra listing call.
    assert_eq!(story.simulated.writes().await, wanted as u64, "managers first: no second write");
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 1);
    assert_eq!(story.simulated.calls("onelogin", "POST /auth/oauth2/v2/token").await, 1);

    // Every employee who has or will have an account has an object. Of the others only those who
    // are active in Bob have one.
    let people = story.everybody().await;
    for person in &people {
        let (status, reason) = ready(person);
        assert_eq!(status, "True", "{} is {reason}", name(person));
        assert!(
            person
                .metadata
                .owner_references
                .as_ref()
                .is_some_and(|owners| owners[0].name == "onelogin")
        );
    }
    let status = integration.status.unwrap();
    let counts = status.employees.unwrap();
    assert_eq!(counts.in_bob as usize, employees.len());
    assert_eq!(counts.in_scope as usize, people.len());
    assert_eq!((counts.ready, counts.failing, counts.pending), (counts.in_scope, 0, 0));
    let last = status.last_pass.unwrap();
    assert_eq!((last.created as usize, last.failed), (wanted, 0));
    assert_eq!(status.observed_generation, integration.metadata.generation);
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_state_writes_nothing_anywhere() {
    let (story, _controller) = Story::converged("steady", 230, json!({})).await;
    // The writes of the first sync come back through the watch before the silence is measured. Its
    // events are sent at their own pace.
    story.sync().await;
    let accounts = story.simulated.accounts().await.len() as u64;
    until("nothing of the first sync is on its way", || async {
        let before = story.mark().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let late = story
            .audited(before)
            .await
            .into_iter()
            .filter(|event| event.resource == "events")
            .count();
        if late == 0 { Ok(()) } else { Err(format!("{late} events")) }
    })
    .await;
    story.simulated.forget_calls().await;
    let mark = story.mark().await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 0);
    assert_eq!(story.simulated.calls("bob", "POST /v1/people/search").await, 1);
    assert_eq!(story.simulated.calls("onelogin", "GET /api/2/users").await, accounts.div_ceil(100));
    let writes: Vec<_> = story
        .audited(mark)
        .await
        .into_iter()
        .filter(|event| !matches!(event.verb.as_str(), "get" | "list" | "watch"))
        .collect();
    // The one write is the echo of the sync request.
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(writes[0].resource, "provisioningintegrations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_writes_nothing() {
    let (story, controller) = Story::converged("restart", 60, json!({})).await;
    assert!(controller.stop().await, "a graceful stop ends with success");
    story.simulated.forget_calls().await;
    let mark = story.mark().await;
    let _controller = Controller::start(&story).await;
    until("the new process made a pass", || async {
        match story.simulated.calls("onelogin", "GET /api/2/users").await {
            0 => Err("no listing yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 0);
    let writes: Vec<_> = story
        .audited(mark)
        .await
        .into_iter()
        .filter(|event| {
            event.resource == "employeesyncs"
                && !matches!(event.verb.as_str(), "get" | "list" | "watch")
        })
        .collect();
    assert_eq!(writes.len(), 0, "{writes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_and_a_changed_integration_is_reconciling_within_a_second() {
    let story = Story::begin("kstatus", 10).await;
    let _controller = Controller::start(&story).await;
    // Bob is slow, so the pass is still under way.
    story.simulated.post("/bob/faults", json!({"kind": "delay", "delayMs": 3000})).await;
    for generation in 1..=2 {
        let began = std::time::Instant::now();
        story.integrate(json!({"retention": format!("{generation}h")})).await;
        until("the integration is Reconciling", || async {
            let object = story.integration().await;
            let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
            let reconciling = conditions
                .iter()
                .find(|c| c.type_ == "Reconciling" && c.observed_generation == Some(generation));
            if reconciling.is_some_and(|c| c.status == "True") {
                Ok(())
            } else {
                Err(format!("{conditions:?}"))
            }
        })
        .await;
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
        story.ready("Converged").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_plans_and_writes_nothing_to_the_provider() {
    let story = Story::begin("dry-run", 40).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"mode": "DryRun"})).await;
    let integration = story.ready("DryRun").await;
    assert_eq!(story.simulated.writes().await, 0);
    assert_eq!(story.simulated.accounts().await.len(), 0);
    let plan = integration.status.unwrap().plan.unwrap();
    assert!(plan.creates > 10 && plan.digest.starts_with("sha256:"), "{plan:?}");
    let pending =
        story.everybody().await.iter().filter(|person| ready(person).1 == "Pending").count();
    assert_eq!(pending, plan.creates as usize);
    // The same plan has the same digest; then it is carried out.
    assert_eq!(story.sync().await.status.unwrap().plan.unwrap().digest, plan.digest);
    story.integrate(json!({"mode": "Enforce"})).await;
    let integration = story.ready("Converged").await;
    assert!(integration.status.unwrap().plan.is_none());
    assert_eq!(story.simulated.accounts().await.len(), plan.creates as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_one_login_lacks_is_left_out_and_named() {
    let story = Story::begin("target", 20).await;
    story.simulated.put("/onelogin/custom-attributes", json!({"shortnames": []})).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let integration = story.ready("Converged").await;
    let conditions = integration.status.unwrap().conditions;
    let complete = conditions.iter().find(|c| c.type_ == "MappingComplete").unwrap();
    assert_eq!(
        (complete.status.as_str(), complete.reason.as_str()),
        ("False", "TargetUnavailable")
    );
    assert!(complete.message.contains("custom_attributes.work_cell"), "{}", complete.message);
    assert!(story.everybody().await.iter().all(|person| ready(person).0 == "True"));
    // Once it is defined, the values follow.
    story.simulated.put("/onelogin/custom-attributes", json!({"shortnames": ["work_cell"]})).await;
    story.sync().await;
    let (id, employee) = story.simulated.somebody().await;
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!(
        account["custom_attributes"]["work_cell"].as_str().unwrap_or_default(),
        employee["work.workMobile"].as_str().unwrap_or_default()
    );
    let person = story.person(&id).await.unwrap();
    assert_eq!(condition(&person, "AttributesSynced").unwrap().0, "True");
}

// GitOps tools treat an object without a status as current. While no controller works there is no
// status.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_was_said_of_is_not_current() {
    let story = Story::begin("unsaid", 4).await;
    story.integrate(json!({})).await;
    let employees = story.simulated.employees().await;
    let mut active =
        employees.iter().filter(|employee| expected(employee, Timestamp::now()) == Some(1));
    let [id, other] = [(); 2]
        .map(|()| active.next().expect("an active employee")["root.id"].as_str().expect("an id"));
    let spec = json!({"integrationRef": {"name": "onelogin"}, "employeeId": id, "attributes": {"title": "Keeper of Pins"}});
    let pin = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync",
        "metadata": {"name": format!("onelogin-{id}"), "namespace": story.namespace}, "spec": spec});
    story.plane.apply_yaml(&pin.to_string()).await.expect("admitted");
    let observed = async |kind: &str, name: &str| {
        let arguments = [
            "get",
            kind,
            name,
            "--namespace",
            &story.namespace,
            "-o",
            "jsonpath={.status.observedGeneration}",
        ];
        String::from_utf8(story.plane.kubectl(&arguments).await.expect("kubectl").stdout)
            .expect("text")
    };
    let name = format!("onelogin-{id}");
    assert_eq!([observed("pi", "onelogin").await, observed("esync", &name).await], ["-1", "-1"]);
    // A process that starts then sees that no controller has led, and that a user made the pin.
    let began = std::time::Instant::now();
    let controller = Controller::start(&story).await;
    story.ready("Converged").await;
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!([observed("pi", "onelogin").await, observed("esync", &name).await], ["1", "1"]);
    assert_eq!(story.simulated.account(id).await.expect("an account")["title"], "Keeper of Pins");
    // A pin that is made while the controller works is seen as well.
    let wanted = json!({"spec": {"attributes": {"title": "Keeper of Others"}}});
    story
        .people()
        .patch(
            &format!("onelogin-{other}"),
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(wanted),
        )
        .await
        .expect("a pin");
    until("it is written", || async {
        let title = story.simulated.account(other).await.expect("an account")["title"].clone();
        if title == "Keeper of Others" { Ok(()) } else { Err(title.to_string()) }
    })
    .await;
    assert!(controller.stop().await);
}
