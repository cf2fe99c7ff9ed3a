//! One list of cases for every provider, against its simulated service, without Bob and a cluster.
//!
//! - `table`: the list. `listing`, `writing`, `values` and `refusals` hold the cases of single
//!   calls. `passes`, `addresses` and `kept` hold those of whole passes with the engine's own plan
//!   and execution.
//!   `words` holds what refusals say.
//! - `tenant`: what a case needs of any provider's tenant.
//! - a folder for each provider: its tenant, and the cases that only it has: exact requests, traps,
//!   token, window.
//!
//! A case is skipped only if the provider's capability table excludes it, and the test prints that.

mod addresses;
mod entra;
#[path = "../fixtures/person.rs"]
mod fixture;
mod google;
mod jumpcloud;
mod kept;
mod listing;
mod okta;
mod onelogin;
mod passes;
mod refusals;
mod scim;
mod table;
mod tenant;
mod values;
mod words;
mod writing;
