//! Google Workspace. `workspace` is its tenant for the cases that every provider must pass. `wire`
//! and `credential` are the cases that only Google has.

mod credential;
mod wire;
mod workspace;

crate::table::every_provider!(workspace::Workspace);
