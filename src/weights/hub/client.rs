//! Requests to the hub. Redirects are followed here, so that the token goes to the hub alone and never to the servers
//! that the hub stores large files on.

use super::config::HubConfig;
use super::error::HubError;
use super::repo::HubRepo;
use std::io::Read;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

const MAX_REDIRECTS: usize = 8;

/// What the hub says of a file.
pub(super) struct Described {
    /// Tag of the contents: the SHA-256 of large files, else the hash that git has of it.
    pub(super) etag: String,
    pub(super) commit: String,
    /// None where only the server that stores the file knows.
    pub(super) size: Option<u64>,
    /// Where the contents are.
    pub(super) location: String,
}

/// Contents of a repository at a commit.
#[derive(serde::Deserialize)]
pub(super) struct Listing {
    pub(super) sha: String,
    #[serde(default)]
    pub(super) siblings: Vec<Sibling>,
}

/// A file of a repository.
#[derive(serde::Deserialize)]
pub(super) struct Sibling {
    #[serde(rename = "rfilename")]
    pub(super) name: String,
}

pub(super) struct Client<'a> {
    config: &'a HubConfig,
    agent: Agent,
}

impl<'a> Client<'a> {
    pub(super) fn new(config: &'a HubConfig) -> Self {
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(config.stall_timeout))
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            .build()
            .into();
        Self { config, agent }
    }

    /// Whether the hub answers at all, with whatever, `within` a time.
    pub(super) fn answers(config: &HubConfig, within: std::time::Duration) -> Result<(), String> {
        let agent: Agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(within))
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            .build()
            .into();
        agent
            .head(&config.endpoint)
            .call()
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Asks for the headers of `file` and follows redirects within the hub.
    pub(super) fn describe(&self, repo: &HubRepo, file: &str) -> Result<Described, HubError> {
        let url = repo.url(&self.config.endpoint, file);
        let mut location = url.clone();
        let (mut etag, mut commit, mut size) = (None, None, None);
        for _ in 0..=MAX_REDIRECTS {
            let response = self.call(true, &location, None)?;
            let headers = response.headers();
            etag = header(headers, "x-linked-etag")
                .or(etag)
                .or_else(|| header(headers, "etag"));
            commit = header(headers, "x-repo-commit").or(commit);
            size = header(headers, "x-linked-size")
                .and_then(|text| text.parse().ok())
                .or(size);
            let next = redirect(&response, &location)?;
            if let Some(next) = next.filter(|next| self.is_hub(next)) {
                location = next;
                continue;
            }
            let redirected = redirect(&response, &location)?;
            if redirected.is_none() {
                size = size.or_else(|| {
                    header(headers, "content-length").and_then(|text| text.parse().ok())
                });
            }
            let protocol = |reason: &str| HubError::Protocol {
                url: url.clone(),
                reason: reason.to_owned(),
            };
            let etag = etag.ok_or_else(|| protocol("the header ETag is missing"))?;
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
            let commit = commit.ok_or_else(|| protocol("the header X-Repo-Commit is missing"))?;
            return Ok(Described {
                etag,
                commit,
                size,
                location: redirected.unwrap_or(location),
            });
        }
        Err(HubError::Protocol {
            url,
            reason: "too many redirects".to_owned(),
        })
    }

    /// Asks for contents from byte `start` on. The answer may have all of them nevertheless (status 200).
    pub(super) fn get(&self, url: &str, start: u64) -> Result<Response<Body>, HubError> {
        let mut location = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.call(false, &location, Some(start))?;
            match redirect(&response, &location)? {
                Some(next) => location = next,
                None => return Ok(response),
            }
        }
        Err(HubError::Protocol {
            url: url.to_owned(),
            reason: "too many redirects".to_owned(),
        })
    }

    /// Commit and files that the revision of `repo` stands for.
    pub(super) fn list(&self, repo: &HubRepo) -> Result<Listing, HubError> {
        /// A listing has some 100 bytes a file.
        const MAX_LISTING: u64 = 16 << 20;
        let url = format!(
            "{}/api/models/{}/revision/{}",
            self.config.endpoint,
            repo.id(),
            repo.revision().replace('/', "%2F")
        );
        let mut text = String::new();
        let mut body = self
            .get(&url, 0)?
            .into_body()
            .into_reader()
            .take(MAX_LISTING);
        body.read_to_string(&mut text)
            .map_err(|e| HubError::Interrupted {
                url: url.clone(),
                reason: e.to_string(),
            })?;
        serde_json::from_str(&text).map_err(|e| HubError::Protocol {
            url,
            reason: format!("the answer is not a description of a model ({e})"),
        })
    }

    fn call(&self, head: bool, url: &str, start: Option<u64>) -> Result<Response<Body>, HubError> {
        let mut request = if head {
            self.agent.head(url)
        } else {
            self.agent.get(url)
        };
        request = request.header("Accept-Encoding", "identity");
        if let Some(start) = start.filter(|start| *start > 0) {
            request = request.header("Range", format!("bytes={start}-"));
        }
        if let Some(token) = self.config.token.as_ref().filter(|_| self.is_hub(url)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| self.explain(url, error))?;
        match response.status().as_u16() {
            200..=399 | 416 => Ok(response),
            404 => Err(HubError::NotFound {
                url: url.to_owned(),
            }),
            status @ (401 | 403) => Err(HubError::Refused {
                url: url.to_owned(),
                status,
                with_token: self.config.token.is_some(),
            }),
            status => Err(HubError::Server {
                url: url.to_owned(),
                status,
            }),
        }
    }

    /// Whether `url` is on the hub itself: the same scheme, host and port.
    fn is_hub(&self, url: &str) -> bool {
        origin(url).is_some_and(|origin| Some(origin) == self::origin(&self.config.endpoint))
    }

    fn explain(&self, url: &str, error: ureq::Error) -> HubError {
        let unreachable = |reason: String| HubError::Unreachable {
            endpoint: origin(url).unwrap_or(url).to_owned(),
            reason,
            by_hand: String::new(),
        };
        match error {
            ureq::Error::Io(error) if is_broken(&error) => HubError::Interrupted {
                url: url.to_owned(),
                reason: error.to_string(),
            },
            ureq::Error::Io(error) => unreachable(error.to_string()),
            ureq::Error::HostNotFound => unreachable("its name is not known".to_owned()),
            ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(_)
            | ureq::Error::InvalidProxyUrl => unreachable(error.to_string()),
            ureq::Error::ConnectProxyFailed(reason) => unreachable(format!("proxy: {reason}")),
            ureq::Error::Rustls(error) => unreachable(error.to_string()),
            other => HubError::Protocol {
                url: url.to_owned(),
                reason: other.to_string(),
            },
        }
    }
}

fn is_broken(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe
    )
}

pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.trim().to_owned())
}

/// Where a redirect leads, or none for another answer.
fn redirect(response: &Response<Body>, from: &str) -> Result<Option<String>, HubError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let odd = |reason: &str| HubError::Protocol {
        url: from.to_owned(),
        reason: reason.to_owned(),
    };
    let location = header(response.headers(), "location")
        .ok_or_else(|| odd("the server redirects to nowhere"))?;
    let absolute = match origin(from) {
        Some(origin) if location.starts_with('/') && !location.starts_with("//") => {
            format!("{origin}{location}")
        }
        _ => location,
    };
    if origin(&absolute).is_none()
        || (from.starts_with("https:") && !absolute.starts_with("https:"))
    {
        return Err(odd(&format!(
            "the server redirects to {absolute:?}, where it must not"
        )));
    }
    Ok(Some(absolute))
}

/// Scheme, host and port of an address, as written.
fn origin(url: &str) -> Option<&str> {
    let start = ["https://", "http://"]
        .into_iter()
        .find(|scheme| url.starts_with(scheme))?
        .len();
    let rest = url.get(start..)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if end == 0 {
        None
    } else {
        url.get(..start + end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_an_address_decides_who_gets_the_token() {
        let config = HubConfig {
            endpoint: "https://hub.example:1/base".to_owned(),
            ..HubConfig::new("/cache")
        };
        let client = Client::new(&config);
        assert!(client.is_hub("https://hub.example:1/x/y"));
        for other in [
            "http://hub.example:1/x",
            "https://hub.example/x",
            "https://hub.example:1.evil/x",
            "https://hub.example:1@evil/x",
            "//hub",
            "",
            "https:///x",
        ] {
            assert!(!client.is_hub(other), "{other}");
        }
    }
}
