//! Writes to the two resources: objects for people, statuses for both. Each call is bounded and tried a few times; a
//! status patch is idempotent, and a create that finds the object there is as good as done.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};

use super::{
    lenient::{Lenient, Readable},
    roster::{IntegrationKey, object_name, owner_reference, owners},
};
use crate::api::{
    EmployeeSync, EmployeeSyncSpec, EmployeeSyncStatus, FIELD_MANAGER, INTEGRATION_LABEL, ProvisioningIntegration,
    ProvisioningIntegrationStatus,
    conditions::find,
    employee_sync::{Evidence, IntegrationRef},
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
    /// The object does not exist, or its integration or namespace is going.
    pub gone: bool,
}

impl WriteError {
    /// A write to an object that goes.
    #[must_use]
    pub fn leaving(what: &'static str) -> Self {
        Self { what, why: "the object is being deleted".to_owned(), gone: true }
    }

    /// A write that may succeed later.
    #[must_use]
    pub fn for_now(what: &'static str, why: &str) -> Self {
        Self { what, why: why.to_owned(), gone: false }
    }
}

/// Writes objects of one namespace.
#[derive(Clone)]
pub struct Writer {
    people: Api<Lenient<EmployeeSync>>,
    integrations: Api<Lenient<ProvisioningIntegration>>,
}

impl Writer {
    /// A writer for this namespace.
    #[must_use]
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self { people: Api::namespaced(client.clone(), namespace), integrations: Api::namespaced(client.clone(), namespace) }
    }

    /// Creates the object of one person. One that exists already is read and returned: somebody wrote it first.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn create_person(&self, key: &IntegrationKey, uid: &str, employee: &str) -> Result<EmployeeSync, WriteError> {
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
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let object = Lenient(Ok(object));
        let created = readable(tried("creating an EmployeeSync", || self.people.create(&params, &object)).await);
        match created {
            Err(Failed::Api(status)) if status.is_already_exists() => self.read_person(key, employee).await,
            other => other.map(unsaid).map_err(|failed| failed.into_error("creating an EmployeeSync")),
        }
    }

    /// Reads the object of one person.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn read_person(&self, key: &IntegrationKey, employee: &str) -> Result<EmployeeSync, WriteError> {
        let name = object_name(&key.name, employee);
        let read = tried("reading an EmployeeSync", || self.people.get(&name)).await;
        readable(read).map(unsaid).map_err(|failed| failed.into_error("reading an EmployeeSync"))
    }

    /// Makes the object of one person the integration's, or nobody's, as it should be.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone or another one by now.
    pub async fn tie(&self, key: &IntegrationKey, uid: &str, employee: &str) -> Result<(), WriteError> {
        let object = self.read_person(key, employee).await?;
        let Some(owners) = owners(&object, key, uid) else { return Ok(()) };
        let metadata = json!({"uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version, "ownerReferences": owners});
        let (name, params, patch) = (object_name(&key.name, employee), params(), Patch::Merge(json!({ "metadata": metadata })));
        let written = tried("changing the owner of an EmployeeSync", || self.people.patch(&name, &params, &patch)).await;
        written.map(drop).map_err(|failed| failed.into_error("changing the owner of an EmployeeSync"))
    }

    /// Replaces the status of one person's object.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn patch_person(&self, name: &str, status: &EmployeeSyncStatus) -> Result<EmployeeSync, WriteError> {
        let patch = Patch::Merge(with_nulls(
            status,
            &[
                "observedGeneration",
                "username",
                "account",
                "access",
                "reason",
                "nextTransition",
                "employmentEnded",
                "evidence",
                "awaitingChange",
                "lastApplied",
                "keptDifferently",
                "counted",
                "heldPart",
                "lastHandledSyncAt",
                "history",
            ],
        ));
        let params = params();
        let written = tried("writing a status", || self.people.patch_status(name, &params, &patch)).await;
        readable(written).map_err(|failed| failed.into_error("writing a status"))
    }

    /// Replaces the evidence in the status of one person's object, and nothing else.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn patch_evidence(&self, name: &str, evidence: Option<&Evidence>) -> Result<EmployeeSync, WriteError> {
        let patch = Patch::Merge(json!({"status": {"evidence": evidence}}));
        let params = params();
        let written = tried("writing evidence", || self.people.patch_status(name, &params, &patch)).await;
        readable(written).map_err(|failed| failed.into_error("writing evidence"))
    }

    /// Replaces the conditions in the status of one person's object, and nothing else.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn patch_conditions(&self, name: &str, conditions: &[Condition]) -> Result<EmployeeSync, WriteError> {
        let reason = find(conditions, "Ready").map(|ready| &*ready.reason);
        let patch = Patch::Merge(json!({"status": {"conditions": conditions, "reason": reason}}));
        let params = params();
        let written = tried("writing conditions", || self.people.patch_status(name, &params, &patch)).await;
        readable(written).map_err(|failed| failed.into_error("writing conditions"))
    }

    /// Deletes the object of somebody who is gone from Bob for longer than the retention: this object as it was read, and no
    /// other of its name. Never touches the account.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn delete_person(&self, object: &EmployeeSync) -> Result<(), WriteError> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let preconditions = Preconditions { uid: object.metadata.uid.clone(), resource_version: object.metadata.resource_version.clone() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match tried("deleting an EmployeeSync", || self.people.delete(name, &params)).await {
            Ok(_) => Ok(()),
            Err(Failed::Api(status)) if status.is_not_found() => Ok(()),
            Err(failed) => Err(failed.into_error("deleting an EmployeeSync")),
        }
    }

    /// Replaces the status of an integration.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached, or the object is gone.
    pub async fn patch_integration(
        &self,
        name: &str,
        status: &ProvisioningIntegrationStatus,
    ) -> Result<ProvisioningIntegration, WriteError> {
        let mut patch = with_nulls(
            status,
            &[
                "observedGeneration",
                "employees",
                "lastPass",
                "progress",
                "nextTryAt",
                "plan",
                "budgets",
                "firstPassAt",
                "reactivationsHeldSince",
                "tenant",
                "tenantNamed",
                "approved",
                "revoked",
                "lifecycles",
                "lastHandledSyncAt",
            ],
        );
        if let Some(progress) = patch.pointer_mut("/status/progress").and_then(Value::as_object_mut) {
            for key in ["of", "eta"] {
                progress.entry(key).or_insert(Value::Null);
            }
        }
        if let Some(budgets) = patch.pointer_mut("/status/budgets").and_then(Value::as_object_mut) {
            for kind in ["disables", "reactivations", "creates", "updates"] {
                if let Some(state) = budgets.entry(kind).or_insert(Value::Null).as_object_mut() {
                    state.entry("opensAt").or_insert(Value::Null);
                }
            }
        }
        let patch = Patch::Merge(patch);
        let params = params();
        let written = tried("writing a status", || self.integrations.patch_status(name, &params, &patch)).await;
        readable(written).map_err(|failed| failed.into_error("writing a status"))
    }
}

impl Writer {
    /// Replaces the conditions of an integration that this version cannot read, unless it is another one by now.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn patch_unread(&self, name: &str, of: &ObjectMeta, generation: i64, conditions: &[Condition]) -> Result<(), WriteError> {
        let patch = Patch::Merge(json!({
            "metadata": {"uid": of.uid, "resourceVersion": of.resource_version},
            "status": {"observedGeneration": generation, "conditions": conditions},
        }));
        let params = params();
        match tried("writing a status", || self.integrations.patch_status(name, &params, &patch)).await {
            // Another version of it has come, and says what is to be said now.
            Err(Failed::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
            written => written.map(drop).map_err(|failed| failed.into_error("writing a status")),
        }
    }
}

/// The same object; a status in which nothing was said is none.
fn unsaid(object: EmployeeSync) -> EmployeeSync {
    EmployeeSync { status: crate::api::said(object.status), ..object }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// A merge patch that replaces the whole status: what is not set any more is null.
fn with_nulls(status: &impl serde::Serialize, optional: &[&str]) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        for key in optional {
            map.entry(*key).or_insert(Value::Null);
        }
    }
    json!({ "status": value })
}

/// What was read or written. An answer whose spec cannot be read comes by the watch as well, and is seen to there.
fn readable<K: Readable>(answer: Result<Lenient<K>, Failed>) -> Result<K, Failed> {
    answer?.0.map_err(|unreadable| Failed::Other(format!("this version cannot read {}", unreadable.field)))
}

enum Failed {
    Api(Box<kube::core::Status>),
    Other(String),
}

impl Failed {
    fn into_error(self, what: &'static str) -> WriteError {
        match self {
            Self::Api(status) => WriteError {
                what,
                why: format!("{} ({})", status.reason, status.code),
                // A namespace that is being deleted answers 403 to creates.
                gone: status.is_not_found() || (status.is_forbidden() && status.message.contains("because it is being terminated")),
            },
            Self::Other(why) => WriteError { what, why, gone: false },
        }
    }
}

/// Runs a call with a timeout, and again after a short wait where the API server was busy or out of reach.
async fn tried<T, F>(what: &'static str, call: impl Fn() -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let mut last = Failed::Other("not tried".to_owned());
    let began = tokio::time::Instant::now();
    for attempt in 0..TRIES {
        if attempt > 0 {
            if began.elapsed() >= TRIED_FOR {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100 << (2 * attempt))).await;
        }
        last = match tokio::time::timeout(TIMEOUT, call()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(kube::Error::Api(status))) => {
                let busy = matches!(status.code, 409 | 429 | 500..=599) && !status.is_already_exists();
                if !busy {
                    return Err(Failed::Api(status));
                }
                Failed::Api(status)
            }
            Ok(Err(error)) => Failed::Other(super::brief(&error)),
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
