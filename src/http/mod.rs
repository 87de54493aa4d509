//! HTTP: a page that shows a live loop ([`MonitorOutput`]), and predictions for annotation tools ([`PredictionServer`]).
//!
//! Both are servers of HTTP/1.1 on a thread of their own. Connections, requests and the time that each may take are bounded;
//! no path of the machine is ever read for a request.

mod access;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod monitor;
mod predict;
mod reply;
mod server;
mod service;
mod stalling;
#[cfg(test)]
mod tests;

pub use error::HttpError;
pub use monitor::{MonitorOptions, MonitorOutput};
pub use predict::{
    ApiKey, Mark, ModelInfo, Picture, PredictError, Prediction, PredictionParams, PredictionServer,
    Predictor, RequestDone, ServeOptions, SessionPredictor, Shape, ShapeType, Widget,
};
