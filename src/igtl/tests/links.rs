//! Servers and clients on the loopback.

use super::{peer::Peer, *};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener that hands on events, and their end.
fn events() -> (
    impl Fn(LinkEvent) + Send + Sync + 'static,
    mpsc::Receiver<LinkEvent>,
) {
    let (to, from) = mpsc::channel();
    let to = Mutex::new(to);
    (move |event| drop(to.lock().unwrap().send(event)), from)
}

fn wait<T>(
    events: &mpsc::Receiver<LinkEvent>,
    mut wanted: impl FnMut(&LinkEvent) -> Option<T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        let event = events.recv_timeout(until - Instant::now()).unwrap();
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

fn until(mut there: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < end, "it does not come");
        thread::sleep(Duration::from_millis(2));
    }
}

fn connected(event: &LinkEvent) -> Option<SocketAddr> {
    match event {
        LinkEvent::Connected { peer } => Some(*peer),
        _ => None,
    }
}

fn ended(event: &LinkEvent) -> Option<String> {
    match event {
        LinkEvent::Disconnected { end, .. } => Some(end.to_string()),
        _ => None,
    }
}

fn content_of(event: &LinkEvent) -> Option<Content> {
    match event {
        LinkEvent::Incoming { incoming, .. } => match incoming.as_ref() {
            Incoming::Message { message, .. } => Some(message.content.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn status(text: &str) -> Content {
    Content::Status(Status {
        code: 1,
        sub_code: 0,
        name: String::new(),
        text: text.to_owned(),
    })
}

fn picture(value: u8, side: u16) -> Message {
    let values = vec![value; usize::from(side) * usize::from(side)];
    message("Image", image([side, side, 1], 1, Samples::U8(values)))
}

fn local() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn a_peer_that_shows_version_2_is_answered_in_it() {
    let (listener, events) = events();
    let server = Server::bind(local(), LinkOptions::default(), listener).unwrap();
    let mut peer = Peer::connect(server.address());
    wait(&events, connected);
    let sent = Message {
        metadata: vec![("score".to_owned(), "0.5".to_owned())],
        ..picture(3, 4)
    };
    server.sender().send(sent.clone()).unwrap();
    let plain = Message {
        metadata: vec![],
        ..sent.clone()
    };
    assert_eq!(peer.read(), (plain, 1));
    // What 3D Slicer sends when it connects.
    let hello = Message {
        metadata: vec![("MRMLNodeName".to_owned(), "IGTLConnector".to_owned())],
        ..message("Slicer", status("hello"))
    };
    peer.send(hello, Version::V2);
    assert_eq!(wait(&events, content_of), status("hello"));
    server.sender().send(sent.clone()).unwrap();
    assert_eq!(peer.read(), (sent, 2));
}

#[test]
fn requests_are_answered_and_a_bad_check_sum_ends_nothing() {
    let (listener, events) = events();
    let server = Server::bind(local(), LinkOptions::default(), listener).unwrap();
    let mut peer = Peer::connect(server.address());
    let mut wrong = Encoded::new(picture(1, 4)).unwrap().to_bytes(Version::V1);
    *wrong.last_mut().unwrap() ^= 1;
    peer.1.write_all(&wrong).unwrap();
    wait(&events, |event| match event {
        LinkEvent::Incoming { incoming, .. } => {
            matches!(incoming.as_ref(), Incoming::Rejected { .. }).then_some(())
        }
        _ => None,
    });
    let ask = |peer: &mut Peer, kind: &str| {
        peer.send(message("", Content::Request(kind.to_owned())), Version::V1);
        peer.read().0.content
    };
    let Content::Capability(types) = ask(&mut peer, "GET_CAPABIL") else {
        panic!("no capability");
    };
    assert!(types.iter().any(|kind| kind == "IMAGE"));
    assert_eq!(ask(&mut peer, "GET_STATUS"), status(""));
    let busy = Status {
        code: 7,
        sub_code: 1,
        name: "Busy".to_owned(),
        text: String::new(),
    };
    server.sender().set_status(busy.clone()).unwrap();
    assert_eq!(ask(&mut peer, "GET_STATUS"), Content::Status(busy));
    let figures = server.sender().figures();
    assert_eq!((figures.received, figures.rejected), (3, 1));
}

#[test]
fn what_is_kept_comes_first_and_too_many_clients_are_turned_away() {
    let (listener, events) = events();
    let options = LinkOptions {
        clients: 2,
        ..LinkOptions::default()
    };
    let server = Server::bind(local(), options, listener).unwrap();
    for text in ["old", "new"] {
        let table = message("Classes", Content::String(text.to_owned()));
        server.sender().keep(table).unwrap();
    }
    let mut peers = [0, 1].map(|_| Peer::connect(server.address()));
    for peer in &mut peers {
        assert_eq!(peer.read().0.content, Content::String("new".to_owned()));
    }
    let mut third = TcpStream::connect(server.address()).unwrap();
    wait(&events, |event| {
        matches!(event, LinkEvent::TurnedAway { .. }).then_some(())
    });
    assert_eq!(third.read(&mut [0; 9]).unwrap_or(0), 0);
    drop(peers);
    wait(&events, ended);
    until(|| server.sender().figures().connected == 0);
    Peer::connect(server.address()).read();
}

#[test]
fn a_client_that_sends_another_protocol_is_cut_off() {
    let (listener, events) = events();
    let server = Server::bind(local(), LinkOptions::default(), listener).unwrap();
    let mut browser = TcpStream::connect(server.address()).unwrap();
    browser.write_all(&b"GET / HTTP/1.1\r\n".repeat(9)).unwrap();
    let reason = wait(&events, ended);
    assert!(reason.contains("version 18245"), "{reason}");
}

#[test]
fn a_client_connects_again_with_growing_pauses() {
    let (listener, events) = events();
    let free = TcpListener::bind(local()).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let options = LinkOptions {
        pauses: [Duration::from_millis(5), Duration::from_millis(40)],
        ..LinkOptions::default()
    };
    let client = Client::connect(address.to_string(), options, listener).unwrap();
    let table = message("Classes", Content::String("kept".to_owned()));
    client.sender().keep(table.clone()).unwrap();
    for expected in [5, 10, 20, 40, 40] {
        let pause = wait(&events, |event| match event {
            LinkEvent::ConnectFailed { pause, .. } => Some(*pause),
            _ => None,
        });
        assert_eq!(pause, Duration::from_millis(expected));
    }
    for round in 0..3 {
        let server = TcpListener::bind(address).unwrap();
        let mut peer = Peer::of(server.accept().unwrap().0);
        assert_eq!(peer.read(), (table.clone(), 1));
        peer.send(message("", status(&round.to_string())), Version::V1);
        wait(&events, connected);
        assert_eq!(wait(&events, content_of), status(&round.to_string()));
        until(|| client.sender().is_connected());
        client.sender().send(picture(round, 3)).unwrap();
        assert_eq!(peer.read().0, picture(round, 3));
        drop((peer, server));
        wait(&events, ended);
    }
    assert_eq!(client.sender().figures().connections, 3);
}

#[test]
fn a_client_ends_at_once_while_it_is_pausing() {
    let (listener, events) = events();
    let options = LinkOptions {
        pauses: [Duration::from_secs(60); 2],
        ..LinkOptions::default()
    };
    let client = Client::connect("127.0.0.1:1", options, listener).unwrap();
    wait(&events, |event| {
        matches!(event, LinkEvent::ConnectFailed { .. }).then_some(())
    });
    let begun = Instant::now();
    drop(client);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Reads pictures until it is to end; counts them, and the last one's value.
fn reader(
    address: SocketAddr,
    read: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut peer = Peer::connect(address);
        while !end.load(Ordering::Relaxed) {
            let (message, _) = peer.read();
            if let Content::Image(Image {
                samples: Samples::U8(values),
                ..
            }) = message.content
            {
                let expected = read.fetch_add(1, Ordering::Relaxed) as u8;
                assert!(values.iter().all(|v| *v == expected), "{expected}: a gap");
            }
        }
    })
}

/// Of eight clients one never reads, one sends garbage and one comes and goes; the other five get every picture.
#[test]
fn clients_hurt_only_themselves() {
    const PICTURES: u64 = 250;
    let (listener, events) = events();
    let options = LinkOptions {
        stall: Duration::from_secs(1),
        ..LinkOptions::default()
    };
    let server = Server::bind(local(), options, listener).unwrap();
    let (address, end) = (server.address(), Arc::new(AtomicBool::new(false)));
    let counts: [Arc<AtomicU64>; 5] = Default::default();
    let readers = counts
        .clone()
        .map(|read| reader(address, read, Arc::clone(&end)));
    let silent = TcpStream::connect(address).unwrap();
    until(|| server.sender().figures().connected == 6);
    let disturbing = {
        let end = Arc::clone(&end);
        thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let mut garbage = TcpStream::connect(address).unwrap();
                let _ = garbage.write_all(&[0x55; 4096]);
                let mut visitor = TcpStream::connect(address).unwrap();
                let _ = visitor.read(&mut [0; 999]);
                thread::sleep(Duration::from_millis(5));
            }
        })
    };
    for number in 0..PICTURES {
        server.sender().send(picture(number as u8, 400)).unwrap();
        // Each reader has it: none waits for the others.
        until(|| {
            counts
                .iter()
                .all(|read| read.load(Ordering::Relaxed) > number)
        });
    }
    let stalled = wait(&events, |event| match event {
        LinkEvent::Disconnected {
            end: end @ LinkEnd::Stalled(_),
            dropped,
            ..
        } => Some((end.to_string(), *dropped)),
        _ => None,
    });
    assert_eq!(stalled.0, "it read nothing for 1 s");
    assert!(stalled.1 > 0, "it missed pictures before it was cut off");
    end.store(true, Ordering::Relaxed);
    server.sender().send(picture(PICTURES as u8, 400)).unwrap();
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    disturbing.join().unwrap();
    drop((silent, server));
}
