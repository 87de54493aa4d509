//! The models: `detect`, `segment` and `pipeline`, of sessions.

use super::{
    shapes,
    types::{
        Mark, ModelInfo, Picture, PredictError, Prediction, PredictionParams, Predictor, Widget,
    },
};
use crate::{
    frame::{Confidence, Detections, Object},
    session::{Prompt, Session, SessionError},
};
use serde_json::{Value, json};

/// Names of the models.
const DETECT: &str = "ultramotion-detect";
const SEGMENT: &str = "ultramotion-segment";
const PIPELINE: &str = "ultramotion-pipeline";

/// The label that X-AnyLabeling replaces by the one that its user gives when the object is finished.
const UNNAMED: &str = "AUTOLABEL_OBJECT";

/// Simplification of outlines where a request has none: that of the client's slider at its beginning, divided by 10,000.
const FINENESS: f64 = 0.001;
const SLIDER: u32 = 10;
/// More simplification leaves nothing of an outline.
const COARSEST: f64 = 0.1;

/// The models of one or two sessions: boxes of a detector, outlines of marks by a segmenter, and both, one after the other.
///
/// Thresholds come with requests, so the detector's session should be built with a low one
/// ([`SessionPredictor::FLOOR`]); what a request does not state is `confidence`.
#[derive(Debug)]
pub struct SessionPredictor {
    detector: Option<Session>,
    segmenter: Option<Session>,
    confidence: Confidence,
}

impl SessionPredictor {
    /// The threshold down to which requests can go: below are D-FINE's candidates for nothing.
    pub const FLOOR: f64 = 0.05;

    /// The models of these sessions: the first without a segmenter, the second without a detector.
    pub fn new(
        detector: Option<Session>,
        segmenter: Option<Session>,
        confidence: Confidence,
    ) -> Self {
        Self {
            detector,
            segmenter,
            confidence,
        }
    }

    /// Objects with at least the threshold and of the classes that are wanted, best first.
    fn detect(
        &mut self,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Vec<Object>, PredictError> {
        let threshold = params.conf_threshold.unwrap_or(self.confidence.get());
        if !(0.0..=1.0).contains(&threshold) {
            return Err(PredictError::Params(format!(
                "conf_threshold {threshold}: give a score from 0 to 1"
            )));
        }
        let wanted = params.filter_classes.as_deref().unwrap_or_default();
        let session = present(self.detector.as_mut(), DETECT)?;
        let found = session.run(picture).map_err(failed)?;
        let objects = found.objects.into_iter().filter(|object| {
            f64::from(object.score) >= threshold
                && (wanted.is_empty() || wanted.iter().any(|name| **name == *object.label))
        });
        Ok(objects.collect())
    }

    fn segment(
        &mut self,
        picture: Picture,
        prompts: &[Prompt],
    ) -> Result<Detections, PredictError> {
        let session = present(self.segmenter.as_mut(), SEGMENT)?;
        session.segment(picture, prompts).map_err(failed)
    }

    fn boxes(
        &mut self,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Prediction, PredictError> {
        let objects = self.detect(picture, params)?;
        let shape = |o: &Object| shapes::rectangle(o.bbox, &o.label, o.score);
        Ok(Prediction {
            shapes: objects.iter().map(shape).collect(),
            ..Prediction::default()
        })
    }

    fn outlines(
        &mut self,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Prediction, PredictError> {
        let fineness = fineness(params)?;
        let mut objects = self.detect(picture.clone(), params)?;
        let prompt = |o: &Object| Prompt::bbox(o.bbox.x0, o.bbox.y0, o.bbox.x1, o.bbox.y1);
        let prompts: Vec<Prompt> = objects.iter().map(prompt).collect();
        let outlined = self.segment(picture, &prompts)?;
        for (object, outlined) in objects.iter_mut().zip(outlined.objects) {
            object.mask = outlined.mask;
        }
        let shapes = (1..).zip(&objects).flat_map(|(group, object)| {
            shapes::polygons(object, &object.label, object.score, fineness, group)
        });
        Ok(Prediction {
            shapes: shapes.collect(),
            ..Prediction::default()
        })
    }

    fn marked(
        &mut self,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Prediction, PredictError> {
        let fineness = fineness(params)?;
        let prompts = prompts(params.marks.as_deref().unwrap_or_default())?;
        let found = self.segment(picture, &prompts)?;
        let shapes = (1..).zip(&found.objects).flat_map(|(group, object)| {
            let score = object.mask_score.unwrap_or(object.score);
            shapes::polygons(object, UNNAMED, score, fineness, group)
        });
        Ok(Prediction {
            shapes: shapes.collect(),
            description: String::new(),
            replace: Some(false),
        })
    }
}

impl Predictor for SessionPredictor {
    fn models(&self) -> Vec<ModelInfo> {
        let confidence = json!(self.confidence.get());
        let of = |session: &Option<Session>| session.as_ref().map(names).unwrap_or_default();
        let (detector, segmenter) = (of(&self.detector), of(&self.segmenter));
        let classes: Vec<String> = (self.detector.iter())
            .flat_map(|session| session.labels())
            .map(|label| label.to_string())
            .collect();
        let mut models = Vec::new();
        if self.detector.is_some() && self.segmenter.is_some() {
            models.push(ModelInfo {
                id: PIPELINE.to_owned(),
                display_name: format!("ultramotion: {detector} + {segmenter}"),
                widgets: widgets(true, true, &confidence),
                classes: classes.clone(),
                batch_processing_mode: Some("default".to_owned()),
            });
        }
        if self.detector.is_some() {
            models.push(ModelInfo {
                id: DETECT.to_owned(),
                display_name: format!("ultramotion: {detector} (boxes)"),
                widgets: widgets(true, false, &confidence),
                classes,
                batch_processing_mode: Some("default".to_owned()),
            });
        }
        if self.segmenter.is_some() {
            models.push(ModelInfo {
                id: SEGMENT.to_owned(),
                display_name: format!("ultramotion: {segmenter} (points, boxes)"),
                widgets: widgets(false, true, &confidence),
                classes: Vec::new(),
                batch_processing_mode: None,
            });
        }
        models
    }

    fn predict(
        &mut self,
        model: &str,
        picture: Picture,
        params: &PredictionParams,
    ) -> Result<Prediction, PredictError> {
        match model {
            PIPELINE => self.outlines(picture, params),
            DETECT => self.boxes(picture, params),
            SEGMENT => self.marked(picture, params),
            other => Err(PredictError::Model {
                name: other.to_owned(),
                known: self.known(),
            }),
        }
    }
}

impl SessionPredictor {
    fn known(&self) -> String {
        let ids: Vec<String> = self.models().into_iter().map(|model| model.id).collect();
        ids.join(", ")
    }
}

fn present<'a>(
    session: Option<&'a mut Session>,
    model: &str,
) -> Result<&'a mut Session, PredictError> {
    session.ok_or_else(|| PredictError::Failed(format!("model {model:?}: is not loaded")))
}

/// Names of a session's models.
fn names(session: &Session) -> String {
    let detector = session.detector().map(|d| d.origin().name.clone());
    let segmenter = session.segmenter().map(|s| s.origin().name.clone());
    let names: Vec<String> = detector.into_iter().chain(segmenter).collect();
    names.join(" + ")
}

/// What the client shows for a model that detects, makes outlines, or both.
fn widgets(detects: bool, outlines: bool, confidence: &Value) -> Vec<Widget> {
    let widget = |name: &str, value: Value| Widget {
        name: name.to_owned(),
        value,
    };
    let plain = |names: &[&str]| -> Vec<Widget> {
        names.iter().map(|name| widget(name, Value::Null)).collect()
    };
    let mut widgets = if detects {
        plain(&["button_run", "button_classes_filter", "input_conf"])
    } else {
        plain(&[
            "button_add_point",
            "button_remove_point",
            "button_add_rect",
            "button_clear",
            "button_finish_object",
        ])
    };
    if detects {
        widgets.push(widget("edit_conf", confidence.clone()));
    }
    if outlines {
        widgets.push(widget("mask_fineness_slider", json!(SLIDER)));
        widgets.push(widget("mask_fineness_value_label", Value::Null));
    }
    if detects {
        let kept = json!(false);
        widgets.push(widget("toggle_preserve_existing_annotations", kept));
    }
    widgets
}

fn fineness(params: &PredictionParams) -> Result<f64, PredictError> {
    let fineness = params.epsilon_factor.unwrap_or(FINENESS);
    if (0.0..=COARSEST).contains(&fineness) {
        return Ok(fineness);
    }
    Err(PredictError::Params(format!(
        "epsilon_factor {fineness}: give a share of an outline's length from 0 to {COARSEST}"
    )))
}

/// Prompts of marks: all points are of one object; with boxes they belong to each of them.
fn prompts(marks: &[Mark]) -> Result<Vec<Prompt>, PredictError> {
    let (mut points, mut boxes) = (Vec::new(), Vec::new());
    for (at, mark) in marks.iter().enumerate() {
        let wrong = |problem: &str| Err(PredictError::Params(format!("marks[{at}]: {problem}")));
        match (mark.kind.as_str(), mark.data.as_slice()) {
            ("point", &[x, y]) => points.push((x as f32, y as f32, mark.label != 0)),
            ("rectangle", _) if mark.label == 0 => {
                return wrong("a box of what is outside; MobileSAM takes points for that");
            }
            ("rectangle", &[x0, y0, x1, y1]) => boxes.push(Prompt::bbox(
                x0.min(x1) as f32,
                y0.min(y1) as f32,
                x0.max(x1) as f32,
                y0.max(y1) as f32,
            )),
            ("point", _) => return wrong("a point has x and y"),
            ("rectangle", _) => return wrong("a box has x and y of two corners"),
            (kind, _) => {
                let problem = format!("type {kind:?} is not known; give point or rectangle");
                return wrong(&problem);
            }
        }
    }
    if boxes.is_empty() && !points.is_empty() {
        return Ok(vec![Prompt::points(&points)]);
    }
    Ok((boxes.into_iter())
        .map(|prompt| prompt.with_points(&points))
        .collect())
}

fn failed(error: SessionError) -> PredictError {
    match error {
        SessionError::Prompt(problem) => PredictError::Params(problem.to_string()),
        SessionError::Image(problem) => PredictError::Image(problem.to_string()),
        error => PredictError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(kind: &str, data: &[f64], label: i64) -> Mark {
        Mark {
            kind: kind.to_owned(),
            data: data.to_vec(),
            label,
        }
    }

    #[test]
    fn points_are_one_object_and_go_with_every_box() {
        let points = [mark("point", &[1.0, 2.0], 1), mark("point", &[3.0, 4.0], 0)];
        let expected = [(1.0, 2.0, true), (3.0, 4.0, false)];
        assert_eq!(prompts(&points), Ok(vec![Prompt::points(&expected)]));
        let mut marks = points.to_vec();
        // Corners come in any order.
        marks.push(mark("rectangle", &[9.0, 8.0, 5.0, 6.0], 1));
        marks.push(mark("rectangle", &[0.0, 0.0, 4.0, 4.0], 1));
        let with = |x0, y0, x1, y1| Prompt::bbox(x0, y0, x1, y1).with_points(&expected);
        assert_eq!(
            prompts(&marks),
            Ok(vec![with(5.0, 6.0, 9.0, 8.0), with(0.0, 0.0, 4.0, 4.0)])
        );
        assert_eq!(prompts(&[]), Ok(Vec::new()));
    }

    #[test]
    fn marks_that_mean_nothing_are_refused_by_their_place() {
        for (wrong, text) in [
            (mark("point", &[1.0], 1), "marks[1]: a point has x and y"),
            (mark("rectangle", &[1.0; 3], 1), "two corners"),
            (mark("rectangle", &[1.0; 4], 0), "outside"),
            (mark("circle", &[1.0; 4], 1), "type \"circle\""),
        ] {
            let marks = [mark("point", &[1.0, 2.0], 1), wrong];
            let refused = prompts(&marks).unwrap_err().to_string();
            assert!(refused.contains(text), "{refused}");
        }
    }

    #[test]
    fn widgets_have_the_values_that_the_client_requires() {
        let all = widgets(true, true, &json!(0.5));
        let value = |name: &str| all.iter().find(|w| w.name == name).map(|w| w.value.clone());
        assert_eq!(value("edit_conf"), Some(json!(0.5)));
        assert_eq!(value("mask_fineness_slider"), Some(json!(10)));
        assert_eq!(
            value("toggle_preserve_existing_annotations"),
            Some(json!(false))
        );
        assert_eq!(value("button_add_point"), None);
    }
}
