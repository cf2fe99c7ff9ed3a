//! Microsoft Entra ID: `directory` is its tenant for the cases that every provider must pass; `wire`, `batch` and `credential` are what
//! is Entra's alone.

mod batch;
mod credential;
mod directory;
mod wire;

crate::table::every_provider!(directory::Directory);
