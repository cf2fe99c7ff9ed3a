//! HTTP as all services need it, and what may be shown of an answer. It knows no service's own
//! words.
//!
//! - `client`: timeouts, no redirects, bounded bodies. `reach`: why there is no answer. `waits`:
//!   what calls wait for.
//! - `sentence`: the sentence in an answer. `scrub`: which part of it may be shown. `secret`:
//!   credentials that no text shows.

pub mod client;
pub mod reach;
pub mod scrub;
pub mod secret;
mod sentence;
pub mod waits;
