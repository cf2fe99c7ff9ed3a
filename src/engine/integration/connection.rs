//! Clients for Bob and the provider, made from Secrets, and made again when a Secret changes.

use std::{sync::Arc, time::Duration};

use super::shared::Shared;
use crate::engine::stop::secret_stop;
use crate::{
    api::{conditions, reasons::IntegrationReason},
    bob::{self},
    cluster::secrets::{self, SecretError},
    engine::{
        pass::{
            execute::WRITE_TIMEOUT,
            report::{BobFound, ProviderFound, Report},
        },
        settings::{targets::Target, validate::Validated},
        stop::{Stop, provider_stop},
        waits::{IntegrationWaits, Side},
    },
    http::secret::Secret,
    provider::{Credential, Provider, call::Hooks, limits::Pacer},
};

/// The keys of Bob's Secret.
const BOB_KEYS: [&str; 2] = ["serviceUserId", "serviceUserToken"];

/// Open connections, and the Secrets and addresses that they were made from.
pub struct Connections {
    /// The client of Bob, the source.
    pub bob: bob::Client,
    /// The client of the provider, the target.
    pub provider: Box<dyn Provider>,
    made_from: MadeFrom,
    pacer: Arc<Pacer>,
    /// The names of the keys that were found in the provider's Secret.
    keys: Vec<String>,
}

#[derive(PartialEq, Eq)]
struct MadeFrom {
    bob: String,
    target: Target,
    bob_secret: (String, String),
    target_secret: (String, String),
}

impl Connections {
    /// Reads both Secrets. Keeps the connections `before` if nothing changed, or if the API server
    /// does not return the Secrets now. The flag says whether the connections are new.
    ///
    /// # Errors
    /// The report of a pass that could not begin: it says which side is not connected, and has a
    /// [`Stop`] that names the Secret and the key.
    pub async fn open(
        shared: &Shared,
        waits: &Arc<IntegrationWaits>,
        validated: &Validated,
        before: Option<Arc<Self>>,
    ) -> Result<(Arc<Self>, bool), Box<Report>> {
        let key = waits.key();
        let (namespace, Target { destination, secret }) = (&*key.namespace, &validated.target);
        let bob = secrets::read(shared.client(), namespace, &validated.bob_secret, &BOB_KEYS).await;
        let keys = destination.keys();
        let target = match &bob {
            Ok(_) => {
                secrets::read_some(shared.client(), namespace, secret, keys.required, keys.optional)
                    .await
            }
            Err(error) => Err(error.clone()),
        };
        if let Err(error @ SecretError::Unavailable { .. }) = &target
            && let Some(before) = before.as_ref().filter(|before| before.are_for(validated))
        {
            tracing::warn!(namespace, %error,
                "a Secret cannot be read now; what was read before is used");
            return Ok((before.clone(), false));
        }
        let mut bob_secret = bob.map_err(|error| no_secret(&error, no_bob))?;
        let target_secret = target.map_err(|error| no_secret(&error, no_provider))?;
        let made_from = MadeFrom {
            bob: validated.bob.clone(),
            target: validated.target.clone(),
            bob_secret: (validated.bob_secret.clone(), bob_secret.resource_version.clone()),
            target_secret: (secret.clone(), target_secret.resource_version.clone()),
        };
        let pacer = match before {
            Some(before) if before.made_from == made_from => return Ok((before, false)),
            // The pacer is kept, because a new credential does not open a new window.
            Some(before) if before.made_from.target == made_from.target => before.pacer.clone(),
            Some(_) | None => shared.pacers.of(
                &validated.target,
                destination.shared_address().and_then(|key| target_secret.values.get(key)),
            ),
        };
        let [id, token] =
            BOB_KEYS.map(|key| bob_secret.take(key).unwrap_or_else(|| Secret::new("")));
        let bob = ask_bob(shared, waits, validated, id, token)?;
        let keys = target_secret.values.keys().cloned().collect();
        let provider = call_provider(
            shared,
            waits,
            &validated.target,
            Credential::new(target_secret.values),
            pacer.clone(),
        )?;
        shared.metrics.paced(key, left_of(&pacer));
        Ok((Arc::new(Self { bob, provider, made_from, pacer, keys }), true))
    }

    /// Reads only the Secret of the provider. Bob's client gets no credential, because access that
    /// evidence takes is taken without Bob.
    ///
    /// # Errors
    /// The report of a pass that could not begin.
    pub async fn open_provider(
        shared: &Shared,
        waits: &Arc<IntegrationWaits>,
        validated: &Validated,
    ) -> Result<Arc<Self>, Box<Report>> {
        let key = waits.key();
        let Target { destination, secret } = &validated.target;
        let keys = destination.keys();
        let found = secrets::read_some(
            shared.client(),
            &key.namespace,
            secret,
            keys.required,
            keys.optional,
        )
        .await;
        let found = found.map_err(|error| no_secret(&error, no_provider))?;
        let made_from = MadeFrom {
            bob: validated.bob.clone(),
            target: validated.target.clone(),
            bob_secret: (validated.bob_secret.clone(), String::new()),
            target_secret: (secret.clone(), found.resource_version.clone()),
        };
        let pacer = shared.pacers.of(
            &validated.target,
            destination.shared_address().and_then(|key| found.values.get(key)),
        );
        let bob = ask_bob(shared, waits, validated, Secret::new(""), Secret::new(""))?;
        let keys = found.values.keys().cloned().collect();
        let provider = call_provider(
            shared,
            waits,
            &validated.target,
            Credential::new(found.values),
            pacer.clone(),
        )?;
        shared.metrics.paced(key, left_of(&pacer));
        Ok(Arc::new(Self { bob, provider, made_from, pacer, keys }))
    }

    /// Returns whether these settings name the same addresses and the same Secrets.
    fn are_for(&self, validated: &Validated) -> bool {
        let MadeFrom { bob, target, bob_secret, .. } = &self.made_from;
        *bob == validated.bob && *target == validated.target && bob_secret.0 == validated.bob_secret
    }

    /// Returns the Secrets that these connections were made from.
    #[must_use]
    pub fn made_from(&self) -> Secrets {
        let known = |(name, version): &(String, String)| (name.clone(), Some(version.clone()));
        Secrets([&self.made_from.bob_secret, &self.made_from.target_secret].map(known).into())
    }

    /// Returns the same stop. If a credential is refused or lacks a right, the stop names the
    /// Secret that holds it.
    #[must_use]
    pub fn name_secret(&self, stop: Stop) -> Stop {
        let MadeFrom { bob_secret, target, .. } = &self.made_from;
        match stop.reason {
            IntegrationReason::BobUnauthorized | IntegrationReason::BobForbidden => {
                held_by(stop, &bob_secret.0, BOB_KEYS.iter())
            }
            IntegrationReason::ProviderUnauthorized | IntegrationReason::ProviderForbidden => {
                target.held_by(stop, &self.keys)
            }
            _ => stop,
        }
    }

    /// Returns how long the provider asked all callers to wait, if it asked.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        self.pacer.silence()
    }

    /// Returns whether these connections go to the tenant of these settings.
    #[must_use]
    pub fn go_to(&self, validated: &Validated) -> bool {
        self.made_from.target.tenant() == validated.target.tenant()
    }
}

/// Returns a function that reads how many calls the provider's window has left. It returns `None`
/// once the pacer is no longer in use.
fn left_of(pacer: &Arc<Pacer>) -> impl Fn() -> Option<u32> + Send + Sync + 'static {
    let pacer = Arc::downgrade(pacer);
    move || pacer.upgrade().map(|pacer| pacer.left())
}

fn ask_bob(
    shared: &Shared,
    waits: &Arc<IntegrationWaits>,
    validated: &Validated,
    service_user_id: Secret,
    service_user_token: Secret,
) -> Result<bob::Client, Box<Report>> {
    let (metrics, of) = (shared.metrics.clone(), waits.key().clone());
    let service_user_id = service_user_id.expose().to_owned();
    bob::Client::new(bob::Config {
        base: validated.bob.clone(),
        pace: shared.pacers.of_bob(&validated.bob, &service_user_id),
        service_user_id,
        service_user_token,
        observer: Arc::new(move |call, outcome| metrics.call(&of, "bob", call, outcome)),
        waits: waits.of(Side::Bob, "Bob"),
    })
    .map_err(|error| no_bob(Stop::new(IntegrationReason::BobUnavailable, error.to_string())))
}

/// Makes the client of the provider.
fn call_provider(
    shared: &Shared,
    waits: &Arc<IntegrationWaits>,
    target: &Target,
    credential: Credential,
    pacer: Arc<Pacer>,
) -> Result<Box<dyn Provider>, Box<Report>> {
    let destination = &target.destination;
    let keys: Vec<String> = credential.keys().map(str::to_owned).collect();
    let of = waits.key().clone();
    let credential = credential.with_identity(shared.granted.identity(&of.namespace));
    let (metrics, leadership, label) =
        (shared.metrics.clone(), shared.leadership.clone(), destination.catalog().label);
    let hooks = Hooks {
        observer: Arc::new(move |call, outcome| metrics.call(&of, label, call, outcome)),
        gate: Arc::new(move || leadership.may_start(WRITE_TIMEOUT)),
        waits: waits.of(Side::Provider, destination.catalog().name),
    };
    let refused = |error| no_provider(target.held_by(provider_stop(&error), &keys));
    destination.connect(credential, hooks, pacer).map_err(refused)
}

impl Target {
    /// Adds to a stop which Secret holds the provider's credential, or names the app that the
    /// controller's own identity is the credential of.
    fn held_by(&self, stop: Stop, keys: &[String]) -> Stop {
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        if !self.destination.takes_identity(&names) {
            return held_by(stop, &self.secret, names.iter());
        }
        let (secret, keys) = (&self.secret, names.join(", "));
        let named = format!(
            "The app is named in the Secret {secret}, key {keys}. It has to trust the token of the \
             controller's service account."
        );
        let message = conditions::followed_by(&conditions::sentence(&stop.message), &named);
        Stop { message, ..stop }
    }
}

/// Adds to a stop which Secret holds the credential.
pub(super) fn held_by(
    stop: Stop,
    secret: &str,
    keys: impl Iterator<Item = impl AsRef<str>>,
) -> Stop {
    let keys: Vec<_> = keys.collect();
    let names = keys.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    let one = if keys.len() == 1 { "key" } else { "keys" };
    let is_refused = matches!(
        stop.reason,
        IntegrationReason::BobUnauthorized | IntegrationReason::ProviderUnauthorized
    );
    let begin = if is_refused { "Correct it" } else { "The credential is" };
    let credential = format!("{begin} in the Secret {secret}, {one} {names}.");
    Stop {
        message: conditions::followed_by(&conditions::sentence(&stop.message), &credential),
        ..stop
    }
}

/// Secrets by name, each with the version that was last seen. The version is `None` if the Secret
/// could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(Vec<(String, Option<String>)>);

impl Secrets {
    /// Reads the versions of the Secrets that these settings name.
    pub async fn see(client: &kube::Client, namespace: &str, validated: &Validated) -> Self {
        let password = validated.default_password.as_ref().map(|(name, _)| name);
        let mut seen = Vec::new();
        for name in [&validated.bob_secret, &validated.target.secret].into_iter().chain(password) {
            seen.push((name.clone(), version(client, namespace, name).await.unwrap_or_default()));
        }
        Self(seen)
    }

    /// Returns whether one of the Secrets has another version now. An API server that does not
    /// answer counts as no change.
    pub async fn changed(&self, client: &kube::Client, namespace: &str) -> bool {
        for (name, known) in &self.0 {
            if version(client, namespace, name).await.is_some_and(|version| version != *known) {
                return true;
            }
        }
        false
    }
}

/// Returns the version of a Secret: `Some(None)` if no readable Secret has this name, and `None` if
/// the API server does not answer.
async fn version(client: &kube::Client, namespace: &str, name: &str) -> Option<Option<String>> {
    match secrets::read(client, namespace, name, &[]).await {
        Ok(found) => Some(Some(found.resource_version)),
        Err(SecretError::Unavailable { .. }) => None,
        Err(_) => Some(None),
    }
}

fn no_bob(stop: Stop) -> Box<Report> {
    let bob = BobFound { answered: Some(false), ..BobFound::default() };
    Box::new(Report { bob, ..Report::stopped(stop) })
}

fn no_provider(stop: Stop) -> Box<Report> {
    let provider = ProviderFound { answered: Some(false), ..ProviderFound::default() };
    Box::new(Report { provider, ..Report::stopped(stop) })
}

/// Returns the report for a Secret that cannot be read. A Secret that the API server does not
/// return says nothing about the service that it is for.
fn no_secret(error: &SecretError, missing: impl FnOnce(Stop) -> Box<Report>) -> Box<Report> {
    let stop = secret_stop(error);
    match error {
        SecretError::Unavailable { .. } => Box::new(Report::stopped(stop)),
        _ => missing(stop),
    }
}
