//! The credentials of Okta.
