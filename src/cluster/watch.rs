//! The two watches. They turn objects at once into what the engine needs. Integrations are few and
//! kept whole. `EmployeeSync`s become rows of the [`Roster`].

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    core::{ObjectMeta, object::HasStatus},
};
use tokio::sync::mpsc;

use super::{
    crds::Crds,
    lenient::{Lenient, Readable, Unreadable},
    listening::{DEAF, ListenEvent, RequestFailure, listen},
    roster::{News, Roster, version},
};
use crate::{
    api::{self, EmployeeSync, ProvisioningIntegration, key::IntegrationKey},
    telemetry::{health::Beat, parts::Parts},
};

/// What the watches report to the engine.
#[derive(Debug)]
pub enum Seen {
    /// An integration was created or changed (its status included).
    Integration(Box<ProvisioningIntegration>),
    /// An integration was created or changed, and its spec cannot be read.
    Unreadable(IntegrationKey, Box<Unreadable>),
    /// An integration was deleted.
    IntegrationGone(IntegrationKey),
    /// A list is complete: exactly these integrations exist in this scope.
    Integrations(WatchScope, Vec<IntegrationKey>),
    /// An employee of this integration has a change that a pass should see.
    Person(IntegrationKey, Box<str>),
    /// Employees of this integration, which are not named, have such a change.
    People(IntegrationKey),
    /// A list of the `EmployeeSync`s in this scope is complete.
    PeopleListed(WatchScope),
    /// A list in this scope failed. It is tried again.
    ListFailed(WatchScope),
}

/// The scope of a watch: one namespace, or `None` for all namespaces.
pub type WatchScope = Option<String>;

/// Returns the scopes of these namespaces (an empty list: all namespaces).
#[must_use]
pub fn scopes(namespaces: Vec<String>) -> Vec<WatchScope> {
    if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() }
}

/// Watches these scopes until the process stops or the receiver is dropped. The integrations and
/// the employees of each scope have watches of their own, so that a problem of one watch delays no
/// other. After an error the watch waits, logs it, and goes on.
pub async fn watch(
    client: Client,
    scopes: Vec<WatchScope>,
    roster: Roster,
    seen: mpsc::Sender<Seen>,
    crds: Crds,
    parts: Parts,
    stopping: Stopping,
) {
    let watches = scopes.into_iter().map(|scope| {
        let (client, roster, seen) = (client.clone(), roster.clone(), seen.clone());
        let crds = crds.clone();
        let (parts, stopping) = (parts.clone(), stopping.clone());
        for kind in [INTEGRATION, PERSON] {
            parts.listed(scope.as_deref(), kind, Some("the first list is not in yet"));
        }
        async move {
            let of_integrations = parts.keep("watches", None, stopping.clone(), |beat| {
                integrations(
                    Watched { api: objects_in(&client, scope.as_deref()), crds: crds.clone() },
                    scope.clone(),
                    seen.clone(),
                    parts.clone(),
                    beat,
                )
            });
            let of_people = parts.keep("watches", None, stopping, |beat| {
                people(
                    Watched { api: objects_in(&client, scope.as_deref()), crds: crds.clone() },
                    scope.clone(),
                    roster.clone(),
                    seen.clone(),
                    parts.clone(),
                    beat,
                )
            });
            tokio::join!(of_integrations, of_people);
        }
    });
    futures::future::join_all(watches).await;
}

/// The kinds, as the API server writes them.
const INTEGRATION: &str = "ProvisioningIntegration";
const PERSON: &str = "EmployeeSync";

/// True when the process stops.
type Stopping = tokio::sync::watch::Receiver<bool>;

/// The objects that one watch is about, and the CRDs by which they are shown.
struct Watched<K> {
    api: Api<Lenient<K>>,
    crds: Crds,
}

fn objects_in<K>(client: &Client, scope: Option<&str>) -> Api<Lenient<K>>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Removes the managed fields, which are most of an object. Those of integrations are kept, because
/// integrations are few and the fields show who approved a plan. A status without content is
/// removed as well.
fn strip<K: kube::Resource<DynamicType = ()> + HasStatus<Status: api::Said>>(object: &mut K) {
    let status = object.status_mut();
    *status = api::said(status.take());
    if K::kind(&()) != ProvisioningIntegration::kind(&()) {
        object.meta_mut().managed_fields = None;
    }
}

/// Returns a stream of objects without managed fields. An object that does not fit the type must
/// not stop the watch.
fn objects<K>(
    Watched { api, crds }: Watched<K>,
    ear: Beat,
) -> impl futures::Stream<Item = Result<ListenEvent<Result<K, Box<Unreadable>>>, RequestFailure>>
where
    K: Readable + HasStatus<Status: api::Said> + Clone + Debug + Send + 'static,
{
    let read = |object: Lenient<K>| {
        object.0.map(|mut object| {
            strip(&mut object);
            object
        })
    };
    listen(api, ear, Some(crds)).map_ok(move |event| match event {
        ListenEvent::Apply(object) => ListenEvent::Apply(read(object)),
        ListenEvent::Delete(object) => ListenEvent::Delete(read(object)),
        ListenEvent::Init => ListenEvent::Init,
        ListenEvent::InitApply(object) => ListenEvent::InitApply(read(object)),
        ListenEvent::InitDone => ListenEvent::InitDone,
    })
}

/// Returns the beat that stops when no answer for this kind in this scope arrives.
fn ear(parts: &Parts, scope: &WatchScope, kind: &str) -> Beat {
    let place = scope.as_deref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    parts.health().register_within(format!("the watch of {kind}s{place}"), DEAF)
}

async fn integrations(
    watched: Watched<ProvisioningIntegration>,
    scope: WatchScope,
    seen: mpsc::Sender<Seen>,
    parts: Parts,
    beat: Beat,
) {
    let mut stream = std::pin::pin!(objects(watched, ear(&parts, &scope, INTEGRATION)));
    let mut listed = Vec::new();
    while let Some(event) = beat.during(stream.next()).await {
        let told = match event {
            Ok(ListenEvent::Init) => {
                listed.clear();
                None
            }
            Ok(ListenEvent::InitApply(object)) => {
                let told = integration(object);
                listed.extend(told.as_ref().and_then(|told| match told {
                    Seen::Integration(object) => key(object),
                    Seen::Unreadable(key, _) => Some(key.clone()),
                    _ => None,
                }));
                told
            }
            Ok(ListenEvent::Apply(object)) => integration(object),
            Ok(ListenEvent::Delete(object)) => {
                let metadata = object
                    .as_ref()
                    .map_or_else(|unreadable| &unreadable.metadata, |object| &object.metadata);
                key_of(metadata).map(Seen::IntegrationGone)
            }
            Ok(ListenEvent::InitDone) => {
                parts.listed(scope.as_deref(), INTEGRATION, None);
                Some(Seen::Integrations(scope.clone(), std::mem::take(&mut listed)))
            }
            Err(error) => {
                failed(&parts, &scope, INTEGRATION, &error).then(|| Seen::ListFailed(scope.clone()))
            }
        };
        if let Some(told) = told
            && seen.send(told).await.is_err()
        {
            return;
        }
    }
}

/// Returns the event for an existing integration. One that is being deleted counts as gone, because
/// a finalizer of another controller may keep it for any time.
fn integration(object: Result<ProvisioningIntegration, Box<Unreadable>>) -> Option<Seen> {
    let metadata =
        object.as_ref().map_or_else(|unreadable| &unreadable.metadata, |object| &object.metadata);
    let (key, gone) = (key_of(metadata)?, metadata.deletion_timestamp.is_some());
    Some(match object {
        _ if gone => Seen::IntegrationGone(key),
        Ok(object) => Seen::Integration(Box::new(object)),
        Err(unreadable) => Seen::Unreadable(key, unreadable),
    })
}

async fn people(
    watched: Watched<EmployeeSync>,
    scope: WatchScope,
    roster: Roster,
    seen: mpsc::Sender<Seen>,
    parts: Parts,
    beat: Beat,
) {
    let mut stream = std::pin::pin!(objects(watched, ear(&parts, &scope, PERSON)));
    let mut listed: HashSet<(Arc<str>, Box<str>)> = HashSet::new();
    // The lowest version that the list can have.
    let mut listed_at = 0;
    while let Some(event) = beat.during(stream.next()).await {
        let (mut woken, mut lost) = (Vec::new(), Vec::new());
        let mut last = None;
        match event {
            Ok(ListenEvent::Init) => {
                listed.clear();
                listed_at = roster.newest(scope.as_deref());
            }
            Ok(ListenEvent::InitApply(Ok(object))) => {
                listed_at = listed_at.max(version(&object));
                if let Some(namespace) = object.namespace() {
                    listed.insert((namespace.into(), object.name_any().into()));
                }
                woken.extend(woken_by(&roster, &object));
            }
            Ok(ListenEvent::Apply(Ok(object))) => woken.extend(woken_by(&roster, &object)),
            Ok(ListenEvent::Delete(Ok(object))) => woken.extend(roster.gone(&object)),
            Ok(ListenEvent::InitDone) => {
                lost = roster.keep_only(scope.as_deref(), listed_at, &listed);
                listed = HashSet::new();
                parts.listed(scope.as_deref(), PERSON, None);
                last = Some(Seen::PeopleListed(scope.clone()));
            }
            Ok(ListenEvent::Apply(Err(unreadable)) | ListenEvent::InitApply(Err(unreadable))) => {
                let (name, field) =
                    (unreadable.metadata.name.as_deref().unwrap_or(""), &unreadable.field);
                tracing::warn!(
                    kind = PERSON,
                    name,
                    field,
                    "an object cannot be read, and its name does not say which employee it is \
                     about: it is left out"
                );
            }
            Ok(ListenEvent::Delete(Err(_))) => {}
            Err(error) => {
                last =
                    failed(&parts, &scope, PERSON, &error).then(|| Seen::ListFailed(scope.clone()))
            }
        }
        let woken = woken.into_iter().map(|(key, employee)| Seen::Person(key, employee));
        for news in woken.chain(lost.into_iter().map(Seen::People)).chain(last) {
            if seen.send(news).await.is_err() {
                return;
            }
        }
    }
}

/// Logs an error of a watch. Returns whether a list failed.
fn failed(parts: &Parts, scope: &WatchScope, kind: &'static str, error: &RequestFailure) -> bool {
    let (namespace, why) = (scope.as_deref().unwrap_or("*"), error.why.to_string());
    if !error.listing {
        tracing::warn!(kind, namespace, error = %why, "watching failed; trying again");
        return false;
    }
    if parts.listed(scope.as_deref(), kind, Some(&why)) {
        tracing::warn!(kind, namespace, error = %why,
            "a namespace cannot be listed, and its integrations do not begin; trying again");
    } else {
        tracing::debug!(kind, namespace, error = %why, "a namespace still cannot be listed");
    }
    true
}

fn woken_by(roster: &Roster, object: &EmployeeSync) -> Option<(IntegrationKey, Box<str>)> {
    let namespace = object.namespace()?;
    if let Some(field) = object.spec.unreadable.as_deref()
        && !roster.knows(object)
    {
        let name = object.metadata.name.as_deref();
        tracing::warn!(kind = PERSON, %namespace, name, field,
            "the spec of an object cannot be read: the account is left as it is");
    }
    let key = || IntegrationKey {
        namespace: namespace.into(),
        name: object.spec.integration_ref.name.as_str().into(),
    };
    (roster.see(object) == News::Wake).then(|| (key(), object.spec.employee_id.as_str().into()))
}

/// Returns the key of an integration.
#[must_use]
pub fn key(object: &ProvisioningIntegration) -> Option<IntegrationKey> {
    key_of(&object.metadata)
}

/// Returns the key of an integration with this metadata.
#[must_use]
pub fn key_of(metadata: &ObjectMeta) -> Option<IntegrationKey> {
    Some(IntegrationKey {
        namespace: metadata.namespace.as_deref()?.into(),
        name: metadata.name.as_deref()?.into(),
    })
}
