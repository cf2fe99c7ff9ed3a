//! The commands. `controller` runs in a cluster or outside it; `crds` prints the two CRDs.

pub mod controller;

use clap::{Parser, Subcommand};

/// Keeps an identity provider true to the Bob HR system.
#[derive(Debug, Parser)]
#[command(name = "bobsync", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller.
    Controller(Box<controller::Options>),
    /// Prints the two CustomResourceDefinitions as YAML.
    Crds,
    /// Prints a generated reference page of the documentation.
    #[command(hide = true)]
    Reference {
        /// Which page.
        #[arg(value_enum)]
        page: Page,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Page {
    Reasons,
    Metrics,
    Flags,
}

/// Runs the command line; the exit code of the process is 0 only if this is `Ok`.
///
/// # Errors
/// A message for the person at the terminal.
pub fn run() -> Result<(), String> {
    match Cli::parse().command {
        Command::Controller(options) => controller::main(*options),
        Command::Crds => crate::api::crds_yaml().map_err(|e| e.to_string()).map(|yaml| print!("{yaml}")),
        Command::Reference { page } => {
            print!(
                "{}",
                match page {
                    Page::Reasons => crate::api::reasons::markdown(),
                    Page::Metrics => crate::server::metrics::Metrics::markdown(),
                    Page::Flags => controller::flags_markdown(),
                }
            );
            Ok(())
        }
    }
}
