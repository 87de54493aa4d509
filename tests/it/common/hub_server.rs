//! A hub on the loopback address, of the standard library alone, and faulty on request.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A file of the repository.
#[derive(Clone)]
pub(crate) struct File {
    bytes: Vec<u8>,
    /// Whether it lies on another server, to which the hub redirects.
    large: bool,
}

impl File {
    pub(crate) fn plain(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            large: false,
        }
    }

    pub(crate) fn large(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            large: true,
        }
    }

    /// SHA-256 of large files; for others 40 digits as of a git blob.
    fn etag(&self) -> String {
        let hash = sha256(&self.bytes);
        if self.large {
            hash
        } else {
            hash[..40].to_owned()
        }
    }
}

/// How the server treats a file.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Normal,
    Status(u16),
    NoEtag,
    NoCommit,
    Etag(String),
    RedirectNowhere,
    /// The connection ends after so many bytes of each of the next bodies.
    Truncate {
        after: usize,
        times: u32,
    },
    Corrupt,
    IgnoreRange,
    Silence(Duration),
}

struct State {
    repo: String,
    commit: String,
    token: Option<String>,
    files: BTreeMap<String, File>,
    answers: BTreeMap<String, Answer>,
    requests: Vec<String>,
    stopped: bool,
}

pub(crate) struct HubServer {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

impl HubServer {
    pub(crate) fn start(commit: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            repo: "org/model".to_owned(),
            commit: commit.to_owned(),
            token: None,
            files: BTreeMap::new(),
            answers: BTreeMap::new(),
            requests: Vec::new(),
            stopped: false,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.lock().unwrap().stopped {
                    break;
                }
                let state = shared.clone();
                std::thread::spawn(
                    move || while serve(&stream, &state, address.port()).is_some() {},
                );
            }
        });
        Self { address, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.address.port())
    }

    pub(crate) fn put(&self, name: &str, file: File) {
        self.state().files.insert(name.to_owned(), file);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.state().files.remove(name);
    }

    pub(crate) fn repo(&self, id: &str) {
        self.state().repo = id.to_owned();
    }

    pub(crate) fn commit(&self, commit: &str) {
        self.state().commit = commit.to_owned();
    }

    pub(crate) fn require_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    pub(crate) fn answer(&self, file: &str, answer: Answer) {
        self.state().answers.insert(file.to_owned(), answer);
    }

    /// Request line and headers of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.state().stopped = true;
        // Wakes the listener, which then ends and frees the port.
        TcpStream::connect(self.address).ok();
    }
}

/// Answers one request; none when the connection is to end.
fn serve(stream: &TcpStream, state: &Mutex<State>, port: u16) -> Option<()> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    // Header names and values in lower case; the path keeps its letters.
    let (first, rest) = head.split_once("\r\n")?;
    let head = format!("{first}\n{}", rest.to_ascii_lowercase());
    let path = head.split(' ').nth(1)?.to_owned();
    let mut locked = state.lock().unwrap();
    locked.requests.push(head.clone());
    let reply = reply(&mut locked, &head, &path, port);
    drop(locked);
    reply.send(stream, head.starts_with("HEAD "))
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Bytes that are sent before the connection ends.
    cut: Option<usize>,
    delay: Option<Duration>,
}

impl Reply {
    fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut: None,
            delay: None,
        }
    }

    fn send(self, mut stream: &TcpStream, head_only: bool) -> Option<()> {
        if let Some(delay) = self.delay {
            std::thread::sleep(delay);
        }
        let mut head = format!(
            "HTTP/1.1 {} X\r\nContent-Length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        if head_only {
            return Some(());
        }
        let sent = self.cut.unwrap_or(self.body.len()).min(self.body.len());
        stream.write_all(&self.body[..sent]).ok()?;
        if sent < self.body.len() {
            stream.shutdown(std::net::Shutdown::Both).ok();
            return None;
        }
        Some(())
    }
}

fn reply(state: &mut State, head: &str, path: &str, port: u16) -> Reply {
    // The other server: the same one under another name, without tokens.
    if let Some(name) = path.strip_prefix("/cdn/") {
        return content(state, head, name);
    }
    if state.token.as_ref().is_some_and(|token| {
        !head.contains(&format!(
            "authorization: bearer {}",
            token.to_ascii_lowercase()
        ))
    }) {
        return Reply::status(401);
    }
    if path.starts_with(&format!("/api/models/{}/revision/", state.repo)) {
        let siblings: Vec<_> = state
            .files
            .keys()
            .map(|name| serde_json::json!({ "rfilename": name }))
            .collect();
        let body = serde_json::json!({ "sha": state.commit, "siblings": siblings })
            .to_string()
            .into_bytes();
        return Reply {
            body,
            ..Reply::status(200)
        };
    }
    let prefix = format!("/{}/resolve/", state.repo);
    let Some((_revision, name)) = path
        .strip_prefix(&prefix)
        .and_then(|rest| rest.split_once('/'))
    else {
        return Reply::status(404);
    };
    let Some(file) = state.files.get(name).cloned() else {
        return Reply::status(404);
    };
    let answer = state.answers.get(name).cloned().unwrap_or(Answer::Normal);
    let mut reply = match &answer {
        Answer::Status(status) => return Reply::status(*status),
        Answer::RedirectNowhere => Reply::status(302),
        _ if file.large => {
            let location = format!("http://localhost:{port}/cdn/{name}");
            Reply {
                headers: vec![
                    ("Location", location),
                    ("X-Linked-Size", file.bytes.len().to_string()),
                ],
                ..Reply::status(302)
            }
        }
        _ => content(state, head, name),
    };
    if !matches!(answer, Answer::NoCommit) {
        reply.headers.push(("X-Repo-Commit", state.commit.clone()));
    }
    let etag = if let Answer::Etag(etag) = &answer {
        etag.clone()
    } else {
        file.etag()
    };
    if !matches!(answer, Answer::NoEtag) {
        reply.headers.push((
            if file.large { "X-Linked-Etag" } else { "ETag" },
            format!("\"{etag}\""),
        ));
    }
    reply
}

/// The bytes of a file, or the range of them that was asked for.
fn content(state: &mut State, head: &str, name: &str) -> Reply {
    let Some(file) = state.files.get(name) else {
        return Reply::status(404);
    };
    let answer = state.answers.get_mut(name);
    let size = file.bytes.len();
    let range = head
        .split("range: bytes=")
        .nth(1)
        .and_then(|r| r.lines().next())
        .and_then(|r| r.split_once('-'));
    let (from, to) = match range {
        Some((from, to)) => (
            from.parse().unwrap(),
            to.trim()
                .parse()
                .map_or(size, |to: usize| (to + 1).min(size)),
        ),
        None => (0, size),
    };
    if from >= size {
        return Reply::status(416);
    }
    let (from, to) = if matches!(answer, Some(Answer::IgnoreRange)) {
        (0, size)
    } else {
        (from, to)
    };
    let mut body = file.bytes[from..to].to_vec();
    let mut reply = Reply::status(if to - from < size { 206 } else { 200 });
    match answer {
        Some(Answer::Corrupt) => body[to - from - 1] ^= 1,
        Some(Answer::Silence(delay)) => reply.delay = Some(*delay),
        Some(Answer::Truncate { after, times }) if *times > 0 => {
            *times -= 1;
            // Less with every try, so that no number of tries completes the file.
            reply.cut = Some(if from == 0 { *after } else { 1 });
        }
        _ => {}
    }
    if reply.status == 206 {
        reply
            .headers
            .push(("Content-Range", format!("bytes {from}-{}/{size}", to - 1)));
    }
    reply.body = body;
    reply
}
