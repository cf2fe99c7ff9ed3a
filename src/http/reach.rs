//! Why a service cannot be reached, in words for people: the host, the innermost cause, and what
//! may help. Bob and the providers share this function.

use std::{env, error::Error};

use super::scrub::Scrubber;

/// The variables that name a proxy. reqwest reads them.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Returns why a request has no answer. The text has nothing of what is in `secrets`.
#[must_use]
pub fn why(error: &reqwest::Error, secrets: &[&str]) -> String {
    let cause = Scrubber { secrets, ..Scrubber::default() }.clean(&root_cause(error));
    let host = host_of(error);
    if error.is_builder() {
        "the request cannot be made from these settings".to_owned()
    } else if error.is_connect() && error.is_timeout() {
        format!("no connection to {host} in time{}", hint(error, &cause))
    } else if error.is_dns() || error.is_connect() {
        format!("no connection to {host}: {cause}{}", hint(error, &cause))
    } else if error.is_timeout() {
        format!("no answer from {host} in time")
    } else if error.is_body() || error.is_decode() {
        format!("the answer from {host} was cut off: {cause}")
    } else {
        format!("the connection to {host} broke before the answer: {cause}")
    }
}

/// Returns the host that was called, with its port if it is not the usual one.
fn host_of(error: &reqwest::Error) -> String {
    let host = error.url().and_then(|url| Some((url.host_str()?, url.port())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "the host".to_owned(),
    }
}

/// Returns the innermost cause. The outer ones repeat the address.
#[must_use]
pub fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Returns what may help, if that is known.
fn hint(error: &reqwest::Error, cause: &str) -> String {
    let proxy =
        PROXY.into_iter().find(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    let proxy = proxy.filter(|_| error.url().is_some_and(|url| url.scheme() == "https"));
    advice(cause, proxy)
}

fn advice(cause: &str, proxy: Option<&str>) -> String {
    match proxy {
        _ if cause.contains("UnknownIssuer") => {
            "; the certificate's issuer is not known: if a proxy decrypts the traffic, give the \
             controller the proxy's CA with SSL_CERT_FILE"
                .to_owned()
        }
        Some(name) if cause.contains("proxy auth") => {
            format!("; the proxy in {name} asks for a user and a password")
        }
        Some(name) => format!(
            "; {name} is set: check that the proxy runs and may connect to this host, or list the \
             host in NO_PROXY to call it directly"
        ),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const SECRET: &str = "s3cret";

    /// Answers each connection with these bytes, and returns the port.
    async fn server(bytes: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = socket.read(&mut head).await;
                let _ = socket.write_all(bytes).await;
            }
        });
        port
    }

    /// Returns a port at which no server listens.
    async fn closed() -> u16 {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
    }

    async fn told(url: &str, proxy: Option<u16>) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
        let builder = match proxy {
            Some(port) => builder.proxy(
                reqwest::Proxy::all(format!("http://user:{SECRET}@127.0.0.1:{port}")).unwrap(),
            ),
            None => builder.no_proxy(),
        };
        let error = builder.build().unwrap().get(url).send().await.unwrap_err();
        let told = why(&error, &[SECRET]);
        assert!(!told.contains(SECRET), "{told}");
        told
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_told_with_host_and_cause() {
        let port = closed().await;
        let refused =
            told(&format!("http://127.0.0.1:{port}/v1/people?token={SECRET}"), None).await;
        assert!(
            refused.starts_with(&format!("no connection to 127.0.0.1:{port}: Connection refused")),
            "{refused}"
        );

        let unknown = told("https://acme.nowhere.invalid/", None).await;
        assert!(
            unknown.starts_with(
                "no connection to acme.nowhere.invalid: failed to lookup address information"
            ),
            "{unknown}"
        );

        let asks =
            server(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                .await;
        let asks = told("https://acme.nowhere.invalid/", Some(asks)).await;
        assert!(
            asks.starts_with("no connection to acme.nowhere.invalid: ")
                && asks.contains("proxy authorization required"),
            "{asks}"
        );

        let dead = told("https://acme.nowhere.invalid/", Some(closed().await)).await;
        assert!(
            dead.starts_with("no connection to acme.nowhere.invalid: ")
                && dead.contains("Connection refused"),
            "{dead}"
        );

        let broken = server(b"HTTP/1.1 200 OK\r\ncontent-le").await;
        let broken = told(&format!("http://127.0.0.1:{broken}/"), None).await;
        assert!(broken.starts_with("the connection to 127.0.0.1:"), "{broken}");
    }

    #[tokio::test]
    async fn a_certificate_of_an_unknown_authority_is_told_with_what_helps() {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key =
            rustls::pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut session = rustls::ServerConnection::new(config).unwrap();
            // The client ends the connection.
            let _ = session.complete_io(&mut socket);
        });
        let told = told(&format!("https://localhost:{port}/"), None).await;
        assert!(
            told.starts_with(&format!(
                "no connection to localhost:{port}: invalid peer certificate: UnknownIssuer; "
            )),
            "{told}"
        );
        assert!(told.contains("SSL_CERT_FILE"), "{told}");
    }

    #[test]
    fn a_proxy_that_is_named_is_told() {
        assert_eq!(advice("Connection refused", None), "");
        assert!(advice("Connection refused", Some("https_proxy")).contains("https_proxy is set"));
        assert!(
            advice("proxy authorization required", Some("HTTPS_PROXY"))
                .contains("asks for a user and a password")
        );
    }
}
