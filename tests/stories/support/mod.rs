//! What a story uses: a company, a provider, an API server, a controller, and ways to look at all
//! four.

pub mod controller;
pub mod expected;
pub mod moving;
pub mod proxies;
pub mod rules;
pub mod simulated;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bobsync::api::{EmployeeSync, ProvisioningIntegration, SYNC_REQUESTED, conditions};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use testbed::{AuditEvent, ControlPlane, Options};
use tokio::sync::OnceCell;

pub use controller::Controller;
pub use moving::Moving;
pub use simulated::Simulated;

/// How long anything may take before a story fails.
const PATIENCE: Duration = Duration::from_secs(60);

static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Returns the control plane of all stories, with the CRDs in it.
pub async fn control_plane() -> &'static ControlPlane {
    CONTROL_PLANE
        .get_or_init(|| async {
            let options = Options { controller_manager: true, audit: true, rsa_tokens: true };
            let plane = ControlPlane::start(options).await.expect("a control plane");
            plane
                .apply_yaml(&bobsync::engine::settings::rules::crds_yaml().expect("CRDs"))
                .await
                .expect("the API server takes the CRDs");
            plane
        })
        .await
}

/// Returns a client of this test's own runtime. One made on another test's runtime ends with that
/// test.
async fn client(plane: &ControlPlane) -> Client {
    let file = kube::config::Kubeconfig::read_from(plane.kubeconfig())
        .expect("the administrator's kubeconfig");
    let config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .expect("a configuration");
    bobsync::cluster::connect::with_settings(config).expect("a client")
}

/// A place in the audit log. Stories run at the same time, so each has marks of its own.
#[derive(Clone, Copy)]
pub struct Mark(usize);

/// Returns where the audit log is now.
pub async fn mark(plane: &ControlPlane) -> Mark {
    Mark(plane.audit().await.expect("the audit log").len())
}

/// Returns what the controller of this release namespace asked of the API server since the mark.
pub async fn audited_since(plane: &ControlPlane, mark: Mark, system: &str) -> Vec<AuditEvent> {
    let user = format!("system:serviceaccount:{system}:bobsync");
    let events = plane.audit().await.expect("the audit log");
    events.into_iter().skip(mark.0).filter(|event| event.user == user).collect()
}

/// One story.
pub struct Story {
    pub plane: &'static ControlPlane,
    pub client: Client,
    pub namespace: String,
    pub system: String,
    pub simulated: Simulated,
    requests: AtomicU32,
}

impl Story {
    /// Begins a story: a namespace with Secrets and the chart's RBAC, and a company of this size.
    /// There is no integration and no controller yet.
    pub async fn begin(name: &str, employees: usize) -> Self {
        let story = Self::on(control_plane().await, name, employees).await;
        story.namespaces().await;
        story.chart().await;
        story.secrets().await;
        story
    }

    /// Makes a company of this size, with nothing on this control plane yet.
    pub async fn on(plane: &'static ControlPlane, name: &str, employees: usize) -> Self {
        let client = client(plane).await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            plane,
            client,
            namespace: format!("{name}-{number}"),
            system: format!("{name}-{number}-system"),
            simulated: Simulated::start(employees).await,
            requests: AtomicU32::new(0),
        }
    }

    /// Makes the namespaces of the integration and of the release, if they are missing.
    pub async fn namespaces(&self) {
        for namespace in [&self.namespace, &self.system] {
            self.plane
                .apply_yaml(&format!(
                    "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"
                ))
                .await
                .expect("a namespace");
        }
    }

    /// Applies the release as helm renders it, without the CRDs.
    pub async fn chart(&self) {
        let values = json!({"namespaces": [self.namespace], "crds": {"install": false}});
        let chart = self
            .plane
            .helm_template("bobsync", &self.system, values)
            .await
            .expect("helm renders the chart");
        self.plane.apply_yaml(&chart).await.expect("the API server takes the chart");
    }

    /// Writes both Secrets.
    pub async fn secrets(&self) {
        self.secret("bob", &[("serviceUserId", "SERVICE-1"), ("serviceUserToken", "bob-token-1")])
            .await;
        self.secret("onelogin", &[("clientId", "client-1"), ("clientSecret", "secret-1")]).await;
    }

    /// Begins a story with a controller and an integration that has converged once.
    pub async fn converged(name: &str, employees: usize, spec: Value) -> (Self, Controller) {
        let story = Self::begin(name, employees).await;
        let controller = Controller::start(&story).await;
        story.integrate(spec).await;
        story.ready("Converged").await;
        (story, controller)
    }

    /// Writes a Secret, or replaces it.
    pub async fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let data: serde_json::Map<String, Value> =
            values.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        Api::<Secret>::namespaced(self.client.clone(), &self.namespace)
            .patch(name, &PatchParams::apply("story").force(), &Patch::Apply(secret))
            .await
            .expect("a Secret");
    }

    /// Applies the integration `onelogin` with the simulators' addresses. `spec` is merged over it,
    /// another provider too.
    pub async fn integrate(&self, spec: Value) -> ProvisioningIntegration {
        let mut whole = json!({
            "interval": "10m", "mode": "Enforce",
            "bob": {"credentialsSecretRef": {"name": "bob"}, "endpoint": self.simulated.bob, "timeZone": "Europe/London",
                    "siteTimeZones": {"Berlin": "Europe/Berlin", "Auckland": "Pacific/Auckland"}},
        });
        let one_login = json!({"region": "US", "endpoint": self.simulated.one_login, "credentialsSecretRef": {"name": "onelogin"}});
        if spec["provider"].as_object().is_none_or(|provider| provider.contains_key("oneLogin")) {
            whole["provider"] = json!({"oneLogin": one_login});
        }
        merge(&mut whole, spec);
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "onelogin"}, "spec": whole});
        self.integrations()
            .patch("onelogin", &PatchParams::apply("story").force(), &Patch::Apply(object))
            .await
            .expect("the integration is admitted")
    }

    pub fn integrations(&self) -> Api<ProvisioningIntegration> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn people(&self) -> Api<EmployeeSync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn integration(&self) -> ProvisioningIntegration {
        self.integrations().get("onelogin").await.expect("the integration")
    }

    /// Returns every EmployeeSync of the story.
    pub async fn everybody(&self) -> Vec<EmployeeSync> {
        self.people().list(&ListParams::default()).await.expect("a list").items
    }

    /// Returns the EmployeeSync of this employee, if there is one.
    pub async fn person(&self, employee: &str) -> Option<EmployeeSync> {
        self.people().get_opt(&format!("onelogin-{employee}")).await.expect("a read")
    }

    /// Returns the reason of this employee's `Ready`.
    pub async fn reason(&self, employee: &str) -> String {
        self.person(employee).await.map(|person| ready(&person).1).unwrap_or_default()
    }

    /// Waits until the integration's current generation is Ready, or not, with this reason.
    pub async fn ready(&self, reason: &str) -> ProvisioningIntegration {
        until(&format!("the integration says {reason}"), || async {
            let object = self.integration().await;
            let status = object.status.clone().unwrap_or_default();
            let ready = conditions::find(&status.conditions, "Ready");
            let said = ready.map(|c| (c.reason.clone(), c.message.clone(), c.observed_generation));
            match said {
                Some((said, _, generation))
                    if said == reason && generation == object.metadata.generation =>
                {
                    Ok(object)
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Asks for a sync of all employees and waits until it is answered.
    pub async fn sync(&self) -> ProvisioningIntegration {
        let value = self.ask().await;
        self.answered(&value).await
    }

    /// Asks for a sync of all employees without waiting. Returns the value that the status will
    /// repeat.
    pub async fn ask(&self) -> String {
        let value = format!("request-{}", self.requests.fetch_add(1, Ordering::Relaxed));
        let patch = json!({"metadata": {"annotations": {SYNC_REQUESTED: value}}});
        self.integrations()
            .patch("onelogin", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("an annotation");
        value
    }

    /// Waits until this sync request is answered.
    pub async fn answered(&self, value: &str) -> ProvisioningIntegration {
        until("the sync request is answered", || async {
            let object = self.integration().await;
            let handled = object.status.as_ref().and_then(|s| s.last_handled_sync_at.clone());
            if handled.as_deref() == Some(value) {
                Ok(object)
            } else {
                Err(format!("lastHandledSyncAt is {handled:?}"))
            }
        })
        .await
    }

    /// Asks for a sync that does not succeed, and waits until the integration says why.
    pub async fn sync_ends_in(&self, reason: &str) -> ProvisioningIntegration {
        self.ask().await;
        self.ready(reason).await
    }

    /// Returns how many warnings with this reason there are about an object.
    pub async fn warnings(&self, name: &str, reason: &str) -> usize {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await.expect("events").items;
        let about = |event: &&Event| {
            let regarding = event.regarding.as_ref().and_then(|about| about.name.as_deref());
            regarding == Some(name)
                && (event.reason.as_deref(), event.type_.as_deref())
                    == (Some(reason), Some("Warning"))
        };
        events.iter().filter(about).count()
    }

    /// Waits until there is one warning with this reason about an object.
    pub async fn warned(&self, name: &str, reason: &str) {
        until(&format!("a warning {reason} about {name}"), || async {
            let count = self.warnings(name, reason).await;
            if count == 1 { Ok(()) } else { Err(format!("{count}")) }
        })
        .await;
    }

    /// Returns the requests of this story's controller since the mark, except Leases.
    pub async fn audited(&self, mark: Mark) -> Vec<AuditEvent> {
        audited_since(self.plane, mark, &self.system)
            .await
            .into_iter()
            .filter(|event| event.resource != "leases")
            .collect()
    }

    /// Returns where the audit log is now.
    pub async fn mark(&self) -> Mark {
        mark(self.plane).await
    }
}

/// Returns status and reason of `Ready`.
pub fn ready(person: &EmployeeSync) -> (String, String) {
    condition(person, "Ready").map(|(status, reason, _)| (status, reason)).unwrap_or_default()
}

/// Returns status, reason and message of a condition.
pub fn condition(person: &EmployeeSync, kind: &str) -> Option<(String, String, String)> {
    let status = person.status.as_ref()?;
    conditions::find(&status.conditions, kind)
        .map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
}

/// Polls until `look` succeeds; fails the story with what it saw last.
pub async fn until<T, F>(what: &str, look: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) if began.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} until {what}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Merges a JSON value over another one.
pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Returns the name of an object, for messages.
pub fn name(object: &impl kube::ResourceExt) -> String {
    object.name_any()
}
