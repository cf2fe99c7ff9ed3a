//! An end of the employment takes access, whatever the settings say. A status is not green while
//! something keeps the account open.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};

use crate::support::{Controller, Story, condition, ready, until};

const SUSPENDED: i64 = 2;

fn terminated() -> Value {
    json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"})
}

fn with(mut fields: Value, key: &str, value: &str) -> Value {
    fields[key] = value.into();
    fields
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

fn access(person: &bobsync::api::EmployeeSync) -> Value {
    serde_json::to_value(person.status.as_ref().and_then(|status| status.access)).expect("JSON")
}

async fn until_status(story: &Story, id: &str, status: i64) {
    until("access is as it should be", || async {
        let account = story.simulated.account(id).await.unwrap_or_default();
        if account["status"] == status { Ok(()) } else { Err(account["status"].to_string()) }
    })
    .await;
}

/// The e-mail domains or the scope leave an employee out with the same edit that ends the
/// employment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_and_is_left_out_by_the_settings_with_the_same_edit_loses_access() {
    let spec = json!({"provisioning": {"emailDomains": ["example.com"], "scope": "employee.work.department != 'Alumni'"}});
    let (story, _controller) = Story::converged("left-out", 30, spec).await;
    let people = at_work(&story, 4).await;
    let [private, alumni, pinned, mover] = &people[..] else { panic!("four people") };
    let name = format!("onelogin-{pinned}");
    let hands_off = Patch::Merge(json!({"spec": {"suspend": true}}));
    story.people().patch(&name, &PatchParams::default(), &hands_off).await.expect("admitted");
    until("hands off", || async {
        if story.reason(pinned).await == "HandsOff" { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let before = story.simulated.account(private).await.unwrap();
    let journal = story.simulated.get("/onelogin/journal").await;
    let before_seq =
        journal.as_array().unwrap().last().map_or(0, |one| one["seq"].as_u64().unwrap_or(0));
    story.simulated.change(private, with(terminated(), "root.email", "me@private.example")).await;
    story.simulated.change(alumni, with(terminated(), "work.department", "Alumni")).await;
    story.simulated.change(pinned, with(terminated(), "work.department", "Alumni")).await;
    // An employee who is left out and works on is left as is.
    story
        .simulated
        .change(mover, json!({"work.department": "Alumni", "work.title": "Guest"}))
        .await;
    story.sync().await;
    // Ending sessions changes no account.
    let journal = story.simulated.get(&format!("/onelogin/journal?since={before_seq}")).await;
    let changed: Vec<&Value> =
        journal.as_array().unwrap().iter().filter(|one| one["before"] != one["after"]).collect();
    assert_eq!(changed.len(), 2, "two suspensions and nothing else: {changed:?}");
    for (id, fact) in [(private, "emailDomains"), (alumni, "provisioning.scope")] {
        until_status(&story, id, SUSPENDED).await;
        let person = story.person(id).await.unwrap();
        let (status, _, message) = condition(&person, "AccessSynced").unwrap();
        assert!(
            status == "True" && message.contains("Terminated") && message.contains(fact),
            "{message}"
        );
        assert_eq!((ready(&person).1.as_str(), access(&person)), ("InSync", json!("Suspended")));
        assert_eq!(condition(&person, "AttributesSynced").unwrap().1, "NotManaged");
    }
    let after = story.simulated.account(private).await.unwrap();
    assert_eq!(
        (&after["email"], &after["title"]),
        (&before["email"], &before["title"]),
        "access, and nothing else"
    );
    let person = story.person(pinned).await.unwrap();
    assert_eq!(ready(&person), ("True".to_owned(), "HandsOff".to_owned()));
    let (status, _, message) = condition(&person, "AccessSynced").unwrap();
    assert!(
        status == "False" && message.contains("spec.suspend") && message.contains("Terminated"),
        "{message}"
    );
    assert_eq!(story.reason(mover).await, "OutOfScope");
    // A steady state writes nothing. An account that a person opens again is closed again.
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 0);
    story.simulated.patch(&format!("/onelogin/users/{}", after["id"]), json!({"status": 1})).await;
    story.sync().await;
    until_status(&story, private, SUSPENDED).await;
    // With the disabling trigger off, keeping access is an explicit choice.
    let spec =
        json!({"provisioning": {"emailDomains": ["example.com"], "disablingTrigger": false}});
    story.integrate(spec).await;
    story.sync().await;
    assert_eq!(story.reason(private).await, "DomainNotListed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_with_a_protected_account_is_not_ready_until_it_is_suspended_by_hand() {
    let story = Story::begin("by-hand", 20).await;
    let people = at_work(&story, 1).await;
    let id = &people[0];
    let employees = story.simulated.employees().await;
    let email =
        employees.iter().find(|e| e["root.id"] == id.as_str()).unwrap()["root.email"].clone();
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    story.integrate(json!({"safety": {"protectedAccounts": [email]}})).await;
    story.sync().await;
    assert_eq!(ready(&story.person(id).await.unwrap()), ("True".to_owned(), "HandsOff".to_owned()));
    story.simulated.change(id, terminated()).await;
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 0);
    let person = story.person(id).await.unwrap();
    assert_eq!(
        (ready(&person), access(&person)),
        (("False".to_owned(), "SuspendByHand".to_owned()), json!("Active"))
    );
    let (stalled, _, message) = condition(&person, "Stalled").unwrap();
    assert!(
        stalled == "True"
            && message.contains("protectedAccounts")
            && message.contains("suspend the account by hand"),
        "{message}"
    );
    let status = story.integration().await.status.unwrap();
    assert_eq!(status.employees.as_ref().map(|counts| counts.failing), Some(1));
    let failing = status.conditions.iter().find(|c| c.type_ == "EmployeesFailing").unwrap();
    assert!(
        failing.status == "True" && failing.message.contains("1 SuspendByHand"),
        "{}",
        failing.message
    );
    until("a warning tells", || async {
        let events = kube::Api::<k8s_openapi::api::events::v1::Event>::namespaced(
            story.client.clone(),
            &story.namespace,
        );
        let events =
            events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let told = events.items.iter().any(|e| {
            e.reason.as_deref() == Some("SuspendByHand") && e.type_.as_deref() == Some("Warning")
        });
        if told { Ok(()) } else { Err("not told".to_owned()) }
    })
    .await;
    let account = story.simulated.account(id).await.unwrap();
    story
        .simulated
        .patch(&format!("/onelogin/users/{}", account["id"]), json!({"status": SUSPENDED}))
        .await;
    story.sync().await;
    assert_eq!(ready(&story.person(id).await.unwrap()), ("True".to_owned(), "HandsOff".to_owned()));
    assert_eq!(
        story.integration().await.status.unwrap().employees.map(|counts| counts.failing),
        Some(0)
    );
}

/// A plan that waits for a person outlives the retention.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_that_did_not_go_out_outlives_the_retention() {
    let safety = json!({"disables": {"max": "0%", "atLeast": 0}});
    let (story, controller) =
        Story::converged("retention", 40, json!({"safety": safety, "retention": "0s"})).await;
    let people = at_work(&story, 5).await;
    // A controller that runs may take what another writer adds to a status away.
    assert!(controller.stop().await);
    for id in &people {
        story.simulated.delete(&format!("/bob/employees/{id}")).await;
        let evidence = json!({"kind": "FileDeleted", "observedAt": "2026-01-01T00:00:00Z"});
        let status = Patch::Merge(json!({"status": {"evidence": evidence}}));
        story
            .people()
            .patch_status(&format!("onelogin-{id}"), &PatchParams::default(), &status)
            .await
            .expect("written");
    }
    let _controller = Controller::start(&story).await;
    story.sync_ends_in("PlanHeld").await;
    let evidence = async |id: &String| {
        story.person(id).await.and_then(|person| person.status?.evidence).is_some()
    };
    for id in &people {
        assert!(evidence(id).await, "the file is gone");
    }
    // Long past the retention, pass after pass.
    for _ in 0..2 {
        story.sync_ends_in("PlanHeld").await;
    }
    for id in &people {
        assert_eq!(story.reason(id).await, "Held");
        assert_eq!(story.simulated.account(id).await.unwrap()["status"], 1);
    }
    let digest = story.integration().await.status.unwrap().plan.unwrap().digest;
    story.integrate(json!({"safety": safety, "retention": "0s", "approvedPlan": digest})).await;
    for id in &people {
        until_status(&story, id, SUSPENDED).await;
    }
    story.sync().await;
    until("the objects expire once access is as decided", || async {
        let left = story
            .everybody()
            .await
            .iter()
            .filter(|person| people.contains(&person.spec.employee_id))
            .count();
        if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_was_found_by_its_email_is_shown_as_it_is_before_it_is_adopted() {
    let story = Story::begin("found", 20).await;
    let people = at_work(&story, 2).await;
    let [leaver, worker] = &people[..] else { panic!("two people") };
    let mut ids = Vec::new();
    for id in [leaver, worker] {
        let employees = story.simulated.employees().await;
        let email =
            employees.iter().find(|e| e["root.id"] == id.as_str()).unwrap()["root.email"].clone();
        let user = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": 1});
        ids.push(story.simulated.post("/onelogin/users", user).await["id"].clone());
    }
    story.simulated.change(leaver, terminated()).await;
    let _controller = Controller::start(&story).await;
    story.simulated.forget_calls().await;
    story.integrate(json!({"mode": "DryRun"})).await;
    story.ready("DryRun").await;
    let shown = async |id: &str, own: &Value| {
        let person = story.person(id).await.unwrap();
        let account = person.status.as_ref().unwrap().account.clone().expect("an account is shown");
        assert_eq!(
            (json!(account.id), json!(account.matched_by)),
            (json!(own.to_string()), json!("Email"))
        );
        let provisioned = condition(&person, "Provisioned").unwrap();
        assert_eq!((provisioned.0.as_str(), provisioned.1.as_str()), ("True", "WouldAdopt"));
        assert_eq!(access(&person), json!("Active"));
        condition(&person, "AccessSynced").unwrap().0
    };
    assert_eq!(shown(leaver, &ids[0]).await, "False");
    assert_eq!(shown(worker, &ids[1]).await, "True");
    assert_eq!(story.simulated.writes().await, 0);
    // The record does not make another employee's account a managed one: a second pass finds the
    // same, and a held plan shows it too.
    story.sync_ends_in("DryRun").await;
    assert_eq!(shown(leaver, &ids[0]).await, "False");
    story
        .integrate(json!({"mode": "Enforce", "safety": {"disables": {"max": "0%", "atLeast": 0}}}))
        .await;
    story.ready("PlanHeld").await;
    assert_eq!(shown(leaver, &ids[0]).await, "False");
    assert_eq!(story.reason(leaver).await, "Held");
    let stored = story.simulated.get(&format!("/onelogin/users/{}", ids[0])).await;
    assert_eq!((&stored["external_id"], &stored["status"]), (&Value::Null, &json!(1)));
    story.integrate(json!({"mode": "Enforce"})).await;
    until_status(&story, leaver, SUSPENDED).await;
    until("it is adopted", || async {
        let provisioned = condition(&story.person(leaver).await.unwrap(), "Provisioned").unwrap();
        if provisioned.1 == "Matched" { Ok(()) } else { Err(provisioned.1) }
    })
    .await;
}

/// A pass does not write the evidence that it read at its beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_or_comes_while_a_pass_is_under_way_stands_after_it() {
    let story = Story::begin("evidence", 200).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    let bob = json!({"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}});
    let spec = |more: Value| {
        let mut spec = json!({"interval": "24h", "bob": bob});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    story.integrate(spec(json!({}))).await;
    story.ready("Converged").await;
    let people = at_work(&story, 2).await;
    let [ended, came] = &people[..] else { panic!("two people") };
    let deliver = async |kind: &str, id: &str| {
        let body = event(kind, &json!({"employeeId": id}), jiff::Timestamp::now()).to_string();
        assert_eq!(send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await, Some(200));
    };
    deliver("employee.access.revoked.immediately", ended).await;
    until_status(&story, ended, SUSPENDED).await;
    until("the suspension is on record", || async {
        let person = story.person(ended).await.unwrap();
        let said = (condition(&person, "AccessSynced").unwrap().0, access(&person));
        if said == ("True".to_owned(), json!("Suspended")) {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        }
    })
    .await;
    // Every status is written again, and the listing is slow.
    story
        .simulated
        .post("/onelogin/faults", json!({"method": "GET", "pathPrefix": "/api/2/users", "kind": "delay", "delayMs": 1500, "times": 2}))
        .await;
    let searches = async || story.simulated.calls("bob", "POST /v1/people/search").await;
    let before = searches().await;
    story.integrate(spec(json!({"privacy": {"usernames": "Hide"}}))).await;
    until("the pass has read Bob", || async {
        let now = searches().await;
        if now > before { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    deliver("employee.activated", ended).await;
    deliver("employee.access.revoked.immediately", came).await;
    until_status(&story, came, SUSPENDED).await;
    story.sync().await;
    story.sync().await;
    until_status(&story, ended, 1).await;
    let evidence =
        async |id: &str| story.person(id).await.unwrap().status.unwrap().evidence.is_some();
    assert!(!evidence(ended).await && evidence(came).await);
    let revoked = story.integration().await.status.unwrap().revoked;
    let of = |id: &str| {
        revoked.iter().find(|one| one.employee_id == id).map(|one| one.ended_at.is_some())
    };
    assert_eq!((of(ended), of(came)), (Some(true), Some(false)), "{revoked:?}");
}

/// If a leaver has several accounts, none is forgotten, whatever fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_account_of_a_leaver_is_not_forgotten() {
    let story = Story::begin("second", 30).await;
    story.secret("hook", &[("webhookSecret", "s3cret")]).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}})).await;
    story.ready("Converged").await;
    let people = at_work(&story, 3).await;
    let mut accounts = Vec::new();
    for (number, id) in people.iter().enumerate() {
        let first = story.simulated.account(id).await.unwrap()["id"].clone();
        let name = format!("second-{number}");
        let email = format!("{name}@example.com");
        let second = json!({"email": email, "username": name, "firstname": "S", "lastname": "D", "status": 1, "external_id": id});
        let second = story.simulated.post("/onelogin/users", second).await["id"].clone();
        accounts.push([first, second]);
    }
    story.sync().await;
    let deliver = async |kind: &str, id: &str| {
        let body = event(kind, &json!({"employeeId": id}), jiff::Timestamp::now()).to_string();
        assert_eq!(send(&controller.webhooks, Some("s3cret"), body.into_bytes()).await, Some(200));
    };
    let leave = async |id: &str| {
        story.simulated.change(id, terminated()).await;
        deliver("employee.left", id).await;
    };
    let states = async |number: usize| {
        let mut states = Vec::new();
        for id in &accounts[number] {
            states.push(
                story.simulated.get(&format!("/onelogin/users/{id}")).await["status"]
                    .as_i64()
                    .unwrap(),
            );
        }
        states
    };
    let until_states = async |number: usize, wanted: [i64; 2]| {
        until("the accounts are as they should be", || async {
            let states = states(number).await;
            if states == wanted { Ok(()) } else { Err(format!("{states:?}")) }
        })
        .await;
    };
    let until_access = async |id: &str, wanted: &str| {
        until("the status tells of both accounts", || async {
            let person = story.person(id).await.unwrap();
            let told =
                (ready(&person), access(&person), condition(&person, "AccessSynced").unwrap().0);
            let synced = if wanted == "Suspended" { "True" } else { "False" };
            if told == (("False".into(), "Ambiguous".into()), wanted.into(), synced.into()) {
                Ok(())
            } else {
                Err(format!("{told:?}"))
            }
        })
        .await;
    };
    for id in &people {
        assert_eq!(story.reason(id).await, "Ambiguous");
    }

    // Neither a listing nor a search works: the account on record loses access, and the other one
    // is not forgotten.
    let broken =
        json!({"kind": "status", "status": 503, "method": "GET", "exactPath": "/api/2/users"});
    story.simulated.post("/onelogin/faults", broken).await;
    leave(&people[0]).await;
    until_states(0, [SUSPENDED, 1]).await;
    until_access(&people[0], "Active").await;
    story.simulated.delete("/onelogin/faults").await;
    // Once a search for the mark works, the other account loses access too, without a listing.
    until_states(0, [SUSPENDED, SUSPENDED]).await;
    until_access(&people[0], "Suspended").await;

    // One of them is refused.
    let at = format!("/api/2/users/{}", accounts[1][0]);
    story
        .simulated
        .post(
            "/onelogin/faults",
            json!({"kind": "status", "status": 403, "method": "PUT", "exactPath": at}),
        )
        .await;
    leave(&people[1]).await;
    until_states(1, [1, SUSPENDED]).await;
    until_access(&people[1], "Active").await;
    assert_eq!(states(1).await, [1, SUSPENDED]);
    story.simulated.delete("/onelogin/faults").await;
    story.sync().await;
    until_states(1, [SUSPENDED, SUSPENDED]).await;

    // Bob refuses the service user: the event is the evidence.
    story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    story.sync_ends_in("BobUnauthorized").await;
    deliver("employee.access.revoked.immediately", &people[2]).await;
    until_states(2, [SUSPENDED, SUSPENDED]).await;
    until_access(&people[2], "Suspended").await;
}

/// A lost permission hides all employees who have left, and with them leavers with open accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_on_record_whom_bob_does_not_show_any_more_stays_a_leaver() {
    let story = Story::begin("hidden-leavers", 20).await;
    let parent = json!({
        "root.email": "parent@example.com", "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Parental leave",
        "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
    });
    let parent = story.simulated.hire(parent).await;
    // Without an election: the next process waits for no Lease of a killed one.
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let people = at_work(&story, 2).await;
    let [opened, refused] = &people[..] else { panic!("two people") };
    let account = |id: &str| {
        let id = id.to_owned();
        let story = &story;
        async move { story.simulated.account(&id).await.unwrap()["id"].clone() }
    };
    let path = format!("/api/2/users/{}", account(refused).await);
    let fault = json!({"kind": "status", "status": 403, "method": "PUT", "exactPath": path});
    story.simulated.post("/onelogin/faults", fault).await;
    for leaver in &people {
        story.simulated.change(leaver, terminated()).await;
    }
    story.sync().await;
    until_status(&story, opened, SUSPENDED).await;
    let failing = || async {
        story.integration().await.status.unwrap().employees.map(|counts| counts.failing)
    };
    let one_fails = || async {
        until("the refused leaver counts", || async {
            let (reason, failing) = (story.reason(refused).await, failing().await);
            if (reason.as_str(), failing) == ("SuspendByHand", Some(1)) {
                Ok(())
            } else {
                Err(format!("{reason} {failing:?}"))
            }
        })
        .await;
    };
    one_fails().await;

    let visible = ["Hired", "Employed", "Garden leave", "Leave"];
    story
        .simulated
        .put("/bob/permissions", json!({"visibleLifecycles": visible, "outOfSight": "forbidden"}))
        .await;
    let open_again = || async {
        let user = format!("/onelogin/users/{}", account(opened).await);
        story.simulated.patch(&user, json!({"status": 1})).await;
    };
    open_again().await;
    story.sync_ends_in("SourceSuspect").await;
    until_status(&story, opened, SUSPENDED).await;
    one_fails().await;

    // Another process has only what is on record.
    controller.kill();
    open_again().await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync_ends_in("SourceSuspect").await;
    until_status(&story, opened, SUSPENDED).await;
    one_fails().await;
    story.simulated.delete("/onelogin/faults").await;
    story.sync().await;
    until_status(&story, refused, SUSPENDED).await;
    until("nothing fails", || async {
        if failing().await == Some(0) { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let parent_account = story.simulated.account(&parent).await.unwrap();
    assert_eq!(parent_account["status"], 1, "absence takes no access");

    // A status that Bob shows again counts.
    story.simulated.put("/bob/permissions", json!({})).await;
    story
        .simulated
        .change(
            opened,
            json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
        )
        .await;
    story.sync().await;
    story.ready("Converged").await;
    until_status(&story, opened, 1).await;
}
