//! One company, one provider, one controller (the release binary), and all their counters.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bobsync::api::ProvisioningIntegration;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use simulators::{Options, World};
use testbed::ControlPlane;

/// A running controller.
pub struct Controller {
    child: Child,
    /// The address to which Bob sends events of the integration.
    pub webhooks: String,
    /// When it was started, and how long it took until it was ready.
    pub ready_after: Duration,
}

impl Controller {
    /// Starts the release binary with the administrator's rights and waits until it is ready.
    pub async fn start(
        plane: &ControlPlane,
        namespace: &str,
        endpoints: &[String],
    ) -> Result<Self> {
        let free = || -> Result<String> {
            Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
        };
        let (listen, webhooks) = (free()?, free()?);
        let mut command = Command::new(binary()?);
        command.args([
            "controller",
            "--namespace",
            namespace,
            "--lease-namespace",
            namespace,
            "--http-listen",
            &listen,
            "--webhook-listen",
            &webhooks,
        ]);
        for endpoint in endpoints {
            command.args(["--allow-endpoint", endpoint]);
        }
        let began = Instant::now();
        let child = command
            .env("KUBECONFIG", plane.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut controller = Self {
            child,
            webhooks: format!("http://{webhooks}/webhooks/bob/{namespace}/onelogin"),
            ready_after: Duration::ZERO,
        };
        let http = reqwest::Client::new();
        for _ in 0..3000 {
            if http
                .get(format!("http://{listen}/readyz"))
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                controller.ready_after = began.elapsed();
                return Ok(controller);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("the controller is not ready")
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the release binary of the product, next to this one.
pub fn binary() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.parent().context("no folder")?.join("bobsync");
    if path.exists() {
        Ok(path)
    } else {
        bail!("{} is missing: cargo build --release -p bobsync", path.display())
    }
}

/// The secret of the webhook.
pub const SIGNED_WITH: &str = "s3cret of the webhook";

/// What a scene needs from a provider.
pub struct Provider {
    /// Its name.
    pub name: &'static str,
    /// The simulator's name of it.
    pub service: &'static str,
    /// The call that makes an account.
    pub create: &'static str,
    /// Accounts on a page.
    pub page: usize,
    /// Its part of a spec, at this address.
    spec: fn(&str) -> Value,
    address: fn(&World) -> &str,
    /// Name and content of the Secret, made from the control API's answer at this path.
    secret: (&'static str, &'static str, fn(Value) -> Value),
    /// What is set at the control API first.
    prepared: fn() -> Vec<(&'static str, Value)>,
}

/// OneLogin. The first convergence would take hours at the published limit, so the limit is raised
/// until [`Scene::published_limit`].
pub const ONE_LOGIN: Provider = Provider {
    name: "OneLogin",
    service: "onelogin",
    create: "POST /api/2/users",
    page: 100,
    spec: |url| json!({"oneLogin": {"endpoint": url, "credentialsSecretRef": {"name": "onelogin"}}}),
    address: World::onelogin_url,
    secret: ("onelogin", "/clock", |_| json!({"clientId": "client-1", "clientSecret": "secret-1"})),
    prepared: || {
        vec![
            ("/onelogin/custom-attributes", json!({"shortnames": ["work_cell"]})),
            ("/onelogin/limits", json!({"limit": 1_000_000, "remaining": 1_000_000})),
        ]
    },
};

/// The providers that are measured after [`ONE_LOGIN`].
pub const OTHERS: [&Provider; 5] = [&GOOGLE_WORKSPACE, &ENTRA_ID, &JUMPCLOUD, &OKTA, &SCIM];

/// Google Workspace, with its published limits from the start.
const GOOGLE_WORKSPACE: Provider = Provider {
    name: "Google Workspace",
    service: "google",
    create: "POST /admin/directory/v1/users",
    page: 500,
    spec: |url| json!({"googleWorkspace": {"endpoint": url, "tokenEndpoint": url, "adminEmail": "admin@example.com", "credentialsSecretRef": {"name": "google"}}}),
    address: World::google_url,
    secret: (
        "google",
        "/google/service-account",
        |key| json!({"serviceAccount.json": key.to_string()}),
    ),
    prepared: Vec::new,
};

/// Microsoft Entra ID, with its published limits from the start. The default map has managers, so
/// pages are small.
const ENTRA_ID: Provider = Provider {
    name: "Entra ID",
    service: "entra",
    create: "POST /v1.0/users",
    page: 100,
    spec: |url| json!({"entraID": {"tenantId": "example.com", "endpoint": url, "tokenEndpoint": url, "credentialsSecretRef": {"name": "entra"}}}),
    address: World::entra_url,
    secret: (
        "entra",
        "/entra/app",
        |app| json!({"clientId": app["clientId"], "clientSecret": app["clientSecret"]}),
    ),
    prepared: Vec::new,
};

/// JumpCloud, at bobsync's own pace: no limit is published.
const JUMPCLOUD: Provider = Provider {
    name: "JumpCloud",
    service: "jumpcloud",
    create: "POST /api/systemusers",
    page: 100,
    spec: |url| json!({"jumpCloud": {"endpoint": url, "credentialsSecretRef": {"name": "jumpcloud"}}}),
    address: World::jumpcloud_url,
    secret: ("jumpcloud", "/clock", |_| json!({"apiKey": "jumpcloud-key-1"})),
    prepared: Vec::new,
};

/// Okta, with its published limits from the start. Its org has the attribute for the mark.
pub const OKTA: Provider = Provider {
    name: "Okta",
    service: "okta",
    create: "POST /api/v1/users",
    page: 200,
    spec: |url| json!({"okta": {"domain": "sample.okta.com", "markAttribute": "bobsyncEmployeeId", "endpoint": url, "credentialsSecretRef": {"name": "okta"}}}),
    address: World::okta_url,
    secret: ("okta", "/okta/app", |app| json!({"apiToken": app["apiToken"]})),
    prepared: || {
        let mark = json!({"custom": {"bobsyncEmployeeId": {"title": "Employee in Bob", "type": "string"}}});
        vec![("/okta/schema", mark)]
    },
};

/// A SCIM 2.0 server that takes PATCH. The standard has no limits.
const SCIM: Provider = Provider {
    name: "SCIM",
    service: "scim",
    create: "POST /scim/v2/Users",
    page: 100,
    spec: |url| json!({"scim": {"endpoint": format!("{url}/scim/v2"), "credentialsSecretRef": {"name": "scim"}}}),
    address: World::scim_url,
    secret: ("scim", "/clock", |_| json!({"token": "scim-token-1"})),
    prepared: Vec::new,
};

/// One company, one provider, one namespace.
pub struct Scene {
    /// The provider.
    pub provider: &'static Provider,
    /// The API server.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
    /// The simulators.
    pub world: World,
    http: reqwest::Client,
    requests: u32,
}

impl Scene {
    /// Makes it.
    pub async fn set(
        plane: &ControlPlane,
        name: &str,
        employees: usize,
        provider: &'static Provider,
    ) -> Result<Self> {
        let world = World::try_start(Options { employees, seed: 11, ..Options::default() }).await?;
        let scene = Self {
            provider,
            client: plane.client(),
            namespace: name.to_owned(),
            world,
            http: reqwest::Client::new(),
            requests: 0,
        };
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::<Namespace>::all(scene.client.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        let (secret, path, content) = provider.secret;
        let content = content(scene.control("GET", path, Value::Null).await?);
        for (secret, data) in [
            ("bob", json!({"serviceUserId": "SERVICE-1", "serviceUserToken": "bob-token-1"})),
            ("hook", json!({"webhookSecret": SIGNED_WITH})),
            (secret, content),
        ] {
            let object: Secret =
                serde_json::from_value(json!({"metadata": {"name": secret}, "stringData": data}))?;
            Api::<Secret>::namespaced(scene.client.clone(), name)
                .create(&PostParams::default(), &object)
                .await?;
        }
        for (path, body) in (provider.prepared)() {
            scene.control("PUT", path, body).await?;
        }
        Ok(scene)
    }

    /// Applies OneLogin's published limit from here on.
    pub async fn published_limit(&self) -> Result<()> {
        self.control("PUT", "/onelogin/limits", json!({"limit": 5000, "remaining": 5000})).await?;
        Ok(())
    }

    /// Returns the base addresses of the simulators.
    pub fn endpoints(&self) -> Vec<String> {
        vec![self.world.bob_url().to_owned(), (self.provider.address)(&self.world).to_owned()]
    }

    /// Calls the simulators' control API.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let url = format!("{}{path}", self.world.control_url());
        let mut request = self.http.request(method.parse()?, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await?.error_for_status()?.text().await?;
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer)? })
    }

    /// Returns the calls counted by route.
    pub async fn calls(&self, service: &str, route: &str) -> Result<f64> {
        Ok(self.control("GET", &format!("/{service}/calls"), Value::Null).await?["byRoute"][route]
            .as_f64()
            .unwrap_or(0.0))
    }

    /// Returns the writes at the provider.
    pub async fn writes(&self) -> Result<f64> {
        Ok(self.control("GET", &format!("/{}/calls", self.provider.service), Value::Null).await?["writes"].as_f64().unwrap_or(0.0))
    }

    /// Returns the writes at the provider that suspended an account.
    pub async fn suspensions(&self) -> Result<f64> {
        Ok(self.control("GET", "/onelogin/calls", Value::Null).await?["byRoute"]["PUT /api/2/users/{id}"].as_f64().unwrap_or(0.0))
    }

    /// Starts the counts again.
    pub async fn forget_calls(&self) -> Result<()> {
        self.control("DELETE", "/bob/calls", Value::Null).await?;
        self.control("DELETE", &format!("/{}/calls", self.provider.service), Value::Null).await?;
        Ok(())
    }

    /// Applies the integration.
    pub async fn integrate(&self) -> Result<()> {
        let spec = json!({
            "mode": "Enforce",
            "bob": {
                "credentialsSecretRef": {"name": "bob"}, "endpoint": self.world.bob_url(),
                "webhookSecretRef": {"name": "hook", "key": "webhookSecret"},
            },
            "provider": (self.provider.spec)((self.provider.address)(&self.world)),
        });
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "onelogin"}, "spec": spec});
        self.integrations()
            .patch("onelogin", &PatchParams::apply("bench").force(), &Patch::Apply(object))
            .await?;
        Ok(())
    }

    fn integrations(&self) -> Api<ProvisioningIntegration> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the integration says Converged and every employee in scope is ready, with progress.
    pub async fn converged(&self) -> Result<()> {
        let began = Instant::now();
        let mut told = Instant::now();
        loop {
            let object = self.integrations().get("onelogin").await?;
            let status = object.status.unwrap_or_default();
            let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
            let all =
                status.employees.as_ref().is_some_and(|counts| counts.ready == counts.in_scope);
            if all && ready.is_some_and(|c| c.reason == "Converged") {
                return Ok(());
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                let accounts = self.calls(self.provider.service, self.provider.create).await?;
                eprintln!(
                    "bench:   {accounts} accounts after {}s ({})",
                    began.elapsed().as_secs(),
                    ready.map_or("", |c| &c.reason)
                );
            }
            if began.elapsed() > Duration::from_mins(30) {
                bail!("not converged: {:?}", status.conditions);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks for a pass without waiting.
    pub async fn ask(&self) -> Result<()> {
        let patch =
            json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": "at once"}}});
        self.integrations()
            .patch("onelogin", &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// Asks for a pass and waits until it has ended.
    pub async fn pass(&mut self) -> Result<()> {
        self.requests += 1;
        let value = format!("bench-{}", self.requests);
        let patch = json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": value}}});
        self.integrations()
            .patch("onelogin", &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        for _ in 0..6000 {
            let object = self.integrations().get("onelogin").await?;
            if object.status.and_then(|status| status.last_handled_sync_at) == Some(value.clone()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the pass is not through")
    }
}
