//! The real binary as a child process, with only the rights of the chart's ServiceAccount.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use testbed::Proxy;

use super::Story;

pub struct Controller {
    child: Child,
    log: PathBuf,
    pub http: String,
    /// The address to which Bob sends this story's events.
    pub webhooks: String,
}

/// The log filter.
const LOG: &str = "warn,bobsync=debug";

/// Returns two different ports that are free now.
pub fn free_ports() -> [u16; 2] {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().expect("an address").port())
}

impl Controller {
    /// Starts it for this story and waits until it is ready.
    pub async fn start(story: &Story) -> Self {
        Self::with(story, &[]).await
    }

    /// Starts it with further arguments.
    pub async fn with(story: &Story, arguments: &[&str]) -> Self {
        let controller = Self::spawn(story, arguments).await;
        controller.until_ready().await;
        controller
    }

    /// Starts it behind a proxy to the API server on which things go wrong, without an election: it
    /// waits for no Lease of a killed one.
    pub async fn behind(story: &Story, proxy: &Proxy) -> Self {
        Self::behind_with(story, proxy, &[]).await
    }

    /// Does the same with further arguments.
    pub async fn behind_with(story: &Story, proxy: &Proxy, arguments: &[&str]) -> Self {
        let kubeconfig =
            story.plane.kubeconfig_through(proxy, &story.system, "bobsync").await.expect("a token");
        let controller =
            Self::launch(story, &kubeconfig, &[&["--leader-elect=false"], arguments].concat(), LOG);
        controller.until_ready().await;
        controller
    }

    /// Does the same with another `BOBSYNC_LOG`.
    pub async fn behind_logging(story: &Story, proxy: &Proxy, log: &str) -> Self {
        let kubeconfig =
            story.plane.kubeconfig_through(proxy, &story.system, "bobsync").await.expect("a token");
        let controller = Self::launch(story, &kubeconfig, &["--leader-elect=false"], log);
        controller.until_ready().await;
        controller
    }

    /// Does the same with an election, in the pod with this identity. The caller waits for it.
    pub async fn elected_behind(story: &Story, proxy: &Proxy, pod: &str) -> Self {
        let kubeconfig =
            story.plane.kubeconfig_through(proxy, &story.system, "bobsync").await.expect("a token");
        Self::launch_in(story, &kubeconfig, &[], LOG, pod)
    }

    /// Starts it without waiting.
    pub async fn spawn(story: &Story, arguments: &[&str]) -> Self {
        let kubeconfig = story
            .plane
            .kubeconfig_for(&story.system, "bobsync")
            .await
            .expect("a token of the chart's ServiceAccount");
        Self::launch(story, &kubeconfig, arguments, LOG)
    }

    fn launch(story: &Story, kubeconfig: &Path, arguments: &[&str], filter: &str) -> Self {
        Self::launch_in(story, kubeconfig, arguments, filter, "")
    }

    fn launch_in(
        story: &Story,
        kubeconfig: &Path,
        arguments: &[&str],
        filter: &str,
        pod: &str,
    ) -> Self {
        let [port, webhooks] = free_ports();
        let webhooks = format!("127.0.0.1:{webhooks}");
        let http = format!("127.0.0.1:{port}");
        let log =
            std::env::temp_dir().join(format!("bobsync-story-{}-{port}.log", std::process::id()));
        let file = std::fs::File::create(&log).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_bobsync"))
            .args([
                "controller",
                "--namespace",
                &story.namespace,
                "--lease-namespace",
                &story.system,
                "--log-format",
                "json",
            ])
            .args(["--http-listen", &http, "--webhook-listen", &webhooks])
            .args(
                story
                    .simulated
                    .endpoints()
                    .iter()
                    .flat_map(|endpoint| ["--allow-endpoint", endpoint]),
            )
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("BOBSYNC_POD_UID", pod)
            .env("BOBSYNC_LOG", filter)
            .env("BOBSYNC_TEST_FAULTS", log.with_extension("faults"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        let webhooks = format!("http://{webhooks}/webhooks/bob/{}/onelogin", story.namespace);
        Self { child, log, http: format!("http://{http}"), webhooks }
    }

    pub async fn until_ready(&self) {
        super::until("the controller is ready", || async {
            match reqwest::get(format!("{}/readyz", self.http)).await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                other => Err(format!("{:?}; log: {}", other.map(|a| a.status()), self.log())),
            }
        })
        .await;
    }

    /// Returns its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Makes one of its loops panic or hang once: `panic dates of people/onelogin`. Only debug
    /// builds support this.
    pub fn fault(&self, line: &str) {
        use std::io::Write as _;
        let faults = self.log.with_extension("faults");
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(faults).expect("a file");
        writeln!(file, "{line}").expect("a line");
    }

    /// Returns whether it leads, by its metrics page.
    pub async fn leads(&self) -> bool {
        self.metrics().await.lines().any(|line| line == "bobsync_leader 1")
    }

    /// Returns its metrics page.
    pub async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.http))
            .await
            .expect("metrics")
            .text()
            .await
            .expect("text")
    }

    /// Kills it at once (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("its end");
    }

    /// Stops it at once, like a suspended machine (SIGSTOP).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Continues it (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Asks it to stop and waits for the end. Returns true if it ended with success.
    pub async fn stop(mut self) -> bool {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        for _ in 0..600 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!(
                "the controller's last words:\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        let _ = std::fs::remove_file(self.log.with_extension("faults"));
        let _ = std::fs::remove_file(&self.log);
    }
}
