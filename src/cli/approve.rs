//! `bobsync approve`: shows what a guard holds, and releases exactly that. It writes only
//! `spec.approvedPlan`. Its field manager has the name by which the API server knows the caller.

mod follow;
mod held;

use std::{
    io::{BufRead, IsTerminal as _, Write as _},
    time::Duration,
};

use clap::Args;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use self::held::{PlanOnHold, WaitingEmployees, field_manager};
use crate::{
    api::{EmployeeSync, ProvisioningIntegration},
    cluster::{
        connect::{self, CallError, bounded},
        crds::Crds,
        lenient::{Lenient, cannot_read},
    },
    domain::settings::go_duration,
};

/// How long one call to the API server may take. It waits for an admission webhook for up to 30 s.
const TIMEOUT: Duration = Duration::from_secs(35);
/// How many EmployeeSyncs one answer of the API server has.
const PAGE: u32 = 500;

/// What `bobsync approve` is told.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Name of the ProvisioningIntegration.
    #[arg(value_name = "INTEGRATION")]
    pub integration: String,
    /// Namespace of the ProvisioningIntegration. Default: the namespace of the kubeconfig's
    /// context.
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Approves without a question, if the plan that is held now has this digest.
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// Approves without a question what is held now.
    #[arg(long, short)]
    pub yes: bool,
    /// Waits until the plan is carried out, and says what was done.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most, as a Go duration such as 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = go_duration)]
    pub timeout: Duration,
}

/// Shows the plan and approves it. Succeeds only if the plan that was shown is approved (with
/// `--wait`: carried out).
///
/// # Errors
/// A sentence for the person at the terminal: what prevents the approval, and what to do.
pub fn main(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        connect::install_crypto();
        let (client, default_namespace) = connect::client().await?;
        let namespace = options.namespace.clone().unwrap_or(default_namespace);
        approve(
            &options,
            &IntegrationPlace { client, namespace, name: options.integration.clone() },
        )
        .await
    })
}

async fn approve(options: &Options, place: &IntegrationPlace) -> Result<(), String> {
    Crds::require_whole(place.client.clone()).await?;
    let integration = place.integration().await?;
    let held = PlanOnHold::of(&integration, options.digest.as_deref())?;
    let people = place.people().await?;
    println!("{}", held.describe(place, people.as_ref()));
    let asks = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !options.yes && options.digest.is_none() {
        if !asks {
            return Err(format!("nothing was approved: add --yes, or --digest {}", held.digest));
        }
        print!("Approve exactly this plan? [y/N] ");
        let _ = std::io::stdout().flush();
        if !says_yes(&mut std::io::stdin().lock()) {
            return Err("nothing was approved".to_owned());
        }
    }
    let who = place.whoami().await?;
    let written = place.write(&held, &who).await?;
    // The approval and the status do not share a version for a precondition, because the status
    // changes all the time. Only the digest decides what is released. The check here only decides
    // what is printed.
    held.still_held_in(&written)?;
    println!("{who} approved {}", held.digest);
    if !options.wait {
        println!("the controller releases it with its next pass, within seconds");
        return Ok(());
    }
    follow::follow(place, &held, &written, people.as_ref(), options.timeout).await
}

/// Returns whether a line of input says yes. No input means no.
fn says_yes(input: &mut impl BufRead) -> bool {
    let mut line = String::new();
    input.read_line(&mut line).is_ok()
        && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// One integration, and the API server that has it.
struct IntegrationPlace {
    client: Client,
    namespace: String,
    name: String,
}

impl std::fmt::Display for IntegrationPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl IntegrationPlace {
    fn integrations(&self) -> Api<Lenient<ProvisioningIntegration>> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn integration(&self) -> Result<ProvisioningIntegration, String> {
        let got = bounded(TIMEOUT, self.integrations().get(&self.name)).await.map_err(|error| {
            if error.is_not_found() {
                format!(
                    "there is no ProvisioningIntegration `{}` in the namespace `{}`",
                    self.name, self.namespace
                )
            } else {
                format!("{self} cannot be read: {error}")
            }
        })?;
        self.legible(got)
    }

    /// Returns the integration if this version can read all of its spec. A field that was read over
    /// may change what an approval releases.
    fn legible(
        &self,
        object: Lenient<ProvisioningIntegration>,
    ) -> Result<ProvisioningIntegration, String> {
        object.0.map_err(|unreadable| {
            format!(
                "no plan of {self} is approved: {}. Use the version that the controller runs, or \
                 correct the field",
                unreadable.says()
            )
        })
    }

    /// Returns the employees who wait, or `None` if the caller may not list EmployeeSyncs.
    async fn people(&self) -> Result<Option<WaitingEmployees>, String> {
        // An object that does not fit its type must not hide the others.
        let api: Api<Lenient<EmployeeSync>> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut people = WaitingEmployees::default();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = match bounded(TIMEOUT, api.list(&page)).await {
                Ok(list) => list,
                Err(CallError::Failed(kube::Error::Api(status))) if status.is_forbidden() => {
                    return Ok(None);
                }
                Err(error) => {
                    return Err(format!(
                        "the EmployeeSyncs in `{}` cannot be listed: {error}",
                        self.namespace
                    ));
                }
            };
            // The spec decides, and not the label, because people and Git write such objects too.
            for person in list.items.iter().filter_map(|person| person.0.as_ref().ok()) {
                if person.spec.integration_ref.name == self.name {
                    if let Some(field) = &person.spec.unreadable {
                        people.cannot_read(format!(
                            "{}: {}",
                            person.name_any(),
                            cannot_read(field)
                        ));
                    }
                    people.see(&person.name_any(), person.status.as_ref());
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(Some(people)),
            }
        }
    }

    /// Returns the name by which the API server knows the caller.
    async fn whoami(&self) -> Result<String, String> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review =
            bounded(TIMEOUT, reviews.create(&PostParams::default(), &SelfSubjectReview::default()))
                .await;
        let review = review.map_err(|error| {
            format!("the API server does not say who you are, so nothing was approved: {error}")
        })?;
        let user = review
            .status
            .and_then(|status| status.user_info)
            .and_then(|user| user.username)
            .filter(|name| !name.is_empty());
        user.ok_or_else(|| {
            "the API server does not know who you are, so nothing was approved".to_owned()
        })
    }

    /// Writes `spec.approvedPlan` and nothing else. With the uid, the write fails if the
    /// integration was deleted and made again.
    async fn write(&self, held: &PlanOnHold, who: &str) -> Result<ProvisioningIntegration, String> {
        let patch = json!({
            "apiVersion": format!("{}/v1alpha1", crate::api::GROUP),
            "kind": "ProvisioningIntegration",
            "metadata": {"name": self.name, "uid": held.uid},
            "spec": {"approvedPlan": held.digest},
        });
        // The write uses force, to take over the field from the user who approved the plan before.
        let params = PatchParams::apply(&field_manager(who)).force();
        let written =
            bounded(TIMEOUT, self.integrations().patch(&self.name, &params, &Patch::Apply(&patch)))
                .await
                .map_err(|error| {
                    if error.is_conflict() || error.is_not_found() {
                        format!("nothing was approved: {self} was deleted in the meantime")
                    } else {
                        format!("nothing was approved: {error}")
                    }
                })?;
        self.legible(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, yes) in [
            ("y\n", true),
            ("YES\n", true),
            (" yes \n", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            assert_eq!(says_yes(&mut line.as_bytes()), yes, "{line:?}");
        }
    }
}
