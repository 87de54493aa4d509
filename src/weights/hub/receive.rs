//! The bytes of one file, from the server into its part file.

use super::client::{Client, Described, header};
use super::digest;
use super::error::HubError;
use super::repo::is_hex;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use ureq::Body;
use ureq::http::Response;

/// Message of the transfer thread to the thread that waits for it.
pub(super) enum Event {
    /// A transfer of so many bytes in all begins.
    Start(u64),
    /// So many more bytes are in the part file.
    Advance(u64),
    /// Another process holds the lock.
    Waiting,
    /// The path of the file in the cache, or why there is none.
    Done(Result<PathBuf, HubError>),
}

/// Turns an error of the file system at `path` into a [`HubError`].
pub(super) fn disk_error(path: &Path) -> impl Fn(io::Error) -> HubError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => HubError::DiskFull {
            path: path.to_owned(),
        },
        _ => HubError::Disk {
            path: path.to_owned(),
            source,
        },
    }
}

/// Downloads what is left of the file into `part`, then checks its size and, where it is known, its SHA-256.
pub(super) fn receive(
    client: &Client<'_>,
    described: &Described,
    part: &Path,
    events: &Sender<Event>,
) -> Result<(), HubError> {
    let url = &described.location;
    let have = fs::metadata(part).map_or(0, |m| m.len());
    // A part as long as the whole, or longer, was left between transfer and renaming, or is of something else.
    let start = if described.size.is_some_and(|size| have < size) {
        have
    } else {
        0
    };
    let response = client.get(url, start)?;
    let start = resumed_from(&response, start, part, url)?;
    let size = total_size(&response, described, start)?;
    let file = File::options()
        .create(true)
        .append(start > 0)
        .write(true)
        .truncate(start == 0)
        .open(part)
        .map_err(disk_error(part))?;
    events.send(Event::Start(size)).ok();
    events.send(Event::Advance(start)).ok();
    copy(
        response,
        file,
        size.saturating_sub(start),
        url,
        part,
        events,
    )?;
    verify(part, &described.etag, size)
}

/// The byte that `response` starts at: `start`, or 0 where the server sends the whole file. A part file that the server
/// cannot resume is removed.
fn resumed_from(
    response: &Response<Body>,
    start: u64,
    part: &Path,
    url: &str,
) -> Result<u64, HubError> {
    let status = response.status().as_u16();
    let range = header(response.headers(), "content-range");
    let resumed =
        status == 206 && range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")));
    if status == 416 || (status == 206 && !resumed) {
        match fs::remove_file(part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(disk_error(part)(e)),
            _ => {}
        }
        return Err(HubError::Interrupted {
            url: url.to_owned(),
            reason: "the server does not resume it".to_owned(),
        });
    }
    Ok(if resumed { start } else { 0 })
}

/// Size of the whole file in bytes: as the hub describes it, else from the length of a response that begins at `start`.
fn total_size(
    response: &Response<Body>,
    described: &Described,
    start: u64,
) -> Result<u64, HubError> {
    let length =
        header(response.headers(), "content-length").and_then(|text| text.parse::<u64>().ok());
    described
        .size
        .or_else(|| length.map(|length| length.saturating_add(start)))
        .ok_or_else(|| HubError::Protocol {
            url: described.location.clone(),
            reason: "the header Content-Length is missing".to_owned(),
        })
}

/// Appends the body of `response`, of which `expected` bytes are missing, to `file` at `part`.
fn copy(
    response: Response<Body>,
    mut file: File,
    expected: u64,
    url: &str,
    part: &Path,
    events: &Sender<Event>,
) -> Result<(), HubError> {
    let disk = disk_error(part);
    // One byte more than expected is enough to know that the file is not the one described.
    let body = response.into_body().into_reader();
    let mut body = body.take(expected.saturating_add(1));
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                return Err(HubError::Interrupted {
                    url: url.to_owned(),
                    reason: e.to_string(),
                });
            }
        };
        file.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(&disk)?;
        events.send(Event::Advance(count as u64)).ok();
    }
    file.sync_all().map_err(&disk)
}

/// Checks size and, where the hub's tag of the file is one, SHA-256; removes the file if they are wrong.
fn verify(part: &Path, etag: &str, size: u64) -> Result<(), HubError> {
    let disk = disk_error(part);
    let (found_size, found_hash) = digest::digest(part).map_err(&disk)?;
    let (expected, found) = if found_size != size {
        (format!("{size} bytes"), format!("{found_size} bytes"))
    } else if is_hex(etag, 64) && !etag.eq_ignore_ascii_case(&found_hash) {
        (format!("SHA-256 {etag}"), format!("SHA-256 {found_hash}"))
    } else {
        return Ok(());
    };
    fs::remove_file(part).map_err(&disk)?;
    Err(HubError::Checksum {
        path: part.to_owned(),
        expected,
        found,
    })
}
