//! What can go wrong between this machine and the hub.

use std::{io, path::PathBuf, time::Duration};

/// A file that the hub or its cache did not give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a cache folder is named nor a home directory known.
    #[error(
        "the model cache has no place: HOME is not set; set HF_HOME or HF_HUB_CACHE to a folder"
    )]
    NoHome,
    /// Files are needed that are not cached, and the network is switched off.
    #[error(
        "{repo}: {} not in the model cache, and HF_HUB_OFFLINE forbids the network; unset it, or:{by_hand}",
        missing(files)
    )]
    Offline {
        /// Repository and revision.
        repo: String,
        /// The files.
        files: Vec<String>,
        /// Where to fetch them and where to put them.
        by_hand: String,
    },
    /// The hub cannot be reached.
    #[error(
        "{endpoint}: cannot be reached ({reason}); check the network, proxy and HF_ENDPOINT, or without a network:{by_hand}"
    )]
    Unreachable {
        /// The hub.
        endpoint: String,
        /// What failed.
        reason: String,
        /// Where to fetch the files and where to put them.
        by_hand: String,
    },
    /// The hub has no such file, revision or repository (404).
    #[error("{url}: not found; check the name of repository and revision on the hub")]
    NotFound {
        /// Address of the request.
        url: String,
    },
    /// The hub refused (401, 403). It also answers 401 for repositories that do not exist.
    #[error("{url}: access refused ({status}): {}", refused(*with_token))]
    Refused {
        /// Address of the request.
        url: String,
        /// HTTP status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub answered with another error.
    #[error("{url}: the server answered {status}; {}", server_advice(*status))]
    Server {
        /// Address of the request.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer was not as a hub answers.
    #[error("{url}: {reason}; check HF_ENDPOINT: a hub or a full mirror of one must be there")]
    Protocol {
        /// Address of the request.
        url: String,
        /// What was odd.
        reason: String,
    },
    /// The connection broke off.
    #[error(
        "{url}: the download broke off ({reason}); try again: the download resumes where it ended"
    )]
    Interrupted {
        /// What was downloaded.
        url: String,
        /// What failed.
        reason: String,
    },
    /// Nothing arrived for a while.
    #[error("{url}: nothing arrived for {} s; check the network and try again: the download resumes where it ended", waited.as_secs())]
    Stalled {
        /// What was downloaded.
        url: String,
        /// How long.
        waited: Duration,
    },
    /// Another process holds the lock of a download.
    #[error("{}: another process is downloading this file; wait for it to end, or end it", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("{}: no space left on the disk of the model cache; free some, or set HF_HOME to a folder on another disk", path.display())]
    DiskFull {
        /// The cache.
        path: PathBuf,
    },
    /// The cache cannot be read or written.
    #[error("{}: {source}; check the permissions of the model cache, or set HF_HOME to a folder of yours", path.display())]
    Disk {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the one it should be.
    #[error("{}: has {found}, expected {expected}; the file is damaged: delete it and fetch it again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// SHA-256 or size it should have.
        expected: String,
        /// SHA-256 or size it has.
        found: String,
    },
    /// A file of a model with a name is as the hub has it, but not the one that was published.
    #[error(
        "{}: has SHA-256 {found}, the published weights have {expected}; the repository changed: give {repo} instead of the name to use \
         it all the same",
        path.display()
    )]
    NotPublished {
        /// The file.
        path: PathBuf,
        /// Repository and revision.
        repo: String,
        /// SHA-256 that was published.
        expected: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// A repository has no checkpoint that can be chosen.
    #[error("{repo}: {reason}; fetch the file you want and give its path")]
    NoWeights {
        /// Repository and revision.
        repo: String,
        /// What it has.
        reason: String,
    },
}

fn missing(files: &[String]) -> String {
    format!(
        "{} {}",
        files.join(", "),
        if files.len() == 1 { "is" } else { "are" }
    )
}

fn refused(with_token: bool) -> &'static str {
    if with_token {
        "the token (HF_TOKEN or the token file) has no access; accept the model's terms on the hub or use another token, and check the name"
    } else {
        "the model is gated or private, or does not exist; check the name, accept its terms on the hub and set HF_TOKEN"
    }
}

fn server_advice(status: u16) -> &'static str {
    match status {
        429 => "too many requests: wait some minutes, or set HF_TOKEN",
        _ => "try again later",
    }
}
