//! `bobsync controller`: reads the flags, connects, and runs leadership, watches, workers and the
//! HTTP listener until a signal. A stop is graceful: nothing new begins, what began ends, then the
//! Lease is released.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{ArgAction, Args, ValueEnum};
use tokio::{signal::unix::SignalKind, sync::watch};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterExt as _, LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    cluster::{
        connect,
        crds::Crds,
        events::Events,
        leadership::{self, Leadership},
        roster::Roster,
    },
    engine::{
        clock::Clock,
        intake::inbox::Inbox,
        integration::{pacers::Pacers, shared::Shared},
        settings::{endpoints::AllowedEndpoints, granted::Granted, tenants::Tenants},
        supervisor::supervise,
    },
    server,
    telemetry::{health::Health, metrics::Metrics, parts::Parts},
};

/// How long a graceful stop may take. A write may need its whole time-out, and its record a moment
/// more.
const STOP_WITHIN: Duration = Duration::from_secs(50);

/// Flags of `bobsync controller`. Every flag also reads an environment variable; repeatable ones
/// take commas there.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Namespace to work in. Repeatable. Default: all namespaces.
    #[arg(long, env = "BOBSYNC_NAMESPACE", value_delimiter = ',', value_name = "NAME")]
    pub namespace: Vec<String>,
    /// Base address (scheme, host and port) that an integration's `endpoint` may name in place of
    /// the vendor's. Repeatable.
    #[arg(long, env = "BOBSYNC_ALLOW_ENDPOINT", value_delimiter = ',', value_name = "URL")]
    pub allow_endpoint: Vec<String>,
    /// File with a token of the controller's own service account. Integrations whose Secret has no
    /// secret authenticate with it.
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE")]
    pub federated_token_file: Option<PathBuf>,
    /// Namespace whose integrations may authenticate with this token. Repeatable. Default: those of
    /// --namespace, and none if it is not given.
    #[arg(long, env = "BOBSYNC_FEDERATED_NAMESPACE", value_delimiter = ',', value_name = "NAME")]
    pub federated_namespace: Vec<String>,
    /// Address that serves /metrics, /healthz and /readyz.
    #[arg(
        long,
        env = "BOBSYNC_HTTP_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    pub http_listen: SocketAddr,
    /// Address that takes Bob's webhooks: POST /webhooks/bob/{namespace}/{integration}.
    #[arg(
        long,
        env = "BOBSYNC_WEBHOOK_LISTEN",
        default_value = "0.0.0.0:8081",
        value_name = "ADDRESS"
    )]
    pub webhook_listen: SocketAddr,
    /// Whether the replicas elect a leader, so that only one of them works.
    #[arg(long, env = "BOBSYNC_LEADER_ELECT", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub leader_elect: bool,
    /// Namespace of the Lease. Default: the namespace of the pod, or of the kubeconfig's context.
    #[arg(long, env = "BOBSYNC_LEASE_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Format of the log, which goes to standard error.
    #[arg(
        long,
        env = "BOBSYNC_LOG_FORMAT",
        value_enum,
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs the controller as a process of its own.
///
/// # Errors
/// If it cannot start, or had to stop for another reason than a signal.
pub fn main(options: Options) -> Result<(), String> {
    log(options.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(async move {
            signalled().await;
            tracing::info!("stopping");
            let _ = stop.send(true);
        });
        connect::install_crypto();
        let (client, default_namespace) = connect::client().await?;
        let namespace = options.lease_namespace.clone().unwrap_or(default_namespace);
        run(options, client, &namespace, Clock::system(), stopping).await
    })
}

/// Runs the controller with the caller's client and clock until `stopping` becomes true. The Lease
/// is in `lease_namespace`.
///
/// # Errors
/// If it cannot start.
pub async fn run(
    options: Options,
    client: kube::Client,
    lease_namespace: &str,
    clock: Clock,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    let endpoints = AllowedEndpoints::parse(&options.allow_endpoint)?;
    let federated = namespaces("--federated-namespace", &options.federated_namespace)?;
    let namespaces = namespaces("--namespace", &options.namespace)?;
    let federated = if federated.is_empty() { namespaces.clone() } else { federated };
    let granted = Granted::new(endpoints, options.federated_token_file.as_deref(), federated);
    let metrics = Arc::new(Metrics::new());
    let health = Health::new();
    let parts = Parts::new(health.clone(), metrics.clone());
    let listener =
        server::listen(options.http_listen, metrics.clone(), parts.clone(), stopping.clone())
            .await?;
    let leadership = if options.leader_elect {
        let mut stop = stopping.clone();
        let past = tokio::select! {
            past = leadership::past(&client, &namespaces) => past,
            _ = stop.wait_for(|stopping| *stopping) => return Ok(()),
        };
        Leadership::start(client.clone(), lease_namespace, past, &metrics)
    } else {
        Leadership::always()
    };
    if options.leader_elect {
        let beat = parts.beat("election", None);
        leadership.on_turn(move || beat.beat());
        let parts = parts.clone();
        leadership.on_end(move || parts.ended("election", None, true));
    }
    let names = if namespaces.is_empty() { "all".to_owned() } else { namespaces.join(",") };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), namespaces = names, "started");
    let roster = Roster::default();
    let inbox = Inbox::new(client.clone(), roster.clone(), clock.clone(), leadership.clone());
    metrics.watch_queue({
        let inbox = inbox.clone();
        move || inbox.depths().map(|(count, oldest)| (count, oldest.map(|since| since.elapsed())))
    });
    metrics.watch_people(roster.clone(), {
        let clock = clock.clone();
        move || clock.now()
    });
    let (close, closing) = watch::channel(false);
    let webhooks = server::webhooks::listen(
        options.webhook_listen,
        inbox.clone(),
        metrics.clone(),
        parts.clone(),
        closing,
    )
    .await?;
    let events = Events::kept(client.clone(), leadership.clone(), parts.clone(), stopping.clone());
    metrics.watch_events({
        let events = events.clone();
        move || [events.dropped(), events.failed()]
    });
    let shared = Shared {
        events,
        crds: Crds::new(client),
        roster,
        inbox,
        metrics,
        clock,
        leadership: leadership.clone(),
        granted: Arc::new(granted),
        pacers: Arc::new(Pacers::default()),
        tenants: Arc::new(Tenants::default()),
        parts,
        stopping: stopping.clone(),
    };
    let mut until = stopping.clone();
    let mut work = tokio::spawn(supervise(shared, namespaces));
    let ended = tokio::select! {
        _ = until.wait_for(|stopping| *stopping) => None,
        // The supervisor sees the same signal and may end first. A task that has ended may not be
        // waited for again.
        ended = &mut work => Some(ended),
    };
    health.stopping();
    // Another replica may begin only after the work has ended.
    let ended = match ended {
        Some(ended) => leadership.release_after(std::future::ready(ended), STOP_WITHIN).await,
        None => leadership.release_after(work, STOP_WITHIN).await,
    };
    let failed = matches!(ended, Some(Err(_)));
    // `readyz` fails since the stop began. Deliveries that still come are told to come again, and
    // those under way end.
    let _ = close.send(true);
    let _ = webhooks.await;
    listener.abort();
    // Nothing works without the supervisor. A new process begins with everything that this one
    // knew.
    if failed { Err("the supervisor failed; its log line says where".to_owned()) } else { Ok(()) }
}

/// Returns the namespaces of a flag or of its variable. The text may have blanks around its
/// commas, or be empty.
fn namespaces(flag: &str, values: &[String]) -> Result<Vec<String>, String> {
    let label = |name: &str| {
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        plain && name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-')
    };
    let names: Vec<String> = values
        .iter()
        .map(|value| value.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    match names.iter().find(|name| !label(name)) {
        Some(name) => Err(format!(
            "{flag} {name}: this is not the name of a namespace (lower case letters, digits \
             and dashes, at most 63)"
        )),
        None => Ok(names),
    }
}

async fn signalled() {
    let signal = |kind| async move {
        match tokio::signal::unix::signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signal(SignalKind::terminate()) => {}
        () = signal(SignalKind::interrupt()) => {}
    }
}

fn log(format: LogFormat) {
    let asked = std::env::var("BOBSYNC_LOG").ok().filter(|asked| !asked.trim().is_empty());
    // The client libraries log addresses and objects below this level. bobsync logs the result of a
    // call to the API server in a line of its own.
    let usual = [("bobsync", LevelFilter::INFO), ("kube_client", LevelFilter::OFF)];
    let filter = asked
        .and_then(|asked| asked.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN).with_targets(usual));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => tracing_subscriber::registry()
            .with(layer.with_ansi(false).with_filter(discreet(filter)))
            .init(),
        LogFormat::Json => tracing_subscriber::registry()
            .with(layer.json().flatten_event(true).with_filter(discreet(filter)))
            .init(),
    }
}

/// Returns this filter without the lines in which the client library shows what the API server has
/// sent. No setting of the filter brings them back. If the library cannot read an answer, it logs
/// the whole answer as a warning: an `EmployeeSync`, or a Secret.
fn discreet<S>(filter: Targets) -> impl tracing_subscriber::layer::Filter<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let shows_answers = |target: &str| target == "kube_client::client";
    filter.and(tracing_subscriber::filter::filter_fn(move |metadata| {
        !shows_answers(metadata.target())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_trimmed_and_nonsense_is_refused() {
        let read = |values: &[&str]| {
            namespaces("--namespace", &values.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(read(&["a", " b "]).unwrap(), ["a", "b"]);
        assert!(read(&[""]).unwrap().is_empty(), "an empty variable is no namespace");
        for bad in ["Foo_", "-a", "a.b"] {
            assert!(read(&[bad]).unwrap_err().contains(bad), "{bad}");
        }
    }
}
