//! The connection to the API server, with the settings that the client library leaves open.

use std::{sync::Once, time::Duration};

use kube::{Client, Config};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sending a request may stall. What an answer may take is bounded at each call: a watch may be silent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Chooses ring for TLS, once per process. Further calls do nothing.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    // An error means that the embedding program chose a provider before, which is as good.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// Connects by `KUBECONFIG`, `~/.kube/config`, or the pod's service account, and says which namespace is the default
/// there. No request is made yet.
///
/// # Errors
/// A sentence for the person who starts the process: neither configuration can be read.
pub async fn client() -> Result<(Client, String), String> {
    let config = Config::infer().await.map_err(|error| format!("no way to reach a Kubernetes API server is configured: {error}"))?;
    let namespace = config.default_namespace.clone();
    let client = with_settings(config).map_err(|error| format!("the Kubernetes configuration cannot be used: {error}"))?;
    Ok((client, namespace))
}

/// A client for this configuration with the settings that every client of this process has.
///
/// # Errors
/// When certificates or keys in it cannot be read.
pub fn with_settings(mut config: Config) -> Result<Client, kube::Error> {
    install_crypto();
    // The library would repeat any request, a create and a Lease included, up to fifteen times over many minutes and
    // hide an outage as slowness. Who calls decides what is repeated.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    Client::try_from(config)
}

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No whole answer in time. A write may have happened or not.
    #[error("the API server did not answer within {}s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The client's error, without the body of an answer.
    #[error("{}", super::brief(.0))]
    Failed(#[source] kube::Error),
}

impl CallError {
    /// Whether the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if status.is_not_found())
    }

    /// Whether the object is not the version that was read, or exists already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if status.code == 409)
    }
}

/// Runs a call with a bound: the client itself waits for an answer for ever.
///
/// # Errors
/// [`CallError`].
pub async fn bounded<T>(within: Duration, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    match tokio::time::timeout(within, call).await {
        Ok(answer) => answer.map_err(CallError::Failed),
        Err(_) => Err(CallError::Timeout(within)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends() {
        let hung = bounded(Duration::from_secs(10), std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(hung, Err(CallError::Timeout(_))));
        assert_eq!(hung.unwrap_err().to_string(), "the API server did not answer within 10s");
    }

    // A server that answers 503 is asked once: with the library's default it would be asked again and again.
    #[tokio::test]
    async fn nothing_is_repeated_behind_the_callers_back() {
        use std::sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let router = axum::Router::new().fallback(move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { axum::http::StatusCode::SERVICE_UNAVAILABLE }
        });
        let server =
            tokio::spawn(crate::server::front::serve(listener, router, crate::server::front::Limits::default(), std::future::pending()));
        let config = Config::new(format!("http://{address}").parse().expect("an address"));
        let client = with_settings(config).expect("a client");
        let answer = bounded(Duration::from_secs(5), client.apiserver_version()).await;
        assert!(matches!(answer, Err(CallError::Failed(_))), "{answer:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        server.abort();
    }
}
