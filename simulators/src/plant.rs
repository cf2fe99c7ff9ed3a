//! All services of a world, as the control API reaches them.

use std::sync::Arc;

use crate::bob::Bob;
use crate::clock::Clock;
use crate::entra::Entra;
use crate::front::gate::Gate;
use crate::google::Google;
use crate::jumpcloud::JumpCloud;
use crate::okta::Okta;
use crate::onelogin::OneLogin;
use crate::scim::Scim;

/// All services and their gates.
pub struct Plant {
    pub clock: Arc<Clock>,
    pub bob: Arc<Bob>,
    pub onelogin: Arc<OneLogin>,
    pub google: Arc<Google>,
    pub entra: Arc<Entra>,
    pub jumpcloud: Arc<JumpCloud>,
    pub okta: Arc<Okta>,
    pub scim: Arc<Scim>,
    pub bob_gate: Arc<Gate>,
    pub onelogin_gate: Arc<Gate>,
    pub google_gate: Arc<Gate>,
    pub entra_gate: Arc<Gate>,
    pub jumpcloud_gate: Arc<Gate>,
    pub okta_gate: Arc<Gate>,
    pub scim_gate: Arc<Gate>,
}
