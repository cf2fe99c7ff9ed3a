//! `bobsync approve`: the real binary with one user's own rights, against a plan that is held.

use std::{path::PathBuf, process::Stdio};

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    budgets::{approve, held, leave, staff, suspended},
    counts::{agree, gauge},
    support::{Controller, Story, condition, until},
};

/// The rights that docs/held-plans.md gives to an approver.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: jane, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: approve, namespace: NAMESPACE}
rules:
  - {apiGroups: [bobsync.dev], resources: [provisioningintegrations], verbs: [get, patch]}
  - {apiGroups: [bobsync.dev], resources: [employeesyncs], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approve, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: approve}
subjects: [{kind: ServiceAccount, name: jane, namespace: NAMESPACE}]
";

/// A user of the command line without a terminal.
struct Approver {
    kubeconfig: PathBuf,
}

impl Approver {
    /// Runs `bobsync approve` with these arguments. Returns whether it succeeded, and its output.
    async fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_bobsync"))
            .arg("approve")
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(std::time::Duration::from_secs(60), output)
            .await
            .expect("it ends")
            .expect("it starts");
        let said = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .concat();
        (output.status.success(), said)
    }

    async fn refused(&self, arguments: &[&str], because: &str) {
        let (succeeded, said) = self.run(arguments).await;
        assert!(
            !succeeded && said.contains(because),
            "{arguments:?} should be refused with {because:?}: {said}"
        );
    }
}

async fn events(story: &Story) -> Vec<(String, String)> {
    let listed = story
        .plane
        .kubectl(&["get", "events.events.k8s.io", "-n", &story.namespace, "-o", "json"])
        .await
        .unwrap();
    let list: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let of_it = |event: &&serde_json::Value| {
        event["regarding"]["name"] == "onelogin" && event["reason"] == "PlanApproved"
    };
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_it)
        .map(|event| (word(&event["note"]), word(&event["type"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_looks_and_approves_and_the_record_names_the_person() {
    let story = Story::begin("approve", 4).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    story.plane.apply_yaml(&RIGHTS.replace("NAMESPACE", &story.namespace)).await.expect("rights");
    let jane = Approver {
        kubeconfig: story.plane.kubeconfig_for(&story.namespace, "jane").await.expect("a token"),
    };
    jane.refused(&["onelogin", "--yes"], "nothing is held").await;

    leave(&story, &people[..8]).await;
    story.sync().await;
    let digest = held(&story.ready("PlanHeld").await).0;
    let wrong = format!("sha256:{}", "0".repeat(64));
    jane.refused(&["elsewhere", "--yes"], "there is no ProvisioningIntegration `elsewhere`").await;
    jane.refused(&["onelogin", "-n", "default", "--yes"], "403").await;
    jane.refused(
        &["onelogin", "--yes", "--digest", &wrong],
        &format!("the plan that is held now is {digest}"),
    )
    .await;
    let (succeeded, said) = jane.run(&["onelogin"]).await;
    assert!(!succeeded && said.contains("add --yes"), "without a terminal nobody is asked: {said}");
    for part in [
        "8 suspensions planned",
        "8  accounts to suspend",
        "8  EmployeeSyncs are Held",
        &format!("onelogin-{}", people[7]),
        &digest,
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains("Robin") && !said.contains("example.com"), "no attribute value: {said}");
    let integration = story.integration().await;
    assert_eq!(
        (integration.spec.approved_plan, suspended(&story, &people).await),
        (None, 0),
        "a look releases nothing"
    );

    let (succeeded, said) = jane.run(&["onelogin", "--digest", &digest, "--wait"]).await;
    let user = format!("system:serviceaccount:{}:jane", story.namespace);
    assert!(
        succeeded && said.contains(&format!("approved by {user}")) && said.contains("suspended 8"),
        "{said}"
    );
    assert_eq!(suspended(&story, &people).await, 8);
    let integration = story.ready("Converged").await;
    let approved = integration.status.clone().unwrap().approved.unwrap();
    assert_eq!((approved.digest.as_str(), approved.by.as_deref()), (digest.as_str(), Some(&*user)));
    let fields = integration
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .find(|entry| entry.manager == Some(format!("bobsync-approve:{user}")));
    let fields =
        fields.and_then(|entry| entry.fields_v1.clone()).expect("an entry of the field manager").0;
    assert_eq!(fields, json!({"f:spec": {"f:approvedPlan": {}}}), "nothing else is written");
    until("the approval is an event", || async {
        let events = events(&story).await;
        let there = matches!(&events[..], [(note, kind)] if note.contains(&user) && note.contains(&digest) && kind == "Normal");
        if there { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    jane.refused(&["onelogin", "--digest", &digest], "nothing is held").await;

    // The same employees come back and leave again: an approval does not hold for later plans.
    // Another user can approve.
    for id in &people[..8] {
        story
            .simulated
            .change(
                id,
                json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
            )
            .await;
    }
    story.sync().await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    assert_eq!(suspended(&story, &people).await, 0);

    // The command refuses while the status describes older settings.
    assert!(controller.stop().await);
    let patch = Patch::Merge(json!({"spec": {"retention": "100h"}}));
    story.integrations().patch("onelogin", &PatchParams::default(), &patch).await.unwrap();
    let admin = Approver { kubeconfig: story.plane.kubeconfig() };
    admin
        .refused(&["onelogin", "-n", &story.namespace, "--yes"], "not read the newest settings")
        .await;
    let _controller = Controller::start(&story).await;
    story.ready("PlanHeld").await;
    let (succeeded, said) = admin
        .run(&["onelogin", "-n", &story.namespace, "--yes", "--wait", "--timeout", "30s"])
        .await;
    assert!(succeeded && said.contains("approved by admin"), "{said}");
    assert_eq!(suspended(&story, &people).await, 8);
    assert_eq!(
        story.ready("Converged").await.status.unwrap().approved.unwrap().by.as_deref(),
        Some("admin")
    );
}

/// One user who may approve, and one who may only change integrations.
const WITH_POLICY: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: jane, namespace: NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: bob, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: edit, namespace: NAMESPACE}
rules:
  - {apiGroups: [bobsync.dev], resources: [provisioningintegrations], verbs: [get, patch, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: edit, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: edit}
subjects: [{kind: ServiceAccount, name: bob, namespace: NAMESPACE}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approve, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: SYSTEM-bobsync-approver}
subjects: [{kind: ServiceAccount, name: jane, namespace: NAMESPACE}]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_policy_only_approvers_approve_and_only_under_their_own_names() {
    let story = Story::begin("policy", 4).await;
    let people = staff(&story, 30).await;
    let values = json!({"namespaces": [story.namespace], "crds": {"install": false}, "approvals": {"enabled": true}});
    let chart = story
        .plane
        .helm_template("bobsync", &story.system, values)
        .await
        .expect("helm renders the chart");
    story.plane.apply_yaml(&chart).await.expect("the API server takes the chart");
    let rights =
        WITH_POLICY.replace("NAMESPACE", &story.namespace).replace("SYSTEM", &story.system);
    story.plane.apply_yaml(&rights).await.expect("rights");
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let digest = held(&story.ready("PlanHeld").await).0;

    let (jane, bob) = (
        story.plane.kubeconfig_for(&story.namespace, "jane"),
        story.plane.kubeconfig_for(&story.namespace, "bob"),
    );
    let (jane, bob) = (jane.await.expect("a token"), bob.await.expect("a token"));
    let patch = async |who: &PathBuf, manager: &str, spec: serde_json::Value| {
        let (kubeconfig, manager, spec) = (
            format!("--kubeconfig={}", who.display()),
            format!("--field-manager={manager}"),
            json!({"spec": spec}).to_string(),
        );
        let arguments = [
            &*kubeconfig,
            "-n",
            &story.namespace,
            "patch",
            "pi",
            "onelogin",
            "--type=merge",
            &manager,
            "-p",
            &spec,
        ];
        let output = story.plane.kubectl(&arguments).await.expect("kubectl runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let user = |name: &str| format!("system:serviceaccount:{}:{name}", story.namespace);
    let other = format!("sha256:{}", "0".repeat(64));
    // A new policy takes effect after a moment. Until then this writes a digest that matches no
    // plan.
    until("the policy holds", || async {
        let (admitted, said) = patch(
            &bob,
            &format!("bobsync-approve:{}", user("bob")),
            json!({"approvedPlan": other}),
        )
        .await;
        patch(&bob, "story", json!({"approvedPlan": null})).await;
        if !admitted && said.contains("may not approve held plans") { Ok(()) } else { Err(said) }
    })
    .await;
    // A user who may edit still edits, and removes the field.
    assert!(patch(&bob, "story", json!({"retention": "100h"})).await.0);
    assert!(patch(&bob, "story", json!({"approvedPlan": null})).await.0);
    // An approver cannot use another user's name, and cannot approve without a name.
    for manager in [format!("bobsync-approve:{}", user("bob")), "kubectl-patch".to_owned()] {
        let (admitted, said) = patch(&jane, &manager, json!({"approvedPlan": digest})).await;
        assert!(
            !admitted
                && said
                    .contains(&format!("under the field manager bobsync-approve:{}", user("jane"))),
            "{manager}: {said}"
        );
    }
    assert_eq!(suspended(&story, &people).await, 0);
    story.ready("PlanHeld").await;
    let jane = Approver { kubeconfig: jane };
    let (succeeded, said) = jane.run(&["onelogin", "--yes", "--wait"]).await;
    assert!(succeeded && said.contains(&format!("approved by {}", user("jane"))), "{said}");
    assert_eq!(suspended(&story, &people).await, 8);
}

/// The provider is slow, so the pass that carries out the plan takes a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_approved_and_only_waits_counts_as_held_no_more() {
    let story = Story::begin("released", 4).await;
    let people = staff(&story, 30).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({"interval": "24h"})).await;
    story.ready("Converged").await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let digest = held(&story.ready("PlanHeld").await).0;
    agree(&story, "8 are held", |counts| counts.held == 8).await;
    let slow = json!({"kind": "delay", "delayMs": 20_000, "method": "PUT"});
    story.simulated.post("/onelogin/faults", slow).await;
    approve(&story, &digest, "approver").await;
    let status =
        agree(&story, "8 wait, and none is held", |counts| (counts.held, counts.pending) == (0, 8))
            .await;
    let said = |kind: &str| {
        let all = status.conditions.iter().find(|condition| condition.type_ == kind);
        all.map(|condition| (condition.status.clone(), condition.reason.clone())).unwrap()
    };
    assert_eq!(said("PlanHeld"), ("False".to_owned(), "NothingHeld".to_owned()));
    assert_eq!(said("Ready"), ("False".to_owned(), "Progressing".to_owned()));
    assert_eq!(status.plan, None);
    assert_eq!(status.budgets.unwrap().disables.unwrap().planned, 0);
    let person = story.person(&people[0]).await.unwrap();
    assert_eq!(condition(&person, "Ready").unwrap().1, "Pending");
    let metrics = controller.metrics().await;
    let lines = metrics.lines().filter(|line| line.starts_with("bobsync_held_changes{"));
    let still: Vec<&str> = lines.filter(|line| !line.ends_with(" 0")).collect();
    assert!(still.is_empty() && metrics.contains("bobsync_held_changes{"), "{still:?}");
    assert_eq!((gauge(&metrics, "held"), gauge(&metrics, "pending")), (Some(0), Some(8)));
    story.simulated.delete("/onelogin/faults").await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 8);
}
