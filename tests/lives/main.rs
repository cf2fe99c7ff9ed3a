//! Whole working lives through the pure core: decide, match and plan, again and again over two worlds in memory, with
//! nothing of Kubernetes and HTTP.
//!
//! - `life`: a life as data: what happens, when. Read from YAML, and written as YAML.
//! - `world`: Bob and the provider in memory, and the pass that brings the one to the other.
//! - `golden`: lives from `golden/*.yaml`, told step by step for an IT administrator.
//! - `generated`: lives that nobody thought of, and what has to hold in each of them at every step; `judge` knows what
//!   that is, and takes the contract's sentences about access from `oracle`.

mod generated;
mod golden;
mod judge;
mod life;
#[path = "../domain/oracle.rs"]
mod oracle;
mod world;
