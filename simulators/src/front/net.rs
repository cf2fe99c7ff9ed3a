//! Connections: accepts on a loopback address and carries HTTP/1.1. It can also reset a connection
//! on purpose, which an ordinary server cannot do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;

use super::gate::{CutOff, Gate};

/// The service behind a listener.
#[derive(Clone)]
pub enum Site {
    Gate(Arc<Gate>),
    Router(axum::Router),
}

/// A running listener; dropping it closes the listener and its connections.
pub struct Listening {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds `address` and serves `site` there until the result is dropped.
///
/// # Errors
/// When the address is not a loopback one, or cannot be bound.
pub async fn listen(address: SocketAddr, site: Site) -> io::Result<Listening> {
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "simulators listen on loopback addresses only",
        ));
    }
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(accept(listener, site));
    Ok(Listening { address, task })
}

async fn accept(listener: TcpListener, site: Site) {
    // The set belongs to this task, so aborting it aborts every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(converse(stream, peer, site.clone()));
                }
                // Probably out of file descriptors: give others time to close.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, site: Site) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = stream.into_std() else { return };
    // A second handle on the same socket, because hyper owns the first.
    let Ok(handle) = stream.try_clone() else { return };
    let handle = Arc::new(handle);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let site = site.clone();
        let handle = handle.clone();
        async move {
            let request: Request = request.map(Body::new);
            let response: Response = match site {
                Site::Gate(gate) => gate.handle(request, peer.ip()).await,
                Site::Router(router) => router.oneshot(request).await,
            }
            .unwrap_or_else(|never| match never {});
            if response.extensions().get::<CutOff>().is_some() {
                // Closing with a zero linger sends a reset instead of an orderly end.
                let _ = socket2::SockRef::from(&*handle).set_linger(Some(Duration::ZERO));
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            Ok(response)
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
