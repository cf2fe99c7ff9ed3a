//! The stage of a row: a company at rest, a fault, and then a leaver, a mover, a joiner, an event
//! and an immediate revocation. The steps have this order: [`Stage::people_move`],
//! [`Stage::goes_as_the_row_says`], [`Looked::ends`].

use std::time::{Duration, Instant};

use bobsync::api::conditions;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulators::bob::webhooks::{event, send};
use testbed::Proxy;

use super::table::{Ends, Goes, Row, Sign, Then};
use crate::{
    attempts::SECRET,
    budgets::{leave, staff},
    providers::{Provider, tenant::Account},
    support::{Moving, Story, condition, until},
};

const REVOKED: &str = "employee.access.revoked.immediately";
/// What the mover's title becomes.
pub const TITLE: &str = "Keeper of Lamps";
/// What another attribute of the one concerned becomes.
pub const DEPARTMENT: &str = "Beacons";
/// How long the trouble lasts at least if something waits.
const WINDOW: SignedDuration = SignedDuration::from_secs(150);
const STEP: SignedDuration = SignedDuration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(150);
/// How long work under way may take after the clock has been moved: less than the interval, and
/// longer than two refused writes of a status with their tries, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// Tries for one employee are an interval apart, in real time.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

/// The expected state of the employee that the row concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The new title.
    Title,
    /// The new department.
    Department,
    /// A closed account.
    Closed,
    /// An open account.
    Open,
}

/// Extras of a stage.
#[derive(Default)]
pub struct Extras {
    /// Values that are merged into the usual spec.
    pub spec: Value,
    /// How many employees there are next to those who move.
    pub fillers: usize,
    /// Whether a proxy is between the controller and the API server.
    pub proxied: bool,
}

pub struct Stage {
    pub story: Story,
    pub tenant: Provider,
    /// Employees at work. The leaver, the announced leaver, the revoked one and the mover come
    /// first; the rest is free.
    pub people: Vec<String>,
    proxy: Option<Proxy>,
    row: Row,
    controller: Option<Moving>,
    shown: (Timestamp, Instant),
    joiner: String,
    concerned: Option<(String, Wanted)>,
    /// Events that Bob has to send again.
    unheard: Vec<(&'static str, String)>,
    first_answers: Vec<Option<u16>>,
}

/// A stage that was checked against the row.
pub struct Looked(Stage);

/// A row that was played to its end.
pub struct Done(());

impl Stage {
    /// Starts a company at rest.
    pub async fn set(row: Row, tenant: Provider) -> Self {
        Self::set_with(row, tenant, Extras::default()).await
    }

    /// Starts a company at rest, with extras.
    pub async fn set_with(row: Row, tenant: Provider, extras: Extras) -> Self {
        let story = Story::begin("map", 0).await;
        story.secret("hook", &[("webhookSecret", SECRET)]).await;
        let people = staff(&story, 8 + extras.fillers).await;
        let mut spec = json!({"interval": "1m", "bob": {"webhookSecretRef": {"name": "hook", "key": "webhookSecret"}}});
        spec["provider"] = tenant.prepare(&story).await;
        for (key, value) in extras.spec.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        spec["mode"] = "Enforce".into();
        let proxy =
            if extras.proxied { Some(story.plane.proxy().await.expect("a proxy")) } else { None };
        let shown = (Timestamp::now(), Instant::now());
        let (joiner, concerned, unheard, first_answers) =
            (String::new(), None, Vec::new(), Vec::new());
        let mut stage = Self {
            story,
            tenant,
            people,
            proxy,
            row,
            controller: None,
            shown,
            joiner,
            concerned,
            unheard,
            first_answers,
        };
        stage.start().await;
        stage.story.integrate(spec).await;
        stage.story.ready("Converged").await;
        stage
    }

    /// Returns the proxy in front of the API server.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a proxy")
    }

    /// Applies the spec of the stage with `more`, and waits until the integration has this reason.
    pub async fn respec_until(&self, more: Value, reason: &str) {
        self.respec(more).await;
        self.story.ready(reason).await;
    }

    /// Applies the spec of the stage with `more`.
    pub async fn respec(&self, more: Value) {
        let patch = kube::api::Patch::Merge(json!({"spec": more}));
        self.story
            .integrations()
            .patch("onelogin", &kube::api::PatchParams::default(), &patch)
            .await
            .expect("admitted");
    }

    /// Starts the controller.
    pub async fn start(&mut self) {
        let now = self.now().to_string();
        self.controller = Some(match &self.proxy {
            Some(proxy) => Moving::behind(&self.story, proxy, &now).await,
            None => Moving::start(&self.story, &now).await,
        });
        // The process accepts an event about no employee once it accepts events.
        until("events are taken", || async {
            let answer = self.push("company.renamed", "1").await;
            if answer.is_some_and(|status| status != 503) {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        })
        .await;
    }

    /// Stops the controller.
    pub async fn stop(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.stop().await;
        }
    }

    /// Returns the time that the controller sees.
    pub fn now(&self) -> Timestamp {
        self.shown.0 + SignedDuration::try_from(self.shown.1.elapsed()).expect("a short time")
    }

    /// Sets a fault of the provider.
    pub async fn fault(&self, fault: Value) {
        self.story.simulated.post(&format!("/{}/faults", self.tenant.name()), fault).await;
    }

    /// Ends the provider's faults.
    pub async fn mended(&self) {
        self.story.simulated.delete(&format!("/{}/faults", self.tenant.name())).await;
    }

    /// Returns the account that bears this employee's mark.
    pub async fn account(&self, employee: &str) -> Option<Account> {
        self.tenant
            .accounts(&self.story)
            .await
            .into_iter()
            .find(|account| account.employee == employee)
    }

    /// Returns the path of this employee's account.
    pub async fn path(&self, employee: &str) -> String {
        format!("{}/{}", self.tenant.users(), self.account(employee).await.expect("an account").id)
    }

    /// Notes that the row concerns this employee as well, and the expected state.
    pub fn concerns(&mut self, employee: &str, wanted: Wanted) {
        self.concerned = Some((employee.to_owned(), wanted));
    }

    /// Changes five employees: one leaves, one leaves and Bob reports it, one is revoked at once,
    /// one moves, one is new.
    pub async fn people_move(&mut self) {
        leave(&self.story, &self.people[..2]).await;
        self.story.simulated.change(&self.people[3], json!({"work.title": TITLE})).await;
        self.joiner = self.story.simulated.hire(starter("joiner@example.com")).await;
        for (kind, id) in
            [("employee.left", self.people[1].clone()), (REVOKED, self.people[2].clone())]
        {
            let answer = self.push(kind, &id).await;
            self.first_answers.push(answer);
            if answer != Some(200) {
                self.unheard.push((kind, id));
            }
        }
    }

    async fn push(&self, kind: &str, id: &str) -> Option<u16> {
        let controller = self.controller.as_ref()?;
        let body = event(kind, &json!({"employeeId": id}), self.now()).to_string();
        send(&controller.webhooks, Some(SECRET), body.into_bytes()).await
    }

    /// Moves the clock, and lets Bob send again the events that were not accepted.
    pub async fn pass(&mut self, time: SignedDuration) {
        self.shown = (self.now() + time, Instant::now());
        match &self.controller {
            Some(controller) => controller.to(&self.story, &self.shown.0.to_string()).await,
            None => drop(
                self.story.simulated.put("/clock", json!({"now": self.shown.0.to_string()})).await,
            ),
        }
        tokio::time::sleep(PAUSE).await;
        self.send_again().await;
    }

    /// Lets Bob send again the events that were not accepted.
    async fn send_again(&mut self) {
        for (kind, id) in std::mem::take(&mut self.unheard) {
            if self.push(kind, &id).await != Some(200) {
                self.unheard.push((kind, id));
            }
        }
    }

    /// Moves time until this employee has an account.
    pub async fn pass_until_account(&mut self, employee: &str) {
        for _ in 0..60 {
            if self.account(employee).await.is_some() {
                return;
            }
            self.pass(STEP).await;
        }
        self.fail("before it", &[format!("{employee} has no account")]).await;
    }

    /// Moves time until the integration has this reason.
    pub async fn pass_until_the_integration_is(&mut self, reason: &str) {
        for _ in 0..60 {
            if self.said("integration", "Ready").await.1 == reason {
                return;
            }
            self.pass(STEP).await;
        }
        self.fail("before it", &[format!("the integration is not {reason}")]).await;
    }

    /// Returns for each employee whether the expected state is reached.
    async fn look(&self) -> Vec<(&'static str, Goes, bool)> {
        let accounts = self.tenant.accounts(&self.story).await;
        let of = |employee: &str| accounts.iter().find(|account| account.employee == employee);
        let is = |employee: &str, wanted: Wanted| match wanted {
            Wanted::Title => of(employee).is_some_and(|account| account.title == TITLE),
            Wanted::Department => {
                of(employee).is_some_and(|account| account.department == DEPARTMENT)
            }
            Wanted::Closed => of(employee).is_none_or(|account| !account.open),
            Wanted::Open => of(employee).is_some_and(|account| account.open),
        };
        let mut looked = vec![
            ("suspension", self.row.suspensions, is(&self.people[0], Wanted::Closed)),
            ("immediate revocation", self.row.revocations, is(&self.people[2], Wanted::Closed)),
            ("event", self.row.events, is(&self.people[1], Wanted::Closed)),
            ("other change", self.row.changes, is(&self.people[3], Wanted::Title)),
            ("create", self.row.creates, is(&self.joiner, Wanted::Open)),
        ];
        if let Some((employee, wanted)) = &self.concerned {
            looked.push(("the one concerned", Goes::Waits, is(employee, *wanted)));
        }
        looked
    }

    /// Returns status and reason of a condition.
    async fn said(&self, of: &str, kind: &str) -> (String, String) {
        let concerned = self.concerned.as_ref().map_or("", |(employee, _)| employee);
        let employee = match of {
            "integration" => {
                let conditions =
                    self.story.integration().await.status.unwrap_or_default().conditions;
                return conditions::find(&conditions, kind)
                    .map(|c| (c.status.clone(), c.reason.clone()))
                    .unwrap_or_default();
            }
            "leaver" => &self.people[0],
            "announced" => &self.people[1],
            "revoked" => &self.people[2],
            "mover" => &self.people[3],
            "joiner" => &self.joiner,
            "the one concerned" => concerned,
            other => panic!("who is {other}?"),
        };
        let person = self.story.person(employee).await;
        person
            .and_then(|person| condition(&person, kind))
            .map(|(status, reason, _)| (status, reason))
            .unwrap_or_default()
    }

    /// Returns the signs of the row that are missing.
    async fn unseen(&self) -> Vec<String> {
        let mut unseen = Vec::new();
        for Sign { of, kind, status, reason } in &self.row.signs {
            let said = self.said(of, kind).await;
            if said != (status.clone(), reason.clone()) {
                unseen.push(format!("{of} {kind} is {said:?} and not {status} {reason}"));
            }
        }
        unseen
    }

    /// Returns what differs from the row.
    async fn deviations(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (what, goes, done) in self.look().await {
            if done != (goes == Goes::Yes) {
                found.push(format!(
                    "{what}: the row says {goes:?}, and it is {}done",
                    if done { "" } else { "not " }
                ));
            }
        }
        found.extend(self.unseen().await);
        let refused = self.first_answers.iter().any(|answer| *answer != Some(200));
        if refused != self.row.sent_again {
            found.push(format!("the events were answered {:?}", self.first_answers));
        }
        found
    }

    /// Moves time while the trouble lasts, and compares what happens with the row.
    pub async fn goes_as_the_row_says(mut self) -> Looked {
        assert_eq!(
            self.concerned.is_some(),
            self.row.concerns_one,
            "{}: an employee of its own",
            self.row.id
        );
        let over = self.now() + WINDOW;
        while self.now() < over {
            self.pass(STEP).await;
            if self.row.stops_nothing() && self.deviations().await.is_empty() {
                return Looked(self);
            }
        }
        // Where nothing waits, nothing happens too early either. Writes that are refused with all
        // their tries follow each other for the employees of several passes.
        let patience = if self.row.stops_nothing() { LONG_PATIENCE } else { PATIENCE };
        let began = Instant::now();
        loop {
            let found = self.deviations().await;
            if found.is_empty() {
                return Looked(self);
            }
            if began.elapsed() > patience {
                self.fail("while it lasts", &found).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns what is not at rest.
    async fn unrest(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .look()
            .await
            .into_iter()
            .filter(|(_, _, done)| !done)
            .map(|(what, ..)| format!("{what} is not done"))
            .collect();
        let mut parts = vec!["leaver", "announced", "revoked", "mover", "joiner"];
        parts.extend(self.concerned.as_ref().map(|_| "the one concerned"));
        for of in parts {
            let (status, reason) = self.said(of, "Ready").await;
            if status != "True" {
                found.push(format!("{of} is {reason}"));
            }
        }
        if !self.unheard.is_empty() {
            found.push(format!("Bob still sends {:?}", self.unheard));
        }
        let (_, reason) = self.said("integration", "Ready").await;
        if reason != "Converged" {
            found.push(format!("the integration is {reason}"));
        }
        found
    }

    async fn fail(&self, when: &str, found: &[String]) -> ! {
        let conditions = self.story.integration().await.status.unwrap_or_default().conditions;
        let mut told: Vec<String> = conditions
            .iter()
            .map(|c| format!("integration {} {} {}: {}", c.type_, c.status, c.reason, c.message))
            .collect();
        for of in ["leaver", "announced", "revoked", "mover", "joiner", "the one concerned"] {
            told.push(format!(
                "{of} {:?} {:?}",
                self.said(of, "Ready").await,
                self.said(of, "AccessSynced").await
            ));
        }
        panic!(
            "{} {when}:\n  {}\nwhat is there:\n  {:?}\n  {}",
            self.row.id,
            found.join("\n  "),
            self.look().await,
            told.join("\n  ")
        );
    }
}

impl Looked {
    /// Returns the stage, to end the trouble.
    pub fn stage(&mut self) -> &mut Stage {
        &mut self.0
    }

    /// Checks that the trouble ends like this: everything comes to rest in the time of the row,
    /// without a request.
    pub async fn ends(self, how: Ends) -> Done {
        let mut stage = self.0;
        assert_eq!(stage.row.ends, how, "{}", stage.row.id);
        let most = match stage.row.then {
            Then::AtOnce => SignedDuration::from_secs(10),
            Then::Interval => SignedDuration::from_secs(60),
            Then::FifteenMinutes => SignedDuration::from_mins(15),
            Then::Hour => SignedDuration::from_hours(1),
        };
        let (step, over) = (STEP.max(most / 30), stage.now() + most);
        while stage.now() < over && !stage.unrest().await.is_empty() {
            stage.pass(step).await;
        }
        let patience = if stage.row.then == Then::AtOnce { PATIENCE } else { LONG_PATIENCE };
        let began = Instant::now();
        loop {
            let found = stage.unrest().await;
            if found.is_empty() {
                break;
            }
            if began.elapsed() > patience {
                stage.fail("after its end", &found).await;
            }
            tokio::time::sleep(PAUSE).await;
            stage.send_again().await;
        }
        stage.stop().await;
        Done(())
    }
}

/// Returns a new employee at work.
pub fn starter(email: &str) -> Value {
    json!({
        "root.email": email, "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active",
        "internal.terminationDate": null, "employee.lastDayOfWork": null,
    })
}
