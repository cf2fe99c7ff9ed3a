//! What the commands show of one employee: names and words of the status. A status has no attribute
//! value.

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    connection::{ClusterReader, Connection, TO_READ},
    table::Format,
};
use crate::{
    api::{
        EmployeeSync, EmployeeSyncStatus, ProvisioningIntegration, conditions,
        employee_sync::{Access, Action, EvidenceKind, OutcomeWord},
        reasons::EmployeeReason,
    },
    cluster::lenient::Lenient,
};

/// Which objects a command reads, and how it shows them.
#[derive(Clone, Debug, Args)]
pub struct Looking {
    /// Only this ProvisioningIntegration. Default: all of the namespace.
    #[arg(long, value_name = "NAME")]
    pub integration: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
    /// Looks in all namespaces.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only employees with these labels on their EmployeeSync.
    #[arg(long, short = 'l', value_name = "LABELS")]
    pub selector: Option<String>,
    /// Prints no warnings and no notes on standard error.
    #[arg(long, short)]
    pub quiet: bool,
}

/// An integration with its name and namespace.
pub type NamedIntegration = (String, ProvisioningIntegration);

impl Looking {
    /// Connects, and reads the integrations that are meant.
    ///
    /// # Errors
    /// A sentence for the person at the terminal: what cannot be read, or that there is no
    /// integration.
    pub async fn begin(&self) -> Result<(ClusterReader, Vec<NamedIntegration>), String> {
        let (client, namespace) = self.connection.open().await?;
        let namespace = (!self.all_namespaces).then_some(namespace);
        let reader = ClusterReader::new(client, namespace, &TO_READ, self.quiet).await;
        let (mut found, mut names) = (Vec::new(), Vec::new());
        reader
            .each(None, |object: Lenient<ProvisioningIntegration>| {
                let object = match object.0 {
                    Ok(object) => object,
                    Err(unreadable) => {
                        if !self.quiet {
                            let name = unreadable.metadata.name.as_deref().unwrap_or_default();
                            let namespace = unreadable.metadata.namespace.as_deref();
                            let name = full_name(namespace, name);
                            eprintln!("warning: {name} is left out: {}", unreadable.says());
                        }
                        return;
                    }
                };
                names.push(object.name_any());
                if self.integration.as_ref().is_none_or(|name| *name == object.name_any()) {
                    let name = full_name(object.namespace().as_deref(), &object.name_any());
                    found.push((name, object));
                }
            })
            .await?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        match (&self.integration, found.is_empty()) {
            (Some(name), true) => {
                let near = names
                    .iter()
                    .max_by(|a, b| {
                        strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name))
                    })
                    .map(|near| format!("; did you mean {near}?"));
                Err(format!(
                    "there is no ProvisioningIntegration `{name}` in {}{}",
                    reader.place(),
                    near.unwrap_or_default()
                ))
            }
            (None, true) => Err(format!(
                "there is no ProvisioningIntegration in {}{}",
                reader.place(),
                if self.all_namespaces { "" } else { "; -A looks in all namespaces" }
            )),
            _ => Ok((reader, found)),
        }
    }

    /// Reads every employee who is meant.
    ///
    /// # Errors
    /// A sentence for the person at the terminal.
    pub async fn each(
        &self,
        reader: &ClusterReader,
        mut see: impl FnMut(ShownEmployee),
    ) -> Result<(), String> {
        reader
            .each(self.selector.as_deref(), |object: Lenient<EmployeeSync>| {
                let Ok(object) = object.0 else { return };
                // The spec decides, and not the label, because people and Git write such objects
                // too.
                let integration = &object.spec.integration_ref.name;
                if self.integration.as_ref().is_none_or(|name| name == integration) {
                    see(ShownEmployee(object));
                }
            })
            .await
    }
}

/// Returns the name with its namespace.
fn full_name(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", namespace.unwrap_or_default())
}

/// One employee of one integration.
#[derive(Clone, Debug)]
pub struct ShownEmployee(pub EmployeeSync);

impl ShownEmployee {
    pub fn status(&self) -> EmployeeSyncStatus {
        self.0.status.clone().unwrap_or_default()
    }

    /// Returns the integration with its namespace.
    pub fn integration(&self) -> String {
        full_name(self.0.namespace().as_deref(), &self.0.spec.integration_ref.name)
    }

    /// Returns the username, or Bob's id if usernames are hidden.
    pub fn who(&self) -> String {
        let known = self.0.status.as_ref().and_then(|status| status.username.clone());
        known.unwrap_or_else(|| self.0.spec.employee_id.clone())
    }

    pub fn reason(&self) -> String {
        let status = self.0.status.as_ref();
        let ready =
            status.and_then(|status| conditions::find(&status.conditions, conditions::Type::Ready));
        ready.map_or_else(
            || EmployeeReason::Pending.as_str().to_owned(),
            |ready| ready.reason.clone(),
        )
    }

    /// Returns what `Ready` says.
    pub fn message(&self) -> String {
        let status = self.0.status.as_ref();
        let ready =
            status.and_then(|status| conditions::find(&status.conditions, conditions::Type::Ready));
        ready.map(|ready| ready.message.clone()).unwrap_or_default()
    }

    /// Returns since when `Ready` is as it is.
    pub fn ready_since(&self) -> Option<Timestamp> {
        let status = self.0.status.as_ref()?;
        conditions::find(&status.conditions, conditions::Type::Ready)
            .map(|ready| ready.last_transition_time.0)
    }

    pub fn access(&self) -> Option<Access> {
        self.0.status.as_ref()?.access
    }

    /// Returns since when the access is as it is: the change that made it so, if the history still
    /// has it.
    pub fn access_since(&self) -> Option<Timestamp> {
        let status = self.0.status.as_ref()?;
        let access = status.access?;
        status
            .history
            .iter()
            .filter(|line| line.outcome == OutcomeWord::Succeeded)
            .find(|line| match access {
                Access::Active => matches!(line.action, Action::Create | Action::Reactivate),
                Access::Suspended => matches!(line.action, Action::Create | Action::Suspend),
                Access::NotYet | Access::Absent | Access::Unmanaged | Access::Unknown => false,
            })
            .map(|line| line.at.0)
    }

    /// Returns what in Bob the access follows, as far as the status has it: recorded evidence, the
    /// end of the employment, or the date that an employee without access waits for.
    pub fn because(&self) -> Option<String> {
        let status = self.0.status.as_ref()?;
        if let Some(evidence) = &status.evidence {
            return Some(match &evidence.kind {
                EvidenceKind::FileDeleted => "FileDeleted".to_owned(),
                EvidenceKind::AccessRevoked => "AccessRevoked".to_owned(),
                EvidenceKind::Unknown(word) => word.clone(),
            });
        }
        if let Some(ended) = &status.employment_ended {
            return Some(format!("{:?}", ended.because));
        }
        let waits = !matches!(status.access, Some(Access::Active | Access::Unmanaged));
        status.next_transition.as_ref().filter(|_| waits).map(|next| format!("{:?}", next.because))
    }
}

/// Returns the word for an access.
#[must_use]
pub fn access_word(access: Option<Access>) -> String {
    access.map_or_else(|| "Unknown".to_owned(), |access| format!("{access:?}"))
}

/// Returns the reason with this word.
#[must_use]
pub fn reason_of(word: &str) -> Option<EmployeeReason> {
    EmployeeReason::ALL.iter().copied().find(|reason| reason.as_str() == word)
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Args)]
pub struct ShownName {
    /// How the answer is shown.
    #[arg(long, short, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}
