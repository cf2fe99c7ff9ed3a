//! The status of an integration, as it was last read or written. Every writer locks this one place,
//! so that no writer overwrites what another has just written.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ObjectMeta;
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};

use super::counts::Reckoning;
use crate::{api::conditions, engine::intake::revocations::Revocations};
use crate::{
    api::{
        ProvisioningIntegration, ProvisioningIntegrationStatus,
        integration::{LastPass, RevokedAccess},
        key::IntegrationKey,
    },
    cluster::{
        leadership::Leadership,
        status::{WriteError, Writer},
    },
    engine::{
        pass::report::{self, BobFound, Report},
        waits::IntegrationWaits,
    },
    telemetry::parts::Parts,
};
use futures::future::BoxFuture;

/// How long the read of the integration may take with which this process begins to lead.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How often a status is computed again that meets a newer version of its object.
const TRIES: u32 = 5;

/// The status of an integration as it was last read or written, and the generation that the last
/// write was about.
#[derive(Default)]
pub struct IntegrationStatus {
    /// The status as passes wrote it.
    pub status: ProvisioningIntegrationStatus,
    /// The same status with what is written next to the passes, as the API server has it.
    shown: ProvisioningIntegrationStatus,
    /// The object's name, version and field managers.
    read: ObjectMeta,
    generation: i64,
    /// The parts of the process whose state is also written into the status, next to the passes.
    parts: Option<Parts>,
    /// The waits that its calls have met.
    waits: Option<Arc<IntegrationWaits>>,
    /// The numbers of its employees.
    reckoning: Option<Arc<Reckoning>>,
    /// The conditions as they were last announced, except for waits.
    told: Vec<Condition>,
    /// Whether this process leads; `None` for a status that any process may write.
    leadership: Option<Leadership>,
    /// The term since whose begin this process is the only one that writes the status.
    own: Option<u64>,
}

/// The status of an integration, for all its writers and readers. A holder of the lock knows what
/// the watch brought before. A holder writes to the API server, which may take long, so a reader
/// waits for no holder: an employee who has to lose access must not wait for a status that cannot
/// be written.
#[derive(Default)]
pub struct Saying {
    said: tokio::sync::Mutex<IntegrationStatus>,
    /// The status as the last holder of the lock left it.
    latest: Mutex<ProvisioningIntegrationStatus>,
    /// What the next write has to add.
    owed: Mutex<Owed>,
    /// The integration as the watch shows it; nothing is watched if this is `None`.
    object: Option<watch::Receiver<Arc<ProvisioningIntegration>>>,
}

/// Results of partial passes that wait for the next write.
#[derive(Default)]
struct Owed {
    last_pass: Option<LastPass>,
    /// What these passes showed of Bob, and when.
    showed: Option<(Report, Timestamp)>,
    revocations: bool,
}

/// The status while no other writer may change it.
pub struct LockedStatus<'a> {
    said: MutexGuard<'a, IntegrationStatus>,
    of: &'a Saying,
}

impl Saying {
    /// Returns the status with the integration that the watch shows.
    #[must_use]
    pub fn new(
        said: IntegrationStatus,
        object: watch::Receiver<Arc<ProvisioningIntegration>>,
    ) -> Self {
        let latest = Mutex::new(said.status.clone());
        Self {
            said: tokio::sync::Mutex::new(said),
            latest,
            owed: Mutex::default(),
            object: Some(object),
        }
    }

    /// Waits for the other writers, which may take as long as a call to the API server.
    pub async fn lock(&self) -> LockedStatus<'_> {
        self.held(self.said.lock().await)
    }

    fn held<'a>(&'a self, mut said: MutexGuard<'a, IntegrationStatus>) -> LockedStatus<'a> {
        if let Some(object) = self.object.as_ref().map(|object| object.borrow().clone()) {
            said.see(&object);
        }
        let mut owed = self.owed.lock();
        if let Some((report, at)) = owed.showed.take() {
            said.status = report::after_some(&said.status, &report, at);
        }
        if let Some(last_pass) = owed.last_pass.take() {
            said.status.last_pass = Some(last_pass);
        }
        drop(owed);
        LockedStatus { said, of: self }
    }

    /// Reads the status without waiting for a write. While a write is under way, this is the status
    /// before it. The next holder of the lock, or the present writer, continues after `look` has
    /// returned.
    pub fn read<T>(&self, look: impl FnOnce(&ProvisioningIntegrationStatus) -> T) -> T {
        // No write is under way: what the watch brought is taken in.
        drop(self.said.try_lock().map(|said| self.held(said)));
        look(&self.latest.lock())
    }

    /// Notes what a partial pass changed. The next write contains it.
    pub fn passed(&self, last_pass: LastPass) {
        self.owed.lock().last_pass = Some(last_pass);
    }

    /// Notes what a partial pass showed of Bob. The next write contains it.
    pub fn showed(&self, report: &Report, at: Timestamp) {
        let mut owed = self.owed.lock();
        let before = owed.showed.take().and_then(|(before, _)| before.bob.unseen_now);
        let unseen_now = report.bob.unseen_now.clone().or(before);
        let zones = report.bob.zones.clone();
        let bob = BobFound { unseen_now, zones, ..BobFound::default() };
        owed.showed = Some((Report { bob, ..Report::default() }, at));
    }

    /// Notes that the list of immediate revocations has to be written with the next numbers.
    pub fn owe_revocations(&self) {
        self.owed.lock().revocations = true;
    }

    /// Returns whether that was noted since the last call.
    #[must_use]
    pub fn take_owed_revocations(&self) -> bool {
        std::mem::take(&mut self.owed.lock().revocations)
    }
}

impl Deref for LockedStatus<'_> {
    type Target = IntegrationStatus;

    fn deref(&self) -> &IntegrationStatus {
        &self.said
    }
}

impl DerefMut for LockedStatus<'_> {
    fn deref_mut(&mut self) -> &mut IntegrationStatus {
        &mut self.said
    }
}

impl Drop for LockedStatus<'_> {
    fn drop(&mut self) {
        self.of.latest.lock().clone_from(&self.said.status);
    }
}

/// Returns `metadata.resourceVersion` as a number; 0 if there is no version.
#[must_use]
pub fn version(object: &ProvisioningIntegration) -> u64 {
    number(object.metadata.resource_version.as_deref())
}

/// Returns whether two versions of an integration have the same spec. After a change of the CRD,
/// one generation may have other fields.
#[must_use]
pub fn same_spec(a: &ProvisioningIntegration, b: &ProvisioningIntegration) -> bool {
    a.metadata.generation == b.metadata.generation && a.spec == b.spec
}

impl IntegrationStatus {
    /// Returns the status of this integration.
    #[must_use]
    pub fn of(object: &ProvisioningIntegration) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let told = status.conditions.clone();
        Self { read: meta(object), shown: status.clone(), status, told, ..Self::default() }
    }

    /// Returns the same status; every write now also contains the state of these parts.
    #[must_use]
    pub fn with_parts(self, parts: &Parts) -> Self {
        Self { parts: Some(parts.clone()), ..self }
    }

    /// Returns the same status; every write now also contains the waits of calls.
    #[must_use]
    pub fn with_waits(self, waits: &Arc<IntegrationWaits>) -> Self {
        Self { waits: Some(waits.clone()), ..self }
    }

    /// Returns the same status; every write now also contains the numbers of the employees.
    #[must_use]
    pub fn with_reckoning(self, reckoning: &Arc<Reckoning>) -> Self {
        Self { reckoning: Some(reckoning.clone()), ..self }
    }

    /// Returns the same status; while this process leads, what it knows of the status counts, and
    /// not what another writer makes of it.
    #[must_use]
    pub fn with_leadership(self, leadership: &Leadership) -> Self {
        Self { leadership: Some(leadership.clone()), ..self }
    }

    fn term(&self) -> Option<u64> {
        self.leadership.as_ref().and_then(Leadership::term)
    }

    /// Reads the integration with this uid at the begin of a term: from now on, the status is this
    /// process's own. If it cannot be read, that begins with the first write.
    pub async fn take_over(&mut self, writer: &Writer, key: &IntegrationKey, uid: Option<String>) {
        let term = self.term();
        let read = tokio::time::timeout(READ_WITHIN, writer.read_integration(&key.name)).await;
        if let Ok(Ok(object)) = read
            && object.metadata.uid == uid
        {
            self.see(&object);
            self.own = term;
        }
    }

    /// Returns the conditions as they were last announced, except for waits.
    #[must_use]
    pub fn told(&self) -> &[Condition] {
        &self.told
    }

    /// Returns when the next budget has room again.
    #[must_use]
    pub fn next_opening(&self) -> Option<Timestamp> {
        let budgets = self.shown.budgets.as_ref()?;
        let all = [&budgets.disables, &budgets.reactivations, &budgets.creates, &budgets.updates];
        all.into_iter().flatten().filter_map(|state| state.opens_at.as_ref()).map(|at| at.0).min()
    }

    /// Returns when the next budget has room again for which a change is held.
    #[must_use]
    pub fn next_release(&self) -> Option<Timestamp> {
        let budgets = self.shown.budgets.as_ref()?;
        let all = [&budgets.disables, &budgets.reactivations, &budgets.creates, &budgets.updates];
        all.into_iter()
            .flatten()
            .filter(|state| state.planned > 0)
            .filter_map(|state| state.opens_at.as_ref())
            .map(|at| at.0)
            .min()
    }

    /// Writes what is said next to the passes, if it has changed. Returns whether it was written.
    /// It tries once: its caller comes again, and passes wait for the lock.
    pub async fn write_beside(&mut self, writer: &Writer, key: &IntegrationKey) -> bool {
        self.status.conditions.is_empty()
            || self.write(&writer.once(), key, 0, |before| Some(before.clone())).await
    }

    /// Takes in what the watch brought, if that is newer. What another writer has made of a status
    /// that is this process's own is only shown: the next write replaces it.
    pub fn see(&mut self, object: &ProvisioningIntegration) {
        if version(object) > self.version() {
            self.read = meta(object);
            let status = object.status.clone().unwrap_or_default();
            // What is written next to the passes must not count as something that a pass wrote.
            let is_own = self.own.is_some() && self.own == self.term();
            if !is_own && !same(&self.shown, &status) {
                self.status = status.clone();
            }
            self.shown = status;
        }
    }

    /// Returns the latest generation that the status was written about.
    #[must_use]
    pub fn spoken_of(&self) -> i64 {
        self.generation.max(
            self.status.conditions.iter().filter_map(|c| c.observed_generation).max().unwrap_or(0),
        )
    }

    /// Writes the status that `make` returns for the present status, unless both are equal. If the
    /// object has another version than is known here, it is read again, and `make` is called again.
    /// `make` returns `None` if no write is needed any more. `generation`: the generation that the
    /// status is about; 0 for none. Returns whether the status was written.
    pub async fn write(
        &mut self,
        writer: &Writer,
        key: &IntegrationKey,
        generation: i64,
        make: impl Fn(&ProvisioningIntegrationStatus) -> Option<ProvisioningIntegrationStatus>,
    ) -> bool {
        let mut tries = 0;
        loop {
            let Some(status) = make(&self.status) else { return false };
            self.generation = self.generation.max(generation);
            let error = match self.apply(writer, key, status).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            tries += 1;
            let error = if error.is_outdated() && tries < TRIES {
                match writer.read_integration(&key.name).await {
                    Ok(object) => {
                        self.see(&object);
                        continue;
                    }
                    Err(error) => error,
                }
            } else {
                error
            };
            if error.is_gone() {
                return true;
            }
            self.generation = 0;
            if error.is_followers() {
                tracing::debug!(integration = %key,
                    "another process leads now, and writes this status");
            } else {
                tracing::warn!(integration = %key, %error,
                    "the integration's status could not be written");
            }
            return false;
        }
    }

    async fn apply(
        &mut self,
        writer: &Writer,
        key: &IntegrationKey,
        status: ProvisioningIntegrationStatus,
    ) -> Result<(), WriteError> {
        let counted = self.with_counts(&status);
        self.told.clone_from(&counted.conditions);
        let shown = self.with_all(key, counted);
        if let Some(reckoning) = &self.reckoning {
            reckoning.said(&shown);
        }
        if same(&self.shown, &shown) {
            self.status = status;
            return Ok(());
        }
        let term = self.term();
        let written = writer.apply_integration(&self.read, &self.shown, &shown).await?;
        self.own = term;
        self.read = meta(&written);
        self.shown = written.status.unwrap_or_default();
        self.status =
            ProvisioningIntegrationStatus { conditions: status.conditions, ..self.shown.clone() };
        Ok(())
    }

    fn version(&self) -> u64 {
        number(self.read.resource_version.as_deref())
    }

    fn now(&self) -> Timestamp {
        self.waits.as_ref().map_or_else(Timestamp::now, |waits| waits.now())
    }

    /// Returns this status with the numbers of the employees.
    fn with_counts(&self, status: &ProvisioningIntegrationStatus) -> ProvisioningIntegrationStatus {
        let Some(reckoning) = &self.reckoning else { return status.clone() };
        report::with_counts(status, &reckoning.reckon(status), self.spoken_of(), self.now())
    }

    /// Returns this status with everything that is written next to the passes.
    fn with_all(
        &self,
        key: &IntegrationKey,
        status: ProvisioningIntegrationStatus,
    ) -> ProvisioningIntegrationStatus {
        let (generation, now) = (self.spoken_of(), self.now());
        let parts = self.parts.as_ref().and_then(|parts| parts.said(key));
        let waits = self.waits.as_ref().map(|waits| waits.told()).unwrap_or_default();
        let pause = self.waits.as_ref().map(|waits| waits.longest()).unwrap_or_default();
        let progress = self.reckoning.as_ref().and_then(|reckoning| reckoning.progress.told(pause));
        let conditions = report::with_progress(
            report::with_parts(&status.conditions, parts, generation, now),
            progress.as_ref(),
        );
        let conditions = report::with_waits(conditions, &waits, generation, now);
        let open = self.waits.as_ref().map(|waits| waits.open()).unwrap_or_default();
        let conditions = report::with_open(conditions, &open, generation, now);
        let conditions = report::timed(conditions, &self.shown.conditions, now);
        without_empty_parts(ProvisioningIntegrationStatus { conditions, progress, ..status })
    }

    /// Changes the list of immediate revocations.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn change_revoked(
        &mut self,
        writer: &Writer,
        key: &IntegrationKey,
        change: impl Fn(&[RevokedAccess]) -> Vec<RevokedAccess>,
    ) -> Result<(), WriteError> {
        let changed = |before: &ProvisioningIntegrationStatus| {
            let revoked = change(&before.revoked);
            Some(ProvisioningIntegrationStatus { revoked, ..before.clone() })
        };
        let stands = self.write(writer, key, 0, changed).await;
        if stands {
            Ok(())
        } else {
            Err(WriteError::for_now(
                "writing the integration's status",
                "the API server did not take it",
            ))
        }
    }
}

impl Revocations for Saying {
    fn list(&self) -> Vec<RevokedAccess> {
        self.read(|status| status.revoked.clone())
    }

    fn change<'a>(
        &'a self,
        writer: &'a Writer,
        key: &'a IntegrationKey,
        change: &'a (dyn Fn(&[RevokedAccess]) -> Vec<RevokedAccess> + Send + Sync),
    ) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move { self.lock().await.change_revoked(writer, key, change).await })
    }
}

/// Returns the same status without empty parts. The API server removes such parts once they had
/// another value, and the status that is read has to be the one that was written.
fn without_empty_parts(status: ProvisioningIntegrationStatus) -> ProvisioningIntegrationStatus {
    fn prune(value: &mut serde_json::Value) {
        if let serde_json::Value::Object(fields) = value {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| !field.as_object().is_some_and(serde_json::Map::is_empty));
        }
    }
    let Ok(mut value) = serde_json::to_value(&status) else { return status };
    prune(&mut value);
    serde_json::from_value(value).unwrap_or(status)
}

/// Returns what a write needs to know of the object.
fn meta(object: &ProvisioningIntegration) -> ObjectMeta {
    let ObjectMeta { name, resource_version, managed_fields, .. } = object.metadata.clone();
    ObjectMeta { name, resource_version, managed_fields, ..ObjectMeta::default() }
}

fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Returns whether two statuses are equal, except for transition times.
#[must_use]
pub fn same(a: &ProvisioningIntegrationStatus, b: &ProvisioningIntegrationStatus) -> bool {
    let text = |status: &ProvisioningIntegrationStatus| {
        let conditions = conditions::timeless(&status.conditions);
        serde_json::to_vec(&ProvisioningIntegrationStatus { conditions, ..status.clone() })
            .unwrap_or_default()
    };
    text(a) == text(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::integration::Lifecycles;

    #[test]
    fn a_part_that_says_nothing_is_not_said() {
        let nothing = ProvisioningIntegrationStatus {
            lifecycles: Some(Lifecycles::default()),
            ..Default::default()
        };
        assert_eq!(without_empty_parts(nothing), ProvisioningIntegrationStatus::default());
        let something = Some(Lifecycles { incomplete: true, ..Lifecycles::default() });
        let something = ProvisioningIntegrationStatus {
            lifecycles: something,
            observed_generation: Some(3),
            ..Default::default()
        };
        assert_eq!(without_empty_parts(something.clone()), something);
    }

    fn status(generation: i64) -> ProvisioningIntegrationStatus {
        ProvisioningIntegrationStatus {
            observed_generation: Some(generation),
            ..ProvisioningIntegrationStatus::default()
        }
    }

    fn integration(version: u64, generation: i64) -> Arc<ProvisioningIntegration> {
        let secret = serde_json::json!({"credentialsSecretRef": {"name": "secret"}});
        let spec = serde_json::json!({"mode": "Enforce", "bob": secret,
            "provider": {"googleWorkspace": {"credentialsSecretRef": {"name": "secret"},
                "adminEmail": "admin@example.com"}}});
        let mut object =
            ProvisioningIntegration::new("onelogin", serde_json::from_value(spec).expect("a spec"));
        object.metadata.resource_version = Some(version.to_string());
        object.status = Some(status(generation));
        Arc::new(object)
    }

    #[tokio::test]
    async fn who_reads_waits_for_no_write_and_sees_what_the_last_one_left() {
        let watched = watch::Sender::new(integration(7, 1));
        let saying = Saying::new(IntegrationStatus::of(&watched.borrow()), watched.subscribe());
        let seen = || saying.read(|status| status.observed_generation);
        assert_eq!(seen(), Some(1));
        let mut writing = saying.lock().await;
        writing.status = status(2);
        watched.send_replace(integration(8, 3));
        assert_eq!(seen(), Some(1), "the write is under way");
        drop(writing);
        assert_eq!(seen(), Some(3), "no one writes, and what the watch brought is newer");
        saying.lock().await.status = status(4);
        assert_eq!(seen(), Some(4));
        assert!(!saying.take_owed_revocations());
        saying.owe_revocations();
        assert!(saying.take_owed_revocations() && !saying.take_owed_revocations());
    }
}
