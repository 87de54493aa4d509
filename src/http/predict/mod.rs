//! Predictions for annotation tools: the calls of X-AnyLabeling-Server, answered by this crate's models.
//!
//! | file | what |
//! |---|---|
//! | `types.rs` | requests and answers as values: pictures, marks, shapes, models |
//! | `request.rs` | the JSON and the picture of a request |
//! | `session.rs` | the models: detect, segment, pipeline |
//! | `shapes.rs` | objects as shapes |
//! | `queue.rs` | the thread of the models and its bounded queue |
//! | `routes.rs`, `key.rs`, `options.rs`, `server.rs` | calls, keys, options, the server |

mod key;
mod options;
mod queue;
mod request;
mod routes;
mod server;
mod session;
mod shapes;
mod types;

pub use key::ApiKey;
pub use options::ServeOptions;
pub use routes::RequestDone;
pub use server::PredictionServer;
pub use session::SessionPredictor;
pub use types::{
    Mark, ModelInfo, Picture, PredictError, Prediction, PredictionParams, Predictor, Shape,
    ShapeType, Widget,
};

#[cfg(any(test, fuzzing))]
pub(super) use request::PredictCall;
