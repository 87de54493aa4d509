//! A peer of OpenIGTLink, for 3D Slicer, PLUS or pyigtl at the other end:
//!
//! ```sh
//! cargo run --release --example igtl_peer -- echo serve 127.0.0.1:18944     # sends back what it receives
//! cargo run --release --example igtl_peer -- echo connect 127.0.0.1:18944   # the same, as a client
//! cargo run --release --example igtl_peer -- live 127.0.0.1:18945 127.0.0.1:18944
//! ```
//!
//! The last runs the models on images that are sent to the first address, and serves masks, points and states at the second. Port 0
//! takes any that is free; addresses are printed. It ends when standard input does.

use std::{error::Error, io::Read, net::SocketAddr, sync::mpsc};
use ultramotion::{
    Session,
    igtl::{Client, Incoming, LinkEvent, LinkOptions, Message, Sender, Server},
    live::{IgtlInput, IgtlInputOptions, IgtlOutput, IgtlOutputOptions, Live},
    progress::Cancel,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["echo", "serve", address] => echo_server(address.parse()?),
        ["echo", "connect", address] => echo_client(address),
        ["live", input, output] => live(input.parse()?, output.parse()?),
        _ => Err(
            "usage: igtl_peer echo serve|connect ADDRESS, or igtl_peer live INPUT OUTPUT".into(),
        ),
    }
}

/// Waits for the end of standard input.
fn wait() -> std::io::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
}

/// Tells what happens, and hands on messages.
fn listener(messages: mpsc::SyncSender<Message>) -> impl Fn(LinkEvent) + Send + Sync + 'static {
    move |event| {
        let LinkEvent::Incoming { incoming, .. } = event else {
            return eprintln!("{event:?}");
        };
        match *incoming {
            // Waits while four messages wait: the peer then waits, too.
            Incoming::Message { message, .. } => drop(messages.send(message)),
            other => eprintln!("{other:?}"),
        }
    }
}

fn send_back(messages: mpsc::Receiver<Message>, sender: Sender) {
    std::thread::spawn(move || {
        for message in messages {
            if let Err(error) = sender.send(message) {
                eprintln!("{error}");
            }
        }
    });
}

fn echo_server(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let (to, from) = mpsc::sync_channel(4);
    let server = Server::bind(address, LinkOptions::default(), listener(to))?;
    println!("serves at {}", server.address());
    send_back(from, server.sender().clone());
    Ok(wait()?)
}

fn echo_client(address: &str) -> Result<(), Box<dyn Error>> {
    let (to, from) = mpsc::sync_channel(4);
    let client = Client::connect(address, LinkOptions::default(), listener(to))?;
    println!("connects to {address}");
    send_back(from, client.sender().clone());
    Ok(wait()?)
}

fn live(input: SocketAddr, output: SocketAddr) -> Result<(), Box<dyn Error>> {
    let session = Session::builder().build()?;
    let input = IgtlInput::listen(input, IgtlInputOptions::default())?;
    let output = IgtlOutput::serve(output, IgtlOutputOptions::default())?;
    let addresses = [input.address(), output.address()].map(|a| a.map(|a| a.to_string()));
    let [from, to] = addresses.map(Option::unwrap_or_default);
    println!("reads at {from}\nserves at {to}");
    let cancel = Cancel::default();
    let end = cancel.clone();
    std::thread::spawn(move || {
        let _ = wait();
        end.request();
    });
    let summary = Live::new(session, input)
        .output(output)
        .cancel(cancel)
        .start()?;
    println!("{} frames", summary.figures.done);
    Ok(())
}
