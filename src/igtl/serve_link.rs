//! The threads of a connection.

use super::{
    error::ReadError,
    hub::{Counters, Hub},
    link::Link,
    link_event::{LinkEnd, LinkEvent},
    message::Content,
    read::{Incoming, MessageReader},
};
use std::{
    io::{self, BufReader},
    net::{SocketAddr, TcpStream},
    sync::{Arc, atomic::Ordering},
    thread,
};

/// Types of which the first message that is passed over is reported, on each connection.
const REPORTED: usize = 32;

/// Reads on this thread and sends on another until the connection ends, with its events.
pub(super) fn serve(hub: &Arc<Hub>, stream: TcpStream, peer: SocketAddr) {
    let options = &hub.options;
    let link = Link::new(
        stream,
        peer,
        options.waiting,
        options.stall,
        options.first_version,
    );
    let (link, started) = match link.map(Arc::new) {
        Ok(link) => {
            let started = start_sending(hub, &link);
            (link, started)
        }
        Err(error) => return hub.report(LinkEvent::Failed { error }),
    };
    let sender = match started {
        Ok(sender) => sender,
        Err(error) => return hub.report(LinkEvent::Failed { error }),
    };
    if hub.enter(&link) {
        hub.report(LinkEvent::Connected { peer });
        link.end(receive(hub, &link));
        hub.leave(&link);
    } else {
        link.end(LinkEnd::Stopped);
    }
    // It cannot panic; were it to, the connection has ended all the same.
    let _ = sender.join();
    hub.report(LinkEvent::Disconnected {
        peer,
        end: link.take_end(),
        sent: link.sent.load(Ordering::Relaxed),
        dropped: link.dropped.load(Ordering::Relaxed),
    });
}

fn start_sending(hub: &Arc<Hub>, link: &Arc<Link>) -> io::Result<thread::JoinHandle<()>> {
    let (hub, link) = (Arc::clone(hub), Arc::clone(link));
    thread::Builder::new()
        .name("igtl-send".to_owned())
        .spawn(move || {
            link.send_all(hub.options.stall, |bytes| {
                Counters::add(&hub.counters.sent, 1);
                Counters::add(&hub.counters.bytes, bytes as u64);
            });
        })
}

/// Reads until the connection ends, answers what is answered here, and reports the rest.
fn receive(hub: &Arc<Hub>, link: &Arc<Link>) -> LinkEnd {
    let mut passed_over: Vec<String> = Vec::new();
    let from = BufReader::with_capacity(16 << 10, &link.stream);
    let mut reader = MessageReader::new(from, hub.options.limits);
    loop {
        let incoming = match reader.next_message() {
            Ok(Some(incoming)) => incoming,
            Ok(None) => return LinkEnd::Closed,
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                return LinkEnd::Closed;
            }
            Err(error) => return LinkEnd::Read(error),
        };
        match &incoming {
            Incoming::Message {
                message, version, ..
            } => {
                link.shown(*version);
                Counters::add(&hub.counters.received, 1);
                if let Content::Request(kind) = &message.content
                    && let Some(answer) = hub.answer(&message.device, kind)
                {
                    Counters::add(&hub.counters.dropped, link.push(&answer));
                }
            }
            Incoming::Skipped { kind, version, .. } => {
                link.shown(*version);
                if passed_over.len() >= REPORTED || passed_over.contains(kind) {
                    continue;
                }
                passed_over.push(kind.clone());
            }
            Incoming::Rejected { .. } => Counters::add(&hub.counters.rejected, 1),
        }
        hub.report(LinkEvent::Incoming {
            peer: link.peer,
            incoming: Box::new(incoming),
        });
    }
}
