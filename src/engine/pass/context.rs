//! What a pass works with, in groups. The raw spec is not part of it.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::civil::Date;
use tokio::time::Instant;

use super::{
    company::Company, initial_password::InitialPassword, last_read::LastRead, refusals::Refusals,
    scope::Scope,
};
use crate::{
    api::{employee_sync::Trigger, integration::Approved},
    bob,
    cluster::{events::Events, leadership::Leadership, roster::Employees, status::Writer},
    domain::settings::Settings,
    engine::{
        clock::Clock,
        intake::{claims::PassHandle, inbox::Mailbox, lines::Causes},
        progress::Counting,
        settings::{tenants::Other, validate::Validated},
    },
    provider::Provider,
    telemetry::metrics::Metrics,
};

/// The sync requests of single employees, by `root.id`.
pub type Requests = HashMap<Box<str>, Box<str>>;

/// The integration that a pass is about.
#[derive(Clone, Copy)]
pub struct Integration<'a> {
    /// What is known of its employees. It has the key of the integration.
    pub roster: &'a Employees,
    /// The uid of its object, for owner references.
    pub uid: &'a str,
    /// Its validated settings.
    pub validated: &'a Validated,
    /// All other integrations of the same tenant, the oldest first.
    pub others: &'a [Neighbour],
}

/// Another integration of the same tenant.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// What is known of its employees.
    pub employees: Arc<Employees>,
    /// What the tenant knows of it.
    pub other: Other,
}

impl<'a> Integration<'a> {
    /// Returns the settings that the decisions depend on.
    #[must_use]
    pub const fn settings(&self) -> &'a Settings {
        &self.validated.settings
    }
}

/// The cluster, and what this process is in it.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    /// Writes objects and statuses.
    pub writer: &'a Writer,
    /// Publishes the events.
    pub events: &'a Events,
    /// Counts for the metrics.
    pub metrics: &'a Metrics,
    /// Tells the time.
    pub clock: &'a Clock,
    /// Says whether this process may write.
    pub leadership: &'a Leadership,
}

/// The services between which a pass moves data.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    /// The client of Bob, the source.
    pub bob: &'a bob::Client,
    /// The provider, the target.
    pub provider: &'a dyn Provider,
    /// Reads the initial password of new accounts, if the settings name one.
    pub initial_password: &'a InitialPassword,
}

/// What the pass is to do, and why.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The employees that the pass is about.
    pub scope: Scope<'a>,
    /// What woke the pass.
    pub trigger: Trigger,
    /// The causes for single employees. A partial pass is about exactly these.
    pub causes: &'a Causes,
    /// The time after which changes that are not urgent no longer begin.
    pub deadline: Instant,
}

impl<'a> Request<'a> {
    /// Returns where a full pass counts what it has done.
    #[must_use]
    pub const fn progress(&self) -> Option<&'a Counting> {
        match self.scope {
            Scope::Full { progress, .. } => Some(progress),
            Scope::Partial { .. } => None,
        }
    }

    /// Returns whether the pass is about some of the employees.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        matches!(self.scope, Scope::Partial { .. })
    }
}

/// What earlier passes left behind.
#[derive(Clone)]
pub struct Memory<'a> {
    /// What is known of earlier reads of Bob.
    pub last_read: LastRead,
    /// What is known of earlier passes.
    pub past: Past,
    /// What follows from the beginning of the integration.
    pub begins: Begins,
    /// The digest that a person approved and that has not been released yet.
    pub approved_digest: Option<&'a str>,
    /// The plan that was released last.
    pub last_approval: Option<&'a Approved>,
}

/// What is known of earlier passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    /// Whether this integration has never completed a pass.
    pub no_pass_yet: bool,
    /// Whether statuses are gone that existed at the last pass.
    pub statuses_lost: bool,
    /// The day on which the first pass was completed (UTC).
    pub first_pass_day: Option<Date>,
}

/// What follows from the beginning of an integration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Begins {
    /// Whether no pass that writes has been completed: the existing accounts are then brought in
    /// line without a limit.
    pub no_writing_pass_yet: bool,
    /// Whether the integration began without a status and no person has approved since then what
    /// that holds back.
    pub restored: bool,
}

/// What the passes of one integration share while they run at the same time.
#[derive(Clone, Copy)]
pub struct Concurrent<'a> {
    /// Receives the events about the employees.
    pub mailbox: &'a Mailbox,
    /// What the answers of Bob showed of all employees together.
    pub company: &'a Company,
    /// Since when this pass looks at the employees.
    pub handle: &'a PassHandle<'a>,
    /// How many changes that are not urgent have had their turn, in all passes.
    pub turns: &'a AtomicU64,
    /// What is known of changes that were tried in vain.
    pub retries: Retries<'a>,
    /// Returns whether the pass has to end early.
    pub halted: &'a (dyn Fn() -> bool + Sync),
    /// Completes when the pass has to end early.
    pub halting: &'a (dyn Fn() -> BoxFuture<'a, ()> + Sync),
}

/// When changes are tried again.
#[derive(Clone, Copy)]
pub struct Retries<'a> {
    /// The changes that the provider refused.
    pub refusals: &'a Refusals,
    /// Whether what was refused before is tried at once.
    pub at_once: bool,
    /// The longest wait of a refused change.
    pub longest: Duration,
}
