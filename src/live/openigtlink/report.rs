//! The messages of a frame.

use super::{
    geometry::{built, converted, position},
    label_map::label_map,
    output_options::{IgtlOutputOptions, MaskValues, PictureSent},
};
use crate::{
    frame::{Channels, Detections, Mask, Object},
    igtl::{Content, CoordinateSystem, Image, ImageGeometry, Message, Point, Samples},
    live::result::LiveFrame,
    sinks::{class_colour, draw_overlay, track_colour},
};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

/// Makes the messages of frames.
#[derive(Debug)]
pub(super) struct Reporter {
    options: IgtlOutputOptions,
    /// Whether masks have 16 bits: once a value needed them, they stay so.
    wide: bool,
}

impl Reporter {
    pub(super) fn new(options: IgtlOutputOptions) -> Self {
        Self {
            options,
            wide: false,
        }
    }

    /// Gives the messages of a frame to `give` as they are made, the mask first and a picture last, and returns what could not be sent of it.
    pub(super) fn messages(
        &mut self,
        frame: &LiveFrame,
        mut give: impl FnMut(Message),
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let found = &frame.detections;
        let (Ok(columns), Ok(rows)) = (
            u16::try_from(found.size.width),
            u16::try_from(found.size.height),
        ) else {
            let problem = format!("frames of {} are too large for OpenIGTLink", found.size);
            return vec![problem];
        };
        let size = [columns, rows, 1];
        let geometry = self.geometry(frame);
        let values: Vec<Option<u16>> = found.iter().map(|object| self.value(object)).collect();
        let image = |components, samples| {
            Content::Image(Image {
                size,
                components,
                samples,
                geometry,
            })
        };
        let names = &self.options.names;
        if self.options.mask {
            if values.contains(&None) {
                let problem =
                    "objects without a track, or with a number above 65535, are left out of masks";
                problems.push(problem.to_owned());
            }
            self.wide |= values.iter().flatten().any(|&value| value > 255);
            let samples = label_map(found, &values, self.wide);
            let metadata = metadata(frame, &values);
            give(message(frame, &names.mask, metadata, image(1, samples)));
        }
        if self.options.boxes {
            let points = found
                .iter()
                .flat_map(|object| corners(object, found, &geometry));
            let points = owned(points, &names.mask);
            give(message(frame, &names.boxes, stamps(frame), points));
        }
        if self.options.centroids {
            let points = found
                .iter()
                .map(|object| centroid(object, found, &geometry));
            let points = owned(points, &names.mask);
            give(message(frame, &names.centroids, stamps(frame), points));
        }
        if self.options.picture != PictureSent::None
            // Those that were on their way when a client came are not on the host.
            && let Ok(picture) = frame.frame.image()
        {
            let (channels, data) = match self.options.picture {
                PictureSent::Overlay => {
                    let drawn = draw_overlay(picture, found);
                    (drawn.channels(), drawn.into_data())
                }
                _ => (picture.channels(), picture.data().to_vec()),
            };
            let components = match channels {
                Channels::Gray => 1,
                Channels::Rgb => 3,
            };
            let content = image(components, Samples::U8(data));
            give(message(frame, &names.picture, stamps(frame), content));
        }
        problems
    }

    /// Where the frame lies: as the input states it, else built from its spacing.
    fn geometry(&self, frame: &LiveFrame) -> ImageGeometry {
        let wanted = self.options.coordinates;
        match &frame.geometry {
            Some(stated) => converted(stated, wanted.unwrap_or(stated.coordinates)),
            None => {
                let physical = frame.frame.physical.as_ref();
                let spacing = physical.and_then(|physical| physical.pixel_spacing_mm);
                let system = wanted.unwrap_or(CoordinateSystem::Ras);
                built(spacing, system)
            }
        }
    }

    /// The value of an object in masks, above 0.
    fn value(&self, object: &Object) -> Option<u16> {
        let value = match self.options.values {
            MaskValues::Classes => u64::from(object.class) + 1,
            MaskValues::Tracks => object.track?.id,
        };
        u16::try_from(value).ok()
    }
}

/// A message about a frame, with the time of its arrival.
fn message(
    frame: &LiveFrame,
    device: &str,
    metadata: Vec<(String, String)>,
    content: Content,
) -> Message {
    let time = frame.times.arrival.time.duration_since(UNIX_EPOCH);
    Message {
        device: device.to_owned(),
        time: time.ok().filter(|time| *time > Duration::ZERO),
        metadata,
        content,
    }
}

/// Number, time and latency of a frame.
fn stamps(frame: &LiveFrame) -> Vec<(String, String)> {
    let latency = frame.times.arrival.instant.elapsed().as_secs_f64() * 1000.0;
    let mut stamps = vec![
        ("frame".to_owned(), frame.frame.index.to_string()),
        ("latency_ms".to_owned(), format!("{latency:.2}")),
    ];
    if let Some(time) = frame.frame.timestamp {
        let seconds = format!("{:.6}", time.as_secs_f64());
        stamps.push(("stream_time_s".to_owned(), seconds));
    }
    stamps
}

/// The same with the objects, as JSON.
fn metadata(frame: &LiveFrame, values: &[Option<u16>]) -> Vec<(String, String)> {
    let objects = frame.detections.iter().zip(values);
    let objects: Vec<_> = objects
        .map(|(object, value)| {
            let track = object.track.map(|track| {
                let state = track.visibility.name();
                json!({"id": track.id, "state": state, "score": track.visibility_score})
            });
            json!({
                "value": value, "class": object.class, "name": &*object.label, "score": object.score,
                "box": object.bbox.to_coco(), "track": track,
            })
        })
        .collect();
    let mut all = stamps(frame);
    all.push(("objects".to_owned(), json!(objects).to_string()));
    all
}

fn owned(points: impl Iterator<Item = Point>, owner: &str) -> Content {
    Content::Points(
        points
            .map(|point| Point {
                owner: owner.to_owned(),
                ..point
            })
            .collect(),
    )
}

/// The start of a text that fits into `most` bytes.
pub(super) fn fitting(text: &str, most: usize) -> String {
    let text = text.replace('\0', " ");
    let end = text.floor_char_boundary(most.min(text.len()));
    text[..end].to_owned()
}

/// A point of an object: `bone #3` or `bone`, then `what`.
fn point(object: &Object, what: &str, position: [f32; 3]) -> Point {
    let [r, g, b] = match object.track {
        Some(track) => track_colour(track.id),
        None => class_colour(object.class),
    };
    let tail = match object.track {
        Some(track) => format!(" #{}{what}", track.id),
        None => what.to_owned(),
    };
    let label = fitting(&object.label, 64 - tail.len());
    Point {
        name: label + &tail,
        group: fitting(&object.label, 32),
        rgba: [r, g, b, 255],
        position,
        diameter: 0.0,
        owner: String::new(),
    }
}

/// The upper left and the lower right corner of an object's box, the edges of whose pixels they are.
fn corners(object: &Object, found: &Detections, geometry: &ImageGeometry) -> [Point; 2] {
    let size = [found.size.width, found.size.height];
    let b = object.bbox;
    let at = |x, y| position(geometry, size, x, y);
    [
        point(object, " upper left", at(b.x0, b.y0)),
        point(object, " lower right", at(b.x1, b.y1)),
    ]
}

/// The middle of an object's mask or, where it has none, of its box.
fn centroid(object: &Object, found: &Detections, geometry: &ImageGeometry) -> Point {
    let size = [found.size.width, found.size.height];
    let b = object.bbox;
    let of_mask = object.mask.as_ref().and_then(middle);
    let [x, y] = of_mask.unwrap_or([(b.x0 + b.x1) / 2.0, (b.y0 + b.y1) / 2.0]);
    point(object, "", position(geometry, size, x, y))
}

/// The mean of the middles of a mask's pixels.
fn middle(mask: &Mask) -> Option<[f32; 2]> {
    let (mut xs, mut ys) = (0.0f64, 0.0f64);
    mask.for_each_run(|x, top, bottom| {
        let (x, top, bottom) = (f64::from(x), f64::from(top), f64::from(bottom));
        xs += (x + 0.5) * (bottom - top);
        ys += (bottom + top) / 2.0 * (bottom - top);
    });
    let area = mask.area() as f64;
    (area > 0.0).then(|| [(xs / area) as f32, (ys / area) as f32])
}
