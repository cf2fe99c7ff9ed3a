//! `simulators serve` runs Bob, the providers and the control API until it is told to
//! stop; `simulators company` prints a made-up company.

use std::io::{BufWriter, ErrorKind, Write as _};
use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use simulators::bob::company::Company;
use simulators::company::{Summary, generate};
use simulators::{Options, World};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "Strict simulators of Bob and the providers, on loopback addresses")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; prints one JSON line with the addresses when ready
    Serve(Box<Serve>),
    /// Print a generated company as JSON
    Company {
        #[arg(long, default_value_t = 50)]
        employees: usize,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The day the company is seen on, RFC 3339 [default: wall time]
        #[arg(long)]
        today: Option<Timestamp>,
    },
}

/// What `serve` takes.
#[derive(Args)]
struct Serve {
    /// Address of Bob [default: a free port of 127.0.0.1]
    #[arg(long)]
    bob: Option<SocketAddr>,
    /// Address of `OneLogin` [default: a free port of 127.0.0.1]
    #[arg(long)]
    onelogin: Option<SocketAddr>,
    /// Address of Google Workspace [default: a free port of 127.0.0.1]
    #[arg(long)]
    google: Option<SocketAddr>,
    /// Address of Microsoft Graph and its sign-in service [default: a free port of 127.0.0.1]
    #[arg(long)]
    entra: Option<SocketAddr>,
    /// Address of JumpCloud [default: a free port of 127.0.0.1]
    #[arg(long)]
    jumpcloud: Option<SocketAddr>,
    /// Address of Okta [default: a free port of 127.0.0.1]
    #[arg(long)]
    okta: Option<SocketAddr>,
    /// Address of the SCIM server and its token endpoint [default: a free port of 127.0.0.1]
    #[arg(long)]
    scim: Option<SocketAddr>,
    /// Address of the control API [default: a free port of 127.0.0.1]
    #[arg(long)]
    control: Option<SocketAddr>,
    /// How many generated employees Bob starts with
    #[arg(long, default_value_t = 0)]
    employees: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The first instant of the simulated clock, RFC 3339 [default: wall time]
    #[arg(long)]
    today: Option<Timestamp>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(serve) => {
            // The signals are caught before the line is printed, so that none is missed.
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let world = World::try_start(Options {
                bob: serve.bob,
                onelogin: serve.onelogin,
                google: serve.google,
                entra: serve.entra,
                jumpcloud: serve.jumpcloud,
                okta: serve.okta,
                scim: serve.scim,
                control: serve.control,
                employees: serve.employees,
                seed: serve.seed,
                today: serve.today,
            })
            .await?;
            let line = json!({"bob": world.bob_url(), "oneLogin": world.onelogin_url(), "google": world.google_url(), "entra": world.entra_url(), "jumpCloud": world.jumpcloud_url(), "okta": world.okta_url(), "scim": world.scim_url(), "control": world.control_url()});
            writeln!(std::io::stdout(), "{line}")?;
            std::io::stdout().flush()?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        Command::Company { employees, seed, today } => {
            let company = generate(employees, seed, today.unwrap_or_else(Timestamp::now));
            match print_company(&company) {
                // The reader has closed the output.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                printed => printed?,
            }
        }
    }
    Ok(())
}

/// Prints `{"summary":…,"employees":[…]}`, one employee a line.
fn print_company(company: &Company) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    write!(out, "{{\"summary\":{},\n\"employees\":[", json!(Summary::of(company)))?;
    for (position, employee) in company.employees.iter().enumerate() {
        let separator = if position == 0 { "\n" } else { ",\n" };
        write!(out, "{separator}{}", company.human(employee))?;
    }
    writeln!(out, "\n]}}")?;
    out.flush()
}
