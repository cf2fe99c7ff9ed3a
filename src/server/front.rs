//! The part of a listener that clients meet first. It accepts connections, and ends those that are
//! too slow. A handler sees a request only when its whole body is there, so a slow sender cannot
//! hold up a handler.
//!
//! The number of connections is limited. While all places are taken, the next connections wait in
//! the kernel's queue. They get their turn, because every connection has an end.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header::CONNECTION},
    response::IntoResponse as _,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::io::InspectReader;
use tower_service::Service as _;

/// How much of the server one client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for the request line and all headers, counted from their first byte, or from the
    /// connection.
    pub head: Duration,
    /// Time that a connection may be idle after an answer. Load balancers keep theirs for a minute.
    pub idle: Duration,
    /// Time for the whole body.
    pub body: Duration,
    /// Size of the body in bytes.
    pub body_bytes: usize,
    /// Size of request line and headers in bytes.
    pub head_bytes: usize,
    /// Time for a whole connection, with all its requests. A connection that is idle at that time
    /// ends with its next request.
    pub connection: Duration,
    /// How many connections may be open at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            head_bytes: 16 * 1024,
            connection: Duration::from_mins(1),
            connections: 100,
        }
    }
}

/// How long the last request of a connection may take once the connection has to end.
const GRACE: Duration = Duration::from_secs(5);

/// Receives every request that no handler sees: 413 and 431 for a body or a head that was too
/// large, 408 for one that took too long, 400 for one that broke off or was not a request.
pub type OnRefused = Arc<dyn Fn(StatusCode) + Send + Sync>;

/// Serves `router` on `listener` until `stop` completes. Then lets requests end that have begun.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    serve_telling(listener, router, limits, Arc::new(|_| ()), stop).await;
}

/// Serves in the same way, and reports every refused request to `refused`.
pub async fn serve_telling(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    refused: OnRefused,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stopped, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut stop => break,
            (place, accepted) = accept => match accepted {
                Ok((stream, _)) => {
                    let (router, refused) = (router.clone(), refused.clone());
                    let stopping = stopping.clone();
                    connections.spawn(async move {
                        connection(stream, router, limits, refused, stopping).await;
                        drop(place);
                    });
                }
                // There are no file descriptors left, or the peer has left already. Neither ends
                // the listener.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopped.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// Nothing came yet.
    New,
    /// A head has begun.
    Head,
    /// A request is being read or answered.
    Busy,
    /// The last answer is made.
    Idle,
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    refused: OnRefused,
    mut stopping: watch::Receiver<bool>,
) {
    let (phase, mut at) = watch::channel(ConnectionPhase::New);
    let phase = Arc::new(phase);
    let seen = phase.clone();
    let stream = InspectReader::new(stream, move |bytes: &[u8]| {
        seen.send_if_modified(|phase| {
            let begins =
                !bytes.is_empty() && matches!(phase, ConnectionPhase::New | ConnectionPhase::Idle);
            if begins {
                *phase = ConnectionPhase::Head;
            }
            begins
        });
    });
    let over = Arc::new(AtomicBool::new(false));
    let (telling, busy, last) = (refused.clone(), phase.clone(), over.clone());
    let service = service_fn(move |request| {
        busy.send_replace(ConnectionPhase::Busy);
        let (answer, busy, last) =
            (answer(router.clone(), request, limits, telling.clone()), busy.clone(), last.clone());
        async move {
            let mut answer = answer.await;
            busy.send_replace(ConnectionPhase::Idle);
            if let (true, Ok(answer)) = (last.load(Relaxed), &mut answer) {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            // Idle connections and heads have limits of their own, which this function keeps.
            .header_read_timeout(None)
            .max_buf_size(limits.head_bytes.max(8192))
            .serve_connection(TokioIo::new(stream), service)
    );
    let bound = tokio::time::sleep(limits.connection);
    let mut bound = std::pin::pin!(bound);
    loop {
        let now = *at.borrow_and_update();
        if over.load(Relaxed) && now != ConnectionPhase::Idle {
            break;
        }
        let patience = match now {
            ConnectionPhase::New | ConnectionPhase::Head => Some(limits.head),
            ConnectionPhase::Idle => Some(limits.idle),
            ConnectionPhase::Busy => None,
        };
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended && let Some(status) = unread_head(&error) {
                    refused(status);
                }
                return;
            }
            _ = at.changed() => {}
            () = async {
                match patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => std::future::pending().await,
                }
            } => {
                if now == ConnectionPhase::Head {
                    refused(StatusCode::REQUEST_TIMEOUT);
                }
                return;
            }
            () = bound.as_mut(), if !over.load(Relaxed) => over.store(true, Relaxed),
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, connection).await;
}

/// Returns the status for a head that was not read to its end, or `None` if there was no head.
fn unread_head(error: &hyper::Error) -> Option<StatusCode> {
    match error {
        _ if error.is_parse_too_large() => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        _ if error.is_parse() => Some(StatusCode::BAD_REQUEST),
        _ => None,
    }
}

/// Reads the whole body within its limits, then asks the router.
async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    limits: Limits,
    refused: OnRefused,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let whole =
        tokio::time::timeout(limits.body, Limited::new(body, limits.body_bytes).collect()).await;
    let status = match whole {
        Ok(Ok(body)) => {
            return router.call(Request::from_parts(head, Body::from(body.to_bytes()))).await;
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => StatusCode::PAYLOAD_TOO_LARGE,
        Ok(Err(_)) => StatusCode::BAD_REQUEST,
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    };
    refused(status);
    Ok(refuse(status))
}

/// Returns an answer after which the connection ends, so that the rest of the request is not read.
fn refuse(status: StatusCode) -> Response<Body> {
    let mut response = status.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
