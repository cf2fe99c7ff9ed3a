//! What a pass finds, in groups, and how each step adds to it.

use std::time::Duration;

use jiff::Timestamp;

use super::Report;
use crate::{
    api::{integration::PlanSummary, reasons::IntegrationReason},
    domain::{
        calendar::Gaps,
        guard::HeldPlan,
        mapping::Mapping,
        missing::StatusMemory,
        plan::{ChangeCounts, Planned},
        priority::Class,
        safety::Suspicion,
    },
    engine::{
        pass::{
            Early, HeldScope,
            execute::Summary,
            guard::Released,
            observe::{Accounts, SeenBob},
        },
        settings::tenants::Tenant,
        stop::Stop,
    },
};

/// What a pass is about.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The tenant.
    pub tenant: Option<Tenant>,
    /// Whether the pass was to write nothing.
    pub dry_run: bool,
    /// Whether a first pass that was not completed does not count (`existingEmployees: OnChange`).
    pub first_must_be_whole: bool,
    /// The sync request that the pass answers.
    pub sync_handled: Option<String>,
    /// Whether webhooks are accepted, and the reason if they are not. `None` if the settings ask
    /// for no webhooks.
    pub webhooks: Option<Result<(), String>>,
}

/// What a pass finds out about Bob.
#[derive(Clone, Debug, Default)]
pub struct BobFound {
    /// Whether Bob answered; `None` if it was not asked.
    pub answered: Option<bool>,
    /// The number of all employees in Bob's answer; for full passes only.
    pub in_bob: Option<u32>,
    /// The doubt about Bob's answer, if the answer is too short to be believed yet.
    pub suspicion: Option<Suspicion>,
    /// The mapped fields that Bob sent for no employee.
    pub unseen_fields: Vec<String>,
    /// For a partial pass: the fields that Bob still sent for no employee. `None` unless Bob sent
    /// one of the unseen fields now.
    pub unseen_now: Option<Vec<String>>,
    /// What was found about the employees that Bob's answer lacks.
    pub absent: Absent,
    /// The sites without a time zone and the time zones without a site, or `None` if that is not
    /// known.
    pub zones: Option<Gaps>,
}

/// The employees that Bob's answer lacks.
#[derive(Clone, Debug, Default)]
pub struct Absent {
    /// How many wait to be asked for one by one.
    pub unconfirmed: usize,
    /// How many the service user may no longer read.
    pub forbidden: usize,
    /// When the next pass has something to confirm.
    pub again: Option<Timestamp>,
    /// What is to be remembered of lifecycle statuses, or `None` if the answer is not believed.
    pub memory: Option<StatusMemory>,
    /// Whether Bob has shown Terminated employees before and shows none now.
    pub hides_leavers: bool,
}

/// What a pass finds out about the provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderFound {
    /// Whether the provider answered; `None` if it was not asked.
    pub answered: Option<bool>,
    /// The provider's name, if the settings could be read.
    pub name: Option<&'static str>,
    /// The mapped targets that the provider does not have.
    pub unavailable_targets: Vec<String>,
}

/// What the guards find.
#[derive(Clone, Debug, Default)]
pub struct GuardsFound {
    /// What a guard holds.
    pub held: Option<HeldPlan>,
    /// The employees that a guard keeps managed.
    pub scope: Option<HeldScope>,
    /// For each kind of budget, how many changes did not go out: a guard holds them, or the pass
    /// writes nothing.
    pub planned: Option<ChangeCounts>,
    /// The plan of a dry run.
    pub plan: Option<PlanSummary>,
    /// What a guard would hold of a dry run's plan, in one sentence.
    pub would_hold: Option<String>,
}

impl Report {
    /// Takes in what Bob answered.
    pub(in crate::engine::pass) fn saw_bob(&mut self, source: &mut SeenBob) {
        self.bob = std::mem::take(&mut source.found);
        self.rest = std::mem::take(&mut source.rest);
    }

    /// Takes in what the provider answered, and how long it took to read Bob and the provider.
    pub(in crate::engine::pass) fn saw_provider(
        &mut self,
        accounts: &Accounts,
        mapping: &Mapping,
        read_for: Duration,
    ) {
        let Accounts { listing, managers } = accounts;
        self.provider.answered = Some(true);
        let targets = listing.unavailable.iter().map(|row| mapping.rows[*row].target.to_string());
        self.provider.unavailable_targets = targets.collect();
        self.rest.unread.extend_from_slice(&managers.without_answer);
        self.read_for = read_for;
    }

    /// Takes in what the guards hold.
    pub(in crate::engine::pass) fn guarded(&mut self, released: &Released) {
        self.guards.held.clone_from(&released.held.plan);
        self.guards.planned = Some(released.planned);
        self.rest.in_doubt |= released.in_doubt;
    }

    /// Takes in the employees with a change for the other line, and whether the plan gives an
    /// employee another e-mail.
    pub(in crate::engine::pass) fn deferred(
        &mut self,
        deferred: Vec<(Box<str>, Class)>,
        planned: &Planned<'_>,
    ) {
        self.rest.deferred = deferred;
        self.rest.renamed = planned.renames();
    }

    /// Takes in what a dry run would do.
    pub(in crate::engine::pass) fn would_do(&mut self, planned: &Planned<'_>, released: &Released) {
        let scope = self.guards.scope.as_ref().map(|scope| scope.because.clone());
        let both: Vec<String> = scope.into_iter().chain(released.would_hold.clone()).collect();
        self.guards.would_hold = (!both.is_empty()).then(|| both.join("; "));
        self.guards.plan = Some(summarise(planned));
    }

    /// Takes in how the last step ended. Says why the pass is not believed, if it is not.
    pub(in crate::engine::pass) fn end(
        &mut self,
        summary: Summary,
        source: SeenBob,
        released: Released,
    ) {
        self.cut = summary.cut;
        if let Some(stop) = summary.stop {
            self.provider.answered = Some(stop.answered);
            self.stop = Some(stop);
        } else if let Some(message) = source.suspect {
            self.stop = Some(Stop::new(IntegrationReason::SourceSuspect, message));
        } else if let Some(message) = released.target_suspect {
            self.stop = Some(Stop::new(IntegrationReason::TargetSuspect, message));
        }
    }

    /// Takes in why the pass ended before its last step.
    pub(in crate::engine::pass) fn end_early(&mut self, early: Early) {
        match early {
            Early::Idle => {}
            Early::Cut(cut) => self.cut = Some(cut),
            Early::Stopped(stop) => {
                match stop.reason {
                    IntegrationReason::BobUnauthorized
                    | IntegrationReason::BobForbidden
                    | IntegrationReason::BobUnavailable => self.bob.answered = Some(false),
                    _ => self.provider.answered = Some(stop.answered),
                }
                self.stop = Some(stop);
            }
        }
    }
}

fn summarise(planned: &Planned<'_>) -> PlanSummary {
    let counts = planned.plan.counts();
    PlanSummary {
        digest: planned.digest(),
        creates: counts.creates,
        reactivations: counts.reactivations,
        updates: counts.updates,
        disables: counts.disables,
        leaving: 0,
        leaving_employees: Vec::new(),
        held_because: None,
    }
}
