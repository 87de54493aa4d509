//! `labelstudio.json` and `labelstudio.xml`.

use super::{
    brush,
    options::{ImageUrl, LabelStudioOptions, ResultsAs},
};
use crate::{
    datasets::{
        item::{Annotation, Item},
        masks::Shape,
        names::UsedLabels,
        spool::Spool,
        writer::{DatasetWriter, WriteOptions},
        xml::escaped,
    },
    frame::SourceKind,
    sinks::{SinkError, write_atomic},
};
use serde::Serialize;
use std::{fmt::Write as _, sync::Arc};

/// Writes Label Studio's JSON: `labelstudio.json`, a task a picture, and `labelstudio.xml`, the labelling configuration of a
/// project that takes it. Objects without mask are rectangles; masks are polygons (further parts of an object have the first
/// as parent) or brush strokes.
pub struct LabelStudioWriter {
    options: WriteOptions,
    settings: LabelStudioOptions,
    labels: UsedLabels,
    tasks: Option<Spool>,
    count: u64,
}

#[derive(Serialize)]
struct Task<'a> {
    id: u64,
    data: Data<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[Results<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<[Results<'a>; 1]>,
}

/// What Label Studio keeps with a task: the picture's address, and by what this crate knows it again.
#[derive(Serialize)]
struct Data<'a> {
    image: String,
    file_name: &'a str,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<SourceKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<u64>,
}

#[derive(Serialize)]
struct Results<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    result: Vec<Region<'a>>,
}

#[derive(Serialize)]
struct Region<'a> {
    id: String,
    #[serde(rename = "parentID", skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    r#type: &'a str,
    from_name: &'a str,
    to_name: &'a str,
    original_width: u32,
    original_height: u32,
    image_rotation: u32,
    value: Value<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

/// Text about a region that Label Studio keeps and shows.
#[derive(Serialize)]
struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    track_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_score: Option<f32>,
}

/// Coordinates are in percent of the picture's width and height.
#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Rectangle {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        rotation: u32,
        rectanglelabels: [&'a str; 1],
    },
    Polygon {
        points: Vec<[f64; 2]>,
        closed: bool,
        polygonlabels: [&'a str; 1],
    },
    Brush {
        format: &'a str,
        rle: Vec<u8>,
        brushlabels: [&'a str; 1],
    },
}

impl LabelStudioWriter {
    /// A writer to the folder [`WriteOptions::root`].
    pub fn new(options: WriteOptions, settings: LabelStudioOptions) -> Self {
        Self {
            options,
            settings,
            labels: UsedLabels::default(),
            tasks: None,
            count: 0,
        }
    }

    fn tasks(&mut self) -> Result<&mut Spool, SinkError> {
        let tasks = match self.tasks.take() {
            Some(tasks) => tasks,
            None => Spool::new(self.options.root.join("labelstudio.json"))?,
        };
        Ok(self.tasks.insert(tasks))
    }

    fn image(&self, file_name: &str) -> String {
        let images = self
            .options
            .images
            .as_ref()
            .map_or_else(String::new, |images| {
                images
                    .to_string_lossy()
                    .replace(std::path::MAIN_SEPARATOR, "/")
            });
        let (start, prefix) = match &self.settings.image {
            ImageUrl::LocalFiles { prefix } => ("/data/local-files/?d=", prefix),
            ImageUrl::Relative { prefix } => ("", prefix),
        };
        let prefix = prefix.as_deref().unwrap_or(&images);
        let path = match prefix.strip_suffix('/').unwrap_or(prefix) {
            "" | "." => file_name.to_owned(),
            prefix => format!("{prefix}/{file_name}"),
        };
        match self.settings.image {
            ImageUrl::LocalFiles { .. } => format!("{start}{}", in_query(&path)),
            ImageUrl::Relative { .. } => path,
        }
    }

    fn task<'a>(&self, item: &'a Item) -> Result<Task<'a>, String> {
        let mut result = Vec::new();
        let shapes = Shape::all(item, self.settings.masks)?;
        for (number, (annotation, shape)) in item.annotations.iter().zip(shapes).enumerate() {
            self.regions(item, annotation, (number, shape), &mut result)?;
        }
        let scores = item.annotations.iter().filter_map(|a| a.score);
        let score = scores.clone().reduce(f32::max);
        let predicted = match self.settings.results {
            ResultsAs::Scored => score.is_some() || item.annotations.is_empty(),
            ResultsAs::Predictions => true,
            ResultsAs::Annotations => false,
        };
        let results = [Results {
            model_version: predicted.then_some("ultramotion"),
            score: score.filter(|_| predicted),
            result,
        }];
        let (annotations, predictions) = match predicted {
            true => (None, Some(results)),
            false => (Some(results), None),
        };
        let place = item.place.as_ref();
        Ok(Task {
            id: self.count,
            data: Data {
                image: self.image(&item.file_name),
                file_name: &item.file_name,
                width: item.size.width,
                height: item.size.height,
                source: place.map(|place| &*place.source),
                kind: place.map(|place| place.kind),
                frame: place.map(|place| place.frame),
            },
            annotations,
            predictions,
        })
    }

    fn regions<'a>(
        &self,
        item: &Item,
        annotation: &'a Annotation,
        (number, shape): (usize, Shape<'_>),
        out: &mut Vec<Region<'a>>,
    ) -> Result<(), String> {
        let values = values(item, annotation, shape)?;
        let first = format!("t{}r{number}", self.count);
        let meta = || {
            (annotation.track_id.is_some() || annotation.mask_score.is_some()).then_some(Meta {
                track_id: annotation.track_id,
                mask_score: annotation.mask_score,
            })
        };
        out.extend(values.into_iter().enumerate().map(|(part, value)| {
            let (r#type, from_name) = match &value {
                Value::Rectangle { .. } => ("rectanglelabels", "box"),
                Value::Polygon { .. } => ("polygonlabels", "polygon"),
                Value::Brush { .. } => ("brushlabels", "brush"),
            };
            Region {
                id: match part {
                    0 => first.clone(),
                    part => format!("{first}p{part}"),
                },
                parent: (part > 0).then(|| first.clone()),
                r#type,
                from_name,
                to_name: "image",
                original_width: item.size.width,
                original_height: item.size.height,
                image_rotation: 0,
                value,
                score: annotation.score,
                meta: meta(),
            }
        }));
        Ok(())
    }
}

impl DatasetWriter for LabelStudioWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        self.labels.add(item);
        let path = self.options.root.join("labelstudio.json");
        self.count += 1;
        let failed = |problem| SinkError::new(&path, format!("{}: {problem}", item.file_name));
        let task = self.task(item).map_err(failed)?;
        let text = serde_json::to_string(&task).map_err(|e| failed(e.to_string()))?;
        let comma = if self.count > 1 { ",\n" } else { "" };
        self.tasks()?.add(&format!("{comma}{text}"))?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.tasks()?;
        if let Some(tasks) = self.tasks.take() {
            tasks.finish("[\n", "\n]\n")?;
        }
        let labels = self.labels.names(self.options.classes.names());
        let path = self.options.root.join("labelstudio.xml");
        write_atomic(&path, configuration(&labels).as_bytes())
    }
}

/// The values of an annotation's regions, at least one.
fn values<'a>(
    item: &Item,
    annotation: &'a Annotation,
    shape: Shape<'_>,
) -> Result<Vec<Value<'a>>, String> {
    let label = [&*annotation.label];
    let (w, h) = (f64::from(item.size.width), f64::from(item.size.height));
    let percent = |[x, y]: [f64; 2]| [x / w * 100.0, y / h * 100.0];
    let rectangle = || {
        let b = annotation.bbox;
        let [x, y] = percent([b.x0.into(), b.y0.into()]);
        let [width, height] = percent([
            f64::from(b.x1) - f64::from(b.x0),
            f64::from(b.y1) - f64::from(b.y0),
        ]);
        Value::Rectangle {
            x,
            y,
            width,
            height,
            rotation: 0,
            rectanglelabels: label,
        }
    };
    Ok(match shape {
        Shape::Box => vec![rectangle()],
        Shape::Polygons(lines) => lines
            .iter()
            .map(|line| Value::Polygon {
                points: line.iter().copied().map(percent).collect(),
                closed: true,
                polygonlabels: label,
            })
            .collect(),
        Shape::Mask(mask) => vec![Value::Brush {
            format: "rle",
            rle: brush::encode(&mask).ok_or_else(|| {
                format!("a picture of {} is too large for brush strokes", item.size)
            })?,
            brushlabels: label,
        }],
    })
}

/// The labelling configuration: rectangles, polygons and brush strokes of the same labels.
fn configuration(labels: &[Arc<str>]) -> String {
    let mut out =
        String::from("<View>\n  <Image name=\"image\" value=\"$image\" zoom=\"true\"/>\n");
    for (tag, name) in [
        ("RectangleLabels", "box"),
        ("PolygonLabels", "polygon"),
        ("BrushLabels", "brush"),
    ] {
        let _ = writeln!(out, "  <{tag} name=\"{name}\" toName=\"image\">");
        for label in labels {
            let _ = writeln!(out, "    <Label value=\"{}\"/>", escaped(label));
        }
        let _ = writeln!(out, "  </{tag}>");
    }
    out.push_str("</View>\n");
    out
}

/// A path as the value of a query: all but letters, digits, `-._~/` in percent form.
fn in_query(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
