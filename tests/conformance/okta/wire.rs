//! The exact calls of Okta.
