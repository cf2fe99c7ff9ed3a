//! Starts a worker for every integration, ends it with the integration, and passes on what the
//! watches see. It starts a worker again that ended by itself. A namespace whose objects cannot be
//! listed does not stop the workers of other namespaces.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};

use super::{
    integration::{
        absent, outdated, owners,
        status::IntegrationStatus,
        unreadable,
        worker::{Handle, Shared, Worker},
    },
    pass::report,
};
use crate::{
    api::{ProvisioningIntegration, key::IntegrationKey},
    cluster::{
        lenient::Unreadable,
        watch::{self, Seen, WatchScope},
    },
};

/// How long the first worker waits for the lists of other namespaces. With these lists it knows
/// which integrations existed before its own.
const ACQUAINTED_WITHIN: Duration = Duration::from_secs(5);
/// The wait before an ended worker is started again. It doubles each time, up to `LONGEST`.
const AGAIN: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// How often integrations are looked for that objects name and that do not exist.
const LOOK: Duration = Duration::from_secs(1);

struct Running {
    handle: Handle,
    task: AbortHandle,
    /// The wait before the next worker starts if this one ends.
    wait: Duration,
}

/// Runs until the process stops: it watches and dispatches. At the end it waits until every worker
/// has finished what it began.
pub async fn supervise(shared: Shared, namespaces: Vec<String>) {
    let scopes = watch::scopes(namespaces);
    let (sender, mut seen) = mpsc::channel(256);
    let (client, roster) = (shared.client().clone(), shared.roster.clone());
    // The set is dropped with this task, and the watch ends with it.
    let mut watching = JoinSet::new();
    watching.spawn(watch::watch(
        client,
        scopes.clone(),
        roster,
        sender,
        shared.crds.clone(),
        shared.parts.clone(),
        shared.stopping.clone(),
    ));
    let pins = shared.clone();
    watching.spawn(async move {
        let (parts, stopping) = (pins.parts.clone(), pins.stopping.clone());
        parts.keep("pins", None, stopping, |beat| owners::loosen(pins.clone(), beat)).await;
    });
    let old = shared.clone();
    let everywhere = scopes.clone();
    watching.spawn(async move {
        let (parts, stopping) = (old.parts.clone(), old.stopping.clone());
        let tell = |beat| outdated::tell(old.clone(), everywhere.clone(), beat);
        parts.keep("objects under older CRDs", None, stopping, tell).await;
    });
    let (absent, known) = tokio::sync::watch::channel(HashSet::new());
    let without = shared.clone();
    watching.spawn(async move {
        let (parts, stopping) = (without.parts.clone(), without.stopping.clone());
        let tell = |beat| absent::tell(without.clone(), known.clone(), beat);
        parts.keep("objects without an integration", None, stopping, tell).await;
    });
    let mut look = tokio::time::interval(LOOK);
    let mut crds = shared.crds.news();
    let mut stopping = shared.stopping.clone();
    let beat = shared.parts.beat("supervisor", None);
    let mut supervisor = Supervisor {
        shared,
        lists: Lists::of(scopes),
        held: HashMap::new(),
        workers: HashMap::new(),
        unreadable: HashMap::new(),
        resumed: HashSet::new(),
        tasks: JoinSet::new(),
        keys: HashMap::new(),
    };
    loop {
        let (parts, acquainted) =
            (supervisor.shared.parts.clone(), supervisor.lists.acquainted_at());
        let next = tokio::select! {
            next = beat.during(seen.recv()) => match next {
                Some(next) => Some(next),
                None => break,
            },
            Some(ended) = supervisor.tasks.join_next_with_id() => {
                supervisor.begin_again(ended);
                None
            }
            () = parts.news() => {
                supervisor.tell_parts();
                None
            }
            // The supervisor holds the sender.
            _ = crds.changed() => {
                if crds.borrow_and_update().is_some() {
                    supervisor.stop_all();
                }
                None
            }
            () = async {
                match acquainted {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            } => {
                supervisor.lists.acquainted = true;
                None
            }
            _ = look.tick() => {
                let now = supervisor.absent();
                absent.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
                continue;
            }
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        if let Some(next) = next {
            supervisor.see(next);
        }
        supervisor.begin();
    }
    watching.abort_all();
    drop(beat);
    // A worker ends after the writes that it began. The process limits how long that may take.
    while supervisor.tasks.join_next().await.is_some() {}
}

/// The lists that have arrived. A namespace that is listed again affects only itself.
struct Lists {
    scopes: Vec<WatchScope>,
    integrations: HashSet<WatchScope>,
    people: HashSet<WatchScope>,
    failed: HashSet<WatchScope>,
    began: Instant,
    /// Whether every scope has listed its integrations, or the time to wait for it has passed.
    acquainted: bool,
}

impl Lists {
    fn of(scopes: Vec<WatchScope>) -> Self {
        Self {
            scopes,
            integrations: HashSet::new(),
            people: HashSet::new(),
            failed: HashSet::new(),
            began: Instant::now(),
            acquainted: false,
        }
    }

    /// Returns when the wait for the other namespaces ends.
    fn acquainted_at(&self) -> Option<Instant> {
        (!self.acquainted).then(|| self.began + ACQUAINTED_WITHIN)
    }

    /// Returns whether workers of this namespace may begin. A pass that does not know the employees
    /// would take all of them for new, and would write accounts of employees who are pinned.
    fn may_begin(&self, namespace: &str) -> bool {
        let has = |scope: &WatchScope| scope.as_deref().is_none_or(|scope| scope == namespace);
        let known = self.acquainted
            || self
                .scopes
                .iter()
                .all(|scope| self.integrations.contains(scope) || self.failed.contains(scope));
        known && self.people.iter().any(has) && self.integrations.iter().any(has)
    }

    /// Forgets which lists have arrived: each is needed again.
    fn forget(&mut self) {
        self.integrations.clear();
        self.people.clear();
        self.failed.clear();
    }

    /// Returns the scopes for which a list is missing.
    fn missing(&self) -> HashSet<WatchScope> {
        let there =
            |scope: &WatchScope| self.integrations.contains(scope) && self.people.contains(scope);
        self.scopes.iter().filter(|scope| !there(scope)).cloned().collect()
    }
}

struct Supervisor {
    shared: Shared,
    lists: Lists,
    /// Integrations that may not begin yet.
    held: HashMap<IntegrationKey, Box<ProvisioningIntegration>>,
    workers: HashMap<IntegrationKey, Running>,
    /// Integrations that cannot be read, each with its uid and the task that reports it in the
    /// status.
    unreadable: HashMap<IntegrationKey, (Option<String>, JoinSet<()>)>,
    /// Integrations that could not be read for a time. What is known of their employees is still
    /// true.
    resumed: HashSet<IntegrationKey>,
    tasks: JoinSet<()>,
    /// The integration of each worker's task.
    keys: HashMap<Id, IntegrationKey>,
}

impl Supervisor {
    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Integration(object) => {
                let Some(key) = watch::key(&object) else { return };
                if self.unreadable.remove(&key).is_some_and(|(uid, _)| uid == object.metadata.uid) {
                    self.resumed.insert(key.clone());
                }
                // This comes before any worker begins, so that the first one knows which
                // integrations existed before it.
                self.shared.tenants.see(&key, &object, &self.shared.granted.endpoints);
                if self.workers.contains_key(&key) {
                    self.apply(key, *object);
                } else {
                    self.held.insert(key, object);
                }
            }
            Seen::Unreadable(key, object) => self.cannot_read(key, *object),
            Seen::IntegrationGone(key) => self.forget(&key),
            Seen::Integrations(scope, listed) => {
                let within = |key: &&IntegrationKey| {
                    scope.as_deref().is_none_or(|scope| *scope == *key.namespace)
                };
                let known =
                    self.workers.keys().chain(self.held.keys()).chain(self.unreadable.keys());
                let gone: Vec<_> =
                    known.filter(within).filter(|key| !listed.contains(key)).cloned().collect();
                gone.iter().for_each(|key| self.forget(key));
                self.lists.integrations.insert(scope);
            }
            // While another process leads, that process handles the changes. A process that begins
            // to lead looks at all employees.
            Seen::Person(..) | Seen::People(_) if !self.shared.leadership.is_leader() => {}
            Seen::Person(key, employee) => {
                if let Some(running) = self.workers.get(&key) {
                    running.handle.wake(&employee);
                }
            }
            Seen::People(key) => {
                if let Some(running) = self.workers.get(&key) {
                    running.handle.wake_everybody();
                }
            }
            Seen::PeopleListed(scope) => {
                self.lists.people.insert(scope);
            }
            Seen::ListFailed(scope) => {
                self.lists.failed.insert(scope);
                self.say_unlisted();
            }
        }
    }

    /// Returns the integrations that objects name and that do not exist.
    fn absent(&self) -> HashSet<IntegrationKey> {
        let exists = |key: &IntegrationKey| {
            self.workers.contains_key(key)
                || self.held.contains_key(key)
                || self.unreadable.contains_key(key)
        };
        let named = self.shared.roster.integrations().into_iter();
        named.filter(|key| self.lists.may_begin(&key.namespace) && !exists(key)).collect()
    }

    /// Begins with every integration that may begin.
    fn begin(&mut self) {
        if self.shared.crds.are_older() {
            // What was listed before the watches noticed it may lack settings.
            self.shared.inbox.unlisted(self.lists.missing(), self.stopped());
            return;
        }
        let may: Vec<_> =
            self.held.keys().filter(|key| self.lists.may_begin(&key.namespace)).cloned().collect();
        for key in may {
            if let Some(object) = self.held.remove(&key) {
                self.apply(key, *object);
            }
        }
        let missing = self.lists.missing();
        if missing.len() < self.lists.scopes.len() {
            self.shared.parts.health().ready();
        }
        self.shared.inbox.unlisted(missing, self.stopped());
    }

    fn stopped(&self) -> HashSet<IntegrationKey> {
        self.unreadable.keys().cloned().collect()
    }

    /// Ends the work on every integration, because the CRDs lack a field. Each begins again when it
    /// and its employees are listed again. What is known of them is still true.
    fn stop_all(&mut self) {
        self.held.clear();
        let running = self.workers.iter().map(|(key, running)| (key.clone(), running.handle.uid()));
        let running: Vec<_> = running.collect();
        for (key, uid) in running {
            self.stop(&key);
            self.unreadable.insert(key, (uid, JoinSet::new()));
        }
        // What the others say, they say again when they can be read as a whole.
        self.unreadable.values_mut().for_each(|(_, telling)| *telling = JoinSet::new());
        self.lists.forget();
    }

    fn apply(&mut self, key: IntegrationKey, object: ProvisioningIntegration) {
        if self.workers.get(&key).is_some_and(|running| running.handle.uid() != object.metadata.uid)
        {
            // The object was deleted and made again between two events. Nothing that is known of
            // the old one is kept.
            self.forget(&key);
            self.shared.tenants.see(&key, &object, &self.shared.granted.endpoints);
        }
        let handle = match self.workers.get(&key) {
            Some(running) => {
                running.handle.see(object);
                running.handle.clone()
            }
            None => {
                let employees = self.shared.roster.come(&key);
                if !self.resumed.remove(&key) {
                    employees.forget_lost();
                }
                let (worker, handle) = Worker::new(employees, object, self.shared.clone());
                let task = self.tasks.spawn(worker.run());
                self.keys.insert(task.id(), key.clone());
                self.workers
                    .insert(key.clone(), Running { handle: handle.clone(), task, wait: AGAIN });
                handle
            }
        };
        let shared = self.shared.clone();
        tokio::spawn(async move { handle.mark_progressing(&shared, &key).await });
    }

    /// Handles the end of a worker's task. If its integration still exists, another worker takes
    /// its place.
    fn begin_again(&mut self, ended: Result<(Id, ()), JoinError>) {
        if *self.shared.stopping.borrow() {
            // The worker ended because the process stops.
            return;
        }
        let (id, panicked) = match ended {
            Ok((id, ())) => (id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some(key) = self.keys.remove(&id) else { return };
        let Some(running) = self.workers.get_mut(&key).filter(|running| running.task.id() == id)
        else {
            return;
        };
        self.shared.parts.ended("passes", Some(&key), panicked);
        self.shared.roster.of(&key).settle();
        let (handle, shared, wait) = (running.handle.clone(), self.shared.clone(), running.wait);
        running.wait = (wait * 2).min(LONGEST);
        running.task = self.tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            Box::pin(Worker::again(&handle, shared).await.run()).await;
        });
        self.keys.insert(running.task.id(), key);
    }

    /// Ends the work on an integration that cannot be read, and makes its status say so. Bob is
    /// asked to send its deliveries again, and it keeps its claim on its tenant.
    fn cannot_read(&mut self, key: IntegrationKey, object: Unreadable) {
        self.held.remove(&key);
        self.stop(&key);
        let (uid, mut telling) = (object.metadata.uid.clone(), JoinSet::new());
        telling.spawn(unreadable::tell(self.shared.clone(), key.clone(), object));
        self.unreadable.insert(key, (uid, telling));
    }

    /// Ends the worker of an integration that still exists.
    fn stop(&mut self, key: &IntegrationKey) {
        self.shared.tenants.idle(key, true);
        if let Some(running) = self.workers.remove(key) {
            running.task.abort();
            self.shared.parts.forget(key);
            self.shared.inbox.close(key);
        }
        self.shared.roster.come(key).settle();
    }

    fn forget(&mut self, key: &IntegrationKey) {
        self.held.remove(key);
        self.unreadable.remove(key);
        self.resumed.remove(key);
        self.shared.tenants.forget(key);
        if let Some(running) = self.workers.remove(key) {
            running.task.abort();
            self.shared.metrics.forget(key);
            self.shared.parts.forget(key);
            self.shared.inbox.close(key);
        }
        self.shared.roster.leave(key);
    }

    /// Makes every integration write what has to be said next to its passes.
    fn tell_parts(&self) {
        for (key, running) in &self.workers {
            let (handle, shared, key) = (running.handle.clone(), self.shared.clone(), key.clone());
            tokio::spawn(async move { handle.tell_parts(&shared, &key).await });
        }
    }

    /// Reports why integrations do not begin that are known, but have no list of employees yet.
    fn say_unlisted(&self) {
        for (key, object) in
            self.held.iter().filter(|(key, _)| !self.lists.may_begin(&key.namespace))
        {
            let Some((_, message)) = self.shared.parts.said(key) else { continue };
            let (shared, key, mut said) =
                (self.shared.clone(), key.clone(), IntegrationStatus::of(object));
            let generation = object.metadata.generation.unwrap_or(0);
            tokio::spawn(async move {
                let unlisted = |before: &_| {
                    Some(report::unlisted(before, generation, message.clone(), shared.clock.now()))
                };
                if shared.leadership.is_leader() {
                    said.write(&shared.writer(&key), &key, generation, unlisted).await;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a scope is one namespace, or all of them")]
    fn scope(name: &str) -> WatchScope {
        Some(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_begins_when_it_is_listed_itself_and_not_when_another_one_is_listed_twice()
    {
        let mut lists = Lists::of(vec![scope("a"), scope("b")]);
        for _ in 0..2 {
            lists.integrations.insert(scope("a"));
            lists.people.insert(scope("a"));
        }
        lists.integrations.insert(scope("b"));
        assert!(
            lists.may_begin("a") && !lists.may_begin("b"),
            "it is not known which employees are pinned in b"
        );
        assert_eq!(lists.missing(), HashSet::from([scope("b")]));
        lists.people.insert(scope("b"));
        assert!(lists.may_begin("b") && lists.missing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_waits_for_another_one_until_that_has_failed_or_had_its_time() {
        let mut lists = Lists::of(vec![scope("a"), scope("b")]);
        lists.integrations.insert(scope("a"));
        lists.people.insert(scope("a"));
        assert!(!lists.may_begin("a"), "an integration of b may have been there before");
        lists.failed.insert(scope("b"));
        assert!(lists.may_begin("a") && !lists.may_begin("b"));
        lists.failed.clear();
        assert_eq!(lists.acquainted_at(), Some(lists.began + ACQUAINTED_WITHIN));
        lists.acquainted = true;
        assert!(lists.may_begin("a") && lists.acquainted_at().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_list_of_all_namespaces_counts_for_each() {
        let mut lists = Lists::of(vec![None]);
        lists.integrations.insert(None);
        assert!(!lists.may_begin("a"));
        lists.people.insert(None);
        assert!(lists.may_begin("a") && lists.may_begin("b"));
    }
}
