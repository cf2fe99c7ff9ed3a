//! The front door of a listener: accepts connections, and ends those that dawdle. A handler sees a request only when
//! its whole body is there, so no handler can be held up by a slow sender.
//!
//! The number of connections is capped; while all places are taken, the next ones wait in the kernel's queue, and
//! since every connection has an end, they get their turn.

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

/// What a client may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for the request line and all headers, counted from the connection or the answer before: idle connections
    /// end with it too.
    pub head: Duration,
    /// Time for the whole body.
    pub body: Duration,
    /// Size of the body in bytes.
    pub body_bytes: usize,
    /// Size of request line and headers in bytes.
    pub head_bytes: usize,
    /// Time for a whole connection, however many requests it carries. Ends those who send well and read slowly.
    pub connection: Duration,
    /// Connections at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
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

/// Told of every request that no handler sees: 413 and 431, its body or its head was too large; 408, it took too long; 400, it
/// broke off, or was none.
pub type Refused = Arc<dyn Fn(StatusCode) + Send + Sync>;

/// Serves `router` on `listener` until `stop` completes; then lets requests that began end.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    serve_telling(listener, router, limits, Arc::new(|_| ()), stop).await;
}

/// The same, and tells of what was refused.
pub async fn serve_telling(listener: TcpListener, router: Router, limits: Limits, refused: Refused, stop: impl Future<Output = ()>) {
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
                    let (router, refused, stopping) = (router.clone(), refused.clone(), stopping.clone());
                    connections.spawn(async move {
                        connection(stream, router, limits, refused, stopping).await;
                        drop(place);
                    });
                }
                // Out of file descriptors, or the peer left already. Neither ends the listener.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopped.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, refused: Refused, mut stopping: watch::Receiver<bool>) {
    // An idle connection ends by the same timer as a head that dawdles, and is no refusal.
    let begun = Arc::new(AtomicBool::new(false));
    let seen = begun.clone();
    let stream = InspectReader::new(stream, move |bytes: &[u8]| {
        if !bytes.is_empty() {
            seen.store(true, Relaxed);
        }
    });
    let (telling, open) = (refused.clone(), begun.clone());
    let service = service_fn(move |request| {
        let (answer, open) = (answer(router.clone(), request, limits, telling.clone()), open.clone());
        async move {
            let answer = answer.await;
            open.store(false, Relaxed);
            answer
        }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes.max(8192))
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended && let Some(status) = unread_head(&error, begun.load(Relaxed)) {
                refused(status);
            }
            return;
        }
        () = tokio::time::sleep(limits.connection) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, connection).await;
}

/// What became of a head that was not read to its end; `None`: there was none.
fn unread_head(error: &hyper::Error, begun: bool) -> Option<StatusCode> {
    match error {
        _ if error.is_parse_too_large() => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        _ if error.is_parse() => Some(StatusCode::BAD_REQUEST),
        _ if error.is_timeout() && begun => Some(StatusCode::REQUEST_TIMEOUT),
        _ => None,
    }
}

/// Reads the whole body within its bounds, then asks the router.
async fn answer(mut router: Router, request: Request<Incoming>, limits: Limits, refused: Refused) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let whole = tokio::time::timeout(limits.body, Limited::new(body, limits.body_bytes).collect()).await;
    let status = match whole {
        Ok(Ok(body)) => return router.call(Request::from_parts(head, Body::from(body.to_bytes()))).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => StatusCode::PAYLOAD_TOO_LARGE,
        Ok(Err(_)) => StatusCode::BAD_REQUEST,
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    };
    refused(status);
    Ok(refuse(status))
}

/// An answer after which the connection ends: what is left of the request is not read.
fn refuse(status: StatusCode) -> Response<Body> {
    let mut response = status.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
