//! Bob sends events: a change takes seconds instead of the interval, which never comes within these
//! stories.

use bobsync::api::employee_sync::EvidenceKind;
use futures::StreamExt as _;
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};

use crate::support::{Controller, Story, ready, until};

const SECRET: &str = "s3cret of the webhook";

/// Begins an integration that has converged, with webhooks. Bob sends to it if `pushing`.
async fn begin(name: &str, employees: usize, pushing: bool) -> (Story, Controller) {
    let story = Story::begin(name, employees).await;
    story.secret("hook", &[("webhookSecret", SECRET)]).await;
    let controller = Controller::start(&story).await;
    story.integrate(spec()).await;
    story.ready("Converged").await;
    if pushing {
        push_to(&story, &controller).await;
    }
    (story, controller)
}

fn spec() -> Value {
    json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}})
}

async fn push_to(story: &Story, controller: &Controller) {
    story
        .simulated
        .put("/bob/webhook", json!({"url": controller.webhooks, "secret": SECRET}))
        .await;
}

/// Returns the ids of up to `most` employees who are at work.
async fn at_work(story: &Story, most: usize) -> Vec<String> {
    let is_at_work = |e: &&Value| {
        e["internal.status"] == "Active" && e["internal.lifecycleStatus"] == "Employed"
    };
    let all = story.simulated.employees().await;
    all.iter()
        .filter(is_at_work)
        .filter_map(|e| e["root.id"].as_str().map(str::to_owned))
        .take(most)
        .collect()
}

async fn until_account(story: &Story, id: &str, what: &str, holds: impl Fn(&Value) -> bool) {
    until(what, || async {
        match story.simulated.account(id).await {
            Some(account) if holds(&account) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Waits until the last change on record has this trigger. The account shows a change before the
/// record does.
async fn until_trigger(story: &Story, id: &str, trigger: &str) {
    until(&format!("the last change on record says {trigger}"), || async {
        let history = story
            .person(id)
            .await
            .and_then(|person| person.status)
            .map(|status| status.history)
            .unwrap_or_default();
        let last = history.first().map(|entry| serde_json::to_value(entry.trigger).expect("JSON"));
        if last == Some(trigger.into()) { Ok(()) } else { Err(format!("{last:?}")) }
    })
    .await;
}

/// Delivers one event and returns the status of the answer.
async fn deliver(controller: &Controller, kind: &str, data: Value) -> Option<u16> {
    let body = event(kind, &data, jiff::Timestamp::now()).to_string();
    send(&controller.webhooks, Some(SECRET), body.into_bytes()).await
}

/// Returns how many deliveries had this outcome, from the metrics page.
fn counted<'a>(metrics: &'a str, outcome: &str) -> &'a str {
    let series = format!("bobsync_webhooks_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&series)).expect("shown from the start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_bob_pushes_reaches_the_account_without_the_interval() {
    let (story, controller) = begin("pushed", 6, true).await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    until_account(&story, &id, "the title is there", |account| {
        account["title"] == "Head of Nothing"
    })
    .await;
    until_trigger(&story, &id, "Webhook").await;
    let joiner = story
        .simulated
        .hire(json!({"root.firstName": "Noa", "work.startDate": "2022-01-01"}))
        .await;
    until_account(&story, &joiner, "the joiner has an account", |account| account["status"] == 1)
        .await;
    until_trigger(&story, &joiner, "Webhook").await;
    let left = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&joiner, left).await;
    until_account(&story, &joiner, "the leaver is suspended", |account| account["status"] == 2)
        .await;
    let metrics = controller.metrics().await;
    assert_ne!(counted(&metrics, "queued"), "0", "{metrics}");
    assert!(metrics.contains("bobsync_events_lost_total{why=\"failed\"} 0"), "{metrics}");
    assert!(!controller.log().contains("Head of Nothing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immediate_revocation_stands_in_the_status_before_bob_hears_200_and_holds_until_bob_activates()
 {
    let (story, controller) = begin("revoked", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    let employee = json!({"employeeId": id});
    assert_eq!(
        deliver(&controller, "employee.access.revoked.immediately", employee.clone()).await,
        Some(200)
    );
    let evidence =
        story.person(&id).await.and_then(|person| person.status).and_then(|status| status.evidence);
    assert_eq!(
        evidence.map(|evidence| evidence.kind),
        Some(EvidenceKind::AccessRevoked),
        "at the moment of the 200"
    );
    until_account(&story, &id, "access is gone", |account| account["status"] == 2).await;
    until_trigger(&story, &id, "Webhook").await;
    // Bob still shows an active employee; neither a pass nor another process gives access back.
    story.sync().await;
    controller.stop().await;
    let controller = Controller::start(&story).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    let status = story.person(&id).await.unwrap().status.unwrap();
    let evidence = status.evidence.expect("evidence");
    assert!(
        evidence.kind == EvidenceKind::AccessRevoked && evidence.start_date.is_some(),
        "{evidence:?}"
    );
    assert_eq!(deliver(&controller, "employee.activated", employee).await, Some(200));
    until_account(&story, &id, "access is back", |account| account["status"] == 1).await;
    until("the revocation is off the record", || async {
        let status = story.person(&id).await.unwrap().status.unwrap();
        if status.evidence.is_none() { Ok(()) } else { Err(format!("{:?}", status.evidence)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_is_too_old_or_too_far_ahead_is_no_evidence_and_the_log_says_so() {
    let (story, controller) = begin("unbelieved", 6, false).await;
    let (id, employee) = story.simulated.somebody().await;
    for (hours, reason) in
        [(16, "its time is more than 15 hours ahead"), (-97, "it is older than four days")]
    {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        let body = event("employee.access.revoked.immediately", &json!({"employeeId": id}), at)
            .to_string();
        assert_eq!(send(&controller.webhooks, Some(SECRET), body.into_bytes()).await, Some(200));
        let log = controller.log();
        let line = log
            .lines()
            .find(|line| line.contains(reason))
            .unwrap_or_else(|| panic!("no word of it in {log}"));
        assert!(
            line.contains("WARN")
                && line.contains("AccessRevoked")
                && line.contains(&format!("{}/onelogin", story.namespace)),
            "{line}"
        );
        assert!(!line.contains(employee["root.email"].as_str().unwrap()), "{line}");
    }
    assert_eq!(counted(&controller.metrics().await, "not_evidence"), "2");
    let status = story.person(&id).await.and_then(|person| person.status).expect("a status");
    assert!(status.evidence.is_none(), "{:?}", status.evidence);
    story.sync().await;
    assert_eq!(
        story.simulated.account(&id).await.unwrap()["status"],
        1,
        "Bob shows somebody who works here"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_on_record_before_the_200_and_takes_access() {
    let (story, controller) = begin("deleted", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.delete(&format!("/bob/employees/{id}")).await;
    assert_eq!(
        deliver(
            &controller,
            "employee.deleted",
            json!({"employeeId": id, "email": "x@example.com"})
        )
        .await,
        Some(200)
    );
    let evidence =
        story.person(&id).await.and_then(|person| person.status).and_then(|status| status.evidence);
    assert_eq!(evidence.map(|evidence| evidence.kind), Some(EvidenceKind::FileDeleted));
    until_account(&story, &id, "access is gone", |account| account["status"] == 2).await;
    // An unknown employee has nothing to record.
    assert_eq!(
        deliver(&controller, "employee.deleted", json!({"employeeId": "1234567890"})).await,
        Some(200)
    );
    assert!(story.person("1234567890").await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_webhook_secret_stops_nothing_but_webhooks_and_says_so() {
    let story = Story::begin("hookless", 3).await;
    let controller = Controller::start(&story).await;
    story.integrate(spec()).await;
    let object = story.ready("Converged").await;
    let said = |object: &bobsync::api::ProvisioningIntegration| {
        let status = object.status.clone().unwrap_or_default();
        bobsync::api::conditions::find(&status.conditions, "WebhooksAccepted")
            .map(|c| (c.status.clone(), c.message.clone()))
    };
    let (status, message) = said(&object).expect("a condition");
    assert!(status == "False" && message.contains("Secret hook does not exist"), "{message}");
    let (id, _) = story.simulated.somebody().await;
    assert_eq!(
        deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
        Some(401)
    );
    story.secret("hook", &[("webhookSecret", "newer"), ("webhookSecretPrevious", SECRET)]).await;
    until("webhooks are accepted", || async {
        let object = story.integration().await;
        if said(&object).is_some_and(|(status, _)| status == "True") {
            Ok(())
        } else {
            Err(format!("{:?}", said(&object)))
        }
    })
    .await;
    assert_eq!(
        deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
        Some(200),
        "the secret before is valid too"
    );
    assert_eq!(ready(&story.person(&id).await.unwrap()).1, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_bob_does_not_show_yet_is_looked_at_again() {
    let (story, _controller) = begin("lagging", 6, true).await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.put("/bob/quirks", json!({"lagSeconds": 8})).await;
    story.simulated.forget_calls().await;
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    until_account(&story, &id, "the title is there", |account| {
        account["title"] == "Head of Nothing"
    })
    .await;
    let calls = story.simulated.get("/bob/calls").await["total"].as_u64().unwrap();
    assert!((2..=4).contains(&calls), "{calls} calls: at once, after 5 s and after 15 s");
    until_trigger(&story, &id, "Webhook").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_that_bob_does_not_show_yet_is_looked_at_again() {
    let (story, controller) = begin("lagging-burst", 250, false).await;
    let ids = at_work(&story, 30).await;
    assert_eq!(ids.len(), 30, "more than are looked at one by one");
    story.simulated.put("/bob/quirks", json!({"lagSeconds": 8})).await;
    story.simulated.forget_calls().await;
    for id in &ids {
        story.simulated.change(id, json!({"work.title": "Head of Nothing"})).await;
        assert_eq!(
            deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
            Some(200)
        );
    }
    for id in &ids {
        until_account(&story, id, "the title is there", |account| {
            account["title"] == "Head of Nothing"
        })
        .await;
    }
    let calls = story.simulated.get("/bob/calls").await["total"].as_u64().unwrap();
    assert!((2..=10).contains(&calls), "{calls} calls for all of them together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_change_that_bob_shows_does_not_pass_for_the_one_that_was_announced() {
    let (story, controller) = begin("older", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    // No event announced this one.
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    story.simulated.put("/bob/quirks", json!({"lagSeconds": 8})).await;
    story
        .simulated
        .change(&id, json!({"work.title": "Head of Nothing", "work.department": "Lighthouses"}))
        .await;
    assert_eq!(
        deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
        Some(200)
    );
    until_account(&story, &id, "the older change is there", |account| {
        account["title"] == "Head of Nothing"
    })
    .await;
    until_account(&story, &id, "and the announced one", |account| {
        account["department"] == "Lighthouses"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_sync_request_asks_for_nothing_more() {
    let (story, _controller) = begin("answered", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    let people = story.people();
    let name = story.person(&id).await.unwrap().metadata.name.unwrap();
    for time in 0..3 {
        story.simulated.forget_calls().await;
        let value = format!("look-{time}");
        let patch = json!({"metadata": {"annotations": {bobsync::api::SYNC_REQUESTED: value}}});
        people
            .patch(&name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch))
            .await
            .unwrap();
        until("it is answered", || async {
            let handled = story.person(&id).await.unwrap().status.unwrap().last_handled_sync_at;
            if handled.as_deref() == Some(&*value) { Ok(()) } else { Err(format!("{handled:?}")) }
        })
        .await;
        // A pass that the echo would ask for comes within the window of the line.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(story.simulated.get("/bob/calls").await["total"], 1, "one look");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_events_costs_few_calls_and_nobody_is_lost() {
    let (story, controller) = begin("storm", 60, false).await;
    let ids: Vec<String> = story
        .simulated
        .employees()
        .await
        .iter()
        .map(|e| e["root.id"].as_str().unwrap().to_owned())
        .collect();
    let (changed, _) = story.simulated.somebody().await;
    story.simulated.change(&changed, json!({"work.title": "Head of Nothing"})).await;
    let joiner = story
        .simulated
        .hire(json!({"root.firstName": "Noa", "work.startDate": "2022-01-01"}))
        .await;
    story.simulated.forget_calls().await;
    // 5,000 events in any order. Most are about employees without a change, many about unknown
    // employees.
    let began = std::time::Instant::now();
    let deliveries = (0..5000_usize).map(|delivery| {
        // Each event is sent twice, byte for byte.
        let number = delivery / 2;
        let id = match number % 50 {
            0 => changed.clone(),
            1 => joiner.clone(),
            2..10 => (9_000_000 + number % 400).to_string(),
            _ => ids[number * 7 % ids.len()].clone(),
        };
        let mut body =
            event("employee.updated", &json!({"employeeId": id}), jiff::Timestamp::now());
        body["triggeredAt"] = format!("2026-10-14T09:21:07.{number:06}").into();
        (controller.webhooks.clone(), body.to_string().into_bytes())
    });
    let answers: Vec<Option<u16>> = futures::stream::iter(deliveries)
        .map(|(url, body)| async move { send(&url, Some(SECRET), body).await })
        .buffer_unordered(16)
        .collect()
        .await;
    assert!(
        answers.iter().all(|answer| *answer == Some(200)),
        "{:?}",
        answers.iter().find(|answer| **answer != Some(200))
    );
    let took = began.elapsed();
    until_account(&story, &changed, "the change is there", |account| {
        account["title"] == "Head of Nothing"
    })
    .await;
    until_account(&story, &joiner, "the joiner has an account", |account| account["status"] == 1)
        .await;
    let calls = story.simulated.get("/bob/calls").await;
    let searches = calls["byRoute"]["POST /v1/people/search"].as_u64().unwrap();
    let bound = 10 + took.as_secs() * 2;
    assert!(searches <= bound, "{searches} searches for 5,000 events in {took:?}");
    let metrics = controller.metrics().await;
    assert!(!metrics.contains("call=\"search\",outcome=\"throttled\""), "{metrics}");
    assert_ne!(counted(&metrics, "duplicate"), "0", "{metrics}");
    assert_eq!(
        story.simulated.writes().await,
        2,
        "one write for each of the two, and none for anybody else"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_overtakes_joiners_who_wait_for_the_provider() {
    let (story, controller) = begin("overtakes", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    // The provider has room for few more calls in this hour, and two hundred are waiting for it.
    let joiners: Vec<Value> = (0..200)
        .map(|_| json!({"root.firstName": "Noa", "work.startDate": "2022-01-01"}))
        .collect();
    story.simulated.post("/bob/employees", Value::Array(joiners)).await;
    story.simulated.put("/onelogin/limits", json!({"limit": 100, "remaining": 60})).await;
    let patch = json!({"metadata": {"annotations": {bobsync::api::SYNC_REQUESTED: "now"}}});
    let params = kube::api::PatchParams::default();
    story
        .integrations()
        .patch("onelogin", &params, &kube::api::Patch::Merge(patch))
        .await
        .expect("an annotation");
    until("some joiners are through and the others wait", || async {
        let accounts = story.simulated.accounts().await.len();
        if accounts > 25 { Ok(()) } else { Err(format!("{accounts} accounts")) }
    })
    .await;
    let began = std::time::Instant::now();
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    assert_eq!(deliver(&controller, "employee.left", json!({"employeeId": id})).await, Some(200));
    until_account(&story, &id, "the leaver is suspended", |account| account["status"] == 2).await;
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert!(story.simulated.accounts().await.len() < 120, "the joiners are still waiting");
    let metrics = controller.metrics().await;
    let depth = metrics
        .lines()
        .find_map(|line| line.strip_prefix("bobsync_queue_depth{class=\"joiner\"} "))
        .map(str::to_owned);
    let depth: usize = depth.expect("a depth").parse().expect("a number");
    assert!((80..200).contains(&depth), "{depth} joiners wait");
    until_trigger(&story, &id, "Webhook").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_dead_process_took_with_it_are_healed_by_the_next() {
    let (story, controller) = begin("lost", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    assert_eq!(
        deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
        Some(200)
    );
    // Killed, most likely with the event still in line.
    drop(controller);
    let arguments = ["--leader-elect=false"];
    let _controller = Controller::with(&story, &arguments).await;
    until_account(&story, &id, "the title is there", |account| {
        account["title"] == "Head of Nothing"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_credential_is_not_knocked_on_by_events() {
    let (story, controller) = begin("refused", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    story.simulated.forget_calls().await;
    assert_eq!(
        deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
        Some(200)
    );
    story.ready("BobUnauthorized").await;
    for number in 0..5 {
        let data =
            json!({"employeeId": id, "fieldUpdates": [format!("work.custom.field_{number}")]});
        assert_eq!(deliver(&controller, "employee.updated", data).await, Some(200));
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    let calls = story.simulated.get("/bob/calls").await["total"].as_u64().unwrap();
    assert!(calls <= 3, "{calls} calls with a refused credential");
    story.simulated.change(&id, json!({"work.title": "Head of Nothing"})).await;
    story
        .secret("bob", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "bob-token-2")])
        .await;
    until_account(&story, &id, "the title is there", |account| {
        account["title"] == "Head of Nothing"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_in_the_middle_of_a_storm_loses_nobody_and_does_nothing_twice() {
    let (story, controller) = begin("died", 60, false).await;
    let ids = at_work(&story, 10).await;
    let (revoked, changed) = ids.split_first().expect("people at work");
    for id in changed {
        story.simulated.change(id, json!({"work.title": "Keeper of Storms"})).await;
    }
    story.simulated.forget_calls().await;
    let body = |number: usize| {
        let mut body = event(
            "employee.updated",
            &json!({"employeeId": changed[number % changed.len()]}),
            jiff::Timestamp::now(),
        );
        body["triggeredAt"] = format!("2026-10-14T09:21:07.{number:06}").into();
        body.to_string().into_bytes()
    };
    let deliver_from = async |url: &str, from: usize| {
        let mut answers = futures::stream::iter(from..from + 600)
            .map(|number| async move { (number, send(url, Some(SECRET), body(number)).await) })
            .buffer_unordered(8);
        let (mut count, mut last) = (0, from);
        while let Some((number, answer)) = answers.next().await {
            if answer != Some(200) {
                break;
            }
            (count, last) = (count + 1, last.max(number));
        }
        (count, last)
    };
    // Bob got 200 for the events before, and for a revocation. Then the process is gone.
    let url = controller.webhooks.clone();
    let killed = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(
            deliver(
                &controller,
                "employee.access.revoked.immediately",
                json!({"employeeId": revoked})
            )
            .await,
            Some(200)
        );
        controller.kill();
    };
    let ((count, last), ()) = tokio::join!(deliver_from(&url, 0), killed);
    assert!(count > 20 && count < 600, "{count} deliveries before the end");
    // Bob sends again what was not answered.
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    // A process that has just begun asks for another try, and never says that the signature is
    // wrong.
    until("the new process takes events", || async {
        match deliver(&controller, "employee.updated", json!({"employeeId": changed[0]})).await {
            Some(200) => Ok(()),
            Some(503) => Err("503".to_owned()),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let (again, _) = deliver_from(&controller.webhooks, last + 1).await;
    assert_eq!(again, 600);
    until_account(&story, revoked, "the revoked person is out", |account| account["status"] == 2)
        .await;
    for id in changed {
        until_account(&story, id, "the title is there", |account| {
            account["title"] == "Keeper of Storms"
        })
        .await;
    }
    story.sync().await;
    let writes = story.simulated.writes().await;
    // A write that the dead process had begun may be made again, because the new process cannot
    // know.
    assert!((10..=18).contains(&writes), "{writes} writes for 10 changes");
    assert_eq!(
        story.simulated.account(revoked).await.unwrap()["status"],
        2,
        "as was recorded before the 200"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_the_wrong_order_end_where_bob_stands() {
    let (story, controller) = begin("disorder", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    let deliver_at = async |kind: &str, seconds_ago: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
        let body = event(kind, &json!({"employeeId": id}), at).to_string();
        assert_eq!(send(&controller.webhooks, Some(SECRET), body.into_bytes()).await, Some(200));
    };
    let stays = async |status: u64, what: &str| {
        for _ in 0..15 {
            assert_eq!(story.simulated.account(&id).await.unwrap()["status"], status, "{what}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    // Lifecycle events are hints: in any order, Bob's file decides.
    for kind in [
        "employee.left",
        "employee.joined",
        "employee.inactivated",
        "employee.created",
        "employee.temporaryLeave",
    ] {
        deliver_at(kind, 10).await;
    }
    stays(1, "Bob shows somebody at work").await;
    // A revocation is repeated for an hour, and Bob has given access again in the meantime.
    deliver_at("employee.activated", 60).await;
    deliver_at("employee.access.revoked.immediately", 3600).await;
    stays(1, "the revocation is older than the activation").await;
    // The opposite case: the activation is the older one.
    deliver_at("employee.access.revoked.immediately", 1).await;
    until_account(&story, &id, "access is gone", |account| account["status"] == 2).await;
    deliver_at("employee.activated", 1800).await;
    stays(2, "the activation is older than the revocation").await;
    // The employee's file is changed, and the event of the change before comes last.
    story.simulated.change(&id, json!({"work.title": "First"})).await;
    story.simulated.change(&id, json!({"work.title": "Second"})).await;
    deliver_at("employee.updated", 5).await;
    deliver_at("employee.updated", 9).await;
    deliver_at("employee.activated", 0).await;
    until_account(&story, &id, "access and title are as in Bob", |account| {
        account["status"] == 1 && account["title"] == "Second"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_secret_is_valid_while_a_long_pass_is_under_way() {
    let (story, controller) = begin("rotated", 6, false).await;
    let (id, _) = story.simulated.somebody().await;
    // A pass that waits for the provider's next window.
    let joiners: Vec<Value> = (0..200)
        .map(|_| json!({"root.firstName": "Noa", "work.startDate": "2022-01-01"}))
        .collect();
    story.simulated.post("/bob/employees", Value::Array(joiners)).await;
    story.simulated.put("/onelogin/limits", json!({"limit": 100, "remaining": 60})).await;
    let request = story.ask().await;
    until("the joiners wait", || async {
        let accounts = story.simulated.accounts().await.len();
        if accounts > 25 { Ok(()) } else { Err(format!("{accounts} accounts")) }
    })
    .await;
    story.secret("hook", &[("webhookSecret", "a newer one")]).await;
    until("the new secret is valid", || async {
        let body = event("employee.updated", &json!({"employeeId": id}), jiff::Timestamp::now())
            .to_string();
        match send(&controller.webhooks, Some("a newer one"), body.into_bytes()).await {
            Some(200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(
        deliver(&controller, "employee.updated", json!({"employeeId": id})).await,
        Some(401),
        "the old one is not"
    );
    let handled = story.integration().await.status.unwrap().last_handled_sync_at;
    assert_ne!(handled, Some(request), "the pass is still under way");
}
