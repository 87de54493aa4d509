//! The server of predictions.

use super::{
    options::ServeOptions,
    queue::Queue,
    routes::{RequestDone, Routes},
    types::Predictor,
};
use crate::{
    http::{HttpError, server::Server},
    progress::Observer,
};
use std::{net::SocketAddr, sync::Arc};

/// A server that answers X-AnyLabeling-Server's calls for pictures: `GET /health`, `GET /v1/models`,
/// `GET /v1/models/NAME/info` and `POST /v1/predict`.
///
/// It works on threads of its own, one for connections and one for the models, until it is dropped. Bound are the connections
/// (64), the time for a request's head and body, its bytes, the pixels of its picture, the requests that wait, and the time that
/// a client takes to read an answer. Where it listens on the loopback interface it answers to names of that alone (`Host`), and
/// it never answers to pages of other sites (`Origin`).
#[derive(Debug)]
pub struct PredictionServer {
    server: Server,
}

impl PredictionServer {
    /// Listens, and lets `predictor` answer; `observer` gets each request that was answered, on the server's thread.
    ///
    /// # Errors
    /// [`HttpError`] if the address cannot be listened on, or the system gives no threads.
    pub fn start(
        options: &ServeOptions,
        predictor: impl Predictor + 'static,
        observer: Arc<dyn for<'a> Observer<RequestDone<'a>>>,
    ) -> Result<Self, HttpError> {
        let models = predictor.models();
        let queue = Queue::start(predictor, options.queue, options.max_pixels);
        let queue = queue.map_err(|source| HttpError::Start {
            address: options.listen,
            source,
        })?;
        let routes = Routes::new(options, &models, queue, observer);
        Ok(Self {
            server: Server::start(options.listen, "http", Arc::new(routes))?,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
