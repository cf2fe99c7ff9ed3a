//! A namespace on a real API server, the simulators over loopback HTTP, and the real controller
//! with a clock that the test moves. The controller has a runtime of its own: dropping it kills the
//! controller at any point.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bobsync::{
    api::{EmployeeSync, ProvisioningIntegration, SYNC_REQUESTED, conditions},
    cli::controller::{LogFormat, Options, run},
    cluster::connect::{install_crypto, with_settings},
    engine::clock::{Clock, ClockHand},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use simulators::{Control, World, rng::Rng};
use testbed::ControlPlane;
use tokio::{runtime::Runtime, sync::watch};

/// How long anything may take before the soak fails: a pass may wait twice for a minute of Bob.
const PATIENCE: Duration = Duration::from_secs(240);
/// A failed pass is tried again after this much of the controller's time.
const RETRIED: SignedDuration = SignedDuration::from_secs(30);

/// The provider keeps this many characters of a text.
pub const LONGEST_TEXT: usize = 24;

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Stage {
    kubeconfig: kube::config::Kubeconfig,
    client: Client,
    namespace: String,
    world: World,
    /// The simulators' control API.
    pub control: Control,
    clock: Clock,
    hand: ClockHand,
    running: Option<Running>,
    requests: u32,
}

struct Running {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Result<(), String>>,
}

impl Stage {
    /// Makes it and starts the controller.
    pub async fn set(plane: &ControlPlane, seed: u64, now: Timestamp) -> Self {
        install_crypto();
        let world = World::start(simulators::Options {
            today: Some(now),
            ..simulators::Options::default()
        })
        .await;
        let control = world.control();
        control.custom_attributes(&["work_cell"]).await.expect("defined");
        // Several pages for a small company, so that pages can shift. Texts are kept folded and
        // cut.
        let quirks = json!({"pageSizeCap": 20, "foldBlanks": true, "cutTexts": LONGEST_TEXT});
        control.onelogin_quirks(quirks).await.expect("a quirk");
        let kubeconfig = kube::config::Kubeconfig::read_from(plane.kubeconfig())
            .expect("the administrator's kubeconfig");
        let (clock, hand) = Clock::adjustable();
        hand.set(now);
        let client = client(&kubeconfig).await;
        let namespace = format!("soak-{seed}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .expect("a namespace");
        for (name, data) in [
            ("bob", json!({"serviceUserId": "SERVICE-1", "serviceUserToken": "bob-token-1"})),
            ("onelogin", json!({"clientId": "client-1", "clientSecret": "secret-1"})),
        ] {
            let secret: Secret =
                serde_json::from_value(json!({"metadata": {"name": name}, "stringData": data}))
                    .expect("a Secret");
            Api::<Secret>::namespaced(client.clone(), &namespace)
                .create(&PostParams::default(), &secret)
                .await
                .expect("a Secret");
        }
        let mut stage = Self {
            kubeconfig,
            client,
            namespace,
            world,
            control,
            clock,
            hand,
            running: None,
            requests: 0,
        };
        stage.start();
        stage
    }

    fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let options = Options {
            namespace: vec![self.namespace.clone()],
            allow_endpoint: vec![
                self.world.bob_url().to_owned(),
                self.world.onelogin_url().to_owned(),
            ],
            federated_token_file: None,
            federated_namespace: Vec::new(),
            http_listen: "127.0.0.1:0".parse().expect("an address"),
            webhook_listen: "127.0.0.1:0".parse().expect("an address"),
            // A killed controller leaves no lease that the next one would have to wait for.
            leader_elect: false,
            lease_namespace: None,
            log_format: LogFormat::Json,
        };
        let (stop, stopping) = watch::channel(false);
        let (kubeconfig, namespace, clock) =
            (self.kubeconfig.clone(), self.namespace.clone(), self.clock.clone());
        let ended = runtime.spawn(async move {
            let client = client(&kubeconfig).await;
            run(options, client, &namespace, clock, stopping).await
        });
        self.running = Some(Running { runtime, stop, ended });
    }

    /// Kills or stops the controller at some moment of a requested pass, and starts another one.
    pub async fn restarts_under_way(&mut self, rng: &mut Rng) {
        self.request().await;
        tokio::time::sleep(Duration::from_millis(u64::try_from(rng.below(120)).unwrap_or(0))).await;
        if let Some(Running { runtime, stop, ended }) = self.running.take() {
            if rng.chance(0.3) {
                let _ = stop.send(true);
                tokio::time::timeout(PATIENCE, ended)
                    .await
                    .expect("it stops")
                    .expect("no panic")
                    .expect("a clean end");
            }
            runtime.shutdown_background();
        }
        self.start();
    }

    /// Ends the controller.
    pub fn end(mut self) {
        if let Some(running) = self.running.take() {
            running.runtime.shutdown_background();
        }
    }

    /// Returns the controller's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sets this time for the controller and for the simulators.
    pub async fn to(&self, now: Timestamp) {
        self.control.set_clock(now).await.expect("the clock");
        self.hand.set(now);
    }

    fn integrations(&self) -> Api<ProvisioningIntegration> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies the integration. The budgets have room for what this company does in one step; they
    /// have stories of their own.
    pub async fn integrate(&self) {
        let plenty = json!({"max": "50%", "atLeast": 50, "per": "1h"});
        let spec = json!({
            "interval": "24h", "mode": "Enforce",
            "bob": {"credentialsSecretRef": {"name": "bob"}, "endpoint": self.world.bob_url(), "timeZone": "Europe/London",
                    "siteTimeZones": {"Berlin": "Europe/Berlin", "Auckland": "Pacific/Auckland"}},
            "provider": {"oneLogin": {"endpoint": self.world.onelogin_url(), "credentialsSecretRef": {"name": "onelogin"}}},
            "safety": {"disables": plenty, "reactivations": plenty, "updates": plenty},
        });
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration", "metadata": {"name": "onelogin"}, "spec": spec});
        self.integrations()
            .patch("onelogin", &PatchParams::apply("soak").force(), &Patch::Apply(object))
            .await
            .expect("admitted");
    }

    async fn request(&mut self) -> String {
        self.requests += 1;
        let value = format!("soak-{}", self.requests);
        let patch = json!({"metadata": {"annotations": {SYNC_REQUESTED: value}}});
        self.integrations()
            .patch("onelogin", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("an annotation");
        value
    }

    /// Asks for a sync, and waits until one succeeds, with any number of tries. Returns `Ready`'s
    /// reason then.
    pub async fn sync(&mut self) -> String {
        self.sync_within(Duration::from_millis(200)).await
    }

    /// Asks for a sync that cannot succeed, and waits a moment.
    pub async fn tries(&mut self) {
        self.request().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// Does the same, and moves the clock whenever nothing has happened for this long.
    async fn sync_within(&mut self, pause: Duration) -> String {
        let value = self.request().await;
        let (began, mut pushed, mut patience) = (Instant::now(), Instant::now(), RETRIED);
        loop {
            let object = self.integrations().get("onelogin").await.expect("the integration");
            let status = object.status.unwrap_or_default();
            if status.last_handled_sync_at.as_deref() == Some(&value) {
                return conditions::find(&status.conditions, "Ready")
                    .map(|ready| ready.reason.clone())
                    .unwrap_or_default();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "no pass comes through at {}; last said: {:?}",
                self.now(),
                status
            );
            if pushed.elapsed() > pause {
                // Tries become less frequent; this much of the controller's time is not waited for.
                pushed = Instant::now();
                self.to(self.now() + patience).await;
                patience = (patience * 2).min(SignedDuration::from_hours(3));
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Returns what the controller says of the integration and of the employee, for a failure's
    /// message.
    pub async fn says_of(&self, employee: Option<&str>) -> String {
        let integration = self.integrations().get("onelogin").await.expect("the integration");
        let syncs: Api<EmployeeSync> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = syncs.list(&kube::api::ListParams::default()).await.expect("the employees");
        let theirs =
            all.items.into_iter().find(|sync| Some(sync.spec.employee_id.as_str()) == employee);
        let clock = self.now();
        format!("at {clock}: {:#?}\n{:#?}", integration.status, theirs.and_then(|sync| sync.status))
    }

    /// Syncs until two in a row write nothing to the provider. Returns what the last one said if
    /// that never happens.
    pub async fn comes_to_rest(&mut self) -> Result<(), String> {
        let mut quiet = 0;
        let mut last = String::new();
        for _ in 0..30 {
            let (began, moved) = (Instant::now(), self.now());
            let before = self
                .control
                .calls(simulators::client::Service::OneLogin)
                .await
                .expect("calls")
                .applied_writes;
            // Without faults it succeeds by itself, on any busy machine.
            let reason = self.sync_within(Duration::from_secs(5)).await;
            let after = self
                .control
                .calls(simulators::client::Service::OneLogin)
                .await
                .expect("calls")
                .applied_writes;
            // Partial passes run at the same time as the pass that answers: the
            // silence may be a turn of another one.
            let unmoved = self.now().duration_since(moved).unsigned_abs()
                < began.elapsed() + Duration::from_secs(1);
            // It may also be a date that came while the sync was waited for: a slow one moves the
            // clock.
            quiet = if before == after && reason == "Converged" && unmoved { quiet + 1 } else { 0 };
            if quiet == 2 {
                return Ok(());
            }
            last = format!("{reason}, {} writes", after - before);
            tokio::time::sleep(Duration::from_millis(200)).await;
            // Ends every short wait.
            self.to(self.now() + RETRIED * 4).await;
        }
        Err(last)
    }
}

/// Makes a client of the calling runtime: one made on another runtime ends with that runtime.
async fn client(kubeconfig: &kube::config::Kubeconfig) -> Client {
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &options)
        .await
        .expect("a configuration");
    with_settings(config).expect("a client")
}
