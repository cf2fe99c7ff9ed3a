//! The process dies at every boundary of a change, for every kind of change, and a new process
//! repairs everything.
//!
//! A change is two effects: the write at the provider, then the record of it (the `EmployeeSync` if
//! there is no object yet, and its status). A killed process leaves one of these states:
//!
//! | killed | at the provider | history |
//! | --- | --- | --- |
//! | before the write is applied | the new process writes, once | one line, of the new process |
//! | between the write and its record | applied, and not written again | no line: it is lost |
//! | after the record was stored | applied, and not written again | one line |
//!
//! A suspension also ends sessions, and no read shows that. A suspension that is not on record is
//! written again, and has its line.
//!
//! So a line always describes something that happened, and is there once. A kill between the
//! provider's answer and the record loses only that line. The status itself (account, access,
//! conditions) is always right again.

use jiff::Timestamp;
use serde_json::{Value, json};
use testbed::{
    Proxy,
    proxy::{Act, Method},
};

use crate::support::{Controller, Story, expected::expected, ready, until};

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boundary {
    /// The write has left, and is not applied.
    CallNotApplied,
    /// The provider applied it, and the answer is on its way.
    CallApplied,
    /// The provider answered; the object of this employee is about to be created.
    ObjectNotCreated,
    /// The object exists, without a status.
    ObjectCreated,
    /// The provider answered; the status is about to be stored.
    StatusNotStored,
    /// The status is stored, and the answer is on its way.
    StatusStored,
}

use Boundary::{
    CallApplied, CallNotApplied, ObjectCreated, ObjectNotCreated, StatusNotStored, StatusStored,
};

const FOR_NEWCOMERS: [Boundary; 6] =
    [CallNotApplied, CallApplied, ObjectNotCreated, ObjectCreated, StatusNotStored, StatusStored];
const FOR_KNOWN_PEOPLE: [Boundary; 4] =
    [CallNotApplied, CallApplied, StatusNotStored, StatusStored];

/// One kind of change.
struct Told {
    name: &'static str,
    method: &'static str,
    boundaries: &'static [Boundary],
    /// The history of the employee before the change, newest first.
    before: &'static [&'static str],
    /// What the change adds to it.
    line: &'static str,
    /// Access after the change, and the account's state at the provider.
    access: (&'static str, i64),
}

/// Hires an employee who is at work, for this kind and boundary.
async fn hire(story: &Story, name: &str, boundary: Boundary) -> String {
    let (manager, _) = story.simulated.somebody().await;
    let fields = json!({
        "root.email": email(name, boundary), "work.title": "Keeper", "work.startDate": "2020-01-01", "work.manager": manager,
        "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
    });
    story.simulated.hire(fields).await
}

fn email(name: &str, boundary: Boundary) -> String {
    format!("{name}.{boundary:?}@example.com").to_lowercase()
}

/// Lets the process die at each boundary of this change. `prepare` makes employees that the
/// controller knows before. `change` makes the change, and returns the employee.
async fn dies_everywhere(
    told: &Told,
    prepare: impl AsyncFn(&Story, Boundary) -> String,
    change: impl AsyncFn(&Story, Boundary, String) -> String,
) {
    let story = &Story::begin(told.name, 6).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let mut controller = Controller::behind(story, &proxy).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let mut prepared = Vec::new();
    for boundary in told.boundaries {
        prepared.push(prepare(story, *boundary).await);
    }
    for (boundary, person) in told.boundaries.iter().zip(prepared) {
        let what = format!("{}, killed at {boundary:?}", told.name);
        let before = seq(story).await;
        let person = change(story, *boundary, person).await;
        arm(story, &proxy, told.method, *boundary).await;
        let asked = story.ask().await;
        until(&format!("{what}: it is there"), || async {
            reached(story, &proxy, told.method, *boundary).await
        })
        .await;
        controller.kill();
        story.simulated.delete("/onelogin/faults").await;
        proxy.clear();

        controller = Controller::behind(story, &proxy).await;
        story.answered(&asked).await;
        story.ready("Converged").await;
        right(story, told, *boundary, &person, before, &what).await;
        // The state stays like this.
        let steady = (seq(story).await, story.everybody().await);
        story.sync().await;
        assert_eq!(steady.0, seq(story).await, "{what}: nothing is left to do");
        let versions = |people: &[bobsync::api::EmployeeSync]| -> Vec<_> {
            people.iter().map(|p| p.metadata.resource_version.clone()).collect()
        };
        assert_eq!(
            versions(&steady.1),
            versions(&story.everybody().await),
            "{what}: nothing is left to record"
        );
    }
}

/// Returns the number of the last write that was applied at the provider.
async fn seq(story: &Story) -> u64 {
    story
        .simulated
        .get("/onelogin/journal")
        .await
        .as_array()
        .and_then(|all| all.last()?["seq"].as_u64())
        .unwrap_or(0)
}

async fn arm(story: &Story, proxy: &Proxy, method: &str, boundary: Boundary) {
    let held =
        |kind| json!({"kind": kind, "method": method, "pathPrefix": "/api/2/users", "times": 1});
    let objects =
        format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/employeesyncs", story.namespace);
    let statuses = format!("{objects}/*/status");
    story.simulated.delete("/onelogin/calls").await;
    match boundary {
        CallNotApplied => drop(story.simulated.post("/onelogin/faults", held("hold")).await),
        CallApplied => drop(story.simulated.post("/onelogin/faults", held("holdAfterApply")).await),
        ObjectNotCreated => proxy.rule(Act::HoldBefore, Method::POST, &objects, Some(1)),
        ObjectCreated => proxy.rule(Act::HoldAfter, Method::POST, &objects, Some(1)),
        StatusNotStored => proxy.rule(Act::HoldBefore, Method::PATCH, &statuses, Some(1)),
        StatusStored => proxy.rule(Act::HoldAfter, Method::PATCH, &statuses, Some(1)),
    }
}

async fn reached(
    story: &Story,
    proxy: &Proxy,
    method: &str,
    boundary: Boundary,
) -> Result<(), String> {
    match boundary {
        CallNotApplied | CallApplied => {
            // The counts began again when the fault was set.
            let calls = story.simulated.get("/onelogin/calls").await;
            let writes =
                calls["byRoute"].as_object().into_iter().flatten().filter(|(route, _)| {
                    route.starts_with(method) && route.contains("/api/2/users")
                });
            if writes.count() > 0 { Ok(()) } else { Err(calls.to_string()) }
        }
        _ => {
            let act = if matches!(boundary, ObjectNotCreated | StatusNotStored) {
                Act::HoldBefore
            } else {
                Act::HoldAfter
            };
            let method = if matches!(boundary, ObjectNotCreated | ObjectCreated) {
                Method::POST
            } else {
                Method::PATCH
            };
            let struck = proxy.struck();
            // Each boundary has an act or a method of its own, which separates it from what an
            // earlier one left.
            let held = struck.last().is_some_and(|held| held.act == act && held.method == method);
            let went_well = struck.last().is_some_and(|held| {
                held.answered.is_none_or(|status| (200..300).contains(&status))
            });
            assert!(!held || went_well, "{struck:?}");
            if held { Ok(()) } else { Err(format!("{struck:?}")) }
        }
    }
}

/// Checks everything that is promised after a crash.
async fn right(
    story: &Story,
    told: &Told,
    boundary: Boundary,
    person: &str,
    before: u64,
    what: &str,
) {
    let employees = story.simulated.employees().await;
    let accounts = story.simulated.accounts().await;
    let word = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    // Each employee has one account with the right access and attributes; there are no other
    // accounts.
    let now = Timestamp::now();
    let mut wanted = 0;
    for employee in &employees {
        let id = word(employee, "root.id");
        let own: Vec<_> =
            accounts.iter().filter(|account| account["external_id"] == id.as_str()).collect();
        let left = employee["internal.lifecycleStatus"]
            .as_str()
            .is_some_and(|word| word.eq_ignore_ascii_case("terminated"));
        let status = expected(employee, now).or_else(|| (left && id == person).then_some(2));
        // An employee who left in an earlier round keeps a suspended account.
        let status = status.or_else(|| (left && !own.is_empty()).then_some(2));
        assert_eq!(own.len(), usize::from(status.is_some()), "{what}: accounts of {employee}");
        let (Some(account), Some(status)) = (own.first(), status) else { continue };
        wanted += 1;
        assert_eq!(account["status"], status, "{what}: {employee}");
        for (target, field) in [
            ("email", "root.email"),
            ("username", "root.email"),
            ("firstname", "root.firstName"),
            ("title", "work.title"),
        ] {
            assert_eq!(word(account, target), word(employee, field), "{what}: {target} of {id}");
        }
        let boss = accounts.iter().find(|other| {
            other["external_id"].is_string() && other["external_id"] == employee["work.manager"]
        });
        assert_eq!(
            account["manager_user_id"],
            boss.map_or(Value::Null, |boss| boss["id"].clone()),
            "{what}: manager of {id}"
        );
    }
    assert_eq!(accounts.len(), wanted, "{what}: nobody else has an account");
    // There is one write, and no other account was touched or disabled.
    let journal = story.simulated.get(&format!("/onelogin/journal?since={before}")).await;
    let journal = journal.as_array().cloned().unwrap_or_default();
    let account =
        accounts.iter().find(|account| account["external_id"] == person).expect("the account");
    let lost = !matches!(boundary, CallNotApplied | StatusStored);
    // No read shows whether sessions were ended, so a suspension that is not on record is made
    // again.
    let again = lost && told.line == "Suspend";
    assert_eq!(journal.len(), 1 + usize::from(again), "{what}: written once: {journal:?}");
    assert!(
        journal.iter().all(|change| change["id"] == account["id"]),
        "{what}: and to nobody else"
    );
    assert_eq!(account["status"], told.access.1, "{what}");
    // The status is right.
    let object = story.person(person).await.unwrap_or_else(|| panic!("{what}: there is no object"));
    assert_eq!(ready(&object), ("True".to_owned(), "InSync".to_owned()), "{what}");
    let status = serde_json::to_value(object.status.as_ref()).unwrap();
    assert_eq!(status["account"]["id"], account["id"].to_string(), "{what}: {status}");
    assert_eq!(status["access"], told.access.0, "{what}: {status}");
    for condition in status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] != "Stalled")
    {
        assert_eq!(condition["status"], "True", "{what}: {condition}");
    }
    let lines: Vec<&str> = Some(told.line)
        .filter(|_| !lost || again)
        .into_iter()
        .chain(told.before.iter().copied())
        .collect();
    let history = status["history"].as_array().cloned().unwrap_or_default();
    assert_eq!(
        history.iter().map(|line| word(line, "action")).collect::<Vec<_>>(),
        lines,
        "{what}: {history:?}"
    );
    assert!(history.iter().all(|line| line["outcome"] == "Succeeded"), "{what}: {history:?}");
    for object in story.everybody().await {
        assert_eq!(ready(&object).0, "True", "{what}: {:?}", object.status);
    }
}

/// Hires an employee and waits until the controller knows the employee.
async fn known(story: &Story, name: &str, boundary: Boundary) -> String {
    let person = hire(story, name, boundary).await;
    story.sync().await;
    person
}

async fn edited(story: &Story, person: String, fields: Value) -> String {
    story.simulated.change(&person, fields).await;
    person
}

const ACTIVE: (&str, i64) = ("Active", 1);
const SUSPENDED: (&str, i64) = ("Suspended", 2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_in_a_create() {
    let told = Told {
        name: "die-create",
        method: "POST",
        boundaries: &FOR_NEWCOMERS,
        before: &[],
        line: "Create",
        access: ACTIVE,
    };
    dies_everywhere(
        &told,
        async |_, _| String::new(),
        async |story, at, _| hire(story, "die-create", at).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_in_an_adoption() {
    let told = Told {
        name: "die-adopt",
        method: "PUT",
        boundaries: &FOR_NEWCOMERS,
        before: &[],
        line: "Adopt",
        access: ACTIVE,
    };
    let change = async |story: &Story, at, _| {
        let email = email("die-adopt", at);
        story
            .simulated
            .post(
                "/onelogin/users",
                json!({"username": email, "email": email, "status": 1, "title": "Somebody"}),
            )
            .await;
        hire(story, "die-adopt", at).await
    };
    dies_everywhere(&told, async |_, _| String::new(), change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_in_an_update() {
    let told = Told {
        name: "die-update",
        method: "PUT",
        boundaries: &FOR_KNOWN_PEOPLE,
        before: &["Create"],
        line: "Update",
        access: ACTIVE,
    };
    let change = async |story: &Story, _, person| {
        edited(story, person, json!({"work.title": "Keeper of Lamps"})).await
    };
    dies_everywhere(&told, async |story, at| known(story, "die-update", at).await, change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_in_a_change_of_manager() {
    let told = Told {
        name: "die-manager",
        method: "PUT",
        boundaries: &FOR_KNOWN_PEOPLE,
        before: &["Create"],
        line: "Update",
        access: ACTIVE,
    };
    let change = async |story: &Story, _, person: String| {
        let accounts = story.simulated.accounts().await;
        let (first, _) = story.simulated.somebody().await;
        let other = accounts
            .iter()
            .filter(|account| account["status"] == 1)
            .filter_map(|account| account["external_id"].as_str());
        let other = other
            .filter(|id| *id != person && *id != first)
            .min()
            .expect("another manager")
            .to_owned();
        edited(story, person, json!({"work.manager": other})).await
    };
    dies_everywhere(&told, async |story, at| known(story, "die-manager", at).await, change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_in_a_suspension() {
    let told = Told {
        name: "die-suspend",
        method: "PUT",
        boundaries: &FOR_KNOWN_PEOPLE,
        before: &["Create"],
        line: "Suspend",
        access: SUSPENDED,
    };
    let left = json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    let change = async |story: &Story, _, person| edited(story, person, left.clone()).await;
    dies_everywhere(&told, async |story, at| known(story, "die-suspend", at).await, change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_in_a_reactivation() {
    let before = &["Suspend", "Create"];
    let told = Told {
        name: "die-reactivate",
        method: "PUT",
        boundaries: &FOR_KNOWN_PEOPLE,
        before,
        line: "Reactivate",
        access: ACTIVE,
    };
    let prepare = async |story: &Story, at| {
        let person = known(story, "die-reactivate", at).await;
        let person = edited(story, person, json!({"internal.status": "Inactive"})).await;
        story.sync().await;
        person
    };
    let change = async |story: &Story, _, person| {
        edited(story, person, json!({"internal.status": "Active"})).await
    };
    dies_everywhere(&told, prepare, change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_two_accounts_and_the_manager_that_closes_their_circle() {
    let story = &Story::begin("die-circle", 6).await;
    let proxy = story.plane.proxy().await.expect("a proxy");
    let mut controller = Controller::behind(story, &proxy).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    for boundary in [CallNotApplied, CallApplied] {
        let what = format!("killed at {boundary:?}");
        let before = seq(story).await;
        let first = hire(story, "die-circle.first", boundary).await;
        let second = hire(story, "die-circle.second", boundary).await;
        story.simulated.change(&first, json!({"work.manager": second})).await;
        story.simulated.change(&second, json!({"work.manager": first})).await;
        arm(story, &proxy, "PUT", boundary).await;
        let asked = story.ask().await;
        until(&what, || async { reached(story, &proxy, "PUT", boundary).await }).await;
        controller.kill();
        story.simulated.delete("/onelogin/faults").await;
        controller = Controller::behind(story, &proxy).await;
        story.answered(&asked).await;
        story.ready("Converged").await;
        let accounts = story.simulated.accounts().await;
        for (person, manager) in [(&first, &second), (&second, &first)] {
            let of = |id: &str| {
                accounts.iter().filter(|account| account["external_id"] == id).collect::<Vec<_>>()
            };
            assert_eq!((of(person).len(), of(manager).len()), (1, 1), "{what}");
            assert_eq!(of(person)[0]["manager_user_id"], of(manager)[0]["id"], "{what}");
            let object = story.person(person).await.expect("an object");
            assert_eq!(ready(&object), ("True".to_owned(), "InSync".to_owned()), "{what}");
            let lines = object.status.unwrap_or_default().history;
            assert!(
                lines.len() <= 1,
                "{what}: the manager belongs to the creation or to the update after it: {lines:?}"
            );
        }
        let journal = story.simulated.get(&format!("/onelogin/journal?since={before}")).await;
        assert_eq!(
            journal.as_array().map(Vec::len),
            Some(3),
            "{what}: two accounts, one manager: {journal}"
        );
    }
}
