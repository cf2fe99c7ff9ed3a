//! Okta. `org` is its tenant for the cases that every provider must pass. `credential` and `wire`
//! have the cases that only Okta has.

mod credential;
mod org;
mod wire;

crate::table::every_provider!(org::Org);
