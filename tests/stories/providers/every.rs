//! The stories of every provider. A provider's file names its tenant once and has them all.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    Provider,
    tenant::{First, PASSWORD, Refusal, Rules, Scene, held, joins, leaves, text, works},
};
use crate::support::{Controller, Mark, Story, condition, expected::expected, name, ready, until};

/// Makes a test of each story.
macro_rules! every_provider {
    ($tenant:expr) => {
        $crate::providers::every::stories!(
            $tenant,
            the_example_makes_the_provider_equal_to_bob_and_each_employee_has_an_object,
            a_steady_state_and_a_restart_write_nothing_anywhere,
            a_mover_a_leaver_and_a_rehire,
            a_create_whose_answer_is_lost_makes_one_account,
            what_the_provider_cannot_do_is_refused_with_a_way_out_and_so_is_another_endpoint,
            an_account_from_before_is_adopted_by_its_address_and_keeps_what_is_not_ours,
            a_dry_run_plans_and_writes_nothing_to_the_provider,
            an_administrator_is_recognised_and_left_alone,
        );
    };
}

macro_rules! stories {
    ($tenant:expr, $($story:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                Box::pin($crate::providers::every::$story($tenant)).await;
            }
        )*
    };
}

pub(crate) use {every_provider, stories};

/// Returns the id of an employee.
fn id(employee: &Value) -> &str {
    employee["root.id"].as_str().expect("an id")
}

pub async fn the_example_makes_the_provider_equal_to_bob_and_each_employee_has_an_object(
    tenant: Provider,
) {
    let scene = Scene::without_secret(tenant, "first", 70).await;
    let credentials = tenant.secret_of_the_example(&tenant.told(&scene.simulated).await);
    tenant.write_secret(&scene, &credentials).await;
    let controller = Controller::start(&scene).await;
    scene.integrate(scene.example()).await;
    let integration = scene.ready("Converged").await;

    let now = Timestamp::now();
    let employees = scene.simulated.employees().await;
    let users = scene.users().await;
    let by_mark: HashMap<String, &Value> =
        users.iter().map(|user| (tenant.mark(user).expect("a mark"), user)).collect();
    let (mut wanted, mut managed) = (0, 0);
    for employee in &employees {
        let id = id(employee);
        let Some(status) = expected(employee, now) else {
            assert!(!by_mark.contains_key(id), "{id} has left or not started, and has an account");
            continue;
        };
        wanted += 1;
        let user = *by_mark.get(id).unwrap_or_else(|| panic!("{id} has no account"));
        let access = (tenant.is_open(user), tenant.is_suspended(user));
        assert_eq!(access, (status == 1, status == 2), "{id}: {employee}");
        for (have, field) in tenant.rows(user) {
            assert_eq!(text(&have), text(&employee[field]), "{id} {field}");
        }
        let manager = employee["work.manager"].as_str().and_then(|id| by_mark.get(id));
        managed += u64::from(manager.is_some());
        if let Some((have, want)) =
            tenant.manager(user, manager.map_or(&Value::Null, |manager| manager))
        {
            assert_eq!(have, want, "{id} manager");
        }
        assert_ne!(tenant.must_change_password(user), Some(false), "{id}");
    }
    assert_eq!(users.len(), by_mark.len());
    assert_eq!(users.len() as u64, wanted, "no other employee has an account");
    assert!(wanted > 20 && managed > 10, "{wanted} and {managed}");

    let calls = scene.calls().await;
    let is_refused = |call: &&Value| call["status"].as_u64().is_some_and(|status| status >= 400);
    tenant.first_sync(&First {
        wanted,
        managed,
        writes: calls["writes"].as_u64().expect("a number"),
        refused: scene.log().await.iter().filter(is_refused).count() as u64,
        routes: calls["byRoute"].clone(),
        users: users.clone(),
    });
    assert_eq!(scene.simulated.calls("bob", "POST /v1/people/search").await, 1);

    let people = scene.everybody().await;
    let told = format!("{}{}", controller.log(), serde_json::to_string(&people).expect("JSON"));
    assert!(told.len() > 10_000);
    for secret in tenant.never_told().iter().chain(&[PASSWORD]) {
        assert!(!told.contains(secret), "a secret is told: {secret}");
    }
    for person in &people {
        let (status, reason) = ready(person);
        assert_eq!(status, "True", "{} is {reason}", name(person));
        let owners = person.metadata.owner_references.as_ref();
        assert!(owners.is_some_and(|owners| owners[0].name == "onelogin"));
    }
    let status = integration.status.expect("a status");
    let counts = status.employees.expect("counts");
    assert_eq!(counts.in_bob as usize, employees.len());
    assert_eq!(counts.in_scope as usize, people.len());
    assert_eq!((counts.ready, counts.failing, counts.pending), (counts.in_scope, 0, 0));
    let last = status.last_pass.expect("a pass");
    assert_eq!((u64::from(last.created), last.failed), (wanted, 0));
    assert_eq!(status.observed_generation, integration.metadata.generation);
}

/// Returns the changes that the controller made at the API server since the mark.
async fn changes(story: &Story, mark: Mark) -> Vec<testbed::AuditEvent> {
    let mut events = story.audited(mark).await;
    events.retain(|event| !matches!(event.verb.as_str(), "get" | "list" | "watch"));
    events
}

pub async fn a_steady_state_and_a_restart_write_nothing_anywhere(tenant: Provider) {
    let (scene, controller) = Scene::converged(tenant, "steady", tenant.company(), json!({})).await;
    // Events are sent at their own pace, and those of the first sync are still to come.
    until("no event of the first sync is on its way", || async {
        let before = scene.mark().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let late = changes(&scene, before).await;
        if late.is_empty() { Ok(()) } else { Err(format!("{} changes", late.len())) }
    })
    .await;
    let pages = scene.users().await.len().div_ceil(tenant.catalog().capabilities.page);
    scene.forget_calls().await;
    let mark = scene.mark().await;
    for _ in 0..2 {
        scene.sync().await;
    }
    let calls = scene.calls().await;
    assert_eq!(calls["writes"], 0);
    let listing = format!("GET {}", tenant.users());
    assert_eq!(
        calls["byRoute"],
        json!({listing.as_str(): 2 * pages}),
        "the pages, and no other call"
    );
    assert_eq!(scene.simulated.calls("bob", "POST /v1/people/search").await, 2);
    // The one change is the echo of the sync request.
    let changed = changes(&scene, mark).await;
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(changed.iter().all(|event| event.resource == "provisioningintegrations"));

    assert!(controller.stop().await, "a graceful stop ends with success");
    scene.forget_calls().await;
    let mark = scene.mark().await;
    let _controller = Controller::start(&scene).await;
    scene.sync().await;
    let calls = scene.calls().await;
    assert!(calls["byRoute"][&listing].as_u64() >= Some(1), "the new process made a pass");
    assert_eq!(calls["writes"], 0);
    let changed = changes(&scene, mark).await;
    assert!(changed.iter().all(|event| event.resource != "employeesyncs"), "{changed:?}");
}

pub async fn a_mover_a_leaver_and_a_rehire(tenant: Provider) {
    let (scene, _controller) = Scene::converged(tenant, "lives", 30, json!({})).await;
    let (id, employee) = scene.simulated.somebody().await;
    let before = scene.account(&id).await;
    scene.forget_calls().await;
    scene.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    scene.sync().await;
    assert_eq!(scene.writes().await, 1);
    assert_eq!(held(tenant, &scene.account(&id).await, "work.title"), "Head of Lighthouses");
    let history = scene.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(history[0].fields, [tenant.title()]);

    // Another manager is one more write, and does not change access.
    let old = employee["work.manager"].as_str().unwrap();
    let marked: Vec<_> = scene.users().await.iter().filter_map(|user| tenant.mark(user)).collect();
    let other = marked.into_iter().find(|other| other != old && *other != id).expect("an account");
    scene.simulated.change(&id, json!({"work.manager": other})).await;
    scene.sync().await;
    let manager = tenant.manager(&scene.account(&id).await, &scene.account(&other).await);
    if let Some((have, want)) = &manager {
        assert_eq!(have, want);
    }
    assert_eq!(scene.writes().await, 1 + u64::from(manager.is_some()));
    assert_eq!(scene.access(&id).await, "Active");

    scene.simulated.change(&id, leaves()).await;
    scene.sync().await;
    let suspended = scene.account(&id).await;
    assert!(tenant.is_suspended(&suspended) && !tenant.is_open(&suspended), "{suspended}");
    assert_eq!(tenant.id(&suspended), tenant.id(&before));
    assert_eq!(ready(&scene.person(&id).await.unwrap()), ("True".into(), "InSync".into()));
    assert_eq!(scene.access(&id).await, "Suspended");
    let ends = tenant.sessions(&tenant.id(&before));
    assert_eq!(ends.is_some(), tenant.catalog().capabilities.ends_sessions);
    if let Some(path) = ends {
        let log = scene.log().await;
        let ended = log.iter().filter(|call| call["path"] == path.as_str()).count();
        assert_eq!(ended, 1, "the sessions end once");
    }
    // A change of a suspended employee does not change access.
    scene.simulated.change(&id, json!({"work.title": "Keeper of the Light"})).await;
    scene.sync().await;
    assert_eq!(held(tenant, &scene.account(&id).await, "work.title"), "Keeper of the Light");
    assert_eq!(scene.access(&id).await, "Suspended");

    scene.simulated.change(&id, works()).await;
    scene.sync().await;
    let again = scene.account(&id).await;
    assert!(tenant.is_open(&again), "{again}");
    assert_eq!(tenant.id(&again), tenant.id(&before));
    assert_eq!(scene.access(&id).await, "Active");
    assert_ne!(tenant.must_change_password(&again), Some(true), "the settings do not ask for it");
}

pub async fn a_create_whose_answer_is_lost_makes_one_account(tenant: Provider) {
    let scene = Scene::begin(tenant, "lost", 20).await;
    let _controller = Controller::start(&scene).await;
    scene.integrate(scene.passwords()).await;
    scene.ready("Converged").await;
    // The accounts have existed for a while.
    scene.simulated.put("/clock", json!({"advanceSeconds": 600})).await;
    if let Some(lag) = tenant.lag() {
        scene.simulated.put(&scene.at("quirks"), lag).await;
    }
    let mut joiners = Vec::new();
    for kind in ["resetAfterApply", "statusAfterApply", "reset"] {
        let lost = json!({"kind": kind, "method": "POST", "exactPath": tenant.users(), "times": 1});
        scene.simulated.post(&scene.at("faults"), lost).await;
        let email = format!("late.riser.{kind}@example.com").to_lowercase();
        joiners.push((scene.simulated.hire(joins(&email)).await, email));
    }
    scene.sync().await;
    for (id, email) in &joiners {
        until("the joiner is in sync", || async {
            let reason = scene.reason(id).await;
            if reason == "InSync" { Ok(()) } else { Err(reason) }
        })
        .await;
        let users = scene.users().await;
        let named: Vec<_> =
            users.iter().filter(|user| tenant.rows(user)[0].0 == email.as_str()).collect();
        assert_eq!(named.len(), 1, "{email}");
        assert_ne!(tenant.must_change_password(named[0]), Some(false), "{email}");
    }
    // The listing does not show the accounts for a while. The controller makes no others, and does
    // not report these as gone.
    let count = scene.users().await.len();
    scene.sync().await;
    assert_eq!(scene.users().await.len(), count);
    for (id, _) in &joiners {
        let person = scene.person(id).await.unwrap();
        assert_eq!(ready(&person).1, "InSync", "{:?}", condition(&person, "Ready"));
    }
}

pub async fn what_the_provider_cannot_do_is_refused_with_a_way_out_and_so_is_another_endpoint(
    tenant: Provider,
) {
    let scene = Scene::begin(tenant, "refuse", 2).await;
    let apply = async |provider: &Value, more: &Value| {
        let mut spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}}, "provider": provider});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "no"}, "spec": spec});
        let parameters = PatchParams { dry_run: true, ..PatchParams::apply("story").force() };
        scene.integrations().patch("no", &parameters, &Patch::Apply(object)).await
    };
    let refused = async |(provider, more, said): Refusal, name: &str| {
        let answer = apply(&provider, &more).await.expect_err(said).to_string();
        assert!(answer.contains(said) && answer.contains(name), "{answer}");
    };
    let rules = Rules::new(tenant, &scene);
    let name = tenant.catalog().name;
    let mut both = rules.provider.clone();
    let other = if rules.field() == "oneLogin" { "jumpCloud" } else { "oneLogin" };
    both[other] = json!({"region": "US", "credentialsSecretRef": {"name": "other"}});
    refused((both, json!({}), "name exactly one provider"), "").await;
    let alone = json!({"mapping": [{"target": tenant.title(), "field": "work.title"}]});
    refused((rules.provider.clone(), alone, "requires the targets"), name).await;
    for target in tenant.unknown_targets() {
        refused(rules.row(target, "work.title", "has no such target"), name).await;
    }
    let part = &rules.provider[rules.field()];
    let endpoint = if part["tokenEndpoint"].is_null() { "endpoint" } else { "tokenEndpoint" };
    if endpoint == "tokenEndpoint" {
        let half = (
            rules.changed(endpoint, json!("")),
            json!({}),
            "set both endpoint and tokenEndpoint, or neither",
        );
        refused(half, "").await;
    }
    for refusal in tenant.refused(&rules) {
        refused(refusal, "").await;
    }
    for (provider, more) in tenant.admitted(&rules) {
        apply(&provider, &more).await.unwrap_or_else(|refused| panic!("{more}: {refused}"));
    }
    // Port 9 was not allowed when the controller was started.
    let _controller = Controller::start(&scene).await;
    scene
        .story
        .integrate(json!({"provider": rules.changed(endpoint, json!("http://127.0.0.1:9"))}))
        .await;
    scene.ready("EndpointNotAllowed").await;
    assert_eq!(scene.calls().await["total"], 0, "not one request went out");
}

pub async fn an_account_from_before_is_adopted_by_its_address_and_keeps_what_is_not_ours(
    tenant: Provider,
) {
    let scene = Scene::begin(tenant, "adopt", 12).await;
    let (id, employee) = scene.simulated.somebody().await;
    let made = scene.simulated.post(&scene.at("users"), tenant.old_account(&employee)).await;
    let before = scene.simulated.get(&scene.path(&made)).await;
    let _controller = Controller::start(&scene).await;
    scene.integrate(scene.passwords()).await;
    scene.ready("Converged").await;
    let user = scene.account(&id).await;
    assert_eq!(tenant.id(&user), tenant.id(&made));
    assert_eq!(held(tenant, &user, "work.title"), text(&employee["work.title"]));
    assert_ne!(held(tenant, &before, "work.title"), text(&employee["work.title"]));
    let kept = tenant.kept(&user);
    assert_eq!(kept, tenant.kept(&before));
    assert!(!kept.is_empty());
    assert_ne!(tenant.must_change_password(&user), Some(true), "its password is its own");
    let log = scene.log().await;
    let path = format!("{}/{}", tenant.users(), tenant.id(&made));
    let updates: Vec<&Value> = log
        .iter()
        .filter(|call| call["method"] == tenant.update() && call["path"] == path.as_str())
        .collect();
    assert_eq!(updates.len(), 1);
    let keys = updates[0]["bodyKeys"].to_string().to_lowercase();
    assert!(keys.len() > 5 && !keys.contains("password"), "{keys}");
    let account = scene.person(&id).await.unwrap().status.unwrap().account.unwrap();
    assert_eq!(serde_json::to_value(account.matched_by).unwrap(), "Email");
}

pub async fn a_dry_run_plans_and_writes_nothing_to_the_provider(tenant: Provider) {
    let scene = Scene::begin(tenant, "dry", 40).await;
    let _controller = Controller::start(&scene).await;
    scene.integrate(json!({"mode": "DryRun"})).await;
    let integration = scene.ready("DryRun").await;
    assert_eq!((scene.writes().await, scene.users().await.len()), (0, 0));
    let plan = integration.status.unwrap().plan.unwrap();
    assert!(plan.creates > 10 && plan.digest.starts_with("sha256:"), "{plan:?}");
    let people = scene.everybody().await;
    let pending = people.iter().filter(|person| ready(person).1 == "Pending").count();
    assert_eq!(pending, plan.creates as usize);
    // The same plan has the same digest; then it is carried out.
    assert_eq!(scene.sync().await.status.unwrap().plan.unwrap().digest, plan.digest);
    scene.integrate(json!({"mode": "Enforce"})).await;
    let integration = scene.ready("Converged").await;
    assert!(integration.status.unwrap().plan.is_none());
    let marks: HashSet<_> =
        scene.users().await.iter().filter_map(|user| tenant.mark(user)).collect();
    assert_eq!(marks.len(), plan.creates as usize);
}

pub async fn an_administrator_is_recognised_and_left_alone(tenant: Provider) {
    let changes = tenant.administrators();
    if !tenant.catalog().capabilities.tells_administrators {
        assert!(changes.is_empty());
        println!("SKIPPED for {}: it does not tell administrators", tenant.catalog().name);
        return;
    }
    let (scene, _controller) = Scene::converged(tenant, "administrators", 16, json!({})).await;
    let (id, _) = scene.simulated.somebody().await;
    let path = scene.path(&scene.account(&id).await);
    let mut leaver = leaves();
    leaver["work.title"] = json!("Head of Lighthouses");
    scene.simulated.change(&id, leaver).await;
    for (promoted, demoted) in changes {
        scene.simulated.patch(&path, promoted.clone()).await;
        scene.forget_calls().await;
        scene.sync().await;
        assert_eq!(scene.writes().await, 0, "{promoted}");
        let person = scene.person(&id).await.unwrap();
        assert_eq!(ready(&person), ("False".into(), "SuspendByHand".into()), "{promoted}");
        assert!(condition(&person, "Ready").unwrap().2.contains("administrator"));
        let access = condition(&person, "AccessSynced").unwrap().1;
        assert_eq!(access, "NotAsDecided", "what should be is still said");
        scene.simulated.patch(&path, demoted).await;
    }
    scene.sync().await;
    let user = scene.account(&id).await;
    assert!(tenant.is_suspended(&user), "without the role the decision is carried out: {user}");
}
