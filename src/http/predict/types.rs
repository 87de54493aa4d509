//! Requests and answers as values.

use crate::frame::Image;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;

/// A model as clients list it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Its name in requests.
    #[serde(skip)]
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// What the client shows beside it.
    pub widgets: Vec<Widget>,
    /// Names of its classes, by number; empty for one without classes.
    pub classes: Vec<String>,
    /// How a client works on many pictures: `default`, or none where it needs marks.
    pub batch_processing_mode: Option<String>,
}

/// Something that a client shows, with its value at the beginning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Widget {
    /// Its name, as X-AnyLabeling knows it: `button_run`, `edit_conf` …
    pub name: String,
    /// Its value: a number, a truth value, or none.
    pub value: serde_json::Value,
}

/// A decoded picture: upright, 8 bits a channel.
pub type Picture = Arc<Image>;

/// What a request wants of a model; fields that this crate has no use for are left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PredictionParams {
    /// Threshold of scores, 0 to 1; the server's own where none is given.
    pub conf_threshold: Option<f64>,
    /// How far outlines may be simplified, as a share of their length; every corner stays at 0.
    pub epsilon_factor: Option<f64>,
    /// Points and boxes that a user drew.
    pub marks: Option<Vec<Mark>>,
    /// Names of the classes that are wanted; all where it is missing or empty.
    pub filter_classes: Option<Vec<String>>,
}

/// A point or a box that a user drew, in pixels of the picture.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Mark {
    /// `point` or `rectangle`.
    #[serde(rename = "type")]
    pub kind: String,
    /// x, y of a point; x, y of two opposite corners of a box.
    pub data: Vec<f64>,
    /// 1: inside of the object; 0: outside.
    #[serde(default = "inside")]
    pub label: i64,
}

fn inside() -> i64 {
    1
}

/// What a model found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Prediction {
    /// Shapes for the client to show.
    pub shapes: Vec<Shape>,
    /// Text about the picture.
    pub description: String,
    /// Whether the shapes take the place of those that are there; the client's own choice where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
}

/// A shape of an annotation.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Name of the class.
    pub label: String,
    /// Kind of the shape.
    pub shape_type: ShapeType,
    /// Its vertices in pixels, x and y; of a rectangle its four corners, of a polygon the first again at the end.
    pub points: Vec<[f64; 2]>,
    /// Score, 0 to 1.
    pub score: Option<f32>,
    /// The same for shapes that are parts of one object, from 1.
    pub group_id: Option<u32>,
}

/// Kinds of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ShapeType {
    /// A box along the axes.
    Rectangle,
    /// A closed line.
    Polygon,
}

/// All fields that the schema of X-AnyLabeling-Server has.
#[derive(Serialize)]
struct ShapeJson<'a> {
    label: &'a str,
    shape_type: ShapeType,
    points: &'a [[f64; 2]],
    score: Option<f32>,
    attributes: Empty,
    description: Option<&'a str>,
    difficult: bool,
    direction: f32,
    flags: Option<Empty>,
    group_id: Option<u32>,
    kie_linking: [u8; 0],
}

#[derive(Serialize)]
struct Empty {}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ShapeJson {
            label: &self.label,
            shape_type: self.shape_type,
            points: &self.points,
            score: self.score,
            attributes: Empty {},
            description: None,
            difficult: false,
            direction: 0.0,
            flags: None,
            group_id: self.group_id,
            kie_linking: [],
        }
        .serialize(serializer)
    }
}

/// Why a request has no prediction.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The request is no JSON of the form that is expected.
    #[error("the request {0}")]
    Request(String),
    /// There is no such model.
    #[error("model {name:?}: is not served here; there are {known}")]
    Model {
        /// The name in the request.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The picture cannot be decoded.
    #[error("{0}")]
    Image(String),
    /// The picture has more pixels than the server takes.
    #[error("{0}")]
    ImageSize(String),
    /// A parameter is out of its range, or a mark outside of the picture.
    #[error("{0}")]
    Params(String),
    /// The models failed.
    #[error("{0}")]
    Failed(String),
}

/// Models that a server offers. They are used by one thread, one request at a time.
pub trait Predictor: Send {
    /// The models.
    fn models(&self) -> Vec<ModelInfo>;

    /// What `model` finds in `picture`.
    ///
    /// # Errors
    /// [`PredictError`] for a model that is not there, for parameters that it does not take, and if it failed.
    fn predict(
        &mut self,
        model: &str,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Prediction, PredictError>;
}
