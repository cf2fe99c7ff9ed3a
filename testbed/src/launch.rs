//! The command lines, free ports, and waiting until everything is ready.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::config::{KubeConfigOptions, Kubeconfig as KubeconfigFile};
use kube::{Api, Client, Config};

use crate::assets::Assets;
use crate::control_plane::Options;
use crate::credentials::{
    ADMIN, AUTHORITY, CONTROLLER_MANAGER, Credentials, SERVER_CERTIFICATE, SERVER_KEY, TOKEN_KEY,
    TOKEN_PUBLIC_KEY, TOKENS,
};
use crate::kubeconfig::Kubeconfig;
use crate::supervised::Supervised;

pub(crate) const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";
pub(crate) const AUDIT_LOG: &str = "audit.log";
const AUDIT_POLICY_FILE: &str = "audit-policy.yaml";
const CONTROLLER_MANAGER_KUBECONFIG: &str = "controller-manager.kubeconfig";

/// Every request once, when it is answered (a watch: when it is accepted), without bodies.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// Another process can take a free port before the server listens on it.
const ATTEMPTS: usize = 5;
/// Usually it takes seconds; a machine that compiles at the same time needs longer.
const READY_WITHIN: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The running programs. Fields are dropped in this order: clients before servers.
#[derive(Debug)]
pub(crate) struct Running {
    _controller_manager: Option<Supervised>,
    kube_apiserver: Mutex<Option<Supervised>>,
    _etcd: Supervised,
    /// The command that started the server, to start it again.
    command: (PathBuf, Vec<String>, PathBuf),
    /// `http://127.0.0.1:<port>` of etcd.
    pub(crate) etcd: String,
    /// `https://127.0.0.1:<port>`.
    pub(crate) server: String,
    /// The administrator's token.
    pub(crate) config: Config,
}

/// Starts the programs in `folder` and returns once they answer.
pub(crate) async fn launch(
    assets: &Assets,
    folder: &Path,
    credentials: &Credentials,
    options: Options,
) -> Result<Running> {
    std::fs::write(folder.join(AUDIT_POLICY_FILE), AUDIT_POLICY)?;
    let mut last = None;
    for attempt in 1..=ATTEMPTS {
        let [client, peer, server] = free_ports()?;
        let etcd_arguments = etcd(client, peer, attempt);
        let mut etcd = Supervised::start("etcd", &assets.program("etcd"), &etcd_arguments, folder)?;
        let arguments = kube_apiserver(client, server, options.audit);
        let program = assets.program("kube-apiserver");
        let mut kube_apiserver = Supervised::start("kube-apiserver", &program, &arguments, folder)?;
        let server = format!("https://127.0.0.1:{server}");
        let admin = folder.join(ADMIN_KUBECONFIG);
        kubeconfig(&server, credentials, ADMIN, &credentials.admin_token).write(&admin)?;
        let config = config(&admin).await?;
        match until_ready(&config, &mut [&mut etcd, &mut kube_apiserver]).await {
            Ok(()) => {
                let controller_manager = if options.controller_manager {
                    Some(
                        start_controller_manager(assets, folder, credentials, &server, &config)
                            .await?,
                    )
                } else {
                    None
                };
                return Ok(Running {
                    _controller_manager: controller_manager,
                    kube_apiserver: Mutex::new(Some(kube_apiserver)),
                    _etcd: etcd,
                    command: (program, arguments, folder.to_owned()),
                    etcd: format!("http://127.0.0.1:{client}"),
                    server,
                    config,
                });
            }
            Err(error) if error.to_string().contains("address already in use") => {
                last = Some(error)
            }
            Err(error) => return Err(error),
        }
    }
    Err(last
        .context("no attempt was made")?
        .context(format!("no free ports in {ATTEMPTS} attempts")))
}

impl Running {
    /// Kills kube-apiserver at once; etcd stays.
    pub(crate) fn end_server(&self) {
        drop(self.kube_apiserver.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Starts it again at the same address, and returns once it answers.
    pub(crate) async fn start_server(&self) -> Result<()> {
        let (program, arguments, folder) = &self.command;
        let mut server = Supervised::start("kube-apiserver", program, arguments, folder)?;
        until_ready(&self.config, &mut [&mut server]).await?;
        *self.kube_apiserver.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}

fn kubeconfig<'a>(
    server: &'a str,
    credentials: &'a Credentials,
    user: &'a str,
    token: &'a str,
) -> Kubeconfig<'a> {
    Kubeconfig { server, authority: &credentials.authority, user, token, namespace: "default" }
}

async fn config(kubeconfig: &Path) -> Result<Config> {
    let file = KubeconfigFile::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
}

/// All are held until the last one is known, so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn flags<const N: usize>(named: [(&str, String); N]) -> Vec<String> {
    named.map(|(name, value)| format!("--{name}={value}")).to_vec()
}

fn etcd(client: u16, peer: u16, attempt: usize) -> Vec<String> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    flags([
        ("name", "testbed".to_owned()),
        ("data-dir", format!("etcd-{attempt}")),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer.clone()),
        ("initial-cluster", format!("testbed={peer}")),
        // No data here must survive a power cut.
        ("unsafe-no-fsync", "true".to_owned()),
        ("quota-backend-bytes", "8589934592".to_owned()),
        ("log-level", "warn".to_owned()),
    ])
}

fn kube_apiserver(etcd: u16, port: u16, audit: bool) -> Vec<String> {
    let mut arguments = flags([
        ("etcd-servers", format!("http://127.0.0.1:{etcd}")),
        ("bind-address", "127.0.0.1".to_owned()),
        ("secure-port", port.to_string()),
        ("tls-cert-file", SERVER_CERTIFICATE.to_owned()),
        ("tls-private-key-file", SERVER_KEY.to_owned()),
        ("cert-dir", "apiserver-certificates".to_owned()),
        ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
        ("service-account-key-file", TOKEN_PUBLIC_KEY.to_owned()),
        ("service-account-signing-key-file", TOKEN_KEY.to_owned()),
        ("token-auth-file", TOKENS.to_owned()),
        ("authorization-mode", "RBAC".to_owned()),
        ("service-cluster-ip-range", "10.0.0.0/16".to_owned()),
        // No client reaches this server through a Service, and loopback cannot be an endpoint.
        ("endpoint-reconciler-type", "none".to_owned()),
    ]);
    if audit {
        arguments.extend(flags([
            ("audit-policy-file", AUDIT_POLICY_FILE.to_owned()),
            ("audit-log-path", AUDIT_LOG.to_owned()),
            // Megabytes: the file is never rotated, because events could get lost between two
            // reads.
            ("audit-log-maxsize", "65536".to_owned()),
        ]));
    }
    arguments
}

async fn start_controller_manager(
    assets: &Assets,
    folder: &Path,
    credentials: &Credentials,
    server: &str,
    config: &Config,
) -> Result<Supervised> {
    kubeconfig(server, credentials, CONTROLLER_MANAGER, &credentials.controller_manager_token)
        .write(&folder.join(CONTROLLER_MANAGER_KUBECONFIG))?;
    let arguments = flags([
        ("kubeconfig", CONTROLLER_MANAGER_KUBECONFIG.to_owned()),
        (
            "controllers",
            "garbage-collector-controller,namespace-controller,serviceaccount-controller"
                .to_owned(),
        ),
        ("service-account-private-key-file", TOKEN_KEY.to_owned()),
        ("root-ca-file", AUTHORITY.to_owned()),
        ("leader-elect", "false".to_owned()),
        // Zero: it serves nothing.
        ("secure-port", "0".to_owned()),
        ("bind-address", "127.0.0.1".to_owned()),
    ]);
    let program = assets.program("kube-controller-manager");
    let mut child = Supervised::start("kube-controller-manager", &program, &arguments, folder)?;
    // It has no port to ask, but it gives every namespace its first service account.
    let accounts: Api<ServiceAccount> =
        Api::namespaced(Client::try_from(config.clone())?, "default");
    let start = Instant::now();
    loop {
        if let Some(explanation) = child.ended() {
            bail!(explanation);
        }
        if answer(accounts.get_opt("default")).await.is_some_and(|found| found.is_some()) {
            return Ok(child);
        }
        if start.elapsed() > READY_WITHIN {
            bail!(
                "kube-controller-manager was not ready within {READY_WITHIN:?}\n{}",
                child.log_end()
            );
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Asks `/readyz`, and for the default namespace, which comes a moment later.
async fn until_ready(config: &Config, children: &mut [&mut Supervised]) -> Result<()> {
    let client = Client::try_from(config.clone())?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let start = Instant::now();
    loop {
        for child in children.iter_mut() {
            if let Some(explanation) = child.ended() {
                bail!(explanation);
            }
        }
        let request = http::Request::get("/readyz").body(Vec::new())?;
        if answer(client.request_text(request)).await.is_some()
            && answer(namespaces.get_opt("default")).await.is_some_and(|found| found.is_some())
        {
            return Ok(());
        }
        if start.elapsed() > READY_WITHIN {
            let logs: Vec<String> = children.iter().map(|child| child.log_end()).collect();
            bail!("kube-apiserver was not ready within {READY_WITHIN:?}\n{}", logs.join("\n"));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Returns the answer if there is one in time; the kind of failure does not matter while polling.
async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Option<T> {
    tokio::time::timeout(ANSWER_WITHIN, request).await.ok()?.ok()
}
