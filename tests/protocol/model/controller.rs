//! Runs one pass of a controller with the engine's own code up to where it waits for an answer. A
//! future cannot be copied, but it can be run again: a pass is a function of what it read and of
//! the answers it got, in their order.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, atomic::AtomicU64},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bobsync::{
    api::{
        EmployeeSync, EmployeeSyncSpec, EmployeeSyncStatus, employee_sync as api,
        employee_sync::{AccountRef, Evidence, EvidenceKind, IntegrationRef, MatchedBy, Trigger},
        key::IntegrationKey,
    },
    cluster::{
        connect::{install_crypto, with_settings},
        events::Events,
        leadership::Leadership,
        roster::Roster,
        status::Writer,
    },
    domain::{
        account::{Account as Listed, AccountWrite},
        employee::{Cell, Employee, Values},
        lost::Moment,
        mapping::Mapping,
        matching::Matcher,
        plan::plan,
        priority::Urgency,
    },
    engine::{
        clock::Clock,
        intake::{claims::Claims, lines::Causes},
        pass::{
            Scope,
            context::{Begins, Cluster, Integration, Past, Request},
            decide::{self, Deciding},
            execute::{Execution, Pace, execute},
            guard::{Approvals, Guarding, OtherPasses, PassSort, release},
            observe,
            outcome::Outcome,
            record::{ApprovedParts, Basis, Recorder},
        },
        settings::{
            endpoints::AllowedEndpoints,
            validate::{Validated, validate},
        },
    },
    provider::{Error, Initial, Key, Listing, Provider as Target, Written},
    telemetry::metrics::Metrics,
};
use futures::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;

use super::{
    provider::{Answer, By, Call, Provider, Write},
    scenarios::File,
};

/// What an `EmployeeSync` keeps, as far as a later pass looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    account: Option<(String, MatchedBy)>,
    access: Option<api::Access>,
    file_deleted: bool,
}

/// What a pass has read, and the answers it got.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heard {
    /// Bob, by index.
    pub bob: Vec<Option<File>>,
    /// The statuses, by index.
    pub objects: Vec<Option<Object>>,
    /// The provider's listing, once it is read.
    pub listing: Option<Provider>,
    /// Answers in their order: the number of the call, and the answer.
    pub answers: Vec<(usize, Answer)>,
    /// Whether and when the lease was lost.
    pub lost: Option<Lost>,
}

/// When a lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// Before the listing was there.
    BeforeListing,
    /// After this many answers.
    After(usize),
}

/// What a pass does with it.
#[derive(Debug, Default)]
pub struct Doing {
    /// Calls that wait for an answer: their numbers, and the requests.
    pub waiting: Vec<(usize, Call)>,
    /// Statuses to write, in their order: the employee's index.
    pub statuses: Vec<(usize, Object)>,
    /// Whether every change was reported.
    pub finished: bool,
    /// Writes that began after the lease was lost.
    pub begun_late: usize,
}

/// What the engine needs around a pass and never calls here.
struct Surroundings {
    runtime: tokio::runtime::Runtime,
    writer: Writer,
    events: Events,
    metrics: Arc<Metrics>,
    clock: Clock,
    validated: Validated,
    key: IntegrationKey,
}

fn surroundings() -> &'static Surroundings {
    static THESE: OnceLock<Surroundings> = OnceLock::new();
    THESE.get_or_init(|| {
        install_crypto();
        let spec = serde_json::from_value(json!({
            "mode": "Enforce",
            "bob": {"credentialsSecretRef": {"name": "bob"}},
            "provider": {"oneLogin": {"region": "EU", "credentialsSecretRef": {"name": "onelogin"}}},
            "mapping": [
                {"target": "email", "field": "root.email"},
                {"target": "username", "field": "root.email"},
                {"target": "title", "field": "work.title"},
                {"target": "manager_user_id", "field": "work.manager"},
            ],
        }));
        let validated = validate(&spec.expect("a spec"), &AllowedEndpoints::default()).expect("valid settings");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let inside = runtime.enter();
        // There is no listener and no caller.
        let client = with_settings(kube::Config::new("http://127.0.0.1:1".parse().expect("an address"))).expect("a client");
        let (writer, events) = (Writer::new(&client, "people", &Leadership::always()), Events::start(client, Leadership::always()));
        drop(inside);
        let key = IntegrationKey { namespace: "people".into(), name: "onelogin".into() };
        Surroundings { runtime, writer, events, metrics: Arc::new(Metrics::new()), clock: Clock::system(), validated, key }
    })
}

/// Returns the `root.id` of the employee at this index.
pub fn id_of(place: usize) -> String {
    (place + 1).to_string()
}

/// Runs a pass as far as possible.
pub fn run(heard: &Heard) -> Doing {
    let around = surroundings();
    let _inside = around.runtime.enter();
    let settings = &around.validated.settings;
    let roster = Roster::default();
    for (place, object) in heard.objects.iter().enumerate() {
        if let Some(object) = object {
            let _ = roster.see(&object.employee_sync(&id_of(place)));
        }
    }
    let now = Timestamp::from_second(1_780_000_000).expect("a time");
    let known = roster.of(&around.key);
    let integration =
        Integration { roster: &known, uid: "uid", validated: &around.validated, others: &[] };
    let deciding = Deciding {
        integration,
        past: Past::default(),
        ends_sessions: false,
        change_at_first_login: false,
        now,
    };
    let (employees, deleted_now) = employees(heard, &settings.mapping);
    let people = decide::all(&deciding, employees);
    let Some(listed) = &heard.listing else { return Doing::default() };
    let leadership = Leadership::always();
    let desk = Desk { listed, calls: Mutex::default() };
    let mut matcher = Matcher::new(&settings.mapping, &people, settings.adopt);
    let listing = observe::full::accounts(&desk, &settings.mapping, &mut matcher, &|| ())
        .now_or_never()
        .expect("at once")
        .expect("a listing");
    let mut planned = plan(matcher, listing.whole);
    let requests = HashMap::new();
    let guarding = Guarding {
        roster: integration.roster,
        validated: integration.validated,
        requests: &requests,
        begins: Begins::default(),
        approvals: Approvals { approved_digest: None, last: None, released_before: "uid" },
        others: OtherPasses { lost: &Mutex::default(), ledger: &Mutex::default(), pass: 1 },
        sort: PassSort::default(),
        moment: Moment { now, interval: 600, apart: Duration::from_mins(5), asked: false },
    };
    let released = release(&guarding, &mut planned, &listing);
    let told: Mutex<Vec<(u32, Option<Outcome>)>> = Mutex::default();
    told.lock().extend(
        (0..)
            .zip(&planned.plan.standings)
            .filter(|(_, standing)| standing.change.is_none())
            .map(|(who, _)| (who, None)),
    );
    let claims = Claims::default();
    let handle = claims.begin_full();
    let turns = AtomicU64::new(0);
    let execution = Execution {
        provider: &desk,
        initial: Ok(Initial::default()),
        planned: &planned,
        unavailable: &listing.unavailable,
        released: &released,
        adopt: settings.adopt,
        protected: &settings.protected,
        pace: Pace {
            // The model says what happens meanwhile.
            pause: &|_| Box::pin(std::future::ready(())),
            ..Pace::unhurried(&handle, &leadership, &turns)
        },
    };
    let mut doing = Doing::default();
    let lose = || leadership.release().now_or_never().expect("nobody is elected here");
    let mut begun_in_time = usize::MAX;
    {
        let mut pass = std::pin::pin!(execute(&execution, |who, outcome, _| told
            .lock()
            .push((who, Some(outcome)))));
        let mut go_on = || pass.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if heard.lost == Some(Lost::BeforeListing) {
            begun_in_time = 0;
            lose();
        }
        doing.finished = go_on();
        for (count, (number, answer)) in heard.answers.iter().enumerate() {
            if heard.lost == Some(Lost::After(count)) {
                begun_in_time = desk.begun();
                lose();
            }
            desk.answer(*number, answer.clone());
            doing.finished = go_on();
        }
    }
    doing.begun_late = desk.begun().saturating_sub(begun_in_time);
    doing.waiting = desk.waiting();
    let recorder = Recorder {
        integration,
        cluster: Cluster {
            writer: &around.writer,
            events: &around.events,
            metrics: &around.metrics,
            clock: &around.clock,
            leadership: &leadership,
        },
        request: Request {
            scope: Scope::Partial { line: Urgency::Normal, unavailable: &[], on_evidence: false },
            trigger: Trigger::Interval,
            causes: &Causes::default(),
            deadline: tokio::time::Instant::now() + Duration::from_hours(1),
        },
        handle: &handle,
        planned: &planned,
        basis: Basis {
            requests: &requests,
            deleted_now: &deleted_now,
            approved: ApprovedParts::default(),
            left_alone: &[],
        },
        owes: false,
        results: Mutex::default(),
    };
    for (who, outcome) in told.into_inner() {
        let id = people[who as usize].employee.id();
        let trouble = recorder.trouble(who, outcome.as_ref());
        let status = integration.roster.with(id, |entry| {
            let verdict = recorder.verdict(who, trouble, outcome.as_ref(), entry);
            let worth = entry.is_some() || verdict.in_scope();
            worth.then(|| {
                verdict.status(
                    &settings.mapping,
                    &EmployeeSyncStatus::default(),
                    bobsync::domain::evidence::Proof::default(),
                    &[],
                    now,
                )
            })
        });
        let place = id.parse::<usize>().expect("a number") - 1;
        let object = status.map(|status| Object::of(&status));
        if let Some(object) = object.filter(|object| heard.objects[place].as_ref() != Some(object))
        {
            doing.statuses.push((place, object));
        }
    }
    doing
}

/// Returns what `engine::observe` makes of Bob: the search, and a read by id of each employee who
/// has a status and is missing from it.
fn employees(heard: &Heard, mapping: &Mapping) -> (Vec<Employee>, HashSet<Box<str>>) {
    let (mut employees, mut deleted_now) = (Vec::new(), HashSet::new());
    for (place, file) in heard.bob.iter().enumerate() {
        let id = id_of(place);
        match (file, &heard.objects[place]) {
            (Some(file), _) => {
                let cells: Vec<Cell<'_>> =
                    mapping.fields.ids().iter().map(|field| file.cell(&id, field)).collect();
                employees.push(
                    Employee::from_values(Values::from_cells(cells.into_iter()))
                        .expect("a row with an id"),
                );
            }
            (None, Some(object)) => {
                if !object.file_deleted {
                    deleted_now.insert(id.as_str().into());
                }
                employees.push(Employee::gone(&id));
            }
            (None, None) => {}
        }
    }
    (employees, deleted_now)
}

impl Object {
    /// The status was written by an earlier pass that created or found the account.
    pub fn of_account(id: &str, active: bool) -> Self {
        let access = if active { api::Access::Active } else { api::Access::Suspended };
        Self {
            account: Some((id.to_owned(), MatchedBy::Created)),
            access: Some(access),
            file_deleted: false,
        }
    }

    fn of(status: &EmployeeSyncStatus) -> Self {
        let only_found = status.conditions.iter().any(|condition| condition.reason == "WouldAdopt");
        Self {
            // An account that was only found by its e-mail is reported, and belongs to no employee.
            account: status
                .account
                .as_ref()
                .filter(|_| !only_found)
                .map(|account| (account.id.clone(), account.matched_by)),
            access: status.access,
            file_deleted: status
                .evidence
                .as_ref()
                .is_some_and(|evidence| evidence.kind == EvidenceKind::FileDeleted),
        }
    }

    fn employee_sync(&self, id: &str) -> EmployeeSync {
        let at = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH);
        let mut object = EmployeeSync::new(
            &format!("onelogin-{id}"),
            EmployeeSyncSpec {
                integration_ref: IntegrationRef { name: "onelogin".to_owned() },
                employee_id: id.to_owned(),
                ..EmployeeSyncSpec::default()
            },
        );
        object.metadata.namespace = Some("people".to_owned());
        object.metadata.resource_version = Some("1".to_owned());
        object.status = Some(EmployeeSyncStatus {
            account: self.account.clone().map(|(id, matched_by)| AccountRef { id, matched_by }),
            access: self.access,
            evidence: self.file_deleted.then_some(Evidence {
                kind: EvidenceKind::FileDeleted,
                observed_at: at,
                start_date: None,
            }),
            ..EmployeeSyncStatus::default()
        });
        object
    }
}

/// Receives the engine's calls, which wait for the explorer's answers.
struct Desk<'a> {
    listed: &'a Provider,
    calls: Mutex<Vec<Slot>>,
}

struct Slot {
    call: Call,
    answer: Option<Answer>,
    taken: bool,
    waker: Option<Waker>,
}

impl Desk<'_> {
    fn ask(&self, call: Call) -> impl Future<Output = Answer> + Send + '_ {
        let number = {
            let mut calls = self.calls.lock();
            calls.push(Slot { call, answer: None, taken: false, waker: None });
            calls.len() - 1
        };
        std::future::poll_fn(move |cx| {
            let slot = &mut self.calls.lock()[number];
            slot.waker = Some(cx.waker().clone());
            match slot.answer.take() {
                Some(answer) => {
                    slot.taken = true;
                    Poll::Ready(answer)
                }
                None => Poll::Pending,
            }
        })
    }

    fn answer(&self, number: usize, answer: Answer) {
        let waker = {
            let mut calls = self.calls.lock();
            let slot = calls.get_mut(number).expect("the same pass makes the same calls");
            slot.answer = Some(answer);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn begun(&self) -> usize {
        self.calls.lock().len()
    }

    fn waiting(&self) -> Vec<(usize, Call)> {
        let calls = self.calls.lock();
        calls
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.taken)
            .map(|(number, slot)| (number, slot.call.clone()))
            .collect()
    }
}

impl Target for Desk<'_> {
    fn list<'a>(
        &'a self,
        mapping: &'a Mapping,
        sink: &'a mut (dyn FnMut(Listed<'_>) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        for (id, account) in self.listed.accounts.iter().enumerate() {
            sink(account.listed(&id.to_string(), mapping));
        }
        let accounts = u32::try_from(self.listed.accounts.len()).expect("a few");
        async move { Ok(Listing { accounts, whole: true, unavailable: Vec::new() }) }.boxed()
    }

    fn find<'a>(
        &'a self,
        mapping: &'a Mapping,
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Listed<'static>>, Error>> {
        let answer = self.ask(Call::Find(By::of(key)));
        async move { Ok(answer.await.found(mapping)) }.boxed()
    }

    fn create<'a>(
        &'a self,
        mapping: &'a Mapping,
        write: &'a AccountWrite,
        _: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let answer = self.ask(Call::Write(Write::of(None, write, mapping)));
        async move {
            Ok(Written { account: answer.await.written(mapping)?, request_id: None, left: None })
        }
        .boxed()
    }

    fn update<'a>(
        &'a self,
        mapping: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        _: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let answer = self.ask(Call::Write(Write::of(Some(id), write, mapping)));
        async move {
            Ok(Written { account: answer.await.written(mapping)?, request_id: None, left: None })
        }
        .boxed()
    }

    fn capabilities(&self) -> &'static bobsync::provider::Capabilities {
        &bobsync::provider::onelogin::CATALOG.capabilities
    }
}
