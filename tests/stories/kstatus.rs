//! What GitOps tools read: an integration that nothing was said of is not current, and one that
//! changed is reconciling.

use jiff::Timestamp;
use serde_json::json;

use crate::support::{Controller, Story, expected::expected, until};

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
