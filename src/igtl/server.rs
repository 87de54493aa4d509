//! A server of OpenIGTLink.

use super::{
    hub::{Hub, Sender},
    link_event::LinkEvent,
    link_options::LinkOptions,
    serve_link::serve,
};
use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

/// The port that OpenIGTLink's programs use where none is given.
pub const DEFAULT_PORT: u16 = 18944;

/// Accepts clients and exchanges messages with all of them. Dropped, it ends every connection.
///
/// A client that reads slowly misses messages, one that reads nothing is cut off after [`LinkOptions::stall`], one that sends what
/// is no message at once; none delays another.
#[derive(Debug)]
pub struct Server {
    sender: Sender,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

/// How often a listening socket is looked at.
const POLL: Duration = Duration::from_millis(10);

impl Server {
    /// Listens at `address`; port 0 takes any that is free. `listener` is called for each event on the thread of its
    /// connection, which reads on when it returns.
    ///
    /// # Errors
    /// That the address cannot be listened at, or no thread be started.
    pub fn bind(
        address: impl ToSocketAddrs,
        options: LinkOptions,
        listener: impl Fn(LinkEvent) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let hub = Hub::new(options, listener);
        let sender = Sender(Arc::clone(&hub));
        let accepting = thread::Builder::new()
            .name("igtl-accept".to_owned())
            .spawn(move || accept(&hub, &socket))?;
        Ok(Self {
            sender,
            address,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends to all clients.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.sender.0.stop();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn accept(hub: &Arc<Hub>, socket: &TcpListener) {
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    let mut failing = false;
    while !hub.stopped() {
        match socket.accept() {
            Ok((stream, peer)) => {
                failing = false;
                clients.retain(|client| !client.is_finished());
                if clients.len() >= hub.options.clients {
                    hub.report(LinkEvent::TurnedAway { peer });
                    continue;
                }
                let serving = Arc::clone(hub);
                let client = thread::Builder::new()
                    .name("igtl-receive".to_owned())
                    .spawn(move || serve(&serving, stream, peer));
                match client {
                    Ok(client) => clients.push(client),
                    Err(error) => hub.report(LinkEvent::Failed { error }),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(POLL),
            Err(error) => {
                // Such as too many open files: it passes, or it does not; it is reported once.
                if !std::mem::replace(&mut failing, true) {
                    hub.report(LinkEvent::Failed { error });
                }
                thread::sleep(10 * POLL);
            }
        }
    }
    for client in clients {
        let _ = client.join();
    }
}
