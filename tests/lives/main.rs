//! Whole working lives through the pure core: decide, match and plan, again and again over Bob and
//! a provider in memory, without Kubernetes and HTTP.
//!
//! - `life`: a life as data: what happens, and when. Read from YAML, and written as YAML.
//! - `world`: Bob and the provider in memory, and the pass that brings the provider in sync.
//! - `golden`: lives from `golden/*.yaml`, printed step by step for an IT administrator.
//! - `generated`: generated lives, and the rules that hold in each of them at every step. `judge`
//!   has the rules, and uses the contract's sentences about access from `oracle`.

mod generated;
mod golden;
mod judge;
mod life;
#[path = "../domain/oracle.rs"]
mod oracle;
mod world;
