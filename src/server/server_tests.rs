//! The listener over real sockets, with short limits so that a slow client takes milliseconds.

use std::{net::SocketAddr, time::Duration};

use axum::{body::Bytes, routing::post};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    time::Instant,
};

use super::*;
use front::Limits;

const SHORT: Duration = Duration::from_millis(200);

fn short() -> Limits {
    Limits {
        head: SHORT,
        idle: SHORT * 4,
        body: SHORT * 2,
        body_bytes: 1024,
        connection: Duration::from_secs(3),
        connections: 4,
        ..Limits::default()
    }
}

/// Starts a listener for `router`. It ends when the sender is dropped.
async fn start(
    router: Router,
    limits: Limits,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    (address, stop, tokio::spawn(front::serve(listener, router, limits, stopped)))
}

fn ours() -> (Router, Health) {
    let health = Health::new();
    (
        router(Arc::new(Metrics::new()), health.clone())
            .route("/echo", post(async |body: Bytes| body)),
        health,
    )
}

/// Sends `text` and reads until the other side closes, at most five seconds.
async fn exchange(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(text.as_bytes()).await.expect("sent");
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
        .await
        .expect("closed by the server");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn the_three_paths_and_no_other() {
    let (router, health) = ours();
    let (address, _stop, _task) = start(router, short()).await;
    let metrics = get(address, "/metrics").await;
    assert!(
        metrics.starts_with("HTTP/1.1 200") && metrics.contains("text/plain; version=0.0.4"),
        "{metrics}"
    );
    assert!(metrics.contains("bobsync_build_info"));
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"), "no lists yet");
    health.ready();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    health.stopping();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(
        get(address, "/healthz").await.starts_with("HTTP/1.1 200"),
        "a stopping process is alive"
    );
    let _silent = health.register_within("watches", Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let sick = get(address, "/healthz").await;
    assert!(sick.starts_with("HTTP/1.1 500") && sick.contains("watches has been silent"), "{sick}");
    for path in ["/", "/debug", "/metrics/", "/healthz/x"] {
        assert!(get(address, path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(
        exchange(
            address,
            "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .await
        .starts_with("HTTP/1.1 405")
    );
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let (address, _stop, _task) = start(ours().0, short()).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.expect("connects");
    // The bytes come one at a time, so that the connection is never idle.
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let drip = async {
        for byte in "GET /metrics HTTP/1.1\r\nHost: ".bytes().chain(std::iter::repeat(b'x')) {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = drip => {}
        () = tokio::time::sleep(Duration::from_secs(5)) => panic!("still open"),
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[tokio::test]
async fn a_slow_body_ends_the_connection_on_any_path() {
    let (address, _stop, _task) = start(ours().0, short()).await;
    for path in ["/echo", "/metrics", "/nowhere"] {
        let began = Instant::now();
        let answer = exchange(
            address,
            &format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nfirst"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(
            began.elapsed() >= SHORT * 2 && began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let (address, _stop, _task) = start(ours().0, short()).await;
    let fits = "a".repeat(1024);
    let answer = exchange(
        address,
        &format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: \
            close\r\nContent-Length: 1024\r\n\r\n{fits}"
        ),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&fits));
    let answer = exchange(
        address,
        &format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n{fits}a"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let (address, _stop, _task) = start(ours().0, short()).await;
    let mut silent = TcpStream::connect(address).await.expect("connects");
    assert_eq!(rest(&mut silent).await, "", "never said a word");
    let began = Instant::now();
    let answer = exchange(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < Duration::from_secs(2), "kept alive for the next head only");
}

#[tokio::test]
async fn a_full_house_gets_free_again() {
    let (address, _stop, _task) = start(ours().0, short()).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(address).await.expect("connects"));
    }
    // Two rounds of silent connections have to be ended first.
    let began = Instant::now();
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() >= SHORT, "the cap held: {:?}", began.elapsed());
}

#[tokio::test]
async fn who_reads_slowly_is_ended_too() {
    let router = Router::new().route("/long", axum::routing::get(async || vec![b'x'; 64 << 20]));
    let (address, stop, task) = start(router, Limits { connection: SHORT, ..short() }).await;
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    tokio::time::sleep(SHORT).await;
    drop(stop);
    // The listener ends only after all its connections. This one is ended although no client reads
    // the answer.
    tokio::time::timeout(Duration::from_secs(15), task).await.expect("ended").expect("no panic");
}

#[tokio::test]
async fn a_stop_lets_requests_that_began_end() {
    let router = Router::new().route(
        "/slow",
        axum::routing::get(async || {
            tokio::time::sleep(SHORT * 2).await;
            "done"
        }),
    );
    let (address, stop, task) = start(router, short()).await;
    let request = tokio::spawn(async move { get(address, "/slow").await });
    tokio::time::sleep(SHORT).await;
    drop(stop);
    assert!(request.await.expect("no panic").ends_with("done"));
    task.await.expect("no panic");
    TcpStream::connect(address).await.expect_err("no server listens any more");
}

#[tokio::test]
async fn scrapers_get_the_format_that_they_ask_for() {
    let (router, _health) = ours();
    let (address, _stop, _task) = start(router, short()).await;
    let page = async |accept: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let head = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    };
    for accept in ["", "Accept: text/plain\r\n", "Accept: */*\r\n"] {
        let answer = page(accept).await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(
            answer.contains("# TYPE bobsync_passes_total counter") && !answer.contains("# EOF"),
            "{answer}"
        );
    }
    let answer =
        page("Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n").await;
    assert!(
        answer.contains("content-type: application/openmetrics-text")
            && answer.ends_with("# EOF\n"),
        "{answer}"
    );
    assert!(answer.contains("# TYPE bobsync_passes counter"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_serves_the_next_request_and_a_begun_head_still_ends() {
    let (router, _health) = ours();
    let limits = Limits { idle: SHORT * 10, connection: SHORT * 2, ..short() };
    let (address, _stop, _task) = start(router, limits).await;
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let mut buffer = [0; 1024];
    let ask = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    stream.write_all(ask).await.expect("sent");
    let read = stream.read(&mut buffer).await.expect("answered");
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    // This is longer than a head may take, and longer than the limit of a connection.
    tokio::time::sleep(SHORT * 4).await;
    stream.write_all(ask).await.expect("sent");
    let read = stream.read(&mut buffer).await.expect("answered");
    let answer = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");

    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(b"POST /echo HTTP/1.1\r\nHo").await.expect("sent");
    let began = std::time::Instant::now();
    assert_eq!(stream.read(&mut buffer).await.unwrap_or(0), 0);
    assert!(began.elapsed() < SHORT * 5, "{:?}", began.elapsed());
}
