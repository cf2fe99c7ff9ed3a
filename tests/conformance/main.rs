//! One list of cases for every provider, against its simulated service and without the engine.
//!
//! - `table`: the list. `listing`, `writing`, `values`, `refusals` hold the cases.
//! - `tenant`: what a case needs of a provider's tenant, whichever provider it is.
//! - a folder per provider: its tenant, and what is its alone: exact requests, its traps, its token, its window.
//!
//! A case is skipped only where the provider's capability table says that it cannot do such a thing, and says so.

mod google;
mod listing;
mod onelogin;
mod refusals;
mod table;
mod tenant;
mod values;
mod writing;
