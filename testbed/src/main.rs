//! `testbed up`: a control plane for as long as this runs.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value, json};
use testbed::{ControlPlane, Options};
use tokio::signal::unix::{SignalKind, signal};

/// A real Kubernetes control plane on loopback, for tests and the demo.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start one, print where it is as one line of JSON, and stay until SIGTERM or SIGINT.
    Up(Up),
}

#[derive(Args)]
struct Up {
    /// Keep data, logs and kubeconfig in this folder (new or empty) instead of a temporary one.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Record every request in <dir>/audit.log.
    #[arg(long)]
    audit: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Command::Up(up) = Arguments::parse().command;
    // Before the start, so that a signal during the start does not leave children behind.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let options = Options { controller_manager: true, audit: up.audit, rsa_tokens: false };
    let starting = async {
        match &up.dir {
            Some(folder) => ControlPlane::start_in(options, folder).await,
            None => ControlPlane::start(options).await,
        }
    };
    let control_plane = tokio::select! {
        started = starting => started?,
        () = &mut stopped => return Ok(()),
    };
    announce(&control_plane)?;
    stopped.await;
    Ok(())
}

/// One line on standard output; the caller reads it and need not poll.
fn announce(control_plane: &ControlPlane) -> Result<()> {
    let environment: Map<String, Value> = control_plane
        .environment()
        .into_iter()
        .map(|(name, path)| (name.to_owned(), json!(path)))
        .collect();
    let line = json!({
        "kubeconfig": control_plane.kubeconfig(),
        "kubectl": control_plane.program("kubectl"),
        "helm": control_plane.program("helm"),
        "pid": std::process::id(),
        "server": control_plane.server(),
        "environment": environment,
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("printing where it is")
}
