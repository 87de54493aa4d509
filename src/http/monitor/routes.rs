//! The calls of the page.

use super::{shared::Shared, viewer};
use crate::http::{
    reply::{Reply, problem, reply, with},
    service::{Answer, Service},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::BodyExt;
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY},
};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

/// The page with its style and script.
const PAGE: &str = include_str!("page.html");

/// What the page may do: run its own style and script, and ask its own server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |tag: &str| {
        let text = PAGE
            .split_once(&format!("<{tag}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")))
            .map_or("", |(text, _)| text);
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    };
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest("script"),
        digest("style")
    )
});

/// What the server answers with.
pub(super) struct Routes {
    shared: Arc<Shared>,
}

impl Routes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn route(&self, method: &Method, path: &str) -> Reply {
        if !["/", "/stream"].contains(&path) {
            let message = "there is no such page; the monitor is at /";
            return problem(StatusCode::NOT_FOUND, "NOT_FOUND", message);
        }
        if method != Method::GET {
            let message = format!("{method} {path}: send GET");
            let refused = problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                &message,
            );
            return with(refused, ALLOW, "GET");
        }
        if path == "/stream" {
            let body = viewer::stream(&self.shared).boxed_unsync();
            return reply(StatusCode::OK, "application/octet-stream", "").map(|_| body);
        }
        let page = reply(StatusCode::OK, "text/html; charset=utf-8", PAGE);
        let page = with(page, CONTENT_SECURITY_POLICY, &POLICY);
        let page = with(page, REFERRER_POLICY, "no-referrer");
        let opener = HeaderName::from_static("cross-origin-opener-policy");
        with(page, opener, "same-origin")
    }
}

impl Service for Routes {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let reply = self.route(request.method(), request.uri().path());
        Box::pin(std::future::ready(reply))
    }
}
