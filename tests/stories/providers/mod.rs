//! Every provider tells the same stories ([`every`]). Each file of a provider says how it connects,
//! what its accounts have, and tells the stories that only this provider has.

pub mod every;
pub mod tenant;

mod entra;
mod google;
mod jumpcloud;
mod okta;
mod one_login;
mod scim;

use tenant::Tenant;

/// One provider, for stories that name it.
pub type Provider = &'static dyn Tenant;

pub const ONE_LOGIN: Provider = &one_login::OneLogin;
pub const GOOGLE: Provider = &google::Google;
pub const ENTRA: Provider = &entra::Entra;
pub const JUMPCLOUD: Provider = &jumpcloud::JumpCloud;
pub const OKTA: Provider = &okta::Okta;
pub const SCIM: Provider = &scim::Scim;
