//! The base addresses that an operator allows in place of the vendors' addresses.

use reqwest::Url;

use crate::{api::reasons::IntegrationReason, engine::stop::Stop};

/// The base addresses that the operator allows in place of the vendors' addresses: scheme, host and
/// port.
#[derive(Clone, Debug, Default)]
pub struct AllowedEndpoints(Vec<Url>);

impl AllowedEndpoints {
    /// Reads the values of `--allow-endpoint`.
    ///
    /// # Errors
    /// A sentence that names the value that is not a usable address.
    pub fn parse(values: &[String]) -> Result<Self, String> {
        values
            .iter()
            .map(|value| {
                let url = Url::parse(value).map_err(|_| {
                    format!("--allow-endpoint {value}: not an address such as https://host:8443")
                })?;
                match url.scheme() {
                    "https" => Ok(url),
                    "http" if is_loopback(&url) => Ok(url),
                    "http" => Err(format!(
                        "--allow-endpoint {value}: plain http is allowed on a loopback address only"
                    )),
                    _ => Err(format!(
                        "--allow-endpoint {value}: only https, or http on a loopback address"
                    )),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the endpoint without a trailing slash, if its scheme, host and port are allowed.
    ///
    /// # Errors
    /// [`Stop`] with `EndpointNotAllowed` that names the field.
    pub fn accept(&self, field: &str, endpoint: &str) -> Result<String, Stop> {
        let refuse = |why: &str| {
            Stop::new(IntegrationReason::EndpointNotAllowed, format!("In {field}: {why}"))
        };
        let url = Url::parse(endpoint)
            .map_err(|_| refuse("this is not an address: write one such as https://host:8443"))?;
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(refuse("write scheme, host, port and a path, and nothing else"));
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(refuse("plain http is allowed on a loopback address only: write https"));
        }
        let same = |allowed: &Url| {
            allowed.scheme() == url.scheme()
                && allowed.host() == url.host()
                && allowed.port_or_known_default() == url.port_or_known_default()
        };
        if self.0.iter().any(same) {
            Ok(url.as_str().trim_end_matches('/').to_owned())
        } else {
            Err(refuse(
                "the controller was not started with --allow-endpoint for this scheme, host and \
                 port: ask its operator to allow it, or remove the endpoint",
            ))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    // The host has a type of a crate that is no direct dependency. Its text is enough.
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_needs_the_same_scheme_host_and_port() {
        let allowed = AllowedEndpoints::parse(&[
            "http://127.0.0.1:8080".to_owned(),
            "https://mock.example.com".to_owned(),
        ])
        .unwrap();
        assert_eq!(
            allowed.accept("e", "http://127.0.0.1:8080/bob/").unwrap(),
            "http://127.0.0.1:8080/bob"
        );
        assert_eq!(
            allowed.accept("e", "https://mock.example.com:443").unwrap(),
            "https://mock.example.com"
        );
        for bad in [
            "http://127.0.0.1:8081",
            "https://127.0.0.1:8080",
            "http://127.0.0.1.example.com:8080",
            "https://mock.example.com.evil.example",
            "https://user@mock.example.com",
            "http://mock.example.com",
            "https://mock.example.com/?q",
            "nonsense",
        ] {
            assert_eq!(
                allowed.accept("e", bad).unwrap_err().reason,
                IntegrationReason::EndpointNotAllowed,
                "{bad}"
            );
        }
        assert!(AllowedEndpoints::parse(&["http://mock.example.com".to_owned()]).is_err());
    }
}
