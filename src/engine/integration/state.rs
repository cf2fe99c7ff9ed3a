//! Where one integration stands, and when what is to be done next. There is one state for each integration, and it changes
//! here alone. In every state but `Suspended` whoever stands in line stays there until somebody looks: nothing is taken
//! that cannot be served. Pure, but for the cell at the end that holds the state.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::connection::Connections;
use crate::{
    api::{ProvisioningIntegration, employee_sync::Trigger, reasons::IntegrationReason},
    engine::{intake::dirty::Line, pass::execute::Cut, settings::validate::Validated, stop::Stop},
};

/// The first wait after a pass that was stopped; doubled each time.
const RETRY: SignedDuration = SignedDuration::from_secs(10);
/// The same where the provider refused the credential: a new one may be known to it only after some seconds.
const REFUSED: SignedDuration = SignedDuration::from_secs(5);
/// No wait is longer, whatever the interval; settings that cannot be carried out are looked at again after it.
pub const LONGEST: SignedDuration = SignedDuration::from_mins(15);
/// The wait after Bob refused the service user. Bob blocks addresses that keep trying.
const BOB_REFUSED: SignedDuration = SignedDuration::from_hours(1);
/// How far apart tries are that a line or a request for one person asks for while a credential is refused.
const APART: SignedDuration = SignedDuration::from_secs(5);

/// What passes over single people begin with.
pub struct Ready {
    /// The integration as it was validated.
    pub object: Arc<ProvisioningIntegration>,
    /// Its settings.
    pub validated: Validated,
    /// Its connections.
    pub connections: Arc<Connections>,
    /// Targets that were looked for when the provider was listed.
    pub targets: Vec<Box<str>>,
    /// Those of them that the provider does not have.
    pub unavailable: Vec<Box<str>>,
}

impl Ready {
    /// The same for a newer version of the integration.
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

    /// Whether this is of the same spec, and calls go over the same connections.
    #[must_use]
    pub fn serves_like(&self, other: &Self) -> bool {
        self.object.metadata.generation == other.object.metadata.generation
            && Arc::ptr_eq(&self.connections, &other.connections)
    }
}

/// What there is to work with while no full pass is known to come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold<R> {
    /// Nothing.
    Nothing,
    /// A connection to the provider alone, with settings for evidence (`validate::for_evidence`).
    Provider(R),
    /// Connections to the tenant of the settings; it has not been listed with these settings.
    Open(R),
    /// The same, and it has been listed.
    Listed(R),
}

/// Where an integration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State<R> {
    /// The settings are new to this process, and the provider has not been listed with them.
    Starting(Hold<R>),
    /// The provider has been listed with these settings, and single people are looked at whenever something happens.
    Running(R),
    /// A pass was stopped before it had looked at everybody, or a credential was refused.
    Waiting(Trouble, Hold<R>),
    /// `spec.suspend`.
    Suspended,
}

/// What an integration waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub reason: IntegrationReason,
    /// Whether a full pass has met it; until then only a pass over single people has.
    pub met: bool,
}

/// Which employees a line may serve now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves<R> {
    /// Every employee in it.
    Everyone(R),
    /// Those whose account is on record; nothing is known of the provider's targets.
    Known(R),
    /// Employees from which recorded evidence takes access: neither Bob nor a listing is asked.
    Evidence(R),
    /// No one now: they wait.
    NoOne,
    /// No one, and no one waits: the integration is suspended.
    Suspended,
}

impl<R: Clone> Hold<R> {
    fn ready(&self) -> Option<R> {
        match self {
            Self::Nothing | Self::Provider(_) => None,
            Self::Open(ready) | Self::Listed(ready) => Some(ready.clone()),
        }
    }
}

impl<R: Clone> State<R> {
    /// What there is to work with.
    #[must_use]
    pub fn ready(&self) -> Option<R> {
        match self {
            Self::Starting(hold) | Self::Waiting(_, hold) => hold.ready(),
            Self::Running(ready) => Some(ready.clone()),
            Self::Suspended => None,
        }
    }

    /// Which employees a line may serve now.
    #[must_use]
    pub fn serves(&self, line: Line) -> Serves<R> {
        let urgent = line == Line::Urgent;
        match self {
            Self::Running(ready) => Serves::Everyone(ready.clone()),
            Self::Suspended => Serves::Suspended,
            Self::Starting(Hold::Provider(ready)) | Self::Waiting(_, Hold::Provider(ready))
                if urgent =>
            {
                Serves::Evidence(ready.clone())
            }
            Self::Starting(Hold::Open(ready) | Hold::Listed(ready)) if urgent => {
                Serves::Known(ready.clone())
            }
            Self::Waiting(trouble, Hold::Open(ready) | Hold::Listed(ready))
                if urgent && trouble.rests_on_bob_alone() =>
            {
                Serves::Evidence(ready.clone())
            }
            Self::Waiting(trouble, Hold::Listed(ready)) if trouble.may_be_gone() => {
                Serves::Everyone(ready.clone())
            }
            Self::Waiting(trouble, Hold::Open(ready)) if urgent && trouble.may_be_gone() => {
                Serves::Known(ready.clone())
            }
            Self::Starting(_) | Self::Waiting(..) => Serves::NoOne,
        }
    }

    /// A spec that is new to this process: nothing that was made for another one is kept but what `keep` gives.
    fn begin(&mut self, keep: Option<R>) {
        *self = Self::Starting(keep.map_or(Hold::Nothing, Hold::Open));
    }

    /// Connections are open. They take the place of older ones of the same spec, for a Secret may be another one. What the
    /// listing told through those is as good as before.
    fn open(&mut self, ready: R) {
        match self {
            Self::Starting(hold) | Self::Waiting(_, hold) => {
                *hold = if matches!(hold, Hold::Listed(_)) {
                    Hold::Listed(ready)
                } else {
                    Hold::Open(ready)
                };
            }
            Self::Running(running) => *running = ready,
            Self::Suspended => {}
        }
    }

    /// The settings as a whole, or the Secret of Bob, cannot be used, and the provider can. What is there serves more.
    fn open_provider(&mut self, ready: R) {
        if let Self::Starting(hold @ (Hold::Nothing | Hold::Provider(_)))
        | Self::Waiting(_, hold @ (Hold::Nothing | Hold::Provider(_))) = self
        {
            *hold = Hold::Provider(ready);
        }
    }

    /// A full pass was stopped. `looked`: after it had looked at everybody, and the rest goes on.
    fn stop(&mut self, reason: IntegrationReason, looked: bool) {
        if looked && !refuses(reason) {
            return;
        }
        self.wait(Trouble { reason, met: true });
    }

    /// A pass over single people met a refused credential. While Bob or the settings cannot be used that is no news: the
    /// next full pass comes when they may be asked again.
    fn refuse(&mut self, reason: IntegrationReason) {
        if !matches!(self, Self::Waiting(trouble, _) if trouble.rests_on_bob_alone()) {
            self.wait(Trouble { reason, met: false });
        }
    }

    /// A full pass came through.
    fn come_through(&mut self) {
        if let Self::Waiting(Trouble { met: true, .. }, Hold::Listed(ready)) = self {
            *self = Self::Running(ready.clone());
        }
    }

    fn wait(&mut self, trouble: Trouble) {
        let hold = match self {
            Self::Starting(hold) | Self::Waiting(_, hold) => hold.clone(),
            Self::Running(ready) => Hold::Listed(ready.clone()),
            // A pass that was under way when the spec was suspended says nothing.
            Self::Suspended => return,
        };
        *self = Self::Waiting(trouble, hold);
    }
}

impl Trouble {
    /// Whether the provider may be called although Bob, or the settings, cannot be used.
    const fn rests_on_bob_alone(self) -> bool {
        matches!(
            self.reason,
            IntegrationReason::BobUnauthorized
                | IntegrationReason::SecretNotFound
                | IntegrationReason::InvalidSettings
                | IntegrationReason::EndpointNotAllowed
        )
    }

    /// Whether a call may find that the trouble is over, or never concerned what is asked: no credential is refused.
    const fn may_be_gone(self) -> bool {
        !self.rests_on_bob_alone() && !refuses(self.reason)
    }
}

/// Whether a credential is refused as a whole: no call will do better until something changes.
#[must_use]
pub const fn refuses(reason: IntegrationReason) -> bool {
    matches!(reason, IntegrationReason::BobUnauthorized | IntegrationReason::ProviderUnauthorized)
}

/// When the next full pass is due, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The interval.
    pub interval: Option<Timestamp>,
    /// After a pass that was stopped, or left something undone.
    pub retry: Option<Timestamp>,
    /// When the Secrets are compared with what was read.
    pub secrets: Option<Timestamp>,
    /// When the last pass began.
    pub tried: Option<Timestamp>,
}

/// What has happened that no pass has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The spec is another one than the last pass worked with, or this process has not worked with it.
    pub spec: Option<Trigger>,
    /// A sync of the integration is requested.
    pub asked: bool,
    /// A sync of one person is requested who cannot be looked at in this state.
    pub asked_for_one: bool,
    /// Whether webhooks are accepted is to be said anew.
    pub webhooks: bool,
    /// Events, or people, ask for a look at everybody now.
    pub everybody: Option<Trigger>,
}

/// What the worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A full pass, for this reason.
    Pass(Trigger),
    /// The Secrets are compared with what was read.
    Secrets,
    /// Nothing until then, or until something happens.
    At(Timestamp),
    /// Nothing until something happens.
    Never,
}

/// What is to be done next.
#[must_use]
pub fn next<R>(state: &State<R>, times: &Times, news: &News, now: Timestamp) -> Wake {
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

/// How long until a pass is tried again that was stopped, or left something undone (`stop` is `None`). `failures`: how many
/// in a row were, this one included.
#[must_use]
pub fn wait(stop: Option<&Stop>, failures: u32, interval: SignedDuration) -> SignedDuration {
    let doubled = |first: SignedDuration| {
        (first * (1 << failures.saturating_sub(1).min(10))).min(interval).min(LONGEST)
    };
    if stop.is_some_and(|stop| stop.answered) {
        // Employees whose change was not tried come first in the next pass.
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

/// How many passes in a row have failed after one that was stopped, was cut off, or left something else undone, and how long
/// until the next. A pass whose time was over has not failed, and the next one goes on at once.
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

/// Whether a pass that ended so counts as one more failure: not where a service named the time to come back, for then
/// tries before it are none.
#[must_use]
pub fn is_failure(stop: Option<&Stop>) -> bool {
    stop.is_none_or(|stop| stop.wait.is_none())
}

/// How long whoever failed for now may wait at most.
#[must_use]
pub fn longest(interval: Duration) -> Duration {
    interval.min(LONGEST.unsigned_abs())
}

/// The state of one integration. Whoever waits for another one is told.
pub struct Place(watch::Sender<State<Arc<Ready>>>);

impl Default for Place {
    fn default() -> Self {
        Self(watch::Sender::new(State::Starting(Hold::Nothing)))
    }
}

impl Place {
    /// The state now, and whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State<Arc<Ready>>> {
        self.0.subscribe()
    }

    /// What there is to work with.
    #[must_use]
    pub fn ready(&self) -> Option<Arc<Ready>> {
        self.0.borrow().ready()
    }

    /// Whether single people are looked at with the settings of a listing.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(*self.0.borrow(), State::Running(_))
    }

    /// What is to be done next.
    #[must_use]
    pub fn next(&self, times: &Times, news: &News, now: Timestamp) -> Wake {
        next(&self.0.borrow(), times, news, now)
    }

    /// `spec.suspend`.
    pub fn suspend(&self) {
        self.0.send_replace(State::Suspended);
    }

    /// A spec that is new to this process, or one that is not suspended any more.
    pub fn begin(&self, keep: Option<Arc<Ready>>) {
        self.0.send_modify(|state| state.begin(keep));
    }

    /// Whether the integration is suspended.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        matches!(*self.0.borrow(), State::Suspended)
    }

    /// Connections are open.
    pub fn open(&self, ready: Arc<Ready>) {
        self.0.send_modify(|state| state.open(ready));
    }

    /// The connection to the provider is open, and nothing else can be used.
    pub fn open_provider(&self, ready: Arc<Ready>) {
        self.0.send_modify(|state| state.open_provider(ready));
    }

    /// The provider has been listed.
    pub fn list(&self, ready: Arc<Ready>) {
        self.0.send_replace(State::Running(ready));
    }

    /// A pass over single people met a refused credential.
    pub fn refuse(&self, reason: IntegrationReason) {
        self.0.send_modify(|state| state.refuse(reason));
    }

    /// A full pass ended, stopped for this reason or not.
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
