//! All code that calls Kubernetes.
//!
//! - `connect`: makes the client. `listening`: lists and watches. `watch`: reads both resources
//!   into the engine and the `roster`. `status`: writes them.
//! - `crds`: says whether the CRDs have every field of this version.
//! - `secrets`: reads Secrets by name. `events`: publishes Kubernetes events. `leadership`: says
//!   whether this process may write at all.

pub mod connect;
pub mod crds;
pub mod events;
pub mod leadership;
pub mod lenient;
pub mod listening;
pub mod roster;
pub mod secrets;
pub mod status;
pub mod watch;

/// Returns a client error in a few words, without the body of an answer, because the body may
/// contain objects.
#[must_use]
pub fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            // A refusal in plain text has no reason word.
            let word =
                Some(&*status.reason).filter(|reason| !reason.is_empty() && !reason.contains(' '));
            let known = || {
                axum::http::StatusCode::from_u16(status.code)
                    .ok()
                    .and_then(|code| code.canonical_reason())
            };
            format!("{} ({})", word.or_else(known).unwrap_or("refused"), status.code)
        }
        kube::Error::HyperError(_) | kube::Error::Service(_) => {
            "the API server cannot be reached".to_owned()
        }
        kube::Error::SerdeError(_) => "the API server's answer cannot be read".to_owned(),
        kube::Error::Auth(_) => "the credentials for the API server do not work".to_owned(),
        _ => "the call to the API server failed".to_owned(),
    }
}
