//! How predictions are served.

use super::key::ApiKey;
use crate::sources::DEFAULT_MAX_PIXELS;
use std::{net::SocketAddr, time::Duration};

/// How predictions are served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Address and port to listen on; port 0 is any that is free. Default 127.0.0.1:8000.
    pub listen: SocketAddr,
    /// The key that requests must have in the header `Token`; default none.
    pub api_key: Option<ApiKey>,
    /// Most pixels of a picture; default [`DEFAULT_MAX_PIXELS`].
    pub max_pixels: u64,
    /// Most bytes of a request, in which the picture is base64 (4 bytes for 3); default 64 MiB.
    pub max_bytes: usize,
    /// Requests that may wait while another is worked on; default 8. Further ones are refused with status 503.
    pub queue: usize,
    /// Time that a client has for the body of a request; default 60 s.
    pub body_time: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            api_key: None,
            max_pixels: DEFAULT_MAX_PIXELS,
            max_bytes: 64 << 20,
            queue: 8,
            body_time: Duration::from_secs(60),
        }
    }
}
