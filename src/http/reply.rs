//! Replies.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    ext::ReasonPhrase,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;
use std::convert::Infallible;

/// The body of a reply, whole or in pieces.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A reply.
pub(super) type Reply = Response<Body>;

/// Characters of a problem that go into the status line.
const PHRASE: usize = 200;

/// What every error says, in the form of X-AnyLabeling-Server.
#[derive(Serialize)]
struct Envelope<'a> {
    success: bool,
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: &'a str,
}

/// A body that is there as a whole.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A reply with `bytes` of type `kind`, which no cache keeps.
pub(super) fn reply(status: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(whole(bytes));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    match serde_json::to_vec(value) {
        Ok(bytes) => reply(status, "application/json", bytes),
        Err(e) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            &format!("the answer cannot be written: {e}"),
        ),
    }
}

/// An error: `code` for programs, `message` for people. The message is in the status line too, which is all that clients such
/// as X-AnyLabeling's show of an error.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Reply {
    let envelope = Envelope {
        success: false,
        error: Detail { code, message },
    };
    let bytes = serde_json::to_vec(&envelope).unwrap_or_default();
    let mut reply = reply(status, "application/json", bytes);
    if let Ok(phrase) = ReasonPhrase::try_from(phrase(message).into_bytes()) {
        reply.extensions_mut().insert(phrase);
    }
    reply
}

/// The same with a header more.
pub(super) fn with(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// `message` in characters that a status line may have.
fn phrase(message: &str) -> String {
    let ascii = message.chars().take(PHRASE).map(|c| match c {
        '×' => 'x',
        ' '..='~' => c,
        c if c.is_whitespace() => ' ',
        _ => '?',
    });
    ascii.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_one_line_of_ascii() {
        assert_eq!(phrase("100×50\r\nSet-Cookie: ä"), "100x50  Set-Cookie: ?");
        assert_eq!(phrase(&"a".repeat(999)).len(), PHRASE);
        let reply = problem(StatusCode::NOT_FOUND, "NOT_FOUND", "ä\nb");
        let phrase = reply.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(phrase.as_bytes(), b"? b");
    }
}
