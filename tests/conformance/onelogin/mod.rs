//! OneLogin. `acme` is its tenant for the cases that every provider must pass. `wire` and
//! `credential` are the cases that only OneLogin has.

mod acme;
mod credential;
mod wire;

crate::table::every_provider!(acme::Acme);
