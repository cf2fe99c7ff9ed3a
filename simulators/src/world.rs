//! A world: Bob, the providers and the control API, each on its own loopback address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::bob::Bob;
use crate::client::Control;
use crate::clock::Clock;
use crate::company;
use crate::control;
use crate::entra::Entra;
use crate::front::gate::Gate;
use crate::front::net::{Listening, Site, listen};
use crate::google::Google;
use crate::jumpcloud::JumpCloud;
use crate::okta::Okta;
use crate::onelogin::OneLogin;
use crate::plant::Plant;
use crate::scim::Scim;

/// How to start a world. The default: free ports, no employees in Bob, wall time.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub bob: Option<SocketAddr>,
    pub onelogin: Option<SocketAddr>,
    pub google: Option<SocketAddr>,
    pub entra: Option<SocketAddr>,
    pub jumpcloud: Option<SocketAddr>,
    pub okta: Option<SocketAddr>,
    pub scim: Option<SocketAddr>,
    pub control: Option<SocketAddr>,
    /// How many generated employees Bob starts with.
    pub employees: usize,
    pub seed: u64,
    /// The first instant of the clock; `None`: wall time.
    pub today: Option<Timestamp>,
}

/// Running simulators; dropping it stops them and closes their connections.
pub struct World {
    bob: (String, Listening),
    onelogin: (String, Listening),
    google: (String, Listening),
    entra: (String, Listening),
    jumpcloud: (String, Listening),
    okta: (String, Listening),
    scim: (String, Listening),
    control: (String, Listening),
}

async fn open(address: Option<SocketAddr>, site: Site) -> anyhow::Result<(String, Listening)> {
    let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let listening =
        listen(address, site).await.with_context(|| format!("listening on {address}"))?;
    Ok((format!("http://{}", listening.address), listening))
}

impl World {
    /// Starts everything on the current tokio runtime.
    ///
    /// # Panics
    /// When an address cannot be bound; [`World::try_start`] returns an error instead.
    pub async fn start(options: Options) -> Self {
        Self::try_start(options).await.expect("simulators start")
    }

    /// Starts everything on the current tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be bound or is not a loopback one.
    pub async fn try_start(options: Options) -> anyhow::Result<Self> {
        let clock = Arc::new(Clock::starting_at(options.today));
        let people = company::generate(options.employees, options.seed, clock.now());
        let bob = Arc::new(Bob::new(clock.clone(), people));
        let onelogin = Arc::new(OneLogin::new(clock.clone()));
        let google = Arc::new(Google::new(clock.clone()));
        let entra = Arc::new(Entra::new(clock.clone()));
        let jumpcloud = Arc::new(JumpCloud::new(clock.clone()));
        let okta = Arc::new(Okta::new(clock.clone()));
        let scim = Arc::new(Scim::new(clock.clone()));
        let plant = Plant {
            bob_gate: Arc::new(Gate::new(bob.clone(), clock.clone())),
            onelogin_gate: Arc::new(Gate::new(onelogin.clone(), clock.clone())),
            google_gate: Arc::new(Gate::new(google.clone(), clock.clone())),
            entra_gate: Arc::new(Gate::new(entra.clone(), clock.clone())),
            jumpcloud_gate: Arc::new(Gate::new(jumpcloud.clone(), clock.clone())),
            okta_gate: Arc::new(Gate::new(okta.clone(), clock.clone())),
            scim_gate: Arc::new(Gate::new(scim.clone(), clock.clone())),
            clock,
            bob,
            onelogin,
            google,
            entra,
            jumpcloud,
            okta,
            scim,
        };
        Ok(Self {
            bob: open(options.bob, Site::Gate(plant.bob_gate.clone())).await?,
            onelogin: open(options.onelogin, Site::Gate(plant.onelogin_gate.clone())).await?,
            google: open(options.google, Site::Gate(plant.google_gate.clone())).await?,
            entra: open(options.entra, Site::Gate(plant.entra_gate.clone())).await?,
            jumpcloud: open(options.jumpcloud, Site::Gate(plant.jumpcloud_gate.clone())).await?,
            okta: open(options.okta, Site::Gate(plant.okta_gate.clone())).await?,
            scim: open(options.scim, Site::Gate(plant.scim_gate.clone())).await?,
            control: open(options.control, Site::Router(control::router(Arc::new(plant)))).await?,
        })
    }

    /// Returns Bob's address without `/v1`.
    pub fn bob_url(&self) -> &str {
        &self.bob.0
    }

    /// Returns the providers: names in the control API, and addresses.
    pub fn providers(&self) -> [(&'static str, &str); 6] {
        [
            ("onelogin", &self.onelogin.0),
            ("google", &self.google.0),
            ("entra", &self.entra.0),
            ("jumpcloud", &self.jumpcloud.0),
            ("okta", &self.okta.0),
            ("scim", &self.scim.0),
        ]
    }

    pub fn onelogin_url(&self) -> &str {
        &self.onelogin.0
    }

    /// Returns the address of both the Directory API and the token service.
    pub fn google_url(&self) -> &str {
        &self.google.0
    }

    /// Returns the address of both Microsoft Graph and the sign-in service.
    pub fn entra_url(&self) -> &str {
        &self.entra.0
    }

    /// Returns JumpCloud's address without `/api`.
    pub fn jumpcloud_url(&self) -> &str {
        &self.jumpcloud.0
    }

    /// Returns the address of both the users API and the token endpoint, without `/api`.
    pub fn okta_url(&self) -> &str {
        &self.okta.0
    }

    /// Returns the SCIM server's address without `/scim/v2`; its token endpoint is at
    /// `/oauth/token`.
    pub fn scim_url(&self) -> &str {
        &self.scim.0
    }

    pub fn control_url(&self) -> &str {
        &self.control.0
    }

    /// Returns a client of the control API.
    pub fn control(&self) -> Control {
        Control::new(self.control_url())
    }
}
