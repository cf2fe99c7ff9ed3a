//! One list of cases for every provider, against its simulated service, without Bob and a cluster.
//!
//! - `table`: the list. `listing`, `writing`, `values`, `refusals` hold the cases of single
//!   calls, `passes`, `addresses` and `kept` those of whole passes with the engine's own plan and execution.
//! - `tenant`: what a case needs of a provider's tenant, whichever provider it is.
//! - a folder per provider: its tenant, and what is its alone: exact requests, its traps, its token, its window.
//!
//! A case is skipped only where the provider's capability table says that it cannot do such a thing, and says so.

mod addresses;
mod entra;
#[path = "../fixtures/person.rs"]
mod fixture;
mod google;
mod jumpcloud;
mod kept;
mod listing;
mod onelogin;
mod passes;
mod refusals;
mod table;
mod tenant;
mod values;
mod writing;
