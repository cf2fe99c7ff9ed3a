//! The OneLogin provider against the simulated service, without the engine.
//!
//! - `tenant`: what a case needs of a provider's tenant, whichever provider it is.
//! - `conformance`: the cases that every provider must pass, as one table; `listing`, `writing` and `refusals` hold them.
//! - `acme`: OneLogin's tenant for these cases.
//! - `wire`, `credential`: what is OneLogin's alone: exact requests, its traps, its token, its window.

mod acme;
mod conformance;
mod credential;
mod listing;
mod refusals;
mod tenant;
mod wire;
mod writing;

conformance::every_provider!(acme::Acme);
