//! The state of one integration, and when its next action is due. Each integration has one state,
//! and only this file changes it. In every state except `Suspended`, an employee in a line stays
//! there until a pass looks at the employee: no line is served that cannot be served now. All code
//! is pure, except the cell at the end that holds the state.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::connection::Connections;
use crate::{
    api::{ProvisioningIntegration, employee_sync::Trigger, reasons::IntegrationReason},
    domain::priority::Urgency,
    engine::{pass::execute::Cut, settings::validate::Validated, stop::Stop},
};

/// The first wait after a pass that was stopped; doubled each time.
const RETRY: SignedDuration = SignedDuration::from_secs(10);
/// The same wait after the provider refused the credential: the provider may know a new one only
/// after some seconds.
const REFUSED: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait, whatever the interval is. Settings that cannot be carried out are looked at
/// again after this time.
pub const LONGEST: SignedDuration = SignedDuration::from_mins(15);
/// The wait after Bob refused the service user. Bob blocks addresses that keep trying.
const BOB_REFUSED: SignedDuration = SignedDuration::from_hours(1);
/// The time between tries while a credential is refused, if a line or a request for one employee
/// asks for them.
const APART: SignedDuration = SignedDuration::from_secs(5);

/// What partial passes begin with.
pub struct Ready {
    /// The integration as it was validated.
    pub object: Arc<ProvisioningIntegration>,
    /// Its settings.
    pub validated: Validated,
    /// Its connections.
    pub connections: Arc<Connections>,
    /// The targets that were looked for when the provider was listed.
    pub targets: Vec<Box<str>>,
    /// The targets among them that the provider does not have.
    pub unavailable: Vec<Box<str>>,
}

impl Ready {
    /// Returns the same for a newer version of the integration.
    #[must_use]
    pub fn of(before: &Self, object: Arc<ProvisioningIntegration>) -> Self {
        Self {
            object,
            validated: before.validated.clone(),
            connections: before.connections.clone(),
            targets: before.targets.clone(),
            unavailable: before.unavailable.clone(),
        }
    }

    /// Returns whether this has the same spec, and calls go over the same connections.
    #[must_use]
    pub fn serves_like(&self, other: &Self) -> bool {
        super::status::same_spec(&self.object, &other.object)
            && Arc::ptr_eq(&self.connections, &other.connections)
    }
}

/// What a pass can work with while no full pass is known to complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorksWith<R> {
    /// Nothing is known or open.
    Nothing,
    /// A connection to only the provider, with settings for evidence (`validate::for_evidence`).
    Provider(R),
    /// Connections to the tenant of the settings, which has not been listed with these settings.
    Open(R),
    /// Connections to the tenant of the settings, which has been listed.
    Listed(R),
}

/// The state of an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State<R> {
    /// The settings are new to this process, and the provider has not been listed with them.
    Starting(WorksWith<R>),
    /// The provider has been listed with these settings, and an event causes a partial pass.
    Running(R),
    /// A pass was stopped before it had looked at all employees, or a credential was refused.
    Waiting(Obstacle, WorksWith<R>),
    /// The settings have `spec.suspend`.
    Suspended,
}

/// The problem that an integration waits to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The reason of the stop.
    pub reason: IntegrationReason,
    /// Whether a full pass has met the problem. Until then, only a partial pass has met it.
    pub met: bool,
}

/// The employees that a line may serve now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves<R> {
    /// Every employee in the line.
    Everyone(R),
    /// The employees with a recorded account. The provider's targets are not known.
    Known(R),
    /// The employees from which recorded evidence takes access. Such a pass calls neither Bob nor a
    /// listing.
    Evidence(R),
    /// No employee for now: all of them wait.
    NoOne,
    /// No employee, and no employee waits: the integration is suspended.
    Suspended,
}

impl<R: Clone> WorksWith<R> {
    fn ready(&self) -> Option<R> {
        match self {
            Self::Nothing | Self::Provider(_) => None,
            Self::Open(ready) | Self::Listed(ready) => Some(ready.clone()),
        }
    }
}

impl<R: Clone> State<R> {
    /// Returns what a pass can work with.
    #[must_use]
    pub fn ready(&self) -> Option<R> {
        match self {
            Self::Starting(hold) | Self::Waiting(_, hold) => hold.ready(),
            Self::Running(ready) => Some(ready.clone()),
            Self::Suspended => None,
        }
    }

    /// Returns the employees that a line may serve now.
    #[must_use]
    pub fn serves(&self, line: Urgency) -> Serves<R> {
        let urgent = line == Urgency::Urgent;
        match self {
            Self::Running(ready) => Serves::Everyone(ready.clone()),
            Self::Suspended => Serves::Suspended,
            Self::Starting(WorksWith::Provider(ready))
            | Self::Waiting(_, WorksWith::Provider(ready))
                if urgent =>
            {
                Serves::Evidence(ready.clone())
            }
            Self::Starting(WorksWith::Open(ready) | WorksWith::Listed(ready)) if urgent => {
                Serves::Known(ready.clone())
            }
            Self::Waiting(trouble, WorksWith::Open(ready) | WorksWith::Listed(ready))
                if urgent && trouble.rests_on_bob_alone() =>
            {
                Serves::Evidence(ready.clone())
            }
            Self::Waiting(trouble, WorksWith::Listed(ready)) if trouble.may_be_gone() => {
                Serves::Everyone(ready.clone())
            }
            Self::Waiting(trouble, WorksWith::Open(ready)) if urgent && trouble.may_be_gone() => {
                Serves::Known(ready.clone())
            }
            Self::Starting(_) | Self::Waiting(..) => Serves::NoOne,
        }
    }

    /// Takes in a spec that is new to this process. Only `keep` is kept of what was made for
    /// another spec.
    fn begin(&mut self, keep: Option<R>) {
        *self = Self::Starting(keep.map_or(WorksWith::Nothing, WorksWith::Open));
    }

    /// Takes in open connections. They replace older ones of the same spec, because a Secret may
    /// have changed. The results of a listing over the older ones stay valid.
    fn open(&mut self, ready: R) {
        match self {
            Self::Starting(hold) | Self::Waiting(_, hold) => {
                *hold = if matches!(hold, WorksWith::Listed(_)) {
                    WorksWith::Listed(ready)
                } else {
                    WorksWith::Open(ready)
                };
            }
            Self::Running(running) => *running = ready,
            Self::Suspended => {}
        }
    }

    /// Takes in a connection to only the provider: the settings as a whole or the Secret of Bob
    /// cannot be used, but the provider can. It does not replace connections that serve more.
    fn open_provider(&mut self, ready: R) {
        if let Self::Starting(hold @ (WorksWith::Nothing | WorksWith::Provider(_)))
        | Self::Waiting(_, hold @ (WorksWith::Nothing | WorksWith::Provider(_))) = self
        {
            *hold = WorksWith::Provider(ready);
        }
    }

    /// Takes in that a full pass was stopped. `looked`: it had looked at all employees already, and
    /// other work goes on.
    fn stop(&mut self, reason: IntegrationReason, looked: bool) {
        if looked && !refuses(reason) {
            return;
        }
        self.wait(Obstacle { reason, met: true });
    }

    /// Takes in that a partial pass met a refused credential. While Bob or the settings cannot be
    /// used, this changes nothing: the next full pass comes when they may be asked again.
    fn refuse(&mut self, reason: IntegrationReason) {
        if !matches!(self, Self::Waiting(trouble, _) if trouble.rests_on_bob_alone()) {
            self.wait(Obstacle { reason, met: false });
        }
    }

    /// Takes in that a full pass completed.
    fn come_through(&mut self) {
        if let Self::Waiting(Obstacle { met: true, .. }, WorksWith::Listed(ready)) = self {
            *self = Self::Running(ready.clone());
        }
    }

    fn wait(&mut self, trouble: Obstacle) {
        let hold = match self {
            Self::Starting(hold) | Self::Waiting(_, hold) => hold.clone(),
            Self::Running(ready) => WorksWith::Listed(ready.clone()),
            // A pass that was under way when the spec was suspended changes nothing.
            Self::Suspended => return,
        };
        *self = Self::Waiting(trouble, hold);
    }
}

impl Obstacle {
    /// Returns whether the provider may be called although Bob or the settings cannot be used.
    const fn rests_on_bob_alone(self) -> bool {
        matches!(
            self.reason,
            IntegrationReason::BobUnauthorized
                | IntegrationReason::SecretNotFound
                | IntegrationReason::InvalidSettings
                | IntegrationReason::EndpointNotAllowed
        )
    }

    /// Returns whether a call may find that the problem is over, or that it does not affect this
    /// call. This is the case if no credential is refused.
    const fn may_be_gone(self) -> bool {
        !self.rests_on_bob_alone() && !refuses(self.reason)
    }
}

/// Returns whether a credential is refused as a whole. No call succeeds then until something
/// changes.
#[must_use]
pub const fn refuses(reason: IntegrationReason) -> bool {
    matches!(reason, IntegrationReason::BobUnauthorized | IntegrationReason::ProviderUnauthorized)
}

/// When the next full pass is due, for each cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The end of the interval.
    pub interval: Option<Timestamp>,
    /// The next try after a pass that was stopped, or that left work undone.
    pub retry: Option<Timestamp>,
    /// When the Secrets are compared with what was read.
    pub secrets: Option<Timestamp>,
    /// When the last pass began.
    pub tried: Option<Timestamp>,
}

/// Changes that no pass has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// The trigger of a changed spec: it differs from that of the last pass, or this process has
    /// not worked with it.
    pub spec: Option<Trigger>,
    /// A sync of the integration is requested.
    pub asked: bool,
    /// Whether a sync is requested for an employee who cannot be looked at in this state.
    pub asked_for_one: bool,
    /// Whether the condition about webhooks has to be written again.
    pub webhooks: bool,
    /// The trigger, if events or people ask for a look at all employees now.
    pub everybody: Option<Trigger>,
}

/// The next action of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A full pass, for this reason.
    Pass(Trigger),
    /// The Secrets are compared with what was read.
    Secrets,
    /// Nothing until this time, or until something happens.
    At(Timestamp),
    /// Nothing until something happens.
    Never,
}

/// Returns the next action.
#[must_use]
pub fn next<R>(state: &State<R>, times: &Times, news: &Unseen, now: Timestamp) -> Wake {
    let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    if let Some(trigger) = news.spec {
        return Wake::Pass(trigger);
    }
    if news.asked {
        return Wake::Pass(Trigger::Manual);
    }
    let (waits, refused) = match state {
        State::Suspended => return Wake::Never,
        State::Starting(_) | State::Running(_) => (false, None),
        State::Waiting(trouble, _) => (true, Some(trouble)),
    };
    if news.webhooks {
        return Wake::Pass(Trigger::Spec);
    }
    if due(times.secrets) {
        return Wake::Secrets;
    }
    let apart = times.tried.and_then(|tried| tried.checked_add(APART).ok()).unwrap_or(now);
    let soon = refused
        .filter(|trouble| !trouble.met || news.asked_for_one && refuses(trouble.reason))
        .map(|_| apart);
    if due(times.retry) || due(soon) {
        return Wake::Pass(Trigger::Retry);
    }
    if !waits {
        if let Some(trigger) = news.everybody {
            return Wake::Pass(trigger);
        }
        if due(times.interval) {
            return Wake::Pass(Trigger::Interval);
        }
    }
    let interval = times.interval.filter(|_| !waits);
    [times.retry, times.secrets, soon, interval]
        .into_iter()
        .flatten()
        .min()
        .map_or(Wake::Never, Wake::At)
}

/// Returns how long it takes until a pass is tried again that was stopped or left work undone
/// (`stop` is `None`). `failures`: how many passes in a row failed, this one included.
#[must_use]
pub fn wait(stop: Option<&Stop>, failures: u32, interval: SignedDuration) -> SignedDuration {
    let doubled = |first: SignedDuration| {
        (first * (1 << failures.saturating_sub(1).min(10))).min(interval).min(LONGEST)
    };
    if stop.is_some_and(|stop| stop.answered) {
        // Employees with a change that was not tried come first in the next pass.
        return doubled(RETRY);
    }
    match stop.map(|stop| (stop.reason, stop.wait)) {
        Some((IntegrationReason::BobUnauthorized, _)) => BOB_REFUSED,
        Some((
            IntegrationReason::SecretNotFound
            | IntegrationReason::InvalidSettings
            | IntegrationReason::EndpointNotAllowed,
            _,
        )) => LONGEST,
        Some((_, Some(named))) => SignedDuration::try_from(named).unwrap_or(LONGEST),
        Some((IntegrationReason::ProviderUnauthorized, None)) => doubled(REFUSED),
        Some((_, None)) | None => doubled(RETRY),
    }
}

/// Returns how many passes in a row have failed, and how long it takes until the next pass. The
/// last pass was stopped, was cut off, or left other work undone. A pass whose time was over has
/// not failed, and the next one begins at once.
#[must_use]
pub fn again(
    stop: Option<&Stop>,
    cut: Option<Cut>,
    failures: u32,
    interval: SignedDuration,
) -> (u32, SignedDuration) {
    match (stop, cut) {
        (None, Some(Cut::Deadline)) => (0, SignedDuration::ZERO),
        (None, Some(Cut::Halted)) => (0, RETRY),
        _ => {
            let failures = if is_failure(stop) { failures.saturating_add(1) } else { failures };
            (failures, wait(stop, failures, interval))
        }
    }
}

/// Returns whether a pass with this end counts as one more failure. It does not if a service named
/// the time to come back, because no tries are made before that time.
#[must_use]
pub fn is_failure(stop: Option<&Stop>) -> bool {
    stop.is_none_or(|stop| stop.wait.is_none())
}

/// Returns how long at most a change that failed for now may wait.
#[must_use]
pub fn longest(interval: Duration) -> Duration {
    interval.min(LONGEST.unsigned_abs())
}

/// The state of one integration. Its watchers are notified of each change.
pub struct StateCell(watch::Sender<State<Arc<Ready>>>);

impl Default for StateCell {
    fn default() -> Self {
        Self(watch::Sender::new(State::Starting(WorksWith::Nothing)))
    }
}

impl StateCell {
    /// Returns a receiver for the present state and its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State<Arc<Ready>>> {
        self.0.subscribe()
    }

    /// Returns what a pass can work with.
    #[must_use]
    pub fn ready(&self) -> Option<Arc<Ready>> {
        self.0.borrow().ready()
    }

    /// Returns whether partial passes use the settings of a listing.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(*self.0.borrow(), State::Running(_))
    }

    /// Returns the next action.
    #[must_use]
    pub fn next(&self, times: &Times, news: &Unseen, now: Timestamp) -> Wake {
        next(&self.0.borrow(), times, news, now)
    }

    /// Suspends the integration (`spec.suspend`).
    pub fn suspend(&self) {
        self.0.send_replace(State::Suspended);
    }

    /// Takes in a spec that is new to this process, or that is no longer suspended.
    pub fn begin(&self, keep: Option<Arc<Ready>>) {
        self.0.send_modify(|state| state.begin(keep));
    }

    /// Returns whether the integration is suspended.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        matches!(*self.0.borrow(), State::Suspended)
    }

    /// Takes in open connections.
    pub fn open(&self, ready: Arc<Ready>) {
        self.0.send_modify(|state| state.open(ready));
    }

    /// Takes in a connection to the provider, when nothing else can be used.
    pub fn open_provider(&self, ready: Arc<Ready>) {
        self.0.send_modify(|state| state.open_provider(ready));
    }

    /// Takes in that the provider has been listed.
    pub fn list(&self, ready: Arc<Ready>) {
        self.0.send_replace(State::Running(ready));
    }

    /// Takes in that a partial pass met a refused credential.
    pub fn refuse(&self, reason: IntegrationReason) {
        self.0.send_modify(|state| state.refuse(reason));
    }

    /// Takes in the end of a full pass, and the reason if it was stopped.
    pub fn end(&self, stop: Option<IntegrationReason>, looked: bool) {
        self.0.send_modify(|state| match stop {
            Some(reason) => state.stop(reason, looked),
            None if looked => state.come_through(),
            None => {}
        });
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
