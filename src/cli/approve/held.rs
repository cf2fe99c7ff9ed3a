//! What is held, which employees wait for it, and under which name it is approved. This module is
//! pure: it gets the answers of the API server as arguments.

use std::fmt::{Display, Write as _};

use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use crate::api::{
    APPROVE_MANAGER, EmployeeSyncStatus, ProvisioningIntegration, conditions,
    integration::{Approved, LastPass, PlanSummary},
    reasons::{EmployeeReason, IntegrationReason},
};

/// How many employees are named. The others are counted.
const NAMED: usize = 20;
/// The longest field manager that the API server accepts, in bytes (`FieldManagerMaxLength` of
/// apimachinery).
const MANAGER: usize = 128;

/// The plan that is held now.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOnHold {
    /// The digest of the plan: employees, kinds of change, and every target value.
    pub digest: String,
    /// The uid of the integration that holds it.
    pub uid: String,
    /// The guard that holds it.
    pub guard: String,
    /// The approval before this one.
    pub before: Option<Approved>,
    /// The last pass before the approval that changed anything.
    pub last_pass: Option<LastPass>,
    /// The name of the integration.
    name: String,
    /// The namespace of the integration.
    namespace: String,
    plan: PlanSummary,
}

impl PlanOnHold {
    /// Returns what this integration holds, if it can be approved. `asked` is the digest that the
    /// caller means.
    ///
    /// # Errors
    /// A sentence for the caller: what prevents the approval.
    pub fn of(integration: &ProvisioningIntegration, asked: Option<&str>) -> Result<Self, String> {
        let status = integration.status.clone().unwrap_or_default();
        let generation = integration.metadata.generation.unwrap_or(0);
        if integration.spec.suspend {
            return Err(
                "the integration is suspended (spec.suspend): nothing is read, held or released"
                    .to_owned(),
            );
        }
        let ready = conditions::find(&status.conditions, conditions::Type::Ready);
        let behind = "the controller has not read the newest settings yet; try again in a moment";
        let Some(ready) =
            ready.filter(|ready| ready.observed_generation.unwrap_or(0) >= generation)
        else {
            return Err(behind.to_owned());
        };
        // The settings are marked as seen, but their pass has not ended, so the plan shown belongs
        // to the settings before. A caller who gives the digest has seen the plan already, and the
        // digest releases that plan or none.
        let under_way = ready.reason == IntegrationReason::Progressing.as_str();
        if under_way && status.observed_generation.unwrap_or(0) < generation && asked.is_none() {
            return Err(format!(
                "a pass with the newest settings is not complete: {}",
                behind.split("; ").last().unwrap_or_default()
            ));
        }
        let condition = conditions::find(&status.conditions, conditions::Type::PlanHeld)
            .filter(|condition| condition.status == "True");
        let (Some(condition), Some(plan)) =
            (condition, status.plan.filter(|plan| plan.held_because.is_some()))
        else {
            return Err("nothing is held: there is nothing to approve".to_owned());
        };
        if let Some(asked) = asked.filter(|asked| **asked != plan.digest) {
            return Err(format!(
                "nothing was approved, because the plan that is held now is {}, not {asked}",
                plan.digest
            ));
        }
        Ok(Self {
            digest: plan.digest.clone(),
            uid: integration.uid().unwrap_or_default(),
            guard: condition.reason.clone(),
            before: status.approved,
            last_pass: status.last_pass,
            name: integration.name_any(),
            namespace: integration.namespace().unwrap_or_default(),
            plan,
        })
    }

    /// Returns what the caller is about to approve, in a few lines, without an attribute value.
    pub fn describe(
        &self,
        integration: &impl Display,
        people: Option<&WaitingEmployees>,
    ) -> String {
        let mut text = format!("{integration} holds a plan ({})\n", self.guard);
        let _ =
            writeln!(text, "  why     {}", self.plan.held_because.as_deref().unwrap_or_default());
        let _ = writeln!(text, "  digest  {}", self.digest);
        let plan = &self.plan;
        for (count, what) in [
            (plan.leaving, "employees who would leave management"),
            (plan.disables, "accounts to suspend"),
            (plan.reactivations, "accounts to reactivate"),
            (plan.updates, "accounts to update"),
            (plan.creates, "accounts to create"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "  {count:>6}  {what}");
            }
        }
        for id in plan.leaving_employees.iter().take(NAMED) {
            let _ = writeln!(text, "          {}-{id}", self.name);
        }
        let more = (plan.leaving as usize).saturating_sub(plan.leaving_employees.len().min(NAMED));
        if more > 0 {
            let _ = writeln!(
                text,
                "          and {more} more: kubectl get pi {} -n {} -o \
                 jsonpath='{{.status.plan.leavingEmployees}}'",
                self.name, self.namespace
            );
        }
        let Some(people) = people else {
            let _ = write!(
                text,
                "  you may not list EmployeeSyncs, so the employees are not \
                named"
            );
            return text;
        };
        let _ =
            write!(text, "  {:>6}  EmployeeSyncs are Held, {} Frozen", people.held, people.frozen);
        for name in &people.names {
            let _ = write!(text, "\n          {name}");
        }
        let more = people.waiting() - people.names.len();
        if more > 0 {
            let _ = write!(
                text,
                "\n          and {more} more: kubectl get esync -n {} --field-selector \
                 spec.integrationRef.name={},status.reason={}",
                self.namespace,
                self.name,
                if people.held > 0 { EmployeeReason::Held } else { EmployeeReason::Frozen }
            );
        }
        for said in people.unreadable.iter().take(NAMED) {
            let _ = write!(text, "\n  hands off  {said}");
        }
        text
    }

    /// Checks that the approval is for the plan that was shown.
    ///
    /// # Errors
    /// A sentence for the caller: the held plan changed in the meantime, and the approval releases
    /// nothing.
    pub fn still_held_in(&self, written: &ProvisioningIntegration) -> Result<(), String> {
        let status = written.status.as_ref();
        let released = |approved: &Approved| {
            approved.digest == self.digest && Some(approved) != self.before.as_ref()
        };
        if status.and_then(|status| status.approved.as_ref()).is_some_and(released) {
            return Ok(());
        }
        match status.and_then(|status| status.plan.as_ref()) {
            Some(plan) if plan.digest == self.digest => Ok(()),
            Some(plan) => Err(format!(
                "the held plan changed while it was approved: the approval of {} releases nothing, \
                 and the plan that is held now is {}",
                self.digest, plan.digest
            )),
            None => Err(format!(
                "nothing is held any more: the approval of {} releases nothing",
                self.digest
            )),
        }
    }
}

/// The employees who wait for a held plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingEmployees {
    /// How many employees wait with all their changes.
    pub held: usize,
    /// How many employees wait with some of their attributes.
    pub frozen: usize,
    names: Vec<String>,
    /// What this version cannot read of some EmployeeSyncs.
    unreadable: Vec<String>,
}

impl WaitingEmployees {
    /// Takes in one `EmployeeSync`.
    pub fn see(&mut self, name: &str, status: Option<&EmployeeSyncStatus>) {
        let ready =
            status.and_then(|status| conditions::find(&status.conditions, conditions::Type::Ready));
        let is =
            |reason: EmployeeReason| ready.is_some_and(|ready| ready.reason == reason.as_str());
        let (held, frozen) = (is(EmployeeReason::Held), is(EmployeeReason::Frozen));
        self.held += usize::from(held);
        self.frozen += usize::from(frozen);
        if (held || frozen) && self.names.len() < NAMED {
            self.names.push(name.to_owned());
        }
    }

    /// Notes what this version cannot read of an `EmployeeSync`.
    pub fn cannot_read(&mut self, said: String) {
        self.unreadable.push(said);
    }

    /// Returns how many employees wait.
    pub fn waiting(&self) -> usize {
        self.held + self.frozen
    }
}

/// Returns the field manager that names this user. It is printable, and not longer than the API
/// server accepts. A name that had to be changed or cut gets a digest of the whole name, so that
/// two users never share a field manager.
pub fn field_manager(user: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
    let printable: String = user.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if printable == user && APPROVE_MANAGER.len() + user.len() <= MANAGER {
        return format!("{APPROVE_MANAGER}{user}");
    }
    let mut digest = String::from("~");
    for byte in &Sha256::digest(user)[..4] {
        let _ = write!(digest, "{byte:02x}");
    }
    let room = MANAGER - APPROVE_MANAGER.len() - digest.len();
    let end = (0..=room.min(printable.len()))
        .rev()
        .find(|&end| printable.is_char_boundary(end))
        .unwrap_or(0);
    format!("{APPROVE_MANAGER}{}{digest}", &printable[..end])
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
