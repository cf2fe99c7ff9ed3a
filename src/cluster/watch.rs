//! The two watches. Objects are turned into what the engine needs at once: integrations are few and kept whole,
//! `EmployeeSync`s become rows of the [`Roster`].

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    core::{DeserializeGuard, object::HasStatus},
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{
    listening::{DEAF, Event, Trouble, listen},
    roster::{IntegrationKey, News, Roster, version},
};
use crate::{
    api::{self, EmployeeSync, ProvisioningIntegration},
    server::{health::Beat, parts::Parts},
};

/// What the watches tell the engine.
#[derive(Debug)]
pub enum Seen {
    /// An integration was created or changed (its status included).
    Integration(Box<ProvisioningIntegration>),
    /// An integration went.
    IntegrationGone(IntegrationKey),
    /// After a complete list: exactly these integrations exist in this scope.
    Integrations(Scope, Vec<IntegrationKey>),
    /// Something about a person of this integration changed that a pass should see.
    Person(IntegrationKey, Box<str>),
    /// The same about people who are not told apart.
    People(IntegrationKey),
    /// A complete list of people in this scope is in.
    PeopleListed(Scope),
    /// A list in this scope failed; it is tried again.
    ListFailed(Scope),
}

/// Where is watched: one namespace; `None`: all of them.
pub type Scope = Option<String>;

/// The scopes of these namespaces (none: all).
#[must_use]
pub fn scopes(namespaces: Vec<String>) -> Vec<Scope> {
    if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() }
}

/// Watches these scopes until the process stops or the receiver is dropped: integrations and people of each scope by
/// themselves, so that what keeps one watch up keeps up no other. Errors back off and are logged without ending the watch.
pub async fn watch(client: Client, scopes: Vec<Scope>, roster: Roster, seen: mpsc::Sender<Seen>, parts: Parts, stopping: Stopping) {
    let watches = scopes.into_iter().map(|scope| {
        let (client, roster, seen) = (client.clone(), roster.clone(), seen.clone());
        let (parts, stopping) = (parts.clone(), stopping.clone());
        for kind in [INTEGRATION, PERSON] {
            parts.listed(scope.as_deref(), kind, Some("the first list is not in yet"));
        }
        async move {
            let of_integrations = parts.keep("watches", None, stopping.clone(), |beat| {
                integrations(objects_in(&client, scope.as_deref()), scope.clone(), seen.clone(), parts.clone(), beat)
            });
            let of_people = parts.keep("watches", None, stopping, |beat| {
                people(objects_in(&client, scope.as_deref()), scope.clone(), roster.clone(), seen.clone(), (parts.clone(), beat))
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

fn objects_in<K>(client: &Client, scope: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Takes out the managed fields, which are most of an object. Of an integration, of which there are few, they tell who
/// approved a plan. A status in which nothing was said is none.
fn strip<K: kube::Resource<DynamicType = ()> + HasStatus<Status: api::Said>>(object: &mut K) {
    let status = object.status_mut();
    *status = api::said(status.take());
    if K::kind(&()) != ProvisioningIntegration::kind(&()) {
        object.meta_mut().managed_fields = None;
    }
}

/// A stream of whole objects without managed fields. An object that does not fit the type is logged and left out: it
/// must not stop the watch.
fn objects<K>(api: Api<DeserializeGuard<K>>, ear: Beat) -> impl futures::Stream<Item = Result<Event<Option<K>>, Trouble>>
where
    K: kube::Resource<DynamicType = ()> + HasStatus<Status: api::Said> + DeserializeOwned + Clone + Debug + Send + 'static,
{
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(mut object) => {
            strip(&mut object);
            Some(object)
        }
        Err(invalid) => {
            tracing::warn!(kind = %K::kind(&()), name = invalid.metadata.name.as_deref().unwrap_or(""), "an object does not fit its type and is left out");
            None
        }
    };
    listen(api, ear).map_ok(move |event| match event {
        Event::Apply(object) => Event::Apply(read(object)),
        Event::Delete(object) => Event::Delete(read(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(read(object)),
        Event::InitDone => Event::InitDone,
    })
}

/// What falls silent when nothing is heard of this kind in this scope.
fn ear(parts: &Parts, scope: &Scope, kind: &str) -> Beat {
    let place = scope.as_deref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    parts.health().register_within(format!("the watch of {kind}s{place}"), DEAF)
}

async fn integrations(
    api: Api<DeserializeGuard<ProvisioningIntegration>>,
    scope: Scope,
    seen: mpsc::Sender<Seen>,
    parts: Parts,
    beat: Beat,
) {
    let mut stream = std::pin::pin!(objects(api, ear(&parts, &scope, INTEGRATION)));
    let mut listed = Vec::new();
    while let Some(event) = beat.during(stream.next()).await {
        let told = match event {
            Ok(Event::Init) => {
                listed.clear();
                Ok(())
            }
            Ok(Event::InitApply(Some(object))) => {
                listed.extend(key(&object));
                seen.send(Seen::Integration(Box::new(object))).await
            }
            Ok(Event::Apply(Some(object))) => seen.send(Seen::Integration(Box::new(object))).await,
            Ok(Event::Delete(Some(object))) => match key(&object) {
                Some(key) => seen.send(Seen::IntegrationGone(key)).await,
                None => Ok(()),
            },
            Ok(Event::InitDone) => {
                parts.listed(scope.as_deref(), INTEGRATION, None);
                seen.send(Seen::Integrations(scope.clone(), std::mem::take(&mut listed))).await
            }
            Ok(Event::Apply(None) | Event::Delete(None) | Event::InitApply(None)) => Ok(()),
            Err(error) if failed(&parts, &scope, INTEGRATION, &error) => seen.send(Seen::ListFailed(scope.clone())).await,
            Err(_) => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

async fn people(
    api: Api<DeserializeGuard<EmployeeSync>>,
    scope: Scope,
    roster: Roster,
    seen: mpsc::Sender<Seen>,
    (parts, beat): (Parts, Beat),
) {
    let mut stream = std::pin::pin!(objects(api, ear(&parts, &scope, PERSON)));
    let mut listed: HashSet<(Arc<str>, Box<str>)> = HashSet::new();
    // The least that the version of the list can be.
    let mut listed_at = 0;
    while let Some(event) = beat.during(stream.next()).await {
        let (mut woken, mut lost) = (Vec::new(), Vec::new());
        let mut last = None;
        match event {
            Ok(Event::Init) => {
                listed.clear();
                listed_at = roster.newest(scope.as_deref());
            }
            Ok(Event::InitApply(Some(object))) => {
                listed_at = listed_at.max(version(&object));
                if let Some(namespace) = object.namespace() {
                    listed.insert((namespace.into(), object.name_any().into()));
                }
                woken.extend(woken_by(&roster, &object));
            }
            Ok(Event::Apply(Some(object))) => woken.extend(woken_by(&roster, &object)),
            Ok(Event::Delete(Some(object))) => woken.extend(roster.gone(&object)),
            Ok(Event::InitDone) => {
                lost = roster.keep_only(scope.as_deref(), listed_at, &listed);
                listed = HashSet::new();
                parts.listed(scope.as_deref(), PERSON, None);
                last = Some(Seen::PeopleListed(scope.clone()));
            }
            Ok(Event::Apply(None) | Event::Delete(None) | Event::InitApply(None)) => {}
            Err(error) => last = failed(&parts, &scope, PERSON, &error).then(|| Seen::ListFailed(scope.clone())),
        }
        let woken = woken.into_iter().map(|(key, employee)| Seen::Person(key, employee));
        for news in woken.chain(lost.into_iter().map(Seen::People)).chain(last) {
            if seen.send(news).await.is_err() {
                return;
            }
        }
    }
}

/// Logs an error of a watch. Whether it is a list that failed.
fn failed(parts: &Parts, scope: &Scope, kind: &'static str, error: &Trouble) -> bool {
    let (namespace, why) = (scope.as_deref().unwrap_or("*"), error.why.to_string());
    if !error.listing {
        tracing::warn!(kind, namespace, error = %why, "watching failed; trying again");
        return false;
    }
    if parts.listed(scope.as_deref(), kind, Some(&why)) {
        tracing::warn!(kind, namespace, error = %why, "a namespace cannot be listed, and its integrations do not begin; trying again");
    } else {
        tracing::debug!(kind, namespace, error = %why, "a namespace still cannot be listed");
    }
    true
}

fn woken_by(roster: &Roster, object: &EmployeeSync) -> Option<(IntegrationKey, Box<str>)> {
    let namespace = object.namespace()?;
    let key = || IntegrationKey { namespace: namespace.into(), name: object.spec.integration_ref.name.as_str().into() };
    (roster.see(object) == News::Wake).then(|| (key(), object.spec.employee_id.as_str().into()))
}

/// The key of an integration.
#[must_use]
pub fn key(object: &ProvisioningIntegration) -> Option<IntegrationKey> {
    Some(IntegrationKey { namespace: object.namespace()?.into(), name: object.name_any().into() })
}
