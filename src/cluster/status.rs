//! Writes to the two resources: objects for employees, and statuses for both. Only the process that
//! leads begins a write. Each call has a time limit and is tried a few times. A create that finds
//! the object there counts as successful.
//!
//! A status is written by server-side apply, as a whole and at the version that was read. Fields
//! that it no longer has are removed, and a change that came in the meantime is not overwritten.
//! Fields that another owner would keep are removed first (`owner`). With the status goes a spec
//! with every field of this version. The API server takes nothing from it, but it refuses the write
//! if its CRD lacks a field. Such a write would store the object without that field.

mod answer;
mod owner;

use std::{fmt::Debug, time::Duration};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;

use super::{
    crds::{CrdLook, Crds, undeclared},
    leadership::Leadership,
    lenient::{Lenient, Readable},
    roster::{object_name, owner_reference, owners},
};
use crate::api::{
    EmployeeSync, EmployeeSyncSpec, EmployeeSyncStatus, FIELD_MANAGER, INTEGRATION_LABEL,
    ProvisioningIntegration, ProvisioningIntegrationStatus, employee_sync::IntegrationRef,
    key::IntegrationKey,
};

/// How long one call to the API server may take. The server waits for an admission webhook for up
/// to 30 s, and drops the write if its caller has gone.
const TIMEOUT: Duration = Duration::from_secs(35);
const TRIES: u32 = 4;
/// How long a call is tried again. A call without any answer has taken longer than this.
const TRIED_FOR: Duration = Duration::from_secs(30);
/// Why nothing is written under older CRDs.
const OLDER: &str = "a CRD lacks a field of this version";
/// How long a call with all its tries may take.
pub const WRITE_WITHIN: Duration = Duration::from_secs(75);

/// A write that failed for good, or for now.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct WriteError {
    what: &'static str,
    why: String,
    kind: WriteErrorKind,
}

/// The kind of a failed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteErrorKind {
    /// The object does not exist, or its integration or namespace is being deleted.
    Gone,
    /// The object differs from the one that was read.
    Outdated,
    /// This process does not lead, so it sent nothing.
    Follows,
    /// The API server refuses the write: because of a quota, a policy, a webhook, a rule of the
    /// schema, or a missing right.
    Refused,
    /// The write may succeed later.
    ForNow,
}

impl WriteError {
    /// Returns the error of a write to an object that is being deleted.
    #[must_use]
    pub fn leaving(what: &'static str) -> Self {
        Self { what, why: "the object is being deleted".to_owned(), kind: WriteErrorKind::Gone }
    }

    /// Returns the error of a write that may succeed later.
    #[must_use]
    pub fn for_now(what: &'static str, why: &str) -> Self {
        Self { what, why: why.to_owned(), kind: WriteErrorKind::ForNow }
    }

    /// Returns whether the object does not exist, or its integration or namespace is being deleted.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.kind == WriteErrorKind::Gone
    }

    /// Returns whether the object differs from the one that was read, so that it has to be read
    /// again.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.kind == WriteErrorKind::Outdated
    }

    /// Returns whether the API server refuses the write until something there is changed.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == WriteErrorKind::Refused
    }

    /// Returns what the API server said.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Returns whether nothing was sent because this process does not lead.
    #[must_use]
    pub fn is_followers(&self) -> bool {
        self.kind == WriteErrorKind::Follows
    }
}

/// Writes objects of one namespace.
#[derive(Clone)]
pub struct Writer {
    people: Api<Lenient<EmployeeSync>>,
    integrations: Api<Lenient<ProvisioningIntegration>>,
    leadership: Leadership,
    crds: Option<Crds>,
    tries: u32,
}

impl Writer {
    /// Returns a writer for this namespace, which writes while this process leads.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, leadership: &Leadership) -> Self {
        Self {
            people: Api::namespaced(client.clone(), namespace),
            integrations: Api::namespaced(client.clone(), namespace),
            leadership: leadership.clone(),
            crds: None,
            tries: TRIES,
        }
    }

    /// Returns the same writer, but it writes no object while the CRDs are older than this version.
    #[must_use]
    pub fn heeding(self, crds: &Crds) -> Self {
        Self { crds: Some(crds.clone()), ..self }
    }

    /// Returns the same writer, but it tries each write once. It is for writes that are repeated
    /// soon in any case, and must delay no others.
    #[must_use]
    pub fn once(&self) -> Self {
        Self { tries: 1, ..self.clone() }
    }

    /// Creates the object of one employee. If the object exists already, it is read and returned,
    /// because another writer was first.
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

    /// Reads the object of one employee.
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

    /// Adds or removes the integration as owner of an employee's object, as it should be.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, the object is gone or has changed by now,
    /// or this process does not lead.
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
        self.look("changing the owner of an EmployeeSync").await?;
        let metadata = json!({"uid": object.metadata.uid,
            "resourceVersion": object.metadata.resource_version, "ownerReferences": owners});
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

    /// Replaces the status of one employee's object, which has to be as it was read.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, the object is gone or has changed by now,
    /// or this process does not lead.
    pub async fn apply_person(
        &self,
        object: &EmployeeSync,
        status: &EmployeeSyncStatus,
    ) -> Result<EmployeeSync, WriteError> {
        self.apply(&self.people, &object.metadata, object.status.as_ref(), status).await.map(unsaid)
    }

    /// Deletes the object of an employee who has been gone from Bob for longer than the retention.
    /// It deletes only this object as it was read, and no other object of the same name. It never
    /// changes the account.
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

    /// Replaces the status `old` of an integration, which has to be as it was read: `read` has its
    /// name, its version, and its field managers.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, the object is gone or has changed by now,
    /// or this process does not lead.
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
        // The controller has the right to list in any case.
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let list = tried(what, || self.integrations.list(&params))
            .await
            .map_err(|failed| failed.into_error(what))?;
        let gone =
            || WriteError { what, why: "it does not exist".to_owned(), kind: WriteErrorKind::Gone };
        let object = readable(Ok(list.items.into_iter().next().ok_or_else(gone)?))
            .map_err(|failed| failed.into_error(what))?;
        Ok(ProvisioningIntegration { status: crate::api::said(object.status), ..object })
    }

    /// Replaces the conditions of an integration that this version cannot read, or that is not
    /// shown as a whole, unless the integration has changed by now. It does not apply the status,
    /// because the rest of it may have fields that only a newer version knows.
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
            // No mode is in force.
            "status": {"observedGeneration": generation, "conditions": conditions, "mode": null},
        }));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let what = "writing a status";
        self.look(what).await?;
        match self.write(what, || self.integrations.patch_status(name, &params, &patch)).await {
            // A newer version of the integration has come, and determines what to write now.
            Err(Failed::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
            written => written.map(drop).map_err(|failed| failed.into_error(what)),
        }
    }

    /// Applies a status over `old` at the version that was read. It first removes what only other
    /// owners would keep of it.
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
            self.look(what).await?;
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
            "spec": K::every_field(),
            "status": status,
        }));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = self.write(what, || api.patch_status(name, &params, &patch)).await;
        if let (Err(Failed::Api(answer)), Some(crds)) = (&written, &self.crds) {
            crds.doubt(&K::kind(&()), &answer.message);
        }
        readable(written).map_err(|failed| failed.into_error(what))
    }

    /// Looks at the CRDs before a write that the API server would also take if they lack a field.
    async fn look(&self, what: &'static str) -> Result<(), WriteError> {
        match &self.crds {
            Some(crds) if crds.look().await == CrdLook::Older => {
                Err(WriteError::for_now(what, OLDER))
            }
            _ => Ok(()),
        }
    }

    /// Makes a call that changes something. Each try begins only if this process leads until the
    /// try has ended, and if the CRDs are not known to be older.
    async fn write<T, F>(&self, what: &'static str, call: impl Fn() -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        if self.crds.as_ref().is_some_and(Crds::are_older) {
            return Err(Failed::Other(OLDER.to_owned()));
        }
        let call = || async {
            if self.leadership.may_start(TIMEOUT) { call().await.map_err(Some) } else { Err(None) }
        };
        repeated(what, self.tries, call).await
    }
}

/// Returns the same object; a status without content becomes `None`.
fn unsaid(object: EmployeeSync) -> EmployeeSync {
    EmployeeSync { status: crate::api::said(object.status), ..object }
}

/// Returns what was read or written. An answer with a spec that cannot be read also comes by the
/// watch, and is handled there.
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
                // A namespace that is being deleted answers 403 to a create.
                let terminating = status.is_forbidden()
                    && status.message.contains("because it is being terminated");
                let kind = match status.code {
                    _ if status.is_not_found() || terminating => WriteErrorKind::Gone,
                    409 => WriteErrorKind::Outdated,
                    // The cause is the credential of this process, a time-out, or too many
                    // requests.
                    401 | 408 | 429 => WriteErrorKind::ForNow,
                    400..=499 => WriteErrorKind::Refused,
                    _ => WriteErrorKind::ForNow,
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
            Self::Follows => ("this process does not lead".to_owned(), WriteErrorKind::Follows),
            Self::Other(why) => (why, WriteErrorKind::ForNow),
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

/// Runs a call with a time limit. If the API server was busy or out of reach, it runs the call
/// again after a short wait. A call that returns `None` as its error is not made again.
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
                let passes = matches!(status.code, 429 | 500..=599);
                if !passes || undeclared(&status.message).is_some() {
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
