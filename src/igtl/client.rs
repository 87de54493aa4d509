//! A client of OpenIGTLink.

use super::{
    hub::{Hub, Sender},
    link_event::LinkEvent,
    link_options::LinkOptions,
    serve_link::serve,
};
use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Connects to a server and exchanges messages with it; connects again, with growing pauses, when the connection ends. Dropped, it
/// ends the connection.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    waking: Arc<Waking>,
    thread: Option<JoinHandle<()>>,
}

/// Ends a pause.
#[derive(Debug, Default)]
struct Waking {
    stopped: Mutex<bool>,
    /// Whether an attempt to connect is under way.
    connecting: AtomicBool,
    changed: Condvar,
}

impl Client {
    /// Connects to `host:port`, which is looked up at each attempt, on a thread of its own: it returns before there is a
    /// connection. What is sent while there is none is dropped. `listener` is called for each event on that thread, which reads
    /// on when it returns.
    ///
    /// # Errors
    /// That no thread can be started.
    pub fn connect(
        address: impl Into<String>,
        options: LinkOptions,
        listener: impl Fn(LinkEvent) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (address, waking) = (address.into(), Arc::new(Waking::default()));
        let hub = Hub::new(options, listener);
        let sender = Sender(Arc::clone(&hub));
        let pausing = Arc::clone(&waking);
        let thread = thread::Builder::new()
            .name("igtl-receive".to_owned())
            .spawn(move || keep_connected(&hub, &address, &pausing))?;
        Ok(Self {
            sender,
            waking,
            thread: Some(thread),
        })
    }

    /// Sends to the server.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.sender.0.stop();
        *self.waking.stopped() = true;
        self.waking.changed.notify_all();
        // An attempt to connect cannot be broken off; the thread ends after it without an event.
        if let Some(thread) = self.thread.take()
            && !self.waking.connecting.load(Ordering::SeqCst)
        {
            let _ = thread.join();
        }
    }
}

impl Waking {
    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not longer than until the client stops.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut stopped = self.stopped();
        while !*stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(stopped, left);
            stopped = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn keep_connected(hub: &Arc<Hub>, address: &str, waking: &Waking) {
    let [first, longest] = hub.options.pauses;
    let (mut pause, mut failures) = (first, 0);
    loop {
        waking.connecting.store(true, Ordering::SeqCst);
        if hub.stopped() {
            return;
        }
        let connected = connect(address, hub.options.connect);
        if hub.stopped() {
            return;
        }
        waking.connecting.store(false, Ordering::SeqCst);
        match connected {
            Ok((stream, peer)) => {
                failures = 0;
                let since = Instant::now();
                serve(hub, stream, peer);
                // A server that ends each connection at once is not called without a pause.
                if since.elapsed() >= longest {
                    pause = first;
                }
            }
            Err(error) => {
                failures += 1;
                hub.report(LinkEvent::ConnectFailed {
                    error,
                    failures,
                    pause,
                });
            }
        }
        waking.pause(pause);
        pause = (pause * 2).min(longest);
    }
}

/// Connects to the first of the addresses of a host that accepts.
fn connect(address: &str, timeout: Duration) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for peer in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&peer, timeout) {
            // A port among those that are given out at random can be connected with itself.
            Ok(stream) if stream.local_addr()? == peer => {
                failed = io::ErrorKind::ConnectionRefused.into();
            }
            Ok(stream) => return Ok((stream, peer)),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
