//! One pass, as a sequence of steps:
//! `observe` → `decide` → (`domain::plan`) → `guard` → `execute` → `record`.
//!
//! A full pass is about all employees, a partial pass about some of them. Both have the same steps
//! (`Pass::steps`).
//!
//! - `answered`: what an answer of Bob says. `last_read`: what earlier reads left behind.
//! - `confirm`: reads by id the employees that an answer of Bob lacks. `shrink`: keeps employees
//!   managed if too many would leave at once. `carry_out`: steps 5 and 6 together.
//! - `outcome`: how a change ended. `verdict`: what the status of one employee says.
//! - `report`: what the status of the integration says. `initial_password`: the initial password of
//!   new accounts.

pub mod answered;
mod carry_out;
pub mod company;
pub mod confirm;
pub mod context;
pub mod decide;
mod early;
pub mod execute;
pub mod guard;
pub mod initial_password;
pub mod last_read;
pub mod observe;
pub mod outcome;
pub mod record;
pub mod refusals;
pub mod report;
mod scope;
mod shrink;
pub mod verdict;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::{
    carry_out::SOON,
    scope::{Listed, Rest, Scope},
    shrink::HeldScope,
};
use self::{
    context::{Cluster, Concurrent, Integration, Memory, Request, Requests, Services},
    decide::Deciding,
    execute::Cut,
    guard::{Approvals, Guarding, OtherPasses, PassSort, Released},
    observe::{Accounts, SeenBob},
    record::{ApprovedParts, Basis, Recorder},
    report::{About, ProviderFound, Report},
};
use super::stop::Stop;
use crate::{
    api::employee_sync::Trigger,
    domain::{
        lost::Moment,
        matching::Matcher,
        plan::{Change, Fate, Planned, plan_partial},
        priority::{Class, Urgency},
        settings::ExistingEmployees,
    },
};

/// Why a pass ends before its last step.
#[derive(Debug)]
pub(crate) enum Early {
    /// A service, or what it answered, stops the pass.
    Stopped(Stop),
    /// The pass leaves changes to do.
    Cut(Cut),
    /// There is nothing to do.
    Idle,
}

impl From<Stop> for Early {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// Everything that a pass works with. The raw spec is not part of it.
pub struct Pass<'a> {
    /// The integration that the pass is about.
    pub integration: Integration<'a>,
    /// The cluster, and what this process is in it.
    pub cluster: Cluster<'a>,
    /// The services between which the pass moves data.
    pub services: Services<'a>,
    /// What the pass is to do, and why.
    pub request: Request<'a>,
    /// What earlier passes left behind.
    pub memory: Memory<'a>,
    /// What it shares with the passes that run at the same time.
    pub concurrent: Concurrent<'a>,
    /// Records that this plan is released, before any change of it goes out. The flag says whether
    /// the plan lets employees leave management. Returns whether that was recorded.
    pub release: &'a (dyn Fn(String, bool) -> BoxFuture<'a, bool> + Sync),
}

impl Pass<'_> {
    /// Runs the pass and returns its report.
    pub async fn run(&self) -> Report {
        let began = Instant::now();
        let first_must_be_whole =
            self.integration.settings().existing_employees == ExistingEmployees::OnChange;
        let name = Some(self.integration.validated.target.catalog().name);
        let mut report = Report {
            about: About {
                dry_run: self.integration.validated.dry_run,
                first_must_be_whole,
                ..About::default()
            },
            provider: ProviderFound { name, ..ProviderFound::default() },
            ..Report::default()
        };
        if let Err(early) = self.steps(&mut report).await {
            report.end_early(early);
        }
        self.concurrent.mailbox.plan_ended(self.concurrent.handle.epoch());
        self.concurrent.mailbox.ledger.lock().close(self.concurrent.handle.epoch());
        report.took = began.elapsed();
        if report.read_for.is_zero() {
            report.read_for = report.took;
        }
        report
    }

    /// Runs the steps of a full and of a partial pass. Only the steps that observe, and the one
    /// that defers, ask which of the two it is.
    async fn steps(&self, report: &mut Report) -> Result<(), Early> {
        let (settings, requests) = (self.integration.settings(), self.requests());
        let began = Instant::now();
        let mut source = self.observe_bob().await?;
        report.saw_bob(&mut source);

        let mut people = decide::all(&self.deciding(), std::mem::take(&mut source.employees));
        let approved_now = self.keep_in(&mut people, report).await?;
        source.restrict(&mut people);

        let mut matcher = Matcher::new(&settings.mapping, &people, settings.adopt)
            .protecting(&settings.protected);
        let accounts = self.observe_accounts(&people, &mut matcher, &mut source).await?;
        report.saw_provider(&accounts, &settings.mapping, began.elapsed());
        let mut planned = plan_with(matcher, &source, &accounts);

        let guarding = self.guarding(&requests, approved_now.as_deref());
        let released = guard::release(&guarding, &mut planned, &accounts.listing);
        report.guarded(&released);
        self.record_release(&released).await?;
        report.deferred(self.defer(&mut planned), &planned);

        let left_alone = [&accounts.listing.unavailable[..], &released.held.frozen[..]].concat();
        let basis = Basis {
            requests: &requests,
            deleted_now: &source.deleted_now,
            approved: self.approvals(&released),
            left_alone: &left_alone,
        };
        let recorder = self.recorder(&planned, basis);
        let summary = self.carry_out(&released, &recorder, &accounts.listing, report).await;
        self.remember(&people, &accounts.listing, report);
        recorder.end(report);
        report.end(summary, source, released);
        Ok(())
    }

    /// Records that a person's approval releases the plan, if it does. Without that record, no
    /// change of the plan goes out.
    async fn record_release(&self, released: &Released) -> Result<(), Early> {
        match &released.held.released_digest {
            Some(digest) if !(self.release)(digest.clone(), false).await => {
                Err(Early::Cut(Cut::Unrecorded))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// In a partial pass for the urgent line, keeps only suspensions among the changes that go out.
    /// Returns the employees of the others, each with the class of the change.
    fn defer(&self, planned: &mut Planned<'_>) -> Vec<(Box<str>, Class)> {
        let Scope::Partial { line: Urgency::Urgent, on_evidence: false, .. } = self.request.scope
        else {
            return Vec::new();
        };
        let Planned { mapping, people, plan } = planned;
        let not_urgent = |change: &&mut Change| change.goes() && !change.suspends();
        let mut deferred = Vec::new();
        for change in plan.changes.iter_mut().filter(not_urgent) {
            change.ruling.fate = Fate::Deferred;
            let person = &people[change.person as usize];
            deferred.push((person.employee.id().into(), Class::of(change, person, mapping)));
        }
        deferred
    }

    /// Returns what every decision rests on, except the person.
    fn deciding(&self) -> Deciding<'_> {
        let capabilities = &self.integration.validated.target.catalog().capabilities;
        Deciding {
            integration: self.integration,
            past: self.memory.past,
            ends_sessions: capabilities.ends_sessions,
            change_at_first_login: self.integration.validated.change_password_on_first_login,
            now: self.cluster.clock.now(),
        }
    }

    /// Returns what the guard looks at, except the plan. `approved_now` is the digest that this
    /// pass has released before.
    fn guarding<'b>(
        &'b self,
        requests: &'b Requests,
        approved_now: Option<&'b str>,
    ) -> Guarding<'b> {
        let Integration { roster, uid, validated, .. } = self.integration;
        let Memory { last_read, begins, last_approval, approved_digest, .. } = &self.memory;
        let noted = &self.concurrent.mailbox.noted;
        let is_partial = self.request.is_partial();
        Guarding {
            roster,
            validated,
            requests,
            begins: *begins,
            approvals: Approvals {
                // A held plan is approved as a whole, and only a full pass has the whole plan.
                approved_digest: approved_digest.filter(|_| !is_partial),
                last: *last_approval,
                released_before: approved_now
                    .unwrap_or_else(|| last_approval.map_or(uid, |last| &last.digest)),
            },
            others: OtherPasses {
                lost: &noted.lost,
                ledger: &self.concurrent.mailbox.ledger,
                pass: self.concurrent.handle.epoch(),
            },
            sort: PassSort {
                is_partial,
                by_events: is_partial
                    || matches!(self.request.trigger, Trigger::Webhook | Trigger::Transition),
            },
            moment: Moment {
                now: self.cluster.clock.now(),
                interval: i64::try_from(validated.interval.as_secs()).unwrap_or(i64::MAX),
                apart: last_read.apart,
                asked: last_read.asked,
            },
        }
    }

    /// Returns which changes of the plan go out because a person approved them.
    fn approvals<'b>(&'b self, released: &'b Released) -> ApprovedParts<'b> {
        ApprovedParts {
            now: released.held.released_digest.as_deref(),
            continued: self.memory.last_approval,
            parts: Some(&released.held.parts),
        }
    }

    /// Returns the recorder of this plan.
    fn recorder<'b>(&'b self, planned: &'b Planned<'b>, basis: Basis<'b>) -> Recorder<'b> {
        Recorder {
            integration: self.integration,
            cluster: self.cluster,
            request: self.request,
            handle: self.concurrent.handle,
            planned,
            basis,
            owes: self.integration.roster.owes(),
            results: Mutex::default(),
        }
    }
}

/// Returns the plan, without rows whose target the provider does not have.
fn plan_with<'a>(matcher: Matcher<'a>, source: &SeenBob, accounts: &Accounts) -> Planned<'a> {
    let Accounts { listing, managers } = accounts;
    let elsewhere = |id: &str| managers.known.get(id).cloned();
    let mut planned = plan_partial(matcher, listing.whole, &elsewhere);
    planned.plan.without_rows(&listing.unavailable);
    planned.name_pins_without(&listing.unavailable);
    if source.only_access {
        planned.plan.only_access();
    }
    planned
}
