//! Starts a worker for every integration and ends it with the integration; passes on what the watches see.

use std::collections::HashMap;

use tokio::{sync::mpsc, task::JoinHandle};

use super::worker::{Handle, Shared, Worker};
use crate::{
    api::ProvisioningIntegration,
    cluster::{
        roster::IntegrationKey,
        watch::{self, Seen},
    },
    server::Health,
};

struct Running {
    handle: Handle,
    uid: Option<String>,
    task: JoinHandle<()>,
}

/// Runs until the process stops: watches, dispatches, and at the end waits for every worker to finish what it began.
pub async fn supervise(shared: Shared, namespaces: Vec<String>, health: Health) {
    let (sender, mut seen) = mpsc::channel(256);
    let scopes = namespaces.len().max(1);
    let watching = tokio::spawn(watch::watch(shared.client.clone(), namespaces, shared.roster.clone(), sender));
    let mut stopping = shared.stopping.clone();
    let mut workers: HashMap<IntegrationKey, Running> = HashMap::new();
    // Workers start once both lists are in: a pass that does not know the people would take everybody for new.
    let mut held: Vec<Box<ProvisioningIntegration>> = Vec::new();
    let (mut people_listed, mut integrations_listed) = (0, 0);
    loop {
        let next = tokio::select! {
            next = seen.recv() => next,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let ready = people_listed >= scopes;
        match next {
            Some(Seen::Integration(object)) if ready => apply(&shared, &mut workers, *object).await,
            Some(Seen::Integration(object)) => held.push(object),
            Some(Seen::IntegrationGone(key)) => {
                held.retain(|object| watch::key(object).as_ref() != Some(&key));
                forget(&shared, &mut workers, &key);
            }
            Some(Seen::Integrations(scope, listed)) => {
                integrations_listed += 1;
                let gone: Vec<_> = workers
                    .keys()
                    .filter(|key| scope.as_deref().is_none_or(|scope| *scope == *key.namespace) && !listed.contains(key))
                    .cloned()
                    .collect();
                gone.iter().for_each(|key| forget(&shared, &mut workers, key));
            }
            Some(Seen::Person(key, employee)) => {
                if let Some(running) = workers.get(&key) {
                    running.handle.wake(&shared.roster, &key, &employee);
                }
            }
            Some(Seen::People(key)) => {
                if let Some(running) = workers.get(&key) {
                    running.handle.wake_everybody();
                }
            }
            Some(Seen::PeopleListed) => {
                people_listed += 1;
                if people_listed >= scopes {
                    // All at once, so that the first to work knows who was there before it.
                    held.iter().for_each(|object| see_tenant(&shared, object));
                    for object in std::mem::take(&mut held) {
                        apply(&shared, &mut workers, *object).await;
                    }
                }
            }
            None => break,
        }
        if people_listed >= scopes && integrations_listed >= scopes {
            health.ready();
            shared.inbox.listed();
        }
    }
    watching.abort();
    for (_, running) in workers {
        // A worker ends after the writes it began; the process bounds how long that may take.
        let _ = running.task.await;
    }
}

async fn apply(shared: &Shared, workers: &mut HashMap<IntegrationKey, Running>, object: ProvisioningIntegration) {
    let Some(key) = watch::key(&object) else { return };
    see_tenant(shared, &object);
    if workers.get(&key).is_some_and(|running| running.uid != object.metadata.uid) {
        // Deleted and made again between two events: nothing of the old one is believed.
        forget(shared, workers, &key);
    }
    let running = match workers.get(&key) {
        Some(running) => {
            running.handle.see(object).await;
            running
        }
        None => {
            let uid = object.metadata.uid.clone();
            shared.roster.forget_lost(&key);
            let (worker, handle) = Worker::new(key.clone(), object, shared.clone());
            workers.entry(key.clone()).or_insert(Running { handle, uid, task: tokio::spawn(worker.run()) })
        }
    };
    let (handle, shared) = (running.handle.clone(), shared.clone());
    tokio::spawn(async move { handle.mark_progressing(&shared, &key).await });
}

fn see_tenant(shared: &Shared, object: &ProvisioningIntegration) {
    if let Some(key) = watch::key(object) {
        shared.tenants.see(&key, object, &shared.allowed);
    }
}

fn forget(shared: &Shared, workers: &mut HashMap<IntegrationKey, Running>, key: &IntegrationKey) {
    if let Some(running) = workers.remove(key) {
        running.task.abort();
        shared.metrics.forget(key);
        shared.tenants.forget(key);
        shared.inbox.close(key);
    }
}
