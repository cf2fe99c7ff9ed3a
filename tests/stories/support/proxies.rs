//! Proxies of a company, on loopback: HTTP (CONNECT) and SOCKS5, without a password. They count
//! what goes through them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

#[derive(Clone, Copy)]
pub enum Kind {
    Http,
    Socks5,
}

/// A running proxy. It ends when this value is dropped.
pub struct CompanyProxy {
    pub address: String,
    through: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for CompanyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl CompanyProxy {
    pub async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let through = Arc::new(AtomicU32::new(0));
        let count = through.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    let target = match kind {
                        Kind::Http => connect(&mut caller).await,
                        Kind::Socks5 => socks(&mut caller).await,
                    };
                    let Some(mut server) = target else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = copy_bidirectional(&mut caller, &mut server).await;
                });
            }
        });
        Self { address, through, task }
    }

    /// Returns how many connections went through it.
    pub fn through(&self) -> u32 {
        self.through.load(Ordering::SeqCst)
    }
}

/// Answers `CONNECT host:port`.
async fn connect(caller: &mut TcpStream) -> Option<TcpStream> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(caller.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    let server = TcpStream::connect(target).await.ok()?;
    caller.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    Some(server)
}

/// Handles RFC 1928: the greeting, and a request to connect to an IPv4 address or a name.
async fn socks(caller: &mut TcpStream) -> Option<TcpStream> {
    let mut greeting = [0; 2];
    caller.read_exact(&mut greeting).await.ok()?;
    let mut methods = vec![0; greeting[1].into()];
    caller.read_exact(&mut methods).await.ok()?;
    caller.write_all(&[5, 0]).await.ok()?;
    let mut request = [0; 4];
    caller.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(caller.read_u32().await.ok()?).to_string(),
        3 => {
            let mut name = vec![0; caller.read_u8().await.ok()?.into()];
            caller.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).ok()?
        }
        _ => return None,
    };
    let port = caller.read_u16().await.ok()?;
    let server = TcpStream::connect((host, port)).await.ok()?;
    caller.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    Some(server)
}
