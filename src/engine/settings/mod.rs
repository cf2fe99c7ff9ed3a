//! Turns a spec into settings, once.
//!
//! - `validate`: checks a spec and reads it. `targets`: the provider of a spec, the one place that
//!   knows all providers by name. `words`: the provider's name in messages.
//! - `rules`: what the API server checks of a spec because of its provider.
//! - `granted`: what the operator grants. `endpoints`: the base addresses that the operator allows.
//! - `tenants`: which integrations share one tenant of a provider.

pub mod endpoints;
pub mod granted;
pub mod rules;
pub mod targets;
pub mod tenants;
pub mod validate;
pub mod words;
