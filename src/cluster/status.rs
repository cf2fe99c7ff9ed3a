//! Writes to the two resources: objects for people, statuses for both. Only the process that leads begins a write. Each
//! call is bounded and tried a few times; a create that finds the object there is as good as done.
//!
//! A status is written by server-side apply, as a whole and at the version that was read: what is not in it any more goes,
//! and nothing is written over what came meanwhile. What another owner would keep is removed first (`owner`).

mod answer;
mod owner;

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;

use super::{
    leadership::Leadership,
    lenient::{Lenient, Readable},
    roster::{object_name, owner_reference, owners},
};
use crate::api::{
    EmployeeSync, EmployeeSyncSpec, EmployeeSyncStatus, FIELD_MANAGER, INTEGRATION_LABEL,
    ProvisioningIntegration, ProvisioningIntegrationStatus, employee_sync::IntegrationRef,
    key::IntegrationKey,
};

/// How long one call to the API server may take. It waits for an admission webhook for up to 30 s, and drops the write where
/// its caller has gone.
const TIMEOUT: Duration = Duration::from_secs(35);
const TRIES: u32 = 4;
/// For so long a call is tried again. One that was not answered at all has taken longer.
const TRIED_FOR: Duration = Duration::from_secs(30);
/// How long a call with all its tries may take.
pub const WRITE_WITHIN: Duration = Duration::from_secs(75);

/// A write that failed for good, or for now.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct WriteError {
    what: &'static str,
    why: String,
    kind: Kind,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The object does not exist, or its integration or namespace is going.
    Gone,
    /// The object is another one than the one that was read.
    Outdated,
    /// This process does not lead, so nothing was sent.
    Follows,
    /// The API server refuses it: a quota, a policy, a webhook, a rule of the schema, or a right that is missing.
    Refused,
    /// It may succeed later.
    ForNow,
}

impl WriteError {
    /// A write to an object that goes.
    #[must_use]
    pub fn leaving(what: &'static str) -> Self {
        Self { what, why: "the object is being deleted".to_owned(), kind: Kind::Gone }
    }

    /// A write that may succeed later.
    #[must_use]
    pub fn for_now(what: &'static str, why: &str) -> Self {
        Self { what, why: why.to_owned(), kind: Kind::ForNow }
    }

    /// Whether the object does not exist, or its integration or namespace is going.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.kind == Kind::Gone
    }

    /// Whether the object is another one than the one that was read: it is to be read again.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.kind == Kind::Outdated
    }

    /// Whether the API server refuses the write until something there is changed.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// Returns what the API server said.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether nothing was sent because this process does not lead.
    #[must_use]
    pub fn is_followers(&self) -> bool {
        self.kind == Kind::Follows
    }
}

/// Writes objects of one namespace.
#[derive(Clone)]
pub struct Writer {
    people: Api<Lenient<EmployeeSync>>,
    integrations: Api<Lenient<ProvisioningIntegration>>,
    leadership: Leadership,
    tries: u32,
}

impl Writer {
    /// A writer for this namespace, which writes while this process leads.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, leadership: &Leadership) -> Self {
        Self {
            people: Api::namespaced(client.clone(), namespace),
            integrations: Api::namespaced(client.clone(), namespace),
            leadership: leadership.clone(),
            tries: TRIES,
        }
    }

    /// The same, and each write is tried once: for what is written again soon in any case, and must keep no others waiting.
    #[must_use]
    pub fn once(&self) -> Self {
        Self { tries: 1, ..self.clone() }
    }

    /// Creates the object of one person. One that exists already is read and returned: somebody wrote it first.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn create_person(
        &self,
        key: &IntegrationKey,
        uid: &str,
        employee: &str,
    ) -> Result<EmployeeSync, WriteError> {
        let name = object_name(&key.name, employee);
        let mut object = EmployeeSync::new(
            &name,
            EmployeeSyncSpec {
                integration_ref: IntegrationRef { name: key.name.to_string() },
                employee_id: employee.to_owned(),
                ..EmployeeSyncSpec::default()
            },
        );
        object.metadata = ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(key.namespace.to_string()),
            labels: Some([(INTEGRATION_LABEL.to_owned(), key.name.to_string())].into()),
            owner_references: Some(vec![owner_reference(key, uid)]),
            ..ObjectMeta::default()
        };
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let object = Lenient(Ok(object));
        let created = readable(
            self.write("creating an EmployeeSync", || self.people.create(&params, &object)).await,
        );
        match created {
            Err(Failed::Api(status)) if status.is_already_exists() => {
                self.read_person(key, employee).await
            }
            other => {
                other.map(unsaid).map_err(|failed| failed.into_error("creating an EmployeeSync"))
            }
        }
    }

    /// Reads the object of one person.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn read_person(
        &self,
        key: &IntegrationKey,
        employee: &str,
    ) -> Result<EmployeeSync, WriteError> {
        let name = object_name(&key.name, employee);
        let read = tried("reading an EmployeeSync", || self.people.get(&name)).await;
        readable(read).map(unsaid).map_err(|failed| failed.into_error("reading an EmployeeSync"))
    }

    /// Removes the owner of a pin that lets the garbage collector delete it.
    ///
    /// # Errors
    /// If the API server refuses or cannot be reached, the object is gone or another one by now, or
    /// this process does not lead.
    pub async fn untie(&self, key: &IntegrationKey, employee: &str) -> Result<(), WriteError> {
        self.change_owners(key, None, employee).await
    }

    /// Makes the object of one person the integration's, or nobody's, as it should be.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, the object is gone or another one by now, or this process does not lead.
    pub async fn tie(
        &self,
        key: &IntegrationKey,
        uid: &str,
        employee: &str,
    ) -> Result<(), WriteError> {
        self.change_owners(key, Some(uid), employee).await
    }

    async fn change_owners(
        &self,
        key: &IntegrationKey,
        uid: Option<&str>,
        employee: &str,
    ) -> Result<(), WriteError> {
        let object = self.read_person(key, employee).await?;
        let Some(owners) = owners(&object, key, uid) else { return Ok(()) };
        let metadata = json!({"uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version, "ownerReferences": owners});
        let (name, patch) =
            (object_name(&key.name, employee), Patch::Merge(json!({ "metadata": metadata })));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = self
            .write("changing the owner of an EmployeeSync", || {
                self.people.patch(&name, &params, &patch)
            })
            .await;
        written
            .map(drop)
            .map_err(|failed| failed.into_error("changing the owner of an EmployeeSync"))
    }

    /// Replaces the status of one person's object, which is as it was read.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, the object is gone or another one by now, or this process does not lead.
    pub async fn apply_person(
        &self,
        object: &EmployeeSync,
        status: &EmployeeSyncStatus,
    ) -> Result<EmployeeSync, WriteError> {
        self.apply(&self.people, &object.metadata, object.status.as_ref(), status).await.map(unsaid)
    }

    /// Deletes the object of somebody who is gone from Bob for longer than the retention: this object as it was read, and no
    /// other of its name. Never touches the account.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn delete_person(&self, object: &EmployeeSync) -> Result<(), WriteError> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let preconditions = Preconditions {
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.write("deleting an EmployeeSync", || self.people.delete(name, &params)).await {
            Ok(_) => Ok(()),
            Err(Failed::Api(status)) if status.is_not_found() => Ok(()),
            Err(failed) => Err(failed.into_error("deleting an EmployeeSync")),
        }
    }

    /// Replaces the status `old` of an integration, which is as it was read: its name, its version, and who owns what of it.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, the object is gone or another one by now, or this process does not lead.
    pub async fn apply_integration(
        &self,
        read: &ObjectMeta,
        old: &ProvisioningIntegrationStatus,
        status: &ProvisioningIntegrationStatus,
    ) -> Result<ProvisioningIntegration, WriteError> {
        self.apply(&self.integrations, read, Some(old), status).await
    }

    /// Reads an integration.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn read_integration(
        &self,
        name: &str,
    ) -> Result<ProvisioningIntegration, WriteError> {
        let what = "reading the integration";
        // The right to list is there anyway.
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let list = tried(what, || self.integrations.list(&params))
            .await
            .map_err(|failed| failed.into_error(what))?;
        let gone = || WriteError { what, why: "it does not exist".to_owned(), kind: Kind::Gone };
        let object = readable(Ok(list.items.into_iter().next().ok_or_else(gone)?))
            .map_err(|failed| failed.into_error(what))?;
        Ok(ProvisioningIntegration { status: crate::api::said(object.status), ..object })
    }

    /// Replaces the conditions of an integration that this version cannot read, unless it is another one by now. The rest of its
    /// status may be what only a newer version knows, so it is no apply.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or this process does not lead.
    pub async fn patch_unread(
        &self,
        name: &str,
        of: &ObjectMeta,
        generation: i64,
        conditions: &[Condition],
    ) -> Result<(), WriteError> {
        let patch = Patch::Merge(json!({
            "metadata": {"uid": of.uid, "resourceVersion": of.resource_version},
            "status": {"observedGeneration": generation, "conditions": conditions},
        }));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self
            .write("writing a status", || self.integrations.patch_status(name, &params, &patch))
            .await
        {
            // Another version of it has come, and says what is to be said now.
            Err(Failed::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
            written => written.map(drop).map_err(|failed| failed.into_error("writing a status")),
        }
    }

    /// Applies a status over `old` at the version that was read, after removing what only others would keep of it.
    async fn apply<K, S>(
        &self,
        api: &Api<Lenient<K>>,
        read: &ObjectMeta,
        old: Option<&S>,
        status: &S,
    ) -> Result<K, WriteError>
    where
        K: Readable + kube::Resource<Scope = NamespaceResourceScope> + Clone + Debug,
        S: serde::Serialize,
    {
        let what = "writing a status";
        let name = read.name.as_deref().unwrap_or_default();
        let mut version = read.resource_version.clone();
        let status = serde_json::to_value(status).unwrap_or_default();
        let old = old.and_then(|old| serde_json::to_value(old).ok()).unwrap_or_default();
        if let Some(removed) =
            owner::leftovers(read.managed_fields.as_deref().unwrap_or_default(), &old, &status)
        {
            let patch =
                Patch::Merge(json!({"metadata": {"resourceVersion": version}, "status": removed}));
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let trimmed = self.write(what, || api.patch_status(name, &params, &patch)).await;
            version = trimmed.map_err(|failed| failed.into_error(what))?.resource_version();
        }
        let patch = Patch::Apply(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "resourceVersion": version},
            "status": status,
        }));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        readable(self.write(what, || api.patch_status(name, &params, &patch)).await)
            .map_err(|failed| failed.into_error(what))
    }

    /// Makes a call that changes something, each try of it only while this process leads until it has ended.
    async fn write<T, F>(&self, what: &'static str, call: impl Fn() -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let call = || async {
            if self.leadership.may_start(TIMEOUT) { call().await.map_err(Some) } else { Err(None) }
        };
        repeated(what, self.tries, call).await
    }
}

/// The same object; a status in which nothing was said is none.
fn unsaid(object: EmployeeSync) -> EmployeeSync {
    EmployeeSync { status: crate::api::said(object.status), ..object }
}

/// What was read or written. An answer whose spec cannot be read comes by the watch as well, and is seen to there.
fn readable<K: Readable>(answer: Result<Lenient<K>, Failed>) -> Result<K, Failed> {
    answer?.0.map_err(|unreadable| {
        Failed::Other(format!("this version cannot read {}", unreadable.field))
    })
}

enum Failed {
    Api(Box<kube::core::Status>),
    Follows,
    Other(String),
}

impl Failed {
    fn into_error(self, what: &'static str) -> WriteError {
        let (why, kind) = match self {
            Self::Api(status) => {
                // A namespace that is being deleted answers 403 to creates.
                let terminating = status.is_forbidden()
                    && status.message.contains("because it is being terminated");
                let kind = match status.code {
                    _ if status.is_not_found() || terminating => Kind::Gone,
                    409 => Kind::Outdated,
                    // The credential of this process, a timeout, or too many requests.
                    401 | 408 | 429 => Kind::ForNow,
                    400..=499 => Kind::Refused,
                    _ => Kind::ForNow,
                };
                let why = answer::shown(&status.message);
                (
                    if why.is_empty() {
                        format!("{} ({})", status.reason, status.code)
                    } else {
                        why
                    },
                    kind,
                )
            }
            Self::Follows => ("this process does not lead".to_owned(), Kind::Follows),
            Self::Other(why) => (why, Kind::ForNow),
        };
        WriteError { what, why, kind }
    }
}

/// Runs a call that changes nothing.
async fn tried<T, F>(what: &'static str, call: impl Fn() -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    repeated(what, TRIES, || async { call().await.map_err(Some) }).await
}

/// Runs a call with a timeout, and again after a short wait where the API server was busy or out of reach. A call that fails
/// with nothing is not to be made any more.
async fn repeated<T, F>(what: &'static str, tries: u32, call: impl Fn() -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Option<kube::Error>>>,
{
    let mut last = Failed::Other("not tried".to_owned());
    let began = tokio::time::Instant::now();
    for attempt in 0..tries {
        if attempt > 0 {
            if began.elapsed() >= TRIED_FOR {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100 << (2 * attempt))).await;
        }
        last = match tokio::time::timeout(TIMEOUT, call()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(None)) => return Err(Failed::Follows),
            Ok(Err(Some(kube::Error::Api(status)))) => {
                if !matches!(status.code, 429 | 500..=599) {
                    return Err(Failed::Api(status));
                }
                Failed::Api(status)
            }
            Ok(Err(Some(error))) => Failed::Other(super::brief(&error)),
            Err(_) => Failed::Other("no answer in time".to_owned()),
        };
        tracing::debug!(what, attempt, "a call to the API server failed");
    }
    Err(last)
}

/// Now, to the second: Kubernetes times have no fractions.
#[must_use]
pub fn to_the_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
