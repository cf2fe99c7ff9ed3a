//! A proxy in front of kube-apiserver on which things go wrong: plain HTTP on loopback to the
//! client, TLS to the server. Requests that no rule strikes pass unchanged, and watches are
//! streamed.
//!
//! A held request keeps its connection open until its caller closes it, or for [`HELD_AT_MOST`];
//! the caller is then cut off without an answer.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _};
pub use http::Method;
use http::{HeaderMap, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The longest that a request is held.
pub const HELD_AT_MOST: Duration = Duration::from_secs(120);
/// Bodies of requests beyond this are refused.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// What happens to a request that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It never reaches the server, and is never answered.
    HoldBefore,
    /// The server carries it out; the answer is never passed on.
    HoldAfter,
    /// The server does not see it; the answer is a `Status` with this code.
    Status(u16),
    /// It is passed on this much later.
    Delay(Duration),
    /// The server carries it out, and half of its answer is passed on. For a watch that is half of
    /// its first data, and nothing follows; any other answer is cut there.
    Half,
    /// The server carries it out; the last brace of its answer is lost, and the length is unknown.
    Cut,
    /// The server does not see it; the answer is the page of a web server, with code 200.
    Page,
}

/// The reads that a rule strikes, among those that its method and path match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Only {
    /// All of them.
    #[default]
    All,
    Lists,
    Watches,
}

/// One rule. Rules are tried in the order they were added; the first that matches acts.
#[derive(Debug, Clone)]
pub struct Rule {
    pub act: Act,
    pub method: Method,
    /// The path without its query; `*` matches any number of characters.
    pub path: String,
    pub only: Only,
    /// How often it acts; absent: always.
    pub times: Option<u32>,
}

/// A request that a rule struck. A held request is listed once it is held: before it was sent on,
/// or after the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    pub act: Act,
    pub method: Method,
    pub path: String,
    /// The server's answer, for [`Act::HoldAfter`].
    pub answered: Option<u16>,
}

#[derive(Debug, Default)]
struct Rules {
    rules: Vec<Rule>,
    struck: Vec<Struck>,
}

/// How often something happened to all connections, or to all watches.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    down: bool,
    /// Watches that began under an earlier number have expired.
    expired: u64,
    /// Connections that began under an earlier number are dead without a sign.
    dead: u64,
}

struct Behind {
    server: String,
    http: reqwest::Client,
    rules: Mutex<Rules>,
    weather: watch::Sender<Weather>,
}

/// A running proxy. It ends when this value is dropped.
pub struct Proxy {
    address: SocketAddr,
    behind: Arc<Behind>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts a proxy in front of `server`. The server's certificate comes from `authority` (PEM).
    pub(crate) async fn start(server: &str, authority: &str) -> Result<Self> {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes())?;
        // The proxy passes on what the server sent: it unpacks nothing and follows no redirect.
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .no_gzip()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the proxy")?;
        let address = listener.local_addr()?;
        let behind = Arc::new(Behind {
            server: server.to_owned(),
            http,
            rules: Mutex::default(),
            weather: watch::Sender::new(Weather::default()),
        });
        let task = tokio::spawn(accept(listener, behind.clone()));
        Ok(Self { address, behind, task })
    }

    /// Returns `http://127.0.0.1:<port>`.
    pub fn server(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule.
    pub fn rule(&self, act: Act, method: Method, path: &str, times: Option<u32>) {
        self.rule_for(Only::All, act, method, path, times);
    }

    /// Adds a rule for some reads only.
    pub fn rule_for(&self, only: Only, act: Act, method: Method, path: &str, times: Option<u32>) {
        self.behind.rules().rules.push(Rule { act, method, path: path.to_owned(), only, times });
    }

    /// Removes every rule. Held requests stay held.
    pub fn clear(&self) {
        self.behind.rules().rules.clear();
    }

    /// Returns what rules have struck so far.
    pub fn struck(&self) -> Vec<Struck> {
        self.behind.rules().struck.clone()
    }

    /// Cuts every connection, and serves no new one.
    pub fn down(&self) {
        self.behind.weather.send_modify(|weather| weather.down = true);
    }

    /// Serves new connections again.
    pub fn up(&self) {
        self.behind.weather.send_modify(|weather| weather.down = false);
    }

    /// Makes every connection stay open without passing data on, as behind a firewall that has
    /// forgotten it. New connections are served.
    pub fn forget_connections(&self) {
        self.behind.weather.send_modify(|weather| weather.dead += 1);
    }

    /// Ends every running watch with the event for a version that is too old (410), as after a
    /// compaction of etcd.
    pub fn expire_watches(&self) {
        self.behind.weather.send_modify(|weather| weather.expired += 1);
    }
}

impl Behind {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what strikes this request, and counts it.
    fn strike(&self, method: &Method, path: &str, watch: bool) -> Option<Act> {
        let mut rules = self.rules();
        let meant = |only: Only| only == Only::All || (only == Only::Watches) == watch;
        let rule = rules.rules.iter_mut().find(|rule| {
            rule.times != Some(0)
                && rule.method == *method
                && meant(rule.only)
                && matches(&rule.path, path)
        })?;
        rule.times = rule.times.map(|times| times - 1);
        Some(rule.act)
    }

    fn note(&self, act: Act, method: &Method, path: &str, answered: Option<u16>) {
        self.rules().struck.push(Struck {
            act,
            method: method.clone(),
            path: path.to_owned(),
            answered,
        });
    }

    /// Answers one request on a connection that began under this number of dead ones; an error cuts
    /// it.
    async fn serve(&self, request: hyper::Request<Incoming>, began: u64) -> io::Result<Response> {
        let mut weather = self.weather.subscribe();
        let dead = async {
            // An error means that the proxy ends, and the connection with it.
            let _ = weather.wait_for(|weather| weather.dead > began).await;
        };
        let answer = tokio::select! {
            biased;
            () = dead => None,
            answer = self.handle(request) => Some(answer?),
        };
        let Some(answer) = answer else {
            tokio::time::sleep(HELD_AT_MOST).await;
            return Err(io::Error::other("the connection is forgotten"));
        };
        let mut weather = self.weather.subscribe();
        let dead = async move {
            let _ = weather.wait_for(|weather| weather.dead > began).await;
        };
        Ok(answer.map(|body| Body::from_stream(silenced(body.into_data_stream(), dead))))
    }

    async fn handle(&self, request: hyper::Request<Incoming>) -> io::Result<Response> {
        let (parts, body) = request.map(Body::new).into_parts();
        let body = axum::body::to_bytes(body, BODY_LIMIT).await.map_err(io::Error::other)?;
        let (method, path) = (parts.method, parts.uri.path().to_owned());
        let act = self.strike(&method, &path, is_watch(&parts.uri));
        match act {
            Some(act @ Act::HoldBefore) => {
                self.note(act, &method, &path, None);
                tokio::time::sleep(HELD_AT_MOST).await;
                return Err(io::Error::other("held before the server"));
            }
            Some(act @ Act::Status(code)) => {
                self.note(act, &method, &path, None);
                return Ok(refusal(code));
            }
            Some(act @ Act::Delay(by)) => {
                self.note(act, &method, &path, None);
                tokio::time::sleep(by).await;
            }
            Some(act @ Act::Page) => {
                self.note(act, &method, &path, None);
                return Ok(Response::new(Body::from("<html>\n<body>It works!</body>\n</html>\n")));
            }
            Some(act @ Act::Half) => self.note(act, &method, &path, None),
            Some(Act::HoldAfter | Act::Cut) | None => {}
        }
        let answer = self
            .pass_on(&method, &parts.uri, parts.headers, body)
            .await
            .map_err(io::Error::other)?;
        if let Some(act @ Act::HoldAfter) = act {
            let status = answer.status().as_u16();
            // Read as a whole, so that nothing of it is left to happen.
            let _ = answer.bytes().await;
            self.note(act, &method, &path, Some(status));
            tokio::time::sleep(HELD_AT_MOST).await;
            return Err(io::Error::other("the answer was withheld"));
        }
        if act == Some(Act::Half) {
            return half(answer, is_watch(&parts.uri)).await;
        }
        if let Some(act @ Act::Cut) = act {
            let (status, mut headers) = (answer.status(), answer.headers().clone());
            for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
                headers.remove(name);
            }
            let whole = answer.bytes().await.map_err(io::Error::other)?;
            self.note(act, &method, &path, Some(status.as_u16()));
            let mut response = Response::new(Body::from(
                whole.slice(..whole.trim_ascii_end().len().saturating_sub(1)),
            ));
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            return Ok(response);
        }
        Ok(self.streamed(answer, is_watch(&parts.uri)))
    }

    async fn pass_on(
        &self,
        method: &Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> reqwest::Result<reqwest::Response> {
        for name in
            [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH]
        {
            headers.remove(name);
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        self.http
            .request(method.clone(), format!("{}{target}", self.server))
            .headers(headers)
            .body(body)
            .send()
            .await
    }

    fn streamed(&self, answer: reqwest::Response, watch: bool) -> Response {
        let mut response = head(&answer);
        if !watch || !answer.status().is_success() {
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            return response;
        }
        let mut weather = self.weather.subscribe();
        let began = weather.borrow_and_update().expired;
        let expired = async move {
            // An error means that the proxy ends, and the connection with it.
            let _ = weather.wait_for(|weather| weather.expired > began).await;
        };
        let gone = json!({"type": "ERROR", "object": status(410)}).to_string() + "\n";
        let last = futures::stream::once(async move { Ok(gone.into()) });
        *response.body_mut() =
            Body::from_stream(answer.bytes_stream().take_until(expired).chain(last));
        response
    }
}

/// Returns this answer without its body.
fn head(answer: &reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response.headers_mut().remove(header::CONNECTION);
    response
}

/// Returns the first half of this answer. For a watch it is half of its first data.
async fn half(mut answer: reqwest::Response, watch: bool) -> io::Result<Response> {
    let mut response = head(&answer);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    let first = if watch {
        answer.chunk().await.map_err(io::Error::other)?.unwrap_or_default()
    } else {
        Bytes::new()
    };
    let whole = if watch { first } else { answer.bytes().await.map_err(io::Error::other)? };
    let first = futures::stream::once(std::future::ready(Ok(whole.slice(..whole.len() / 2))));
    let rest = futures::stream::once(async move {
        if watch {
            tokio::time::sleep(HELD_AT_MOST).await;
        }
        Err(io::Error::other("cut"))
    });
    *response.body_mut() = Body::from_stream(first.chain(rest));
    Ok(response)
}

/// Returns the data before `dead`; then nothing, and no end for a long time.
fn silenced<E: Into<axum::BoxError> + Send + 'static>(
    body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    dead: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, E>> + Send {
    futures::stream::unfold((body.boxed(), dead.boxed()), |(mut body, mut dead)| async move {
        tokio::select! {
            biased;
            () = &mut dead => {
                tokio::time::sleep(HELD_AT_MOST).await;
                None
            }
            next = body.next() => next.map(|next| (next, (body, dead))),
        }
    })
}

fn is_watch(uri: &Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")))
}

/// Returns whether `path` matches `pattern`, in which `*` matches any number of characters.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|left| {
            left.char_indices()
                .map(|(at, _)| at)
                .chain([left.len()])
                .any(|at| matches(rest, &left[at..]))
        }),
    }
}

/// Returns a `Status` as kube-apiserver would send it with this code.
fn status(code: u16) -> serde_json::Value {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        404 => "NotFound",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "Unknown",
    };
    let details = if code == 429 { json!({"retryAfterSeconds": 1}) } else { json!({}) };
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "refused on the way", "reason": reason, "code": code, "details": details})
}

fn refusal(code: u16) -> Response {
    let mut response = Response::new(Body::from(status(code).to_string()));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

async fn accept(listener: TcpListener, behind: Arc<Behind>) {
    let mut weather = behind.weather.subscribe();
    // The set belongs to this task, so aborting it cuts every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !weather.borrow().down => { connections.spawn(converse(stream, behind.clone())); }
                Ok(_) => {}
                // Probably out of file descriptors: give others time to close.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            changed = weather.changed() => {
                if changed.is_err() { return }
                if weather.borrow_and_update().down { connections.abort_all(); }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, behind: Arc<Behind>) {
    let _ = stream.set_nodelay(true);
    let began = behind.weather.borrow().dead;
    let service = service_fn(move |request| {
        let behind = behind.clone();
        async move { behind.serve(request, began).await }
    });
    // An error is a cut connection, as requested, or a caller that has gone.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        let path = "/apis/bobsync.dev/v1alpha1/namespaces/people/employeesyncs/onelogin-7/status";
        for pattern in [path, "*", "*/employeesyncs/*/status", "/apis/*onelogin-7*", "*/status*"] {
            assert!(matches(pattern, path), "{pattern}");
        }
        for pattern in ["", "/apis", "*/employeesyncs", "*/employeesyncs/*/scale", "/status"] {
            assert!(!matches(pattern, path), "{pattern}");
        }
    }
}
