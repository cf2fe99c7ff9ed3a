//! Plain HTTP with the rules that all services share: timeouts, no redirects and a bounded body. It
//! tells a call that was never sent from a call with an answer that cannot be trusted. It knows no
//! service's own words.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
    redirect::Policy,
};

use super::reach::why;

/// How long it may take to open a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest body that is read, in bytes after decompression.
pub const BODY_CAP: usize = 8 * 1024 * 1024;

/// The text for a body that is larger than [`BODY_CAP`].
pub const TOO_LARGE: &str = "the answer is too large";

/// The user agent of every call.
pub const USER_AGENT: &str = concat!("bobsync/", env!("CARGO_PKG_VERSION"));

/// Returns the request with these pairs as an HTML form, which is how OAuth asks for tokens (RFC
/// 6749, 4.4.2).
pub fn form(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    // A query follows the same rules.
    let url = reqwest::Url::parse_with_params("http://form/", pairs);
    let body = url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

/// Returns a text percent-encoded, for one segment of a path or one value of a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let hex = |nibble: u8| {
                char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase()
            };
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    out
}

/// A pool of connections to one service.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
}

/// A complete answer of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body, decompressed.
    pub body: Bytes,
}

/// Why there is no answer. The text names the host and the cause. It has no path, no header and no
/// body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The request did not reach the service, so nothing was applied there.
    #[error("{0}")]
    NotSent(String),
    /// The request may have arrived, and no complete answer came back.
    #[error("{0}")]
    NoAnswer(String),
}

impl CallFailure {
    /// Returns what happened, in words.
    #[must_use]
    pub fn said(&self) -> &str {
        match self {
            Self::NotSent(said) | Self::NoAnswer(said) => said,
        }
    }

    fn before_the_head(error: &reqwest::Error) -> Self {
        let sent = !error.is_dns() && !error.is_connect() && !error.is_builder();
        if sent { Self::NoAnswer(why(error, &[])) } else { Self::NotSent(why(error, &[])) }
    }

    fn within_the_body(error: &reqwest::Error) -> Self {
        Self::NoAnswer(why(error, &[]))
    }
}

impl Client {
    /// Returns a client for the service at `base`. The system's proxy settings apply to `https`. A
    /// plain `http` base is a loopback address and is always called directly.
    ///
    /// # Errors
    /// The TLS settings of this machine cannot be used.
    pub fn new(base: &str) -> Result<Self, reqwest::Error> {
        // The TLS layer has no built-in cryptography. An earlier caller may have installed it
        // already, which is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            // The code that understands the outcome of a call decides about retrying.
            .retry(reqwest::retry::never())
            .gzip(true)
            .pool_idle_timeout(Duration::from_secs(50))
            .tcp_keepalive(Duration::from_secs(30));
        let builder = if base.starts_with("http://") { builder.no_proxy() } else { builder };
        Ok(Self { inner: builder.build()? })
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends a request and reads the whole answer within `timeout`, which includes connecting.
    ///
    /// # Errors
    /// [`CallFailure::NotSent`] if there is no connection or the request could not be made;
    /// [`CallFailure::NoAnswer`] for everything after that: time-out, reset, cut or oversized body.
    pub async fn send(
        &self,
        request: RequestBuilder,
        timeout: Duration,
    ) -> Result<Answer, CallFailure> {
        let mut response = request
            .timeout(timeout)
            .send()
            .await
            .map_err(|error| CallFailure::before_the_head(&error))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let url = response.url().clone();
        let mut body = BytesMut::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| CallFailure::within_the_body(&error.with_url(url.clone())))?
        {
            if body.len() + piece.len() > BODY_CAP {
                return Err(CallFailure::NoAnswer(TOO_LARGE.to_owned()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

impl Answer {
    /// Returns a header's text, if the header is there and printable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// Returns a header that is a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    /// Returns the media type without parameters, in lower case. It is empty without a header.
    #[must_use]
    pub fn media_type(&self) -> String {
        let text = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Returns whether the answer says that its body is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type();
        media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }

    /// Returns whether the body is an HTML page, such as a log-in, an abuse or a maintenance page.
    #[must_use]
    pub fn is_html(&self) -> bool {
        matches!(self.media_type().as_str(), "text/html" | "application/xhtml+xml")
            || (!self.is_json() && self.body.trim_ascii_start().first() == Some(&b'<'))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one connection with these bytes and closes it.
    async fn one_answer(bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let _ = socket.write_all(bytes).await;
        });
        url
    }

    async fn get(url: &str, timeout: Duration) -> Result<Answer, CallFailure> {
        let client = Client::new(url).unwrap();
        client.send(client.request(Method::GET, url), timeout).await
    }

    const ENOUGH: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_refused_connection_is_not_sent_and_everything_later_may_have_arrived() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(get(&url, ENOUGH).await, Err(CallFailure::NotSent(_))));

        for cut in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
        ] {
            let url = one_answer(cut).await;
            assert!(
                matches!(get(&url, ENOUGH).await, Err(CallFailure::NoAnswer(_))),
                "{}",
                cut.len()
            );
        }
    }

    #[tokio::test]
    async fn silence_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let failure = get(&url, Duration::from_millis(50)).await.unwrap_err();
        assert!(
            matches!(&failure, CallFailure::NoAnswer(said) if said.starts_with("no answer from \
                127.0.0.1:")),
            "{failure:?}"
        );
        drop(listener);
    }

    #[tokio::test]
    async fn redirects_are_answers_like_any_other() {
        let url = one_answer(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
        assert_eq!(get(&url, ENOUGH).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn media_types_tell_json_from_pages() {
        let json = one_answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; \
                charset=utf-8\r\ncontent-length: 2\r\nX-Left: 7\r\n\r\n{}",
        )
        .await;
        let answer = get(&json, ENOUGH).await.unwrap();
        assert!(answer.is_json() && !answer.is_html());
        assert_eq!((answer.number("x-left"), &answer.body[..]), (Some(7), &b"{}"[..]));
        let page = one_answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        )
        .await;
        let answer = get(&page, ENOUGH).await.unwrap();
        assert!(!answer.is_json() && answer.is_html());
    }
}
