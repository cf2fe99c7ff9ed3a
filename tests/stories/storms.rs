//! GitOps storms: resources are deleted and come back in any order, twice, or in an old version. No
//! account changes without a change in Bob, and no employee gets a second account. The marks on the
//! accounts alone bring the state back: adoption by e-mail is off in every story of this file.

use std::collections::{BTreeMap, HashMap};

use bobsync::api::{EmployeeSync, ProvisioningIntegration};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{ControlPlane, Options};

use crate::{
    budgets::staff,
    support::{Controller, Story, expected::expected, name, ready, until},
};

fn spec() -> Value {
    json!({"safety": {"adoption": "Never"}})
}

/// OneLogin at one moment: every account, and the last number in its log of calls.
struct Books {
    accounts: Vec<Value>,
    seq: u64,
}

impl Books {
    async fn open(story: &Story) -> Self {
        let log = log_since(story, 0).await;
        Self {
            accounts: story.simulated.accounts().await,
            seq: log.last().and_then(|call| call["seq"].as_u64()).unwrap_or(0),
        }
    }

    /// Returns the calls to OneLogin since then, except tokens and reads.
    async fn writes(&self, story: &Story) -> Vec<String> {
        let calls = log_since(story, self.seq).await.into_iter();
        let changes = calls.filter(|call| {
            call["method"] != "GET"
                && call["path"].as_str().is_some_and(|path| path.starts_with("/api/"))
        });
        changes
            .map(|call| format!("{} {} {}", call["method"], call["path"], call["bodyKeys"]))
            .collect()
    }

    async fn untouched(&self, story: &Story, storm: &str) {
        assert_eq!(
            self.writes(story).await,
            Vec::<String>::new(),
            "{storm}: nothing was asked of OneLogin"
        );
        assert_eq!(
            story.simulated.accounts().await,
            self.accounts,
            "{storm}: every account is as it was"
        );
    }

    /// As [`Books::untouched`], but suspensions that are not on record any more are made again: no
    /// read shows whether their sessions were ended.
    async fn only_suspended_again(&self, story: &Story, storm: &str) {
        let path = |account: &Value| format!("/api/2/users/{}", account["id"]);
        let suspended: Vec<String> =
            self.accounts.iter().filter(|account| account["status"] == 2).map(path).collect();
        for write in self.writes(story).await {
            let again =
                suspended.iter().any(|path| write == format!("\"PUT\" \"{path}\" [\"status\"]"));
            assert!(again || write.contains("/logout"), "{storm}: {write}");
        }
        let plain = |accounts: Vec<Value>| -> Vec<Value> {
            let without_time = |mut account: Value| {
                account["updated_at"] = Value::Null;
                account
            };
            accounts.into_iter().map(without_time).collect()
        };
        assert_eq!(
            plain(story.simulated.accounts().await),
            plain(self.accounts.clone()),
            "{storm}: every account is as it was"
        );
    }
}

async fn log_since(story: &Story, seq: u64) -> Vec<Value> {
    story
        .simulated
        .get(&format!("/onelogin/log?since={seq}"))
        .await
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// Returns what the statuses say, by name, without how the account was found, and without what an
/// older object knew of the past.
async fn standings(story: &Story) -> BTreeMap<String, Value> {
    let people = story.everybody().await;
    people
        .iter()
        .map(|person| {
            let status = person.status.clone().unwrap_or_default();
            let account = status.account.map(|account| account.id);
            let standing = json!({"ready": ready(person), "account": account, "access": status.access, "username": status.username, "next": status.next_transition});
            (name(person), standing)
        })
        .collect()
}

/// Waits until the statuses say the same as before.
async fn say_again(story: &Story, before: &BTreeMap<String, Value>, storm: &str) {
    until(&format!("{storm}: the statuses say what they said"), || async {
        let now = standings(story).await;
        match before.iter().find(|(name, standing)| now.get(*name) != Some(standing)) {
            None if now.len() == before.len() => Ok(()),
            None => Err(format!("{} objects instead of {}", now.len(), before.len())),
            Some((name, standing)) => {
                Err(format!("{name}: {:?} instead of {standing}", now.get(name)))
            }
        }
    })
    .await;
}

async fn gone<K>(api: &Api<K>, what: &str)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    until(&format!("{what} are gone"), || async {
        match api.list(&ListParams::default()).await {
            Ok(list) if list.items.is_empty() => Ok(()),
            Ok(list) => Err(format!("{} left", list.items.len())),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

async fn delete_namespace(story: &Story) {
    let namespaces = Api::<Namespace>::all(story.client.clone());
    namespaces.delete(&story.namespace, &DeleteParams::default()).await.unwrap();
    until("the namespace is gone", || async {
        match namespaces.get_opt(&story.namespace).await.unwrap() {
            None => Ok(()),
            Some(_) => Err("still there".to_owned()),
        }
    })
    .await;
}

/// Compares OneLogin with Bob by a simple rule: an employee who should have an account has one in
/// the right state, and none has two.
async fn judge(story: &Story) -> Result<(), String> {
    let accounts = story.simulated.accounts().await;
    let mut by_mark: HashMap<String, Vec<&Value>> = HashMap::new();
    for account in &accounts {
        by_mark
            .entry(account["external_id"].as_str().unwrap_or_default().to_owned())
            .or_default()
            .push(account);
    }
    for employee in story.simulated.employees().await {
        let id = employee["root.id"].as_str().unwrap_or_default();
        let own = by_mark.get(id).map(Vec::as_slice).unwrap_or_default();
        match (expected(&employee, Timestamp::now()), own) {
            (_, [_, _, ..]) => panic!("{id} has {} accounts", own.len()),
            (Some(status), [account])
                if account["status"] == status
                    && account["email"] == employee["root.email"]
                    && account["title"] == employee["work.title"] => {}
            // An employee who left after having an account keeps it, suspended.
            (None, [account]) if account["status"] == 2 => {}
            (None, []) => {}
            (wanted, own) => return Err(format!("{id}: {wanted:?}, {own:?}")),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_people_the_integration_or_the_namespace_touches_no_account() {
    let (story, _controller) = Story::converged("delete", 30, spec()).await;
    let (before, books) = (standings(&story).await, Books::open(&story).await);
    let (id, _) = story.simulated.somebody().await;
    // One employee's object comes back with its account, by the mark.
    story.people().delete(&format!("onelogin-{id}"), &DeleteParams::default()).await.unwrap();
    say_again(&story, &before, "one person was deleted").await;
    // All of them, twice: the second time while the first are still coming back.
    for _ in 0..2 {
        story
            .people()
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .unwrap();
    }
    say_again(&story, &before, "all people were deleted").await;
    books.untouched(&story, "all people were deleted").await;

    // The integration: the collector deletes its EmployeeSyncs, and it comes back.
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    gone(&story.people(), "the people of the integration").await;
    books.untouched(&story, "the integration was deleted").await;
    story.integrate(spec()).await;
    story.ready("Converged").await;
    say_again(&story, &before, "the integration came back").await;
    // Deleted and made again at once: the collector may delete the old objects while the new
    // integration works.
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    story.integrate(spec()).await;
    story.ready("Converged").await;
    let uid = story.integration().await.metadata.uid;
    until("every object belongs to the new integration", || async {
        let people = story.everybody().await;
        let old = people.iter().filter(|person| {
            person
                .metadata
                .owner_references
                .iter()
                .flatten()
                .any(|owner| Some(&owner.uid) != uid.as_ref())
        });
        match old.count() {
            0 => Ok(()),
            old => Err(format!("{old} belong to the old one")),
        }
    })
    .await;
    say_again(&story, &before, "the integration was replaced").await;
    books.untouched(&story, "the integration came back").await;

    // An integration that comes back is new: the employees were there before it, and wait if the
    // settings say so.
    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    gone(&story.people(), "the people of the integration").await;
    let title = story.simulated.account(&id).await.unwrap()["title"].clone();
    story.simulated.change(&id, json!({"work.title": "Keeper of Rumours"})).await;
    story.integrate(json!({"safety": {"adoption": "Never"}, "provisioning": {"existingEmployees": "OnChange"}})).await;
    story.ready("Converged").await;
    assert_eq!(story.reason(&id).await, "AwaitingChange");
    story.simulated.change(&id, json!({"work.title": title})).await;
    story.integrate(json!({"safety": {"adoption": "Never"}, "provisioning": null})).await;
    story.ready("Converged").await;
    say_again(&story, &before, "the integration came back").await;
    books.untouched(&story, "the integration came back and its people waited").await;

    // The whole namespace, while a controller works on.
    delete_namespace(&story).await;
    books.untouched(&story, "the namespace was deleted").await;
    story.namespaces().await;
    story.integrate(spec()).await;
    story.secrets().await;
    story.chart().await;
    story.ready("Converged").await;
    say_again(&story, &before, "the namespace came back").await;
    books.untouched(&story, "the namespace came back").await;
    // The controller still works: a change in Bob arrives.
    story.simulated.change(&id, json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Keeper of Lamps");
    assert_eq!(books.writes(&story).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_come_back_in_any_order() {
    let (story, _controller) = Story::converged("order", 20, spec()).await;
    let (before, books) = (standings(&story).await, Books::open(&story).await);
    let manifests: Vec<Value> = story
        .everybody()
        .await
        .iter()
        .map(|person| json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": name(person)}, "spec": person.spec}))
        .collect();
    let secrets = || Api::<Secret>::namespaced(story.client.clone(), &story.namespace);
    for order in [
        ["people", "integration", "secrets"],
        ["people", "secrets", "integration"],
        ["secrets", "integration", "people"],
        ["integration", "people", "secrets"],
        ["integration", "secrets", "people"],
    ] {
        let storm = order.join(", ");
        secrets()
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .unwrap();
        story
            .people()
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .unwrap();
        story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
        until("there is neither integration nor people", || async {
            // Those that come back meanwhile belong to the deleted integration.
            story
                .people()
                .delete_collection(&DeleteParams::default(), &ListParams::default())
                .await
                .unwrap();
            match (
                story.integrations().get_opt("onelogin").await.unwrap(),
                story.everybody().await.len(),
            ) {
                (None, 0) => Ok(()),
                (integration, people) => Err(format!("{} {people}", integration.is_some())),
            }
        })
        .await;
        for part in order {
            match part {
                "people" => {
                    for manifest in &manifests {
                        let name = manifest["metadata"]["name"].as_str().unwrap();
                        story
                            .people()
                            .patch(
                                name,
                                &PatchParams::apply("git").force(),
                                &Patch::Apply(manifest),
                            )
                            .await
                            .expect("admitted");
                    }
                }
                "integration" => drop(story.integrate(spec()).await),
                _ => story.secrets().await,
            }
            // Long enough for the controller to act on the state so far.
            tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        }
        story.ready("Converged").await;
        say_again(&story, &before, &storm).await;
        books.untouched(&story, &storm).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_release_and_the_crds_go_and_come_back() {
    // All stories share the CRDs, so this one has a control plane of its own.
    let options = Options { controller_manager: true, ..Options::default() };
    let plane = ControlPlane::start(options).await.expect("a control plane");
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    let story = Story::on(plane, "release", 20).await;
    let values = format!("namespaces={{{}}}", story.namespace);
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/bobsync");
    let helm = |arguments: &[&str]| {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| (*argument).to_owned()).collect();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = plane.helm(&arguments).await.expect("helm runs");
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    };
    let install =
        ["upgrade", "--install", "bobsync", chart, "--namespace", &story.system, "--set", &values];
    story.namespaces().await;
    helm(&install).await;
    story.secrets().await;
    // Without an election only missing rights hold it back, and the next one need not wait for a
    // Lease to run out.
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(spec()).await;
    story.ready("Converged").await;
    let (before, books) = (standings(&story).await, Books::open(&story).await);

    // The release is removed while a controller runs, and with it all its rights. The resources and
    // the CRDs stay.
    helm(&["uninstall", "bobsync", "--namespace", &story.system]).await;
    let (id, _) = story.simulated.somebody().await;
    let patch = Patch::Merge(
        json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "without-rights"}}}),
    );
    story
        .integrations()
        .patch("onelogin", &PatchParams::default(), &patch)
        .await
        .expect("the CRDs stay");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(standings(&story).await, before);
    books.untouched(&story, "the release was deleted").await;
    drop(controller);
    helm(&install).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    say_again(&story, &before, "the release came back").await;
    books.untouched(&story, "the release came back").await;

    // The CRDs, and with them every object, while a controller runs.
    for crd in ["employeesyncs.bobsync.dev", "provisioningintegrations.bobsync.dev"] {
        let deleted = plane.kubectl(&["delete", "crd", crd, "--timeout=60s"]).await.unwrap();
        assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    books.untouched(&story, "the CRDs were deleted").await;
    plane
        .apply_yaml(&bobsync::engine::settings::rules::crds_yaml().expect("CRDs"))
        .await
        .expect("the API server takes the CRDs");
    story.integrate(spec()).await;
    story.ready("Converged").await;
    say_again(&story, &before, "the CRDs came back").await;
    books.untouched(&story, "the CRDs came back").await;
    story.simulated.change(&id, json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Keeper of Lamps");
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_controllers_by_accident_make_nobody_a_second_account() {
    let story = Story::begin("twins", 40).await;
    let first = Controller::with(&story, &["--leader-elect=false"]).await;
    let second = Controller::with(&story, &["--leader-elect=false"]).await;
    story.integrate(spec()).await;
    let books = Books::open(&story).await;
    let settled = |what: String| {
        let story = &story;
        async move {
            until(&what, || async {
                judge(story).await?;
                let waiting = story
                    .everybody()
                    .await
                    .iter()
                    .filter(|person| ready(person).0 != "True")
                    .count();
                if waiting == 0 { Ok(()) } else { Err(format!("{waiting} are not ready")) }
            })
            .await;
        }
    };
    settled("the first pass is through".to_owned()).await;
    for round in 0..4 {
        let hired = staff_of_round(&story, round).await;
        let (id, _) = story.simulated.somebody().await;
        story
            .simulated
            .change(&id, json!({"work.title": format!("Keeper of {round} Lamps")}))
            .await;
        story.sync().await;
        settled(format!("round {round}, hires")).await;
        story
            .simulated
            .change(
                &hired[0],
                json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
            )
            .await;
        story.sync().await;
        settled(format!("round {round}, a leaver")).await;
    }
    // Each employee has one successful create, however often it was tried.
    let made = log_since(&story, books.seq).await.into_iter().filter(|call| {
        call["method"] == "POST" && call["path"] == "/api/2/users" && call["status"] == 201
    });
    assert_eq!(made.count(), story.simulated.accounts().await.len());
    // The controller that comes second finds the other's account by its mark, without a conflict.
    for controller in [&first, &second] {
        let metrics = controller.metrics().await;
        let failed: Vec<&str> = metrics
            .lines()
            .filter(|line| line.starts_with("bobsync_changes_total") && line.contains("failed"))
            .collect();
        assert!(!failed.is_empty() && failed.iter().all(|line| line.ends_with(" 0")), "{failed:?}");
    }
    // They do not work against each other: once all is as decided, neither writes to OneLogin or to
    // a status.
    let written = |metrics: String| {
        let counter = r#"bobsync_status_patches_total{kind="EmployeeSync",outcome="written"} "#;
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(counter)?.parse::<u64>().ok())
            .expect("the counter")
    };
    let books = Books::open(&story).await;
    let before = [written(first.metrics().await), written(second.metrics().await)];
    for _ in 0..3 {
        story.sync().await;
    }
    books.untouched(&story, "two controllers at rest").await;
    assert_eq!(
        [written(first.metrics().await), written(second.metrics().await)],
        before,
        "no status is written to and fro"
    );
}

async fn staff_of_round(story: &Story, round: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..6 {
        let person = json!({
            "root.firstName": "Robin", "root.surname": "Vale", "root.email": format!("robin.{round}.{number}@example.com"), "work.startDate": "2022-03-01",
            "internal.lifecycleStatus": "Employed", "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null,
        });
        ids.push(story.simulated.hire(person).await);
    }
    ids
}

/// Every resource of the story with its status, as in a backup.
struct Backup {
    integration: ProvisioningIntegration,
    people: Vec<EmployeeSync>,
}

impl Backup {
    async fn of(story: &Story) -> Self {
        Self { integration: story.integration().await, people: story.everybody().await }
    }

    /// Puts everything back under the same uids, like a restored etcd. Later objects are gone.
    async fn put_back(&self, story: &Story) {
        for newer in story
            .everybody()
            .await
            .iter()
            .filter(|person| !self.people.iter().any(|old| name(old) == name(*person)))
        {
            story.people().delete(&name(newer), &DeleteParams::default()).await.unwrap();
        }
        for person in &self.people {
            let (params, status) = (PatchParams::default(), Patch::Merge(json!({"status": null})));
            story.people().patch_status(&name(person), &params, &status).await.unwrap();
            story
                .people()
                .patch(&name(person), &params, &Patch::Merge(json!({"spec": person.spec})))
                .await
                .unwrap();
        }
        self.statuses(story).await;
    }

    /// Makes everything anew from the files of a backup tool: new uids, and owners by their old
    /// ones.
    async fn make_anew(&self, story: &Story) {
        let mut integration = self.integration.clone();
        integration.metadata = clean(&integration.metadata);
        story.integrations().create(&PostParams::default(), &integration).await.unwrap();
        for person in &self.people {
            let mut person = person.clone();
            person.metadata = clean(&person.metadata);
            story.people().create(&PostParams::default(), &person).await.unwrap();
        }
        self.statuses(story).await;
    }

    async fn statuses(&self, story: &Story) {
        for person in &self.people {
            let status = Patch::Merge(json!({"status": person.status}));
            match story.people().patch_status(&name(person), &PatchParams::default(), &status).await
            {
                Ok(_) => {}
                // The collector was faster: the owner that the file names is gone.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => panic!("{error}"),
            }
        }
        let mut now = story.integration().await;
        now.status.clone_from(&self.integration.status);
        story
            .integrations()
            .replace_status("onelogin", &PostParams::default(), &now)
            .await
            .expect("the controller is stopped");
    }
}

fn clean(metadata: &kube::api::ObjectMeta) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta {
        name: metadata.name.clone(),
        labels: metadata.labels.clone(),
        owner_references: metadata.owner_references.clone(),
        ..kube::api::ObjectMeta::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_of_the_cluster_undoes_nothing_at_the_provider() {
    let story = Story::begin("backup", 12).await;
    let people = staff(&story, 12).await;
    let controller = Controller::start(&story).await;
    // A process without knowledge of the time before the backup reads a deleted file twice, half an
    // interval apart.
    let mut often = spec();
    often["interval"] = "1m".into();
    story.integrate(often).await;
    story.ready("Converged").await;
    let backup = Backup::of(&story).await;

    // The company goes on: hires, a renamed employee with an old address that a new one gets,
    // leavers of each kind, a comeback.
    let hired = staff_of_round(&story, 7).await;
    story
        .simulated
        .change(&people[0], json!({"root.email": "robin.new@example.com", "root.surname": "Hill"}))
        .await;
    story
        .simulated
        .change(
            &people[1],
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.simulated.change(&people[2], json!({"internal.terminationDate": "2023-01-31"})).await;
    story
        .simulated
        .change(
            &people[3],
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story
        .simulated
        .change(
            &people[4],
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    story.simulated.delete(&format!("/bob/employees/{}", people[3])).await;
    story.sync().await;
    story.ready("Converged").await;
    let heir = json!({"root.email": "robin.0@example.com", "work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
    let heir = story.simulated.hire(heir).await;
    story
        .simulated
        .change(
            &people[4],
            json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
        )
        .await;
    story.simulated.change(&people[5], json!({"work.title": "Keeper of Lamps"})).await;
    story.sync().await;
    story.ready("Converged").await;
    judge(&story).await.unwrap();
    assert!(
        story.simulated.account(&heir).await.is_some()
            && story.simulated.account(&hired[0]).await.is_some()
    );
    assert!(controller.stop().await);
    let (before, books) = (standings(&story).await, Books::open(&story).await);

    backup.put_back(&story).await;
    assert_ne!(standings(&story).await, before, "the cluster is an old one");
    let controller = Controller::start(&story).await;
    story.sync().await;
    say_again(&story, &before, "an old etcd").await;
    story.sync().await;
    books.only_suspended_again(&story, "an old etcd").await;
    let books = Books::open(&story).await;
    assert!(controller.stop().await);

    story.integrations().delete("onelogin", &DeleteParams::default()).await.unwrap();
    gone(&story.people(), "the people of the integration").await;
    backup.make_anew(&story).await;
    let _controller = Controller::start(&story).await;
    story.sync().await;
    // An employee with a deleted file and a collected object is not known any more; the account
    // stays suspended.
    let mut known = before.clone();
    known.remove(&format!("onelogin-{}", people[3])).expect("an object as evidence");
    until("old files: the statuses say what they said", || async {
        let now = standings(&story).await;
        match known.iter().find(|(name, standing)| now.get(*name) != Some(standing)) {
            None => Ok(()),
            Some((name, standing)) => {
                Err(format!("{name}: {:?} instead of {standing}", now.get(name)))
            }
        }
    })
    .await;
    story.sync().await;
    books.only_suspended_again(&story, "old files").await;
    // The restored cluster lacks some of the past, and still follows Bob.
    story
        .simulated
        .change(
            &heir,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&heir).await.unwrap()["status"], 2);
    judge(&story).await.unwrap();
}
