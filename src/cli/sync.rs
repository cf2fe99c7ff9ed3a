//! `bobsync sync`: asks the controller to look now at all employees of an integration, at some, or
//! at one. It writes only the annotation `bobsync.dev/sync-requested-at`. The controller copies its
//! value to the status when it has finished.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use clap::{ArgGroup, Args};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    api::{EmployeeSync, ProvisioningIntegration, SYNC_REQUESTED, conditions},
    cluster::{
        connect::{self, CallError, bounded},
        crds::Crds,
        lenient::{Lenient, cannot_read},
    },
    domain::{mapping::key, settings::go_duration},
};

/// How long one call to the API server may take. It waits for an admission webhook for up to 30 s.
const TIMEOUT: Duration = Duration::from_secs(35);
/// How many EmployeeSyncs one answer of the API server has.
const PAGE: u32 = 500;
/// How many annotations are written at once.
const AT_ONCE: usize = 16;
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// What `bobsync sync` is told.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("employees").args(["integration", "selector",
    "employee"]).required(true).multiple(true)))]
pub struct Options {
    /// Name of the ProvisioningIntegration. All of its employees, or only those that --selector or
    /// --employee names.
    #[arg(value_name = "INTEGRATION")]
    pub integration: Option<String>,
    /// Namespace of the objects. Default: the namespace of the kubeconfig's context.
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Only employees with these labels on their EmployeeSync.
    #[arg(long, short = 'l', value_name = "LABELS", conflicts_with = "employee",
        value_parser = selector)]
    pub selector: Option<String>,
    /// One employee, by Bob's employee id or by the username in the status. Repeatable.
    #[arg(long, value_name = "ID|EMAIL")]
    pub employee: Vec<String>,
    /// Waits until the request is answered, and says how many employees are done.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most, as a Go duration such as 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = go_duration)]
    pub timeout: Duration,
}

/// Reads a label selector that is not empty. An empty one would mean all employees in the
/// namespace, of every integration.
fn selector(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        Err("give labels, or leave --selector out to mean all employees of an integration")
    } else {
        Ok(text.to_owned())
    }
}

/// Requests a sync, and waits if `--wait` is set. Succeeds only if every employee who was meant was
/// asked for (with `--wait`: was looked at).
///
/// # Errors
/// A sentence for the person at the terminal.
pub fn main(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        connect::install_crypto();
        let (client, default_namespace) = connect::client().await?;
        let namespace = options.namespace.clone().unwrap_or(default_namespace);
        Crds::require_whole(client.clone()).await?;
        let value = jiff::Timestamp::now().to_string();
        let desk = Desk { client, namespace, options, value };
        if desk.options.selector.is_none() && desk.options.employee.is_empty() {
            desk.everybody().await
        } else {
            desk.some().await
        }
    })
}

struct Desk {
    client: Client,
    namespace: String,
    options: Options,
    /// The value of the annotation.
    value: String,
}

/// One EmployeeSync, with what is needed here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SyncRow {
    name: String,
    integration: String,
    employee: String,
    username: Option<String>,
    handled: Option<String>,
    /// The reason of `Ready`.
    reason: String,
    /// The field of the spec that this version cannot read.
    unreadable: Option<String>,
}

impl SyncRow {
    fn of(object: &EmployeeSync) -> Self {
        let status = object.status.clone().unwrap_or_default();
        Self {
            name: object.name_any(),
            unreadable: object.spec.unreadable.clone(),
            integration: object.spec.integration_ref.name.clone(),
            employee: object.spec.employee_id.clone(),
            reason: conditions::find(&status.conditions, conditions::Type::Ready)
                .map_or_else(|| "Pending".to_owned(), |ready| ready.reason.clone()),
            username: status.username,
            handled: status.last_handled_sync_at,
        }
    }

    fn is(&self, who: &str) -> bool {
        self.employee == who
            || self.username.as_deref().is_some_and(|username| key(username) == key(who))
    }
}

/// Returns the employees who are meant.
///
/// # Errors
/// Names an employee who is not there.
fn meant(
    people: Vec<SyncRow>,
    integration: Option<&str>,
    employees: &[String],
) -> Result<Vec<SyncRow>, String> {
    let people: Vec<SyncRow> = people
        .into_iter()
        .filter(|person| integration.is_none_or(|name| person.integration == name))
        .collect();
    if employees.is_empty() {
        return if people.is_empty() {
            Err("no EmployeeSync has these labels".to_owned())
        } else {
            Ok(people)
        };
    }
    if let Some(stranger) = employees.iter().find(|who| !people.iter().any(|person| person.is(who)))
    {
        return Err(format!(
            "no EmployeeSync has the employee id or the username `{stranger}`: give Bob's employee \
             id, or the username in the status (absent with privacy.usernames: Hide)"
        ));
    }
    Ok(people.into_iter().filter(|person| employees.iter().any(|who| person.is(who))).collect())
}

impl Desk {
    fn request(&self) -> Patch<Value> {
        Patch::Merge(json!({"metadata": {"annotations": {SYNC_REQUESTED: self.value}}}))
    }

    async fn everybody(&self) -> Result<(), String> {
        let name = self.options.integration.as_deref().unwrap_or_default();
        let api: Api<Lenient<ProvisioningIntegration>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let asked =
            bounded(TIMEOUT, api.patch(name, &PatchParams::default(), &self.request())).await;
        let asked = asked.map_err(|error| match error {
            error if error.is_not_found() => self.no_such(name),
            error => format!(
                "ProvisioningIntegration `{name}` in `{}` cannot be annotated: {error}",
                self.namespace
            ),
        })?;
        println!("a sync of all employees of {}/{name} is requested", self.namespace);
        let asked = self.legible(name, asked)?;
        if !self.options.wait {
            if asked.spec.suspend {
                println!("{}", self.is_suspended(name));
            }
            return Ok(());
        }
        let began = Instant::now();
        let mut said = String::new();
        loop {
            let object = bounded(TIMEOUT, api.get(name))
                .await
                .map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            let object = self.legible(name, object)?;
            if object.spec.suspend {
                return Err(self.is_suspended(name));
            }
            let status = object.status.unwrap_or_default();
            let ready = conditions::find(&status.conditions, conditions::Type::Ready)
                .map(|ready| format!("{}: {}", ready.reason, ready.message));
            let line = ready.unwrap_or_default();
            if status.last_handled_sync_at.as_deref() == Some(&*self.value) {
                println!("done. {line}");
                return Ok(());
            }
            self.in_time(began, &line)?;
            if line != said {
                println!("{line}");
                said = line;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn some(&self) -> Result<(), String> {
        if let Some(integration) = &self.options.integration {
            self.works(integration).await?;
        }
        let people =
            meant(self.list().await?, self.options.integration.as_deref(), &self.options.employee)?;
        for line in in_several(&people) {
            println!("{line}");
        }
        for person in &people {
            if let Some(field) = &person.unreadable {
                eprintln!("EmployeeSync {}: {}", person.name, cannot_read(field));
            }
        }
        let api: Api<Lenient<EmployeeSync>> = Api::namespaced(self.client.clone(), &self.namespace);
        let request = self.request();
        let asked = stream::iter(&people).map(|person| {
            let (api, request) = (&api, &request);
            async move {
                let asked =
                    bounded(TIMEOUT, api.patch(&person.name, &PatchParams::default(), request))
                        .await;
                asked
                    .map(drop)
                    .map_err(|error| format!("{} cannot be annotated: {error}", person.name))
            }
        });
        asked.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        println!("a sync of {} in `{}` is requested", words(&people), self.namespace);
        let names: BTreeSet<&str> = people.iter().map(|person| &*person.name).collect();
        let integrations: BTreeSet<&str> =
            people.iter().map(|person| &*person.integration).collect();
        if !self.options.wait {
            for integration in integrations {
                if !self.works(integration).await? {
                    println!("{}", self.is_suspended(integration));
                }
            }
            return Ok(());
        }
        let (began, mut said) = (Instant::now(), usize::MAX);
        loop {
            for integration in &integrations {
                if !self.works(integration).await? {
                    return Err(self.is_suspended(integration));
                }
            }
            let now: Vec<SyncRow> = self
                .list()
                .await?
                .into_iter()
                .filter(|person| names.contains(&*person.name))
                .collect();
            let through =
                now.iter().filter(|person| person.handled.as_deref() == Some(&*self.value)).count();
            if through == now.len() {
                println!("done: {}", by_reason(&now));
                return Ok(());
            }
            let line = format!("{through} of {} are done", now.len());
            self.in_time(began, &line)?;
            if through != said {
                println!("{line}");
                said = through;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Returns whether this integration works, and is not suspended. One that cannot be read counts
    /// as working, because a caller who asks for employees does not need the right to read it.
    async fn works(&self, integration: &str) -> Result<bool, String> {
        let api: Api<Lenient<ProvisioningIntegration>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        match bounded(TIMEOUT, api.get(integration)).await {
            Ok(object) => Ok(!self.legible(integration, object)?.spec.suspend),
            Err(error) if error.is_not_found() => Err(self.no_such(integration)),
            Err(_) => Ok(true),
        }
    }

    /// Returns the integration if this version can read all of its spec. A field that was read over
    /// may ask for what must not be done.
    fn legible(
        &self,
        integration: &str,
        object: Lenient<ProvisioningIntegration>,
    ) -> Result<ProvisioningIntegration, String> {
        object.0.map_err(|unreadable| {
            format!(
                "whether {}/{integration} is looked at cannot be told: {}. Use the version that \
                 the controller runs, or correct the field",
                self.namespace,
                unreadable.says()
            )
        })
    }

    fn is_suspended(&self, integration: &str) -> String {
        format!(
            "{}/{integration} is suspended: the request is answered after spec.suspend is removed",
            self.namespace
        )
    }

    fn no_such(&self, integration: &str) -> String {
        format!(
            "there is no ProvisioningIntegration `{integration}` in the namespace `{}`",
            self.namespace
        )
    }

    fn in_time(&self, began: Instant, line: &str) -> Result<(), String> {
        if began.elapsed() < self.options.timeout {
            return Ok(());
        }
        Err(format!("not complete after {} s; {line}", self.options.timeout.as_secs()))
    }

    async fn list(&self) -> Result<Vec<SyncRow>, String> {
        // An object that does not fit its type must not hide the others.
        let api: Api<Lenient<EmployeeSync>> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut page = ListParams::default().limit(PAGE);
        page.label_selector.clone_from(&self.options.selector);
        let mut people = Vec::new();
        loop {
            let list = bounded(TIMEOUT, api.list(&page)).await;
            let list = list.map_err(|error| match (&self.options.selector, error) {
                // What the API server says about a selector is only about the selector.
                (Some(selector), CallError::Failed(kube::Error::Api(status)))
                    if status.code == 400 =>
                {
                    format!("`{selector}` is not a label selector: {}", status.message)
                }
                (_, error) => {
                    format!("the EmployeeSyncs in `{}` cannot be listed: {error}", self.namespace)
                }
            })?;
            people.extend(
                list.items.iter().filter_map(|person| person.0.as_ref().ok()).map(SyncRow::of),
            );
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page.continue_token = Some(token),
                None => return Ok(people),
            }
        }
    }
}

/// Returns how many employees these are. One employee has an EmployeeSync in each integration.
fn words(people: &[SyncRow]) -> String {
    let employees = people.iter().map(|person| &*person.employee).collect::<BTreeSet<_>>().len();
    let employees = count(employees, "employee", "employees");
    let integrations: BTreeSet<&str> = people.iter().map(|person| &*person.integration).collect();
    match integrations.len() {
        0 | 1 => employees,
        several => format!("{employees} in {several} integrations"),
    }
}

fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Returns a sentence for each employee who is in several integrations: which, and how to mean only
/// one of them.
fn in_several(people: &[SyncRow]) -> Vec<String> {
    let mut by_employee: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for person in people {
        by_employee.entry(&person.employee).or_default().insert(&person.integration);
    }
    by_employee
        .into_iter()
        .filter(|(_, integrations)| integrations.len() > 1)
        .map(|(employee, integrations)| {
            let all: Vec<&str> = integrations.iter().copied().collect();
            let first = integrations.first().copied().unwrap_or_default();
            format!(
                "employee {employee} is in the integrations {}, and a sync is requested in each of \
                 them. To mean one of them, name it: bobsync sync {first} --employee {employee}",
                all.join(" and ")
            )
        })
        .collect()
}

/// Returns a text such as `3 InSync, 1 Rejected`.
fn by_reason(people: &[SyncRow]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    people.iter().for_each(|person| *counts.entry(&person.reason).or_default() += 1);
    counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(integration: &str, employee: &str, username: Option<&str>) -> SyncRow {
        SyncRow {
            name: format!("{integration}-{employee}"),
            integration: integration.to_owned(),
            employee: employee.to_owned(),
            username: username.map(str::to_owned),
            handled: None,
            reason: "InSync".to_owned(),
            unreadable: None,
        }
    }

    #[test]
    fn a_person_is_meant_by_id_or_username_and_a_stranger_is_named() {
        let all = || {
            vec![
                person("a", "1", Some("Noa.Lind@example.com")),
                person("b", "1", None),
                person("a", "2", None),
            ]
        };
        let names = |integration, who: &[&str]| {
            let who: Vec<String> = who.iter().map(ToString::to_string).collect();
            meant(all(), integration, &who)
                .map(|people| people.into_iter().map(|person| person.name).collect::<Vec<_>>())
        };
        assert_eq!(names(None, &["noa.lind@EXAMPLE.com"]).unwrap(), ["a-1"]);
        assert_eq!(names(None, &["1"]).unwrap(), ["a-1", "b-1"], "in each of the integrations");
        let two = meant(all(), None, &["1".to_owned()]).unwrap();
        assert_eq!(
            in_several(&two),
            ["employee 1 is in the integrations a and b, and a sync is requested in each of \
                 them. To mean one of them, name it: bobsync sync a --employee 1"]
        );
        assert_eq!(words(&two), "1 employee in 2 integrations");
        let of_a = meant(all(), Some("a"), &["1".to_owned(), "2".to_owned()]).unwrap();
        assert_eq!((in_several(&of_a), &*words(&of_a)), (Vec::new(), "2 employees"));
        assert_eq!(names(Some("b"), &["1"]).unwrap(), ["b-1"]);
        assert_eq!(names(Some("a"), &[]).unwrap(), ["a-1", "a-2"]);
        assert!(names(Some("b"), &["2"]).unwrap_err().contains("`2`"));
        assert!(names(Some("c"), &[]).is_err());
        assert_eq!(by_reason(&all()), "3 InSync");
    }

    #[test]
    fn no_employee_and_an_empty_selector_are_refused_with_what_is_needed() {
        use clap::Parser as _;
        let refused = |arguments: &[&str]| {
            let whole = ["bobsync", "sync"].iter().chain(arguments);
            crate::cli::Cli::try_parse_from(whole).expect_err("refused").to_string()
        };
        for arguments in [&[][..], &["--wait"]] {
            let said = refused(arguments);
            assert!(
                said.contains("INTEGRATION|--selector <LABELS>|--employee <ID|EMAIL>"),
                "{said}"
            );
        }
        for empty in ["", " "] {
            let said = refused(&["onelogin", "--selector", empty]);
            assert!(said.contains("all employees of an integration"), "{said}");
        }
        assert!(refused(&["-l", "a=b", "--employee", "7"]).contains("cannot be used with"));
    }
}
