//! What answers requests.

use super::reply::Reply;
use hyper::{Request, body::Incoming};
use std::{pin::Pin, sync::Arc};

/// An answer in the making.
pub(super) type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Answers requests that may come in.
pub(super) trait Service: Send + Sync + 'static {
    /// The answer to `request`. Runs on the server's one thread: it waits by `await` alone.
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer;
}
