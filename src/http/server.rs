//! The server: listens, bounds what clients may take, hands requests to a service.

use super::{
    access,
    error::HttpError,
    reply::{Reply, problem},
    service::Service,
    stalling::Stalling,
};
use hyper::{Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

/// Connections at a time; more are closed at once.
const CONNECTIONS: usize = 64;
/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 64;
/// Time for the head of a request, also between two requests of a connection.
const HEAD: Duration = Duration::from_secs(30);
/// Header lines of a request.
const HEADERS: usize = 64;
/// Bytes of a request's head, and of an answer that wait to be sent.
const BUFFER: usize = 64 << 10;
/// Bytes of an answer that the system keeps for a client that reads slowly: a few frames, not seconds of them.
const SEND_BUFFER: u32 = 256 << 10;
/// Time after which a client that takes nothing of an answer is cut off.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time for answers in the making when the server ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after an error of accepting, which is mostly that all descriptors are in use.
const PAUSE: Duration = Duration::from_millis(100);

/// A server on a thread of its own; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` (port 0: any) and lets `service` answer.
    ///
    /// # Errors
    /// [`HttpError`] if the address cannot be listened on, or the system gives no thread.
    pub(super) fn start(
        address: SocketAddr,
        name: &str,
        service: Arc<impl Service>,
    ) -> Result<Self, HttpError> {
        let start = |source| HttpError::Start { address, source };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(start)?;
        let (listener, local) = runtime
            .block_on(async { listen(address) })
            .map_err(|source| HttpError::Listen { address, source })?;
        let (stop, stopping) = watch::channel(false);
        let accept = Accept {
            local,
            service,
            stopping,
        };
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || accept.run(&runtime, listener))
            .map_err(start)?;
        Ok(Self {
            address: local,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Else a program that is started again finds its port in use for a minute.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

/// What the server's thread has.
struct Accept<S> {
    local: SocketAddr,
    service: Arc<S>,
    stopping: watch::Receiver<bool>,
}

impl<S: Service> Accept<S> {
    fn run(self, runtime: &Runtime, listener: TcpListener) {
        runtime.block_on(async move {
            let slots = Arc::new(Semaphore::new(CONNECTIONS));
            let mut stopping = self.stopping.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopping.wait_for(|stop| *stop) => break,
                };
                match accepted {
                    Ok((stream, _)) => {
                        if let Ok(slot) = slots.clone().try_acquire_owned() {
                            let (local, service) = (self.local, self.service.clone());
                            let stopping = self.stopping.clone();
                            tokio::spawn(async move {
                                connection(stream, local, service, stopping).await;
                                drop(slot);
                            });
                        }
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
            drop(listener);
            // All slots are free when all connections have ended.
            let _ = timeout(FAREWELL, slots.acquire_many(CONNECTIONS as u32)).await;
        });
    }
}

/// Serves a connection until it ends, or the server does.
async fn connection<S: Service>(
    stream: TcpStream,
    local: SocketAddr,
    service: Arc<S>,
    mut stopping: watch::Receiver<bool>,
) {
    // Frames are sent as they come; that it could not be set costs milliseconds, no more.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(service, local, request).await) }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEADERS)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Stalling::new(stream, PATIENCE)), answer)
    );
    let stopped = tokio::select! {
        // That a client broke off is its own affair.
        _ = connection.as_mut() => false,
        _ = stopping.wait_for(|stop| *stop) => true,
    };
    if stopped {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, connection).await;
    }
}

async fn answer<S: Service>(
    service: Arc<S>,
    local: SocketAddr,
    request: Request<Incoming>,
) -> Reply {
    match access::check(local, request.headers()) {
        Ok(()) => service.answer(request).await,
        Err(refusal @ access::Refusal::NoHost) => {
            problem(StatusCode::BAD_REQUEST, "BAD_REQUEST", &refusal.to_string())
        }
        Err(refusal) => problem(StatusCode::FORBIDDEN, "FORBIDDEN", &refusal.to_string()),
    }
}
