//! The control plane as a test uses it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::process::Command;

use crate::assets::{self, Assets};
use crate::audit::{AuditEvent, AuditLog};
use crate::credentials::Credentials;
use crate::kubeconfig::Kubeconfig;
use crate::launch::{ADMIN_KUBECONFIG, AUDIT_LOG, Running, launch};
use crate::proxy::Proxy;
use crate::supervised::Folder;

/// The folder of kubectl's cache. By default kubectl keeps it for an address and for hours, and the
/// next control plane may have the same port.
const KUBECTL_CACHE: &str = "kubectl-cache";
const COMMAND_WITHIN: Duration = Duration::from_secs(120);
const TOKEN_LASTS_SECONDS: i64 = 24 * 60 * 60;

/// What a control plane has in addition to etcd and kube-apiserver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Owner references work, deleted namespaces are emptied, and every namespace gets its
    /// `default` service account. The garbage collector needs up to 30 s to learn of a new custom
    /// resource; the emptying of namespaces does not.
    pub controller_manager: bool,
    /// Every request is recorded, for [`ControlPlane::audit`].
    pub audit: bool,
    /// Service account tokens are signed with RS256, as most clusters sign them and as services
    /// that trust a cluster want it. The key is in the sources, so this is for tests only.
    pub rsa_tokens: bool,
}

/// A running control plane. It ends when this value is dropped or the process ends.
#[derive(Debug)]
pub struct ControlPlane {
    running: Running,
    audit: Option<AuditLog>,
    assets: Assets,
    /// PEM.
    authority: String,
    files: AtomicU64,
    // Last, so that it is removed after the programs have ended.
    folder: Folder,
}

impl ControlPlane {
    /// Starts a control plane with its data in a temporary folder and waits until it is ready.
    ///
    /// # Errors
    /// When a program is missing, ends, or is not ready within two minutes; the end of its log is
    /// in the error.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_with(options, Folder::temporary()?).await
    }

    /// Does the same with its data, logs and kubeconfigs in `folder`, which must be new or empty
    /// and is kept.
    pub async fn start_in(options: Options, folder: &Path) -> Result<Self> {
        Self::start_with(options, Folder::named(folder)?).await
    }

    async fn start_with(options: Options, folder: Folder) -> Result<Self> {
        // If several providers are compiled in, rustls does not choose by itself. An error means
        // that one is set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let assets = Assets::find().await?;
        let credentials = Credentials::write(folder.path(), options.rsa_tokens)?;
        let running = launch(&assets, folder.path(), &credentials, options).await?;
        let audit = options.audit.then(|| AuditLog::new(folder.path().join(AUDIT_LOG)));
        Ok(Self {
            running,
            audit,
            assets,
            authority: credentials.authority,
            files: AtomicU64::new(0),
            folder,
        })
    }

    /// Returns `https://127.0.0.1:<port>`.
    pub fn server(&self) -> &str {
        &self.running.server
    }

    /// Returns the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(ADMIN_KUBECONFIG)
    }

    /// Makes a new client of the administrator in the runtime of the caller. Clone it instead of
    /// asking again, but only within one runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn client(&self) -> Client {
        client(&self.running.config).expect("the same settings made a client at the start")
    }

    /// Writes a kubeconfig with only a token of the service account, valid for a day.
    ///
    /// # Errors
    /// When there is no such service account.
    pub async fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        self.kubeconfig_at(&self.running.server, namespace, service_account).await
    }

    /// Does the same, through a proxy.
    ///
    /// # Errors
    /// When there is no such service account.
    pub async fn kubeconfig_through(
        &self,
        proxy: &Proxy,
        namespace: &str,
        service_account: &str,
    ) -> Result<PathBuf> {
        self.kubeconfig_at(&proxy.server(), namespace, service_account).await
    }

    /// Starts a new proxy in front of the server, in the runtime of the caller.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn proxy(&self) -> Result<Proxy> {
        Proxy::start(&self.running.server, &self.authority).await
    }

    /// Kills kube-apiserver at once (SIGKILL). etcd keeps its data.
    pub fn end_server(&self) {
        self.running.end_server();
    }

    /// Starts kube-apiserver again at the same address, with empty caches.
    ///
    /// # Errors
    /// When it does not answer within two minutes.
    pub async fn start_server(&self) -> Result<()> {
        self.running.start_server().await
    }

    /// Makes etcd forget every revision except the last (its JSON gateway, `/v3/kv/compaction`).
    /// Returns the last one.
    ///
    /// # Errors
    /// When etcd refuses or does not answer.
    pub async fn compact(&self) -> Result<i64> {
        let http = reqwest::Client::new();
        let call = |path: &str, body: serde_json::Value| {
            http.post(format!("{}{path}", self.running.etcd)).json(&body).send()
        };
        let answer: serde_json::Value =
            call("/v3/kv/range", json!({"key": "AA=="})).await?.error_for_status()?.json().await?;
        let revision =
            answer["header"]["revision"].as_str().context("etcd tells no revision")?.parse()?;
        call("/v3/kv/compaction", json!({"revision": revision, "physical": true}))
            .await?
            .error_for_status()?;
        Ok(revision)
    }

    async fn kubeconfig_at(
        &self,
        server: &str,
        namespace: &str,
        service_account: &str,
    ) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_LASTS_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("requesting a token for {namespace}/{service_account}"))?
            .status
            .context("the server issued no token")?
            .token;
        let path = self.new_file("kubeconfig");
        Kubeconfig {
            server,
            authority: &self.authority,
            user: service_account,
            token: &token,
            namespace,
        }
        .write(&path)?;
        Ok(path)
    }

    /// Applies every document in `yaml` by server-side apply, as the field manager `testbed`.
    /// Namespaces and definitions go first; definitions are served when this returns.
    ///
    /// # Errors
    /// When the YAML cannot be read, a kind is unknown, or the server refuses an object.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<()> {
        crate::apply::apply_yaml(&self.client(), yaml).await
    }

    /// Returns what `helm template` makes of the chart in `charts/bobsync`.
    ///
    /// # Errors
    /// Helm's message, such as values that the chart's schema refuses.
    pub async fn helm_template(
        &self,
        release: &str,
        namespace: &str,
        values: serde_json::Value,
    ) -> Result<String> {
        let file = self.new_file("values.json");
        tokio::fs::write(&file, serde_json::to_vec(&values)?).await?;
        let (chart, values) = (assets::repository().join("charts/bobsync"), file);
        let paths = [chart.to_string_lossy(), values.to_string_lossy()];
        let arguments =
            ["template", release, &paths[0], "--namespace", namespace, "--values", &paths[1]];
        let output = self.helm(&arguments).await?;
        if !output.status.success() {
            bail!("helm template: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs helm as the administrator. The output's status shows a failure.
    pub async fn helm(&self, arguments: &[&str]) -> Result<Output> {
        self.run("helm", arguments).await
    }

    /// Runs kubectl as the administrator. The output's status shows a failure.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Output> {
        self.run("kubectl", arguments).await
    }

    /// Returns the program with that name: `kubectl` or `helm`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.assets.program(name)
    }

    /// Returns the environment in which kubectl and helm use this control plane and do not change
    /// the user's own files.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let folder = self.folder.path();
        vec![
            ("KUBECONFIG", self.kubeconfig()),
            ("KUBECACHEDIR", folder.join(KUBECTL_CACHE)),
            ("HELM_CACHE_HOME", folder.join("helm/cache")),
            ("HELM_CONFIG_HOME", folder.join("helm/config")),
            ("HELM_DATA_HOME", folder.join("helm/data")),
        ]
    }

    /// Returns the requests answered since the last mark, from any sender.
    ///
    /// # Errors
    /// When the control plane was started without [`Options::audit`].
    pub async fn audit(&self) -> Result<Vec<AuditEvent>> {
        self.audit_log()?.events(self.client()).await
    }

    /// Forgets the requests answered so far.
    ///
    /// # Errors
    /// When the control plane was started without [`Options::audit`].
    pub async fn audit_mark(&self) -> Result<()> {
        self.audit_log()?.mark(self.client()).await
    }

    fn audit_log(&self) -> Result<&AuditLog> {
        self.audit.as_ref().context("started without Options::audit")
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let command = Command::new(self.assets.program(program))
            .args(arguments)
            .envs(self.environment())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(COMMAND_WITHIN, command)
            .await
            .with_context(|| format!("{program} took longer than {COMMAND_WITHIN:?}"))?
            .with_context(|| format!("running {program}"))
    }

    fn new_file(&self, ending: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{number}.{ending}"))
    }
}

fn client(config: &Config) -> Result<Client> {
    Ok(Client::try_from(config.clone())?)
}
