//! Every setting except dates: scope, expressions, existing employees, overrides, and what is
//! refused.

use bobsync::api::EmployeeSync;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{Controller, Story, condition, ready, until};

fn at_work(email: &str) -> Value {
    json!({
        "root.firstName": "Noa", "root.surname": "Lind", "root.email": email, "work.startDate": "2022-03-01",
        "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
    })
}

fn access(person: &EmployeeSync) -> Value {
    serde_json::to_value(person.status.as_ref().and_then(|status| status.access)).expect("JSON")
}

async fn change_spec(story: &Story, id: &str, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    story
        .people()
        .patch(&format!("onelogin-{id}"), &PatchParams::default(), &patch)
        .await
        .expect("admitted");
}

async fn until_account(story: &Story, id: &str, what: &str, holds: impl Fn(&Value) -> bool) {
    until(what, || async {
        let account = story.simulated.account(id).await.unwrap_or_default();
        if holds(&account) { Ok(()) } else { Err(account.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_leaves_people_out_and_expressions_give_values() {
    let spec = json!({
        "provisioning": {"scope": "employee.work.site != 'Berlin'"},
        "mapping": [
            {"target": "email", "field": "root.email"},
            {"target": "username", "field": "root.email"},
            {"target": "company", "cel": "employee.work.site == 'Paris' ? 'Acme SAS' : 'Acme Ltd'"},
            {"target": "title", "cel": "employee.work.title.startsWith('Head') ? 'Management' : employee.work.title"},
        ],
    });
    let story = Story::begin("scope", 3).await;
    let hire = async |email: &str, site: &str, title: Value| {
        let mut person = at_work(email);
        person["work.site"] = site.into();
        person["work.title"] = title;
        story.simulated.hire(person).await
    };
    let paris = hire("zoe.roux@example.com", "Paris", json!("Head of Bread")).await;
    let london = hire("sam.reed@example.com", "London", json!("Baker")).await;
    let berlin = hire("jo.krug@example.com", "Berlin", json!("Baker")).await;
    let untitled = hire("ada.none@example.com", "London", Value::Null).await;
    let _controller = Controller::start(&story).await;
    story.integrate(spec).await;
    story.ready("Converged").await;
    let account = story.simulated.account(&paris).await.unwrap();
    assert_eq!(
        (account["company"].clone(), account["title"].clone()),
        (json!("Acme SAS"), json!("Management"))
    );
    let account = story.simulated.account(&london).await.unwrap();
    assert_eq!(
        (account["company"].clone(), account["title"].clone()),
        (json!("Acme Ltd"), json!("Baker"))
    );
    assert!(story.simulated.account(&berlin).await.is_none());
    let person = story.person(&berlin).await.unwrap();
    assert_eq!(
        (ready(&person), access(&person)),
        (("True".into(), "OutOfScope".into()), json!("Unmanaged"))
    );
    // If an expression fails for one employee, this employee lacks one attribute, and the status
    // names it.
    let person = story.person(&untitled).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "MappingFailed".into()));
    let (stalled, _, message) = condition(&person, "Stalled").unwrap();
    assert!(stalled == "True" && message.contains("title"), "{message}");
    assert_eq!(story.simulated.account(&untitled).await.unwrap()["company"], "Acme Ltd");
    // An expression that is not a condition is reported for all employees, and takes none out.
    story.integrate(json!({"provisioning": {"scope": "employee.work.site"}})).await;
    until("the failure is named", || async {
        let person = story.person(&paris).await.unwrap();
        let (_, reason, message) = condition(&person, "Ready").unwrap();
        if reason == "MappingFailed" && message.contains("scope") {
            Ok(())
        } else {
            Err(format!("{reason}: {message}"))
        }
    })
    .await;
    story.integrate(json!({"provisioning": {"scope": "employee.work.site != 'Berlin'"}})).await;
    story.ready("Converged").await;
    // An employee who leaves the company and the scope at the same time loses access, and nothing
    // else of the account changes. Back in the scope, the attributes follow.
    story
        .simulated
        .change(
            &london,
            json!({"work.site": "Berlin", "work.title": "Miller", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    let account = story.simulated.account(&london).await.unwrap();
    assert_eq!((account["title"].clone(), account["status"].clone()), (json!("Baker"), json!(2)));
    story.simulated.change(&london, json!({"work.site": "London"})).await;
    story.sync().await;
    let account = story.simulated.account(&london).await.unwrap();
    assert_eq!((account["title"].clone(), account["status"].clone()), (json!("Miller"), json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_language_cannot_do_is_refused_with_a_way_out() {
    let story = Story::begin("refuse", 2).await;
    let refused = async |spec: Value| {
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "no"}, "spec": spec});
        let patch = Patch::Apply(object);
        story
            .integrations()
            .patch("no", &PatchParams::apply("story").force(), &patch)
            .await
            .expect_err("refused")
            .to_string()
    };
    let spec = |provisioning: Value| {
        json!({
            "mode": "DryRun",
            "bob": {"credentialsSecretRef": {"name": "bob"}},
            "provider": {"oneLogin": {"region": "US", "credentialsSecretRef": {"name": "onelogin"}}},
            "provisioning": provisioning,
        })
    };
    let mut two = spec(json!({}));
    two["mapping"] = json!([{"target": "email", "field": "root.email", "cel": "'x'"}, {"target": "username", "field": "root.email"}]);
    assert!(refused(two).await.contains("exactly one of field, formula and cel"));
    // A misspelt target is named with its row, and the message lists the targets that there are.
    let mut misspelt = spec(json!({}));
    misspelt["mapping"] = json!([{"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"},
        {"target": "job.tittle", "field": "work.title"}]);
    let message = refused(misspelt).await;
    for says in [
        "spec.mapping[2].target",
        "\"job.tittle\": no provider has such a target",
        "OneLogin has no such target: use email,",
        "title, department",
    ] {
        assert!(message.contains(says), "{message}");
    }
    // A message does not print a regular expression.
    for (key, value, says) in [
        ("interval", json!("ten minutes"), "a duration of at least 1m, such as 10m"),
        ("interval", json!("25h"), "at most 24h"),
        (
            "bob",
            json!({"credentialsSecretRef": {"name": "bob"}, "endpoint": "http://127.0.0.1:1/\tx"}),
            "it has no user, no query and no fragment",
        ),
        ("retention", json!("90 days"), "a duration such as 2160h"),
        ("approvedPlan", json!("yes"), "as status.plan.digest shows it"),
        (
            "safety",
            json!({"disables": {"max": "5"}}),
            "a whole number of percent between 0% and 100%, such as 5%",
        ),
        (
            "safety",
            json!({"fieldBlackout": {"max": "101%"}}),
            "a whole number of percent between 0% and 100%, such as 5%",
        ),
        (
            "safety",
            json!({"updates": {"per": "1d"}}),
            "a duration between 1m and 720h, such as 24h",
        ),
    ] {
        let mut wrong = spec(json!({}));
        wrong[key] = value;
        let message = refused(wrong).await;
        assert!(message.contains(says), "{message}");
    }

    // The name of an account is a host name, and host names ignore case.
    let mut named = spec(json!({}));
    named["provider"]["oneLogin"] =
        json!({"subdomain": "Acme", "credentialsSecretRef": {"name": "onelogin"}});
    let named = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "acme"}, "spec": named});
    let parameters = PatchParams { dry_run: true, ..PatchParams::apply("story") };
    story.integrations().patch("acme", &parameters, &Patch::Apply(named)).await.expect("admitted");
    // A mistake that the API server cannot see leads to a condition that says what to do.
    let _controller = Controller::start(&story).await;
    story.integrate(json!({"provisioning": {"scope": "employee.work.site = 'Berlin'"}})).await;
    let message = ready_message(&story, "InvalidSettings").await;
    assert!(message.contains("spec.provisioning.scope"), "{message}");
}

async fn ready_message(story: &Story, reason: &str) -> String {
    let integration = story.ready(reason).await;
    let conditions = integration.status.expect("a status").conditions;
    conditions.into_iter().find(|c| c.type_ == "Ready").expect("Ready").message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_bob_does_not_have_is_named_with_the_nearest_and_a_hidden_one_is_not() {
    let mapping = |field: &str| {
        json!({"mapping": [
            {"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"}, {"target": "title", "field": field},
        ]})
    };
    let story = Story::begin("unknown", 5).await;
    let _controller = Controller::start(&story).await;
    story.integrate(mapping("work.titel")).await;
    let message = ready_message(&story, "InvalidSettings").await;
    assert!(message.contains("work.titel") && message.contains("work.title"), "{message}");
    assert!(
        story.simulated.accounts().await.is_empty(),
        "nothing is written on a mapping that cannot be"
    );
    story.integrate(mapping("work.title")).await;
    story.ready("Converged").await;
    let before = story.simulated.accounts().await;
    story.simulated.put("/bob/permissions", json!({"hiddenFields": ["work.title"]})).await;
    let conditions = story.sync().await.status.unwrap().conditions;
    let complete = conditions.iter().find(|c| c.type_ == "MappingComplete").unwrap();
    assert_eq!(
        (complete.status.as_str(), complete.reason.as_str()),
        ("False", "SourceUnavailable")
    );
    assert_eq!(story.simulated.accounts().await, before, "what is hidden clears nothing");
    // Bob is asked about its fields once, not in every pass.
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.simulated.get("/bob/calls").await["total"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_date_gives_nobody_access_and_takes_none() {
    let story = Story::begin("hidden", 2).await;
    let yesterday = jiff::Zoned::now().date().yesterday().unwrap().to_string();
    let leaver = story
        .simulated
        .hire(with(at_work("gone.by@example.com"), json!({"employee.lastDayOfWork": "2026-01-31"})))
        .await;
    let starter = story
        .simulated
        .hire(with(
            at_work("started@example.com"),
            json!({"work.startDate": yesterday, "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"}),
        ))
        .await;
    let worker = story.simulated.hire(at_work("at.work@example.com")).await;
    for email in ["gone.by@example.com"] {
        story
            .simulated
            .post("/onelogin/users", json!({"email": email, "username": email, "status": 1}))
            .await;
    }
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let stands = async || {
        let mut stands = Vec::new();
        for id in [&leaver, &starter, &worker] {
            stands.push(story.simulated.account(id).await.map(|account| account["status"].clone()));
        }
        stands
    };
    let before = stands().await;
    assert_eq!(before, [Some(json!(2)), Some(json!(1)), Some(json!(1))]);
    for field in ["employee.lastDayOfWork", "internal.terminationDate", "work.startDate"] {
        story.simulated.put("/bob/permissions", json!({"hiddenFields": [field]})).await;
        story.simulated.forget_calls().await;
        let conditions = story.sync().await.status.unwrap().conditions;
        assert_eq!(stands().await, before, "{field}");
        assert_eq!(story.simulated.writes().await, 0, "{field}");
        let complete = conditions.iter().find(|c| c.type_ == "MappingComplete").unwrap();
        assert!(
            complete.status == "False" && complete.message.contains(field),
            "{field}: {}",
            complete.message
        );
    }
    // A status still takes access.
    story
        .simulated
        .change(
            &worker,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&worker).await.unwrap()["status"], 2);
    // Without the lifecycle no employee can be decided.
    story
        .simulated
        .put("/bob/permissions", json!({"hiddenFields": ["internal.lifecycleStatus"]}))
        .await;
    story.sync_ends_in("BobForbidden").await;
}

fn with(mut person: Value, fields: Value) -> Value {
    if let (Value::Object(person), Value::Object(fields)) = (&mut person, fields) {
        person.extend(fields);
    }
    person
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_change_leaves_existing_people_alone_until_something_changes() {
    let story = Story::begin("onchange", 12).await;
    let (changed, employee) = story.simulated.somebody().await;
    // An account that existed before bobsync, and differs from Bob.
    let email = employee["root.email"].as_str().unwrap();
    let old = json!({"email": email, "username": email, "firstname": "Old", "lastname": "Name", "status": 1});
    let old = story.simulated.post("/onelogin/users", old).await;
    let leaver = story.simulated.hire(at_work("lea.vera@example.com")).await;
    story
        .simulated
        .post("/onelogin/users", json!({"email": "lea.vera@example.com", "username": "lea.vera@example.com", "status": 1}))
        .await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"provisioning": {"existingEmployees": "OnChange"}})).await;
    story.ready("Converged").await;
    assert_eq!(story.simulated.writes().await, 0);
    let person = story.person(&changed).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "AwaitingChange".into()));
    // Deleting the objects does not count as a change of an employee: they come back and still
    // wait.
    let before = person.status.unwrap().awaiting_change;
    story
        .people()
        .delete_collection(&DeleteParams::default(), &kube::api::ListParams::default())
        .await
        .unwrap();
    until("the object is back", || async {
        let status = story.person(&changed).await.and_then(|person| person.status);
        let waiting = status.and_then(|status| status.awaiting_change);
        if waiting == before { Ok(()) } else { Err(format!("{waiting:?}")) }
    })
    .await;
    assert_eq!(story.simulated.writes().await, 0);

    // A change of a mapped field, a leaver, and a new employee. A restart in between does not count
    // as a change.
    assert!(controller.stop().await);
    story.simulated.change(&changed, json!({"work.title": "Head of Lighthouses"})).await;
    story
        .simulated
        .change(
            &leaver,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    let new = story.simulated.hire(at_work("new.comer@example.com")).await;
    let _controller = Controller::start(&story).await;
    story.sync().await;
    let account = story.simulated.account(&changed).await.expect("adopted");
    assert_eq!(
        (account["id"].clone(), account["title"].clone()),
        (old["id"].clone(), json!("Head of Lighthouses"))
    );
    assert_eq!(story.simulated.account(&leaver).await.expect("adopted")["status"], 2);
    assert_eq!(story.simulated.account(&new).await.expect("created")["status"], 1);
    assert_eq!(
        story.simulated.writes().await,
        4,
        "an update, a suspension with its logout, a create, and nobody else"
    );
    // Another mapping does not count as a change of an employee.
    story.integrate(json!({"provisioning": {"existingEmployees": "OnChange"}, "mapping": [
        {"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"}, {"target": "company", "field": "work.site"},
    ]})).await;
    story.ready("Converged").await;
    let marked = story
        .simulated
        .accounts()
        .await
        .iter()
        .filter(|account| account["external_id"].is_string())
        .count();
    assert_eq!(marked, 3, "those who were released stay so, the others wait");
    story
        .integrate(json!({"provisioning": {"existingEmployees": "NextPass"}, "mapping": null}))
        .await;
    story.ready("Converged").await;
    let waiting = story
        .everybody()
        .await
        .into_iter()
        .filter(|person| ready(person).1 == "AwaitingChange")
        .count();
    assert_eq!(waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_persons_settings_are_pinned_and_unpinned() {
    let (story, _controller) = Story::converged("pinned", 8, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    change_spec(
        &story,
        &id,
        json!({"attributes": {"title": "Head of Nothing", "company": "Elsewhere Ltd"}}),
    )
    .await;
    until_account(&story, &id, "both are pinned", |account| {
        account["title"] == "Head of Nothing" && account["company"] == "Elsewhere Ltd"
    })
    .await;
    // A pinned value stays when Bob changes, and other mapped values follow.
    story.simulated.change(&id, json!({"work.title": "Miller", "work.department": "Mills"})).await;
    story.sync().await;
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!(
        (account["title"].clone(), account["department"].clone()),
        (json!("Head of Nothing"), json!("Mills"))
    );
    change_spec(&story, &id, json!({"attributes": {"title": "", "company": null, "shoe_size": "43", "custom_attributes.nope": "x"}})).await;
    until_account(&story, &id, "an empty value clears", |account| {
        account["title"].as_str().unwrap_or_default().is_empty()
    })
    .await;
    until("the unknown target is named", || async {
        let person = story.person(&id).await.unwrap();
        let (_, _, message) = condition(&person, "Stalled").unwrap_or_default();
        if ready(&person).1 == "MappingFailed"
            && message.contains("shoe_size")
            && !message.contains("title")
        {
            Ok(())
        } else {
            Err(format!("{:?} {message}", ready(&person)))
        }
    })
    .await;
    change_spec(&story, &id, json!({"attributes": null})).await;
    until_account(&story, &id, "Bob's value is back", |account| account["title"] == "Miller").await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["email"], employee["root.email"]);

    // On leave without access, but pinned to be active; and hands off.
    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Leave", "internal.status": "Inactive"}))
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    change_spec(&story, &id, json!({"userStatus": "AlwaysActive"})).await;
    until_account(&story, &id, "active against the leave", |account| account["status"] == 1).await;
    change_spec(&story, &id, json!({"suspend": true})).await;
    until("hands off", || async {
        if story.reason(&id).await == "HandsOff" { Ok(()) } else { Err(String::new()) }
    })
    .await;
    story.simulated.change(&id, json!({"internal.lifecycleStatus": "Terminated"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 1);
    change_spec(&story, &id, json!({"suspend": false})).await;
    until_account(&story, &id, "the trigger wins over always active", |account| {
        account["status"] == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_git_wrote_first_waits_for_its_person() {
    let (story, _controller) = Story::converged("git", 4, json!({})).await;
    let id = "3332883894235099999";
    let object = json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": format!("onelogin-{id}")},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": id, "attributes": {"title": "Head of Nothing"}},
    });
    let object: EmployeeSync = serde_json::from_value(object).unwrap();
    story.people().create(&PostParams::default(), &object).await.unwrap();
    until("it says that Bob does not know the person", || async {
        let person = story.person(id).await.unwrap();
        if ready(&person) == ("False".into(), "Pending".into()) {
            Ok(())
        } else {
            Err(format!("{:?}", ready(&person)))
        }
    })
    .await;
    let person = story.person(id).await.unwrap();
    assert!(condition(&person, "Ready").unwrap().2.contains("no employee with this id"));
    // However often it is read, it does not count as a deleted file.
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(
        story.simulated.get("/bob/calls").await["total"],
        1,
        "nor is Bob asked for it by id"
    );
    assert_eq!(story.reason(id).await, "Pending");
    let mut person = at_work("git.first@example.com");
    person["root.id"] = id.into();
    story.simulated.hire(person).await;
    story.sync().await;
    assert_eq!(story.simulated.account(id).await.expect("created")["title"], "Head of Nothing");
    assert_eq!(story.reason(id).await, "InSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_goes_from_a_leaver_to_a_new_hire_within_one_pass() {
    let (story, _controller) = Story::converged("handover", 6, json!({})).await;
    let leaver = story.simulated.hire(at_work("info@example.com")).await;
    story.sync().await;
    let account = story.simulated.account(&leaver).await.unwrap()["id"].clone();
    story
        .simulated
        .change(
            &leaver,
            json!({"root.email": "info.former@example.com", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    let hire = story.simulated.hire(at_work("info@example.com")).await;
    story.simulated.forget_calls().await;
    story.sync().await;
    let (old, new) = (
        story.simulated.account(&leaver).await.unwrap(),
        story.simulated.account(&hire).await.expect("created"),
    );
    assert_eq!(
        (old["id"].clone(), old["email"].clone(), old["status"].clone()),
        (account, json!("info.former@example.com"), json!(2))
    );
    assert_eq!(
        (new["email"].clone(), new["status"].clone()),
        (json!("info@example.com"), json!(1))
    );
    assert_eq!(story.simulated.writes().await, 3, "a suspension with its logout, and a create");
    // Both are at work: one gives the address to the other. A swap has no order, and stays a
    // conflict.
    let other = story.simulated.hire(at_work("second@example.com")).await;
    story.sync().await;
    story.simulated.change(&hire, json!({"root.email": "third@example.com"})).await;
    story.simulated.change(&other, json!({"root.email": "info@example.com"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&other).await.unwrap()["email"], "info@example.com");
    story.simulated.change(&hire, json!({"root.email": "info@example.com"})).await;
    story.simulated.change(&other, json!({"root.email": "third@example.com"})).await;
    story.sync().await;
    assert_eq!(
        (story.reason(&hire).await, story.reason(&other).await),
        ("Conflict".into(), "Conflict".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_integrations_on_one_tenant_do_not_fight_over_a_person() {
    let (story, _controller) = Story::converged("tenant", 6, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let first = story.integration().await;
    let mut second = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "zweite"}, "spec": first.spec});
    second["spec"]["provisioning"]["userStatus"] = "AlwaysInactive".into();
    second["spec"]["mapping"] = json!([{"target": "email", "field": "root.email"}, {"target": "username", "field": "root.email"}, {"target": "title", "field": "work.department"}]);
    story.simulated.forget_calls().await;
    // Creation times have whole seconds, so names decide between equal ones.
    story
        .integrations()
        .patch("zweite", &PatchParams::apply("story").force(), &Patch::Apply(second))
        .await
        .expect("admitted");
    until("the second says who was first", || async {
        let person = story.people().get_opt(&format!("zweite-{id}")).await.unwrap();
        let (_, reason, message) =
            person.as_ref().and_then(|person| condition(person, "Ready")).unwrap_or_default();
        if reason == "Conflict" && message.contains("/onelogin ") {
            Ok(())
        } else {
            Err(format!("{reason}: {message}"))
        }
    })
    .await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 0);
    // The first integration is deleted: the second takes over.
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    let patch = Patch::Merge(
        json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "take over"}}}),
    );
    until("the second manages the person", || async {
        story.integrations().patch("zweite", &PatchParams::default(), &patch).await.unwrap();
        let person = story.people().get_opt(&format!("zweite-{id}")).await.unwrap();
        match person.map(|person| ready(&person).1) {
            Some(reason) if reason == "InSync" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// One OneLogin under two addresses: the service tells that it is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_integrations_on_one_tenant_with_two_names_do_not_fight_over_a_person() {
    let story = Story::begin("names", 6).await;
    let other_name = story.simulated.one_login.replace("127.0.0.1", "localhost");
    let _controller = Controller::with(&story, &["--allow-endpoint", &other_name]).await;
    let first = story.integrate(json!({})).await;
    let status = story.ready("Converged").await.status.unwrap();
    let (tenant, named) = (status.tenant.unwrap(), status.tenant_named.unwrap());
    assert!(
        tenant.starts_with("onelogin account ") && named.ends_with(&story.simulated.one_login),
        "{tenant}, {named}"
    );
    story.simulated.forget_calls().await;

    let mut second = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "zweite"}, "spec": first.spec});
    second["spec"]["provider"]["oneLogin"]["endpoint"] = json!(other_name);
    second["spec"]["provisioning"]["userStatus"] = "AlwaysInactive".into();
    story
        .integrations()
        .patch("zweite", &PatchParams::apply("story").force(), &Patch::Apply(second))
        .await
        .expect("admitted");
    until("the second says whose they are", || async {
        let status = story.integrations().get("zweite").await.unwrap().status.unwrap_or_default();
        let ready = status
            .conditions
            .into_iter()
            .find(|one| one.type_ == "Ready")
            .map(|one| (one.reason, one.message))
            .unwrap_or_default();
        if ready.0 == "TenantTaken" && ready.1.contains("/onelogin") {
            Ok(())
        } else {
            Err(format!("{ready:?}"))
        }
    })
    .await;
    let said = story.integrations().get("zweite").await.unwrap().status.unwrap();
    assert_eq!(
        (
            said.tenant.as_ref(),
            said.tenant_named.as_deref().map(|name| name.ends_with(&other_name))
        ),
        (Some(&tenant), Some(true))
    );

    // The first takes the other name as well: it is the tenant that it was.
    story.integrate(json!({"provider": {"oneLogin": {"endpoint": other_name}}})).await;
    let status = story.ready("Converged").await.status.unwrap();
    assert_eq!(status.tenant, Some(tenant));
    assert!(status.tenant_named.is_some_and(|name| name.ends_with(&other_name)));
    assert_eq!(story.simulated.writes().await, 0);
    assert!(
        story
            .everybody()
            .await
            .iter()
            .filter(|person| person.spec.integration_ref.name == "onelogin")
            .all(|one| ready(one).0 == "True")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immediate_revocation_holds_through_passes_and_restarts_until_a_later_start() {
    let (story, controller) = Story::converged("revoked", 5, json!({})).await;
    let id = story.simulated.hire(at_work("rev.oked@example.com")).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 1);
    let evidence = json!({"status": {"evidence": {"kind": "AccessRevoked", "observedAt": "2026-11-20T10:00:00Z", "startDate": "2022-03-01"}}});
    story
        .people()
        .patch_status(&format!("onelogin-{id}"), &PatchParams::default(), &Patch::Merge(evidence))
        .await
        .unwrap();
    until_account(&story, &id, "suspended at once", |account| account["status"] == 2).await;
    assert!(controller.stop().await);
    let _controller = Controller::start(&story).await;
    story.sync().await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    let person = story.person(&id).await.unwrap();
    assert!(
        condition(&person, "AccessSynced")
            .unwrap()
            .2
            .contains("employee.access.revoked.immediately")
    );
    // Deleting the object gives no access back.
    story.people().delete(&format!("onelogin-{id}"), &DeleteParams::default()).await.unwrap();
    until("the object is back, and says why", || async {
        let evidence = story
            .person(&id)
            .await
            .and_then(|person| person.status)
            .and_then(|status| status.evidence);
        if evidence.is_some() { Ok(()) } else { Err("no evidence".to_owned()) }
    })
    .await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    story.simulated.change(&id, json!({"work.startDate": "2026-11-23"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 1);
    assert!(story.person(&id).await.unwrap().status.unwrap().evidence.is_none());
}
