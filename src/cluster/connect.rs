//! The connection to the API server, with the settings that the client library leaves to its user.

use std::{path::Path, sync::Once, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// How long it may take to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sending a request may stall. Each call limits the time for its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may be silent before it counts as dead, used or unused. The longest
/// silence of a live connection is that of a watch, which ends after half a minute. Calls have
/// shorter limits of their own.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// Chooses ring for TLS, once in each process. Further calls do nothing.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    // An error means that the embedding program has chosen a provider already, which works as well.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// Connects by `KUBECONFIG`, `~/.kube/config`, or the pod's service account. Also returns the
/// default namespace of that configuration. It makes no request yet.
///
/// # Errors
/// A sentence for the person who starts the process: no configuration can be read.
pub async fn client() -> Result<(Client, String), String> {
    client_of(None, None).await
}

/// Connects like [`client`], but with this context and this file, where they are given.
///
/// # Errors
/// A sentence for the person who starts the process: no configuration can be read.
pub async fn client_of(
    context: Option<&str>,
    file: Option<&Path>,
) -> Result<(Client, String), String> {
    let config = if context.is_none() && file.is_none() {
        Config::infer().await.map_err(|error| error.to_string())
    } else {
        chosen(context, file).await.map_err(|error| error.to_string())
    };
    let config =
        config.map_err(|error| format!("no Kubernetes API server is configured: {error}"))?;
    let namespace = config.default_namespace.clone();
    let client = with_settings(config)
        .map_err(|error| format!("the Kubernetes configuration cannot be used: {error}"))?;
    Ok((client, namespace))
}

/// Reads a kubeconfig with this context.
async fn chosen(
    context: Option<&str>,
    file: Option<&Path>,
) -> Result<Config, kube::config::KubeconfigError> {
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    match file {
        Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await,
        None => Config::from_kubeconfig(&options).await,
    }
}

/// Returns a client for this configuration, with the settings that every client of this process
/// has.
///
/// # Errors
/// When certificates or keys in it cannot be read.
pub fn with_settings(mut config: Config) -> Result<Client, kube::Error> {
    install_crypto();
    // The library would repeat any request, a create and a Lease included, up to fifteen times over
    // many minutes. An outage would then look like slowness. The caller decides what is repeated.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config.headers.push((
        axum::http::header::USER_AGENT,
        axum::http::HeaderValue::from_static(concat!("bobsync/", env!("CARGO_PKG_VERSION"))),
    ));
    Client::try_from(config)
}

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no complete answer in time. A write may have happened or not.
    #[error("the API server did not answer within {}s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The error of the client, without the body of an answer.
    #[error("{}", super::brief(.0))]
    Failed(#[source] kube::Error),
    /// An answer that an API server does not give.
    #[error("{0}")]
    Odd(&'static str),
}

impl CallError {
    /// Returns whether the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Returns whether the object has another version than the one that was read, or exists
    /// already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// Returns whether the API server has refused for now, because it is busy or just starts.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.code(), Some(429 | 503))
    }

    /// Returns whether the API server was reached and did not answer.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            // A connection that was silent for too long is closed, and the stream with it.
            Self::Failed(kube::Error::ReadEvents(error)) => is_timeout(error),
            _ => false,
        }
    }

    /// Returns the code of a refusal, whatever its body is: a resource that is not served is
    /// refused in plain text.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Failed(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }

    /// Returns how long the API server asks the caller to wait before the next request.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Failed(kube::Error::Api(status)) = self else { return None };
        let seconds = status
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|seconds| *seconds > 0);
        seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::from_fn(|| {
        let this = next?;
        // An error that wraps an error of the same type does not show itself, but shows its cause.
        let inner = this
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|inner| inner as _);
        next = inner.or_else(|| this.source());
        Some(this)
    })
    .any(|error| {
        error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
    })
}

/// Runs a call with a time limit. Without it, the client would wait for an answer for ever.
///
/// # Errors
/// [`CallError`].
pub async fn bounded<T>(
    within: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
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

    // A server that answers 503 is called once. With the library's default it would be called again
    // and again.
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
        let server = tokio::spawn(crate::server::front::serve(
            listener,
            router,
            crate::server::front::Limits::default(),
            std::future::pending(),
        ));
        let config = Config::new(format!("http://{address}").parse().expect("an address"));
        let client = with_settings(config).expect("a client");
        let answer = bounded(Duration::from_secs(5), client.apiserver_version()).await;
        assert!(matches!(answer, Err(CallError::Failed(_))), "{answer:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        server.abort();
    }

    /// Returns what a server receives in the first request of a client of this kubeconfig. The
    /// server answers with this code.
    async fn asked(
        kubeconfig: impl FnOnce(String) -> String,
        code: axum::http::StatusCode,
    ) -> (axum::http::HeaderMap, Result<(), CallError>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let router = axum::Router::new().fallback(move |headers: axum::http::HeaderMap| {
            let tell = tell.clone();
            async move {
                let _ = tell.send(headers).await;
                (code, "404 page not found\n")
            }
        });
        let server = tokio::spawn(crate::server::front::serve(
            listener,
            router,
            crate::server::front::Limits::default(),
            std::future::pending(),
        ));
        let file = kube::config::Kubeconfig::from_yaml(&kubeconfig(format!("http://{address}")))
            .expect("a kubeconfig");
        let config =
            Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
                .await
                .expect("a configuration");
        let client = with_settings(config).expect("a client");
        let answer = bounded(Duration::from_secs(5), client.apiserver_version()).await.map(drop);
        server.abort();
        (told.recv().await.expect("a request"), answer)
    }

    fn kubeconfig(server: &str, user: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: \
             {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: {{server: '{server}'}}}}], \
             users: [{{name: u, user: {user}}}]}}"
        )
    }

    // Kubeconfigs of old clusters configure the identity provider themselves.
    #[tokio::test]
    async fn the_token_of_an_identity_provider_in_a_kubeconfig_is_sent() {
        use base64::Engine as _;
        let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let token = format!(
            "{}.{}.{}",
            part("{\"alg\":\"none\"}"),
            part("{\"exp\":4102444800}"),
            part("x")
        );
        let user = format!(
            "{{auth-provider: {{name: oidc, config: {{client-id: bobsync, idp-issuer-url: \
             'https://127.0.0.1:9', id-token: '{token}'}}}}}}"
        );
        let (headers, _) =
            asked(|server| kubeconfig(&server, &user), axum::http::StatusCode::OK).await;
        assert_eq!(headers["authorization"].to_str().expect("text"), format!("Bearer {token}"));
    }

    // A kind that is not served is refused in plain text.
    #[tokio::test]
    async fn a_code_is_known_whatever_the_body_is_and_the_caller_has_a_name() {
        let (headers, answer) =
            asked(|server| kubeconfig(&server, "{token: t}"), axum::http::StatusCode::NOT_FOUND)
                .await;
        let error = answer.expect_err("refused");
        assert!(error.is_not_found() && !error.is_busy() && !error.is_silence(), "{error:?}");
        assert_eq!(error.to_string(), "Not Found (404)");
        assert_eq!(headers["user-agent"], concat!("bobsync/", env!("CARGO_PKG_VERSION")));
        let (_, answer) = asked(
            |server| kubeconfig(&server, "{token: t}"),
            axum::http::StatusCode::TOO_MANY_REQUESTS,
        )
        .await;
        assert!(answer.expect_err("refused").is_busy());
    }
}
