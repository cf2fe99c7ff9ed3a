//! The controller inside the test, with a clock that the story moves, and the rights of the chart's
//! ServiceAccount. The simulators' clock moves with it.

use std::path::PathBuf;

use bobsync::{
    cli::controller::{LogFormat, Options, run},
    cluster::connect::with_settings,
    engine::clock::{Clock, ClockHand},
};
use jiff::Timestamp;
use serde_json::json;
use testbed::Proxy;
use tokio::{sync::watch, task::JoinHandle};

use super::Story;

pub struct Moving {
    hand: ClockHand,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), String>>,
    /// The address to which Bob sends this story's events.
    pub webhooks: String,
    http: String,
}

impl Moving {
    /// Starts it at this time.
    pub async fn start(story: &Story, now: &str) -> Self {
        let kubeconfig = story
            .plane
            .kubeconfig_for(&story.system, "bobsync")
            .await
            .expect("a token of the chart's ServiceAccount");
        Self::on(story, now, kubeconfig).await
    }

    /// Does the same behind a proxy to the API server on which things go wrong.
    pub async fn behind(story: &Story, proxy: &Proxy, now: &str) -> Self {
        let kubeconfig =
            story.plane.kubeconfig_through(proxy, &story.system, "bobsync").await.expect("a token");
        Self::on(story, now, kubeconfig).await
    }

    async fn on(story: &Story, now: &str, kubeconfig: PathBuf) -> Self {
        let (clock, hand) = Clock::adjustable();
        let (stop, stopping) = watch::channel(false);
        let file = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let config =
            kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
                .await
                .expect("a configuration");
        let client = with_settings(config).expect("a client");
        let [port, http] = super::controller::free_ports();
        let options = Options {
            namespace: vec![story.namespace.clone()],
            allow_endpoint: story.simulated.endpoints(),
            federated_token_file: None,
            federated_namespace: Vec::new(),
            http_listen: format!("127.0.0.1:{http}").parse().expect("an address"),
            webhook_listen: format!("127.0.0.1:{port}").parse().expect("an address"),
            leader_elect: true,
            lease_namespace: None,
            log_format: LogFormat::Json,
        };
        let moving_to: Timestamp = now.parse().expect("a time");
        hand.set(moving_to);
        story.simulated.put("/clock", json!({"now": moving_to.to_string()})).await;
        let system = story.system.clone();
        let running =
            tokio::spawn(async move { run(options, client, &system, clock, stopping).await });
        let webhooks = format!("http://127.0.0.1:{port}/webhooks/bob/{}/onelogin", story.namespace);
        Self { hand, stop, running, webhooks, http: format!("http://127.0.0.1:{http}") }
    }

    /// How many full passes that read Bob have ended, as its metrics page has it.
    pub async fn full_passes(&self) -> u64 {
        let page = reqwest::get(format!("{}/metrics", self.http))
            .await
            .expect("metrics")
            .text()
            .await
            .expect("text");
        let count =
            page.lines().find_map(|line| line.strip_prefix("bobsync_pass_duration_seconds_count "));
        count.map_or(0, |count| count.parse().expect("a number"))
    }

    /// Sets this time for the controller and for the simulators.
    pub async fn to(&self, story: &Story, now: &str) {
        let now: Timestamp = now.parse().expect("a time");
        story.simulated.put("/clock", json!({"now": now.to_string()})).await;
        self.hand.set(now);
    }

    /// Stops it as a signal would, and waits for the end.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.running.await.expect("no panic").expect("a clean end");
    }
}
