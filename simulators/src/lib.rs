//! Strict simulators of Bob and the providers for bobsync's tests and benches. The product never
//! links this crate.
//!
//! - [`world`]: start and stop; [`plant`]: all services of a world
//! - [`client`]: the typed client of the control API
//! - [`control`]: the control API itself
//! - [`bob`], [`onelogin`], [`google`], [`entra`], [`jumpcloud`], [`okta`],
//!   [`scim`]: the services
//! - [`company`]: made-up employees
//! - [`front`]: requests, faults, call records, connections, limits
//! - [`jws`]: signed tokens and public keys
//! - [`texts`]: forms in which a service stores a text
//! - [`clock`], [`rng`]: time and chance, both set by a test
//!
//! docs/simulators.md says what is simulated and which switches there are.

pub mod bob;
pub mod client;
pub mod clock;
pub mod company;
pub mod control;
pub mod entra;
pub mod front;
pub mod google;
pub mod jumpcloud;
pub mod jws;
pub mod okta;
pub mod onelogin;
pub mod plant;
pub mod rng;
pub mod scim;
pub mod texts;
pub mod world;

pub use client::Control;
pub use front::faults::{Fault, Kind as FaultKind};
pub use world::{Options, World};
