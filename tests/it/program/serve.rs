//! `serve`: it says where it is, answers, and ends when it is told to.

use crate::common::program;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// Runs `serve` in `folder` where it does not start.
fn refused(folder: &Path, arguments: &[&str]) -> Output {
    program()
        .current_dir(folder)
        .arg("serve")
        .args(arguments)
        .output()
        .unwrap()
}

/// A server that is killed when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answer to a request of `path`.
fn get(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_until_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program()
        .current_dir(folder.path())
        .args([
            "--json",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--device",
            "cpu",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut server = Server(child);
    stdout.read_line(&mut line).unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = said["listening"].as_str().unwrap();
    let address = address.strip_prefix("http://").unwrap();
    assert!(get(address, "/health", "localhost").contains("\"models_loaded\":3"));
    let models = get(address, "/v1/models", "127.0.0.1");
    for name in [
        "ultramotion-pipeline",
        "ultramotion-detect",
        "ultramotion-segment",
    ] {
        assert!(models.contains(&format!("\"{name}\":")), "{models}");
    }
    assert!(get(address, "/v1/models", "example.org").starts_with("HTTP/1.1 403"));

    let other = refused(folder.path(), &["--listen", address, "--device", "cpu"]);
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(2), "{error}");
    assert!(
        error.contains(&format!("error: {address}: cannot be listened on")),
        "{error}"
    );

    if cfg!(unix) {
        let id = server.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(server.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn options_that_make_no_sense_are_refused_by_their_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    for (arguments, text) in [
        (&["--listen", "localhost"][..], "--listen <ADDRESS:PORT>"),
        (&["--queue", "0"], "--queue <N>"),
        (&["--max-request", "5000"], "--max-request <MIB>"),
        (
            &["--api-key-file", "none"],
            "--api-key-file: none: cannot be read",
        ),
        (
            &["--api-key-file", "empty"],
            "--api-key-file: empty: the API key is empty",
        ),
    ] {
        let refused = refused(folder.path(), arguments);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {error}");
        assert!(error.contains(text), "{arguments:?}: {error}");
    }
}
