//! An API server that answers late, never, half or wrongly, that refuses, or that has forgotten its
//! past. These stories check how long it takes until a changed spec, a pin and an event of Bob take
//! effect, and what `/healthz` says. The table of docs/safety.md has these bounds.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::json;
use simulators::bob::webhooks::{event, send};
use testbed::{
    ControlPlane, Options, Proxy,
    proxy::{Act, Method, Only},
};

use crate::{
    budgets::{leave, staff},
    support::{Controller, Story, until},
};

/// How long each takes at most, in seconds.
struct Bounds {
    spec: u64,
    pin: u64,
    webhook: u64,
}

/// Starts a converged company with a controller that goes through a proxy. Then the trouble begins,
/// and a spec, a pin and a file in Bob change at once. Each takes effect within its bound, and the
/// process stays healthy.
async fn takes_effect(name: &str, trouble: impl AsyncFnOnce(&Story, &Proxy), bounds: Bounds) {
    let story = Story::begin(name, 6).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let controller = Controller::behind(&story, &proxy).await;
    let hooked = |interval: &str| json!({"interval": interval, "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
    story.integrate(hooked("23h")).await;
    story.ready("Converged").await;
    let people = story.everybody().await;
    let mut active = people.iter().filter(|person| {
        person.status.as_ref().is_some_and(|s| format!("{:?}", s.access).contains("Active"))
    });
    let [pinned, pushed] =
        [(); 2].map(|()| active.next().expect("an active employee").spec.employee_id.clone());
    trouble(&story, &proxy).await;

    let began = Instant::now();
    let wanted = story.integrate(hooked("24h")).await.metadata.generation;
    let patch = json!({"spec": {"attributes": {"title": "Keeper of Pins"}}});
    let object = format!("onelogin-{pinned}");
    story
        .people()
        .patch(&object, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("a pin");
    story.simulated.change(&pushed, json!({"work.title": "Keeper of Hooks"})).await;
    let body = event("employee.updated", &json!({"employeeId": pushed}), jiff::Timestamp::now())
        .to_string();
    assert_eq!(send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await, Some(200));

    let spec = async {
        let seen = async || {
            let status = story.integration().await.status.unwrap_or_default();
            status.conditions.iter().any(|condition| {
                condition.type_ == "Ready" && condition.observed_generation == wanted
            })
        };
        while !seen().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    };
    let titled = async |employee: &str, title: &str| {
        while story
            .simulated
            .account(employee)
            .await
            .is_none_or(|account| account["title"] != title)
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    };
    let health = async {
        loop {
            let answer =
                reqwest::get(format!("{}/healthz", controller.http)).await.expect("an answer");
            let (code, text) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
            assert_eq!((code, text.as_str()), (200, "ok\n"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let all = async {
        tokio::join!(spec, titled(&pinned, "Keeper of Pins"), titled(&pushed, "Keeper of Hooks"))
    };
    let (spec, pin, webhook) = tokio::select! {
        took = all => took,
        () = health => unreachable!("it goes on"),
        () = tokio::time::sleep(Duration::from_mins(3)) => panic!("three minutes have passed; {}", controller.log()),
    };
    eprintln!("{name}: spec {spec:?}, pin {pin:?}, webhook {webhook:?}");
    assert!(spec <= Duration::from_secs(bounds.spec), "spec: {spec:?}");
    assert!(pin <= Duration::from_secs(bounds.pin), "pin: {pin:?}");
    assert!(webhook <= Duration::from_secs(bounds.webhook), "webhook: {webhook:?}");
    // It is on record too, and the integration says so once the trouble is over.
    until("the pin is on record", || async {
        let person = story.person(&pinned).await.expect("an object");
        let said = person.status.and_then(|status| status.observed_generation);
        if said == person.metadata.generation { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    proxy.clear();
    story.ready("Converged").await;
}

/// Returns both kinds, as the server names their lists.
fn kinds(story: &Story) -> [String; 2] {
    ["provisioningintegrations", "employeesyncs"]
        .map(|kind| format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/{kind}", story.namespace))
}

/// Ends running watches, so that the trouble strikes new ones.
fn anew(proxy: &Proxy) {
    proxy.expire_watches();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_well() {
    takes_effect("well", async |_, _| (), Bounds { spec: 5, pin: 5, webhook: 5 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_late() {
    let trouble = async |_: &Story, proxy: &Proxy| {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT] {
            proxy.rule(Act::Delay(Duration::from_secs(2)), method, "*", None);
        }
        anew(proxy);
    };
    takes_effect("late", trouble, Bounds { spec: 20, pin: 25, webhook: 15 }).await;
}

// A dead admission webhook delays each write of an EmployeeSync by its default time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_people_are_late() {
    let trouble = async |story: &Story, proxy: &Proxy| {
        for method in [Method::POST, Method::PATCH] {
            proxy.rule(
                Act::Delay(Duration::from_secs(11)),
                method,
                &format!("{}*", kinds(story)[1]),
                None,
            );
        }
    };
    takes_effect("late-writes", trouble, Bounds { spec: 5, pin: 15, webhook: 15 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_dead_and_nothing_says_so() {
    takes_effect(
        "dead",
        async |_, proxy| proxy.forget_connections(),
        Bounds { spec: 90, pin: 90, webhook: 15 },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_are_never_answered() {
    let trouble = async |story: &Story, proxy: &Proxy| {
        for kind in kinds(story) {
            proxy.rule_for(Only::Watches, Act::HoldBefore, Method::GET, &kind, None);
        }
        anew(proxy);
        // The list is answered, and the watch after it is not.
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    takes_effect("mute", trouble, Bounds { spec: 50, pin: 50, webhook: 15 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_is_never_answered() {
    let trouble = async |story: &Story, proxy: &Proxy| {
        for kind in kinds(story) {
            proxy.rule_for(Only::Lists, Act::HoldBefore, Method::GET, &kind, Some(1));
        }
        anew(proxy);
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    takes_effect("mute-list", trouble, Bounds { spec: 40, pin: 40, webhook: 15 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_in_half() {
    let trouble = async |story: &Story, proxy: &Proxy| {
        for kind in kinds(story) {
            proxy.rule_for(Only::Lists, Act::Half, Method::GET, &kind, Some(1));
            proxy.rule_for(Only::Watches, Act::Half, Method::GET, &kind, Some(1));
        }
        anew(proxy);
        tokio::time::sleep(Duration::from_secs(4)).await;
    };
    takes_effect("half", trouble, Bounds { spec: 60, pin: 60, webhook: 15 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_another_server() {
    let trouble = async |story: &Story, proxy: &Proxy| {
        for kind in kinds(story) {
            proxy.rule_for(Only::Lists, Act::Page, Method::GET, &kind, Some(2));
            proxy.rule_for(Only::Watches, Act::Page, Method::GET, &kind, None);
        }
        anew(proxy);
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    takes_effect("page", trouble, Bounds { spec: 30, pin: 30, webhook: 15 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_is_busy() {
    let trouble = async |_: &Story, proxy: &Proxy| {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT] {
            proxy.rule(Act::Status(429), method, "*", Some(6));
        }
        anew(proxy);
    };
    takes_effect("busy", trouble, Bounds { spec: 30, pin: 30, webhook: 15 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_too_old() {
    let trouble = async |story: &Story, proxy: &Proxy| {
        for kind in kinds(story) {
            proxy.rule_for(Only::Watches, Act::Status(410), Method::GET, &kind, Some(2));
        }
        anew(proxy);
    };
    takes_effect("old", trouble, Bounds { spec: 15, pin: 15, webhook: 15 }).await;
}

/// Starts a release of its own on this control plane, and returns how long it takes until its
/// controller leads.
async fn leads_after(story: &Story, proxy: &Proxy, pod: &str) -> (Controller, Duration) {
    let began = Instant::now();
    let controller = Controller::elected_behind(story, proxy, pod).await;
    until("it leads", || async {
        match reqwest::get(format!("{}/metrics", controller.http)).await {
            Ok(_) if controller.leads().await => Ok(()),
            _ => Err(controller.log()),
        }
    })
    .await;
    (controller, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_definitions_and_a_controller_at_once_lead_within_ten_seconds() {
    let plane: &'static ControlPlane = Box::leak(Box::new(
        ControlPlane::start(Options::default()).await.expect("a control plane"),
    ));
    let story = Story::on(plane, "fresh", 4).await;
    story.namespaces().await;
    story.chart().await;
    story.secrets().await;
    let proxy = plane.proxy().await.expect("a proxy");
    // Without the definitions no controller has ever led.
    let (controller, took) = leads_after(&story, &proxy, "").await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(controller.stop().await);
    // With the definitions, on a server that is busy because it has just got them.
    let began = Instant::now();
    let applied = async {
        plane
            .apply_yaml(&bobsync::engine::settings::rules::crds_yaml().expect("CRDs"))
            .await
            .expect("the API server takes the CRDs");
        story.integrate(json!({})).await;
    };
    let lists = "/apis/bobsync.dev/v1alpha1/namespaces/*";
    proxy.rule_for(Only::Lists, Act::Status(429), Method::GET, lists, Some(2));
    proxy.rule(Act::Status(503), Method::GET, "*/leases/bobsync", Some(1));
    let ((controller, took), ()) = tokio::join!(leads_after(&story, &proxy, ""), applied);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let lines = controller.log();
    assert!(lines.contains("could not be listed before the election; trying again"), "{lines}");
    story.ready("Converged").await;
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_next_process_of_the_pod_leads_at_once_and_calls_itself_bobsync() {
    let story = Story::begin("killed-pod", 4).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let mark = story.mark().await;
    let (controller, _) = leads_after(&story, &proxy, "5b0c").await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    controller.kill();
    let (controller, took) = leads_after(&story, &proxy, "5b0c").await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(
        controller.log().contains("an earlier process of this pod, which is dead"),
        "{}",
        controller.log()
    );
    let calls = crate::support::audited_since(story.plane, mark, &story.system).await;
    let version = concat!("bobsync/", env!("CARGO_PKG_VERSION"));
    assert!(calls.len() > 20 && calls.iter().all(|call| call.user_agent == version), "{calls:?}");
    assert!(controller.stop().await);
}

/// A write of the integration's status that is not answered holds up all others who write it. Who has to lose access waits for
/// none of them: neither an event, nor a full pass, nor an immediate revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_of_the_integration_that_is_not_answered_holds_up_no_leaver() {
    let story = Story::begin("unsaid", 0).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let people = staff(&story, 8).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let controller = Controller::behind(&story, &proxy).await;
    story.integrate(json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}})).await;
    story.ready("Converged").await;
    let path = format!("{}/*/status", kinds(&story)[0]);
    proxy.rule(Act::HoldBefore, Method::PATCH, &path, None);
    let held = || proxy.struck().len();
    let push = async |kind: &str, employee: &String| {
        let body =
            event(kind, &json!({"employeeId": employee}), jiff::Timestamp::now()).to_string();
        send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await
    };
    let closed = async |employee: &String| {
        until("the account is closed", || async {
            match story.simulated.account(employee).await {
                Some(account) if account["status"] == 2 => Ok(()),
                other => Err(format!("{:?}", other.map(|account| account["status"].clone()))),
            }
        })
        .await;
    };

    leave(&story, &people[..1]).await;
    assert_eq!(push("employee.left", &people[0]).await, Some(200));
    closed(&people[0]).await;
    until("what it changed is said, and no one answers", || async {
        if held() > 0 { Ok(()) } else { Err("nothing is written".to_owned()) }
    })
    .await;
    leave(&story, &people[1..2]).await;
    assert_eq!(push("employee.left", &people[1]).await, Some(200));
    closed(&people[1]).await;
    leave(&story, &people[2..3]).await;
    story.ask().await;
    closed(&people[2]).await;
    let (answer, ()) =
        tokio::join!(push("employee.access.revoked.immediately", &people[3]), closed(&people[3]));
    assert_eq!(
        answer,
        Some(503),
        "it is not on record in the integration's status yet, so Bob sends it again"
    );
    assert_eq!(held(), 1, "the first write is under way still");
    proxy.clear();
}
