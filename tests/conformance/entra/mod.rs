//! Microsoft Entra ID. `directory` is its tenant for the cases that every provider must pass.
//! `wire`, `batch`, `credential` and `federated` are the cases that only Entra has.

mod batch;
mod credential;
mod directory;
mod federated;
mod wire;

crate::table::every_provider!(directory::Directory);
