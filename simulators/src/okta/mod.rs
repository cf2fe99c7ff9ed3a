//! Okta: the users API of the management API, and the token endpoint of the org's authorization
//! server.
//!
//! - `users`: users in memory, and what the search index still shows of them
//! - `schema`: the profile schema of the default user type, and checks by it
//! - `writes`: create, update, delete; `lifecycle`: statuses and their transitions
//! - `search`: the expressions of `search` and `filter`; `listing`: pages, selected fields
//! - `dpop`: proofs of possession and nonces
//! - `access`: API token, service app, access tokens and scopes
//! - `limits`: rate limits by endpoint, calls at once
//! - `render`: users, schemas and the org as answers show them
//! - `quirks`: what differs between orgs or is not documented, as switches
//! - `state`, `edit`: what a simulated org holds, and an administrator's edits
//! - `routes`: routes, and what every call is checked for

pub mod access;
mod dpop;
pub mod edit;
mod errors;
mod lifecycle;
pub mod limits;
mod listing;
pub mod quirks;
pub mod render;
pub mod routes;
pub mod schema;
mod search;
pub mod state;
pub mod users;
mod writes;

pub use quirks::{Quirks, RefuseRule};
pub use routes::Okta;
