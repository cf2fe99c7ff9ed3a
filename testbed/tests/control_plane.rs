//! The promises of the testbed, checked with real programs. One control plane serves every test of
//! this file; each uses names of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kube::core::ObjectMeta;
use serde_json::json;
use testbed::{AuditEvent, ControlPlane, Options};
use tokio::sync::OnceCell;

const DEFINITION: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: widgets}
---
# Comments alone are no document.
---
apiVersion: testbed.example.com/v1
kind: Widget
metadata: {name: first, namespace: widgets}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.testbed.example.com}
spec:
  group: testbed.example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, maximum: 10}
";

async fn control_plane() -> &'static ControlPlane {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    let options = Options { controller_manager: true, audit: true, rsa_tokens: true };
    SHARED
        .get_or_init(|| async { ControlPlane::start(options).await.expect("a control plane") })
        .await
}

async fn kubectl(arguments: &[&str]) -> (bool, String) {
    let output = control_plane().await.kubectl(arguments).await.expect("kubectl runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("text"))
}

async fn within(bound: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < bound, "{what}: not within {bound:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn definitions_are_served_when_apply_returns_and_their_rules_hold() {
    let control_plane = control_plane().await;
    control_plane.apply_yaml(DEFINITION).await.expect("applies, whatever the order");
    let (_, size) =
        kubectl(&["get", "widget", "first", "-n", "widgets", "-o", "jsonpath={.spec.size}"]).await;
    assert_eq!(size, "3");

    let too_big = "apiVersion: testbed.example.com/v1\nkind: Widget\nmetadata: {name: big, namespace: widgets}\nspec: {size: 11}";
    let refused = control_plane.apply_yaml(too_big).await.expect_err("the schema says at most 10");
    assert!(format!("{refused:#}").contains("spec.size"), "{refused:#}");
}

#[tokio::test]
async fn kubectl_is_of_the_servers_version() {
    let (succeeded, text) = kubectl(&["version", "-o", "json"]).await;
    assert!(succeeded, "{text}");
    let versions: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]);
    assert_eq!(versions["serverVersion"]["major"], "1");
}

#[tokio::test]
async fn a_service_accounts_token_can_what_its_role_allows_and_nothing_else() {
    let control_plane = control_plane().await;
    control_plane
        .apply_yaml(
            "
apiVersion: v1
kind: Namespace
metadata: {name: reading}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: reading}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: reading}
rules:
- {apiGroups: [''], resources: [configmaps], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: reading}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {kind: ServiceAccount, name: reader, namespace: reading}
",
        )
        .await
        .expect("applies");
    let kubeconfig = control_plane.kubeconfig_for("reading", "reader").await.expect("a token");
    let kubeconfig = kubeconfig.to_str().expect("text");

    let (succeeded, who) = kubectl(&["--kubeconfig", kubeconfig, "auth", "whoami"]).await;
    assert!(succeeded && who.contains("system:serviceaccount:reading:reader"), "{who}");
    let (succeeded, listed) = kubectl(&["--kubeconfig", kubeconfig, "get", "configmaps"]).await;
    assert!(succeeded, "the file's namespace is the account's own: {listed}");
    for refused in [["get", "secrets"], ["get", "configmaps/any"], ["get", "namespaces"]] {
        let arguments = [["--kubeconfig", kubeconfig], refused].concat();
        let (succeeded, text) = kubectl(&arguments).await;
        assert!(!succeeded && text.contains("Forbidden"), "{refused:?}: {text}");
    }

    let nobody =
        control_plane.kubeconfig_for("reading", "nobody").await.expect_err("no such account");
    assert!(format!("{nobody:#}").contains("reading/nobody"), "{nobody:#}");
}

fn about<'a>(events: &'a [AuditEvent], namespace: &str) -> Vec<&'a AuditEvent> {
    events.iter().filter(|event| event.namespace == namespace && event.user == "admin").collect()
}

// The only test that moves the mark, so that the others may run at the same time.
#[tokio::test]
async fn the_audit_log_counts_every_request_since_the_mark() {
    let control_plane = control_plane().await;
    let client = control_plane.client();
    let name = "counted";
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .expect("created");
    let api: Api<ConfigMap> = Api::namespaced(client, name);
    api.get_opt("before").await.expect("answered");
    control_plane.audit_mark().await.expect("marked");
    for number in 0..25 {
        let map = config_map(&format!("map-{number}"), &[]);
        api.create(&PostParams::default(), &map).await.expect("created");
    }
    assert!(api.get_opt("absent").await.expect("answered").is_none());

    let events = control_plane.audit().await.expect("events");
    let ours = about(&events, name);
    let created =
        ours.iter().filter(|event| event.verb == "create" && event.resource == "configmaps");
    assert_eq!(created.clone().count(), 25);
    assert!(created.clone().all(|event| event.is_write() && event.code == 201));
    let read: Vec<_> = ours.iter().filter(|event| event.verb == "get").collect();
    assert_eq!(read.len(), 1, "what came before the mark is forgotten: {read:?}");
    assert_eq!((read[0].name.as_str(), read[0].code), ("absent", 404));

    control_plane.audit_mark().await.expect("marked");
    let events = control_plane.audit().await.expect("events");
    assert!(about(&events, name).is_empty(), "nothing happened since: {events:?}");
}

fn config_map(name: &str, owner: &[&ConfigMap]) -> ConfigMap {
    let references =
        owner.iter().map(|owner| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.metadata.name, "uid": owner.metadata.uid}));
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: Some(
                references
                    .map(|reference| serde_json::from_value(reference).expect("a reference"))
                    .collect(),
            ),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::new()),
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn owned_objects_go_with_their_owner_and_namespaces_are_emptied() {
    let control_plane = control_plane().await;
    control_plane
        .apply_yaml("apiVersion: v1\nkind: Namespace\nmetadata: {name: owning}")
        .await
        .expect("applies");
    let namespaces: Api<Namespace> = Api::all(control_plane.client());
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client(), "owning");
    let create = async |map| maps.create(&PostParams::default(), &map).await.expect("created");
    let owner = create(config_map("owner", &[])).await;
    create(config_map("owned", &[&owner])).await;
    create(config_map("free", &[])).await;

    maps.delete("owner", &DeleteParams::background()).await.expect("deleted");
    let gone = async |name: &str| maps.get_opt(name).await.expect("answered").is_none();
    within(Duration::from_secs(60), "the owned object is collected", async || gone("owned").await)
        .await;
    assert!(!gone("free").await, "what nobody owns stays");

    namespaces.delete("owning", &DeleteParams::default()).await.expect("deleted");
    within(Duration::from_secs(60), "the namespace is emptied and gone", async || {
        namespaces.get_opt("owning").await.expect("answered").is_none()
    })
    .await;
    assert!(gone("free").await);
}

#[tokio::test]
async fn two_control_planes_are_strangers_and_one_ends_with_its_value() {
    let other = ControlPlane::start(Options::default()).await.expect("a second one");
    assert_ne!(other.server(), control_plane().await.server());
    let namespaces = Api::<Namespace>::all(other.client());
    assert!(namespaces.get_opt("default").await.expect("answered").is_some());
    assert!(other.audit().await.is_err(), "started without the audit log");

    let folder = other.kubeconfig().parent().map(Path::to_path_buf).expect("a folder");
    let address = other.server().trim_start_matches("https://").to_owned();
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    drop(other);
    assert!(tokio::net::TcpStream::connect(&address).await.is_err(), "the server still listens");
    assert!(!folder.exists(), "its folder is still there");
}
