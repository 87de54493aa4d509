//! Shapes and the head of a file, as text.

use crate::{
    datasets::{
        item::Annotation,
        masks::{Crop, Shape, crop},
        xml::escaped,
    },
    geometry::{BoxXyxy, Size},
};
use std::{fmt::Write as _, sync::Arc};

/// One shape of CVAT; an object of several parts has a polygon for each.
#[derive(Clone)]
pub(crate) enum Geometry {
    /// A box.
    Box(BoxXyxy),
    /// A closed line.
    Polygon(Vec<[f64; 2]>),
    /// Run lengths.
    Mask(Arc<Crop>),
}

impl Geometry {
    /// The shapes of an annotation, at least one.
    pub(crate) fn of(annotation: &Annotation, shape: Shape<'_>) -> Vec<Self> {
        match shape {
            Shape::Box => vec![Self::Box(annotation.bbox)],
            Shape::Polygons(lines) => {
                let lines = lines.into_owned();
                lines.into_iter().map(Self::Polygon).collect()
            }
            Shape::Mask(mask) => vec![match crop(&mask) {
                Some(crop) => Self::Mask(Arc::new(crop)),
                None => Self::Box(annotation.bbox),
            }],
        }
    }

    /// A small shape of the kind, for the frame after the last that shows it.
    pub(crate) fn small(self) -> Self {
        match self {
            Self::Box(_) => self,
            Self::Polygon(mut line) => {
                line.truncate(3);
                Self::Polygon(line)
            }
            Self::Mask(crop) => Self::Mask(Arc::new(Crop {
                left: crop.left,
                top: crop.top,
                size: Size::new(1, 1),
                counts: vec![0, 1],
            })),
        }
    }

    /// The element's name.
    pub(crate) fn element(&self) -> &'static str {
        match self {
            Self::Box(_) => "box",
            Self::Polygon(_) => "polygon",
            Self::Mask(_) => "mask",
        }
    }

    /// Adds the element with `attributes`, which begin with a blank, and the figures of `of` in it.
    pub(crate) fn write(&self, out: &mut String, attributes: &str, of: &Annotation) {
        let element = self.element();
        let _ = write!(out, "    <{element}{attributes} occluded=\"0\"");
        match self {
            Self::Box(b) => {
                let _ = write!(
                    out,
                    " xtl=\"{}\" ytl=\"{}\" xbr=\"{}\" ybr=\"{}\"",
                    b.x0, b.y0, b.x1, b.y1
                );
            }
            Self::Polygon(line) => {
                out.push_str(" points=\"");
                for (i, [x, y]) in line.iter().enumerate() {
                    if i > 0 {
                        out.push(';');
                    }
                    number(out, *x);
                    out.push(',');
                    number(out, *y);
                }
                out.push('"');
            }
            Self::Mask(crop) => {
                out.push_str(" rle=\"");
                for (i, count) in crop.counts.iter().enumerate() {
                    let _ = write!(out, "{}{count}", if i > 0 { ", " } else { "" });
                }
                let Size { width, height } = crop.size;
                let _ = write!(
                    out,
                    "\" left=\"{}\" top=\"{}\" width=\"{width}\" height=\"{height}\"",
                    crop.left, crop.top
                );
            }
        }
        out.push_str(" z_order=\"0\">\n");
        let figures = [
            ("score", of.score.map(|v| v.to_string())),
            ("mask_score", of.mask_score.map(|v| v.to_string())),
            ("track_id", of.track_id.map(|v| v.to_string())),
            ("visibility", of.visibility.map(|v| v.name().to_owned())),
        ];
        for (name, value) in figures {
            if let Some(value) = value {
                let _ = writeln!(out, "      <attribute name=\"{name}\">{value}</attribute>");
            }
        }
        let _ = writeln!(out, "    </{element}>");
    }
}

/// Adds a coordinate; most are whole, which is written faster.
fn number(out: &mut String, value: f64) {
    let whole = value as i32;
    let _ = match f64::from(whole) == value {
        true => write!(out, "{whole}"),
        false => write!(out, "{value}"),
    };
}

/// What the head of a file says of its task.
pub(crate) struct Task<'a> {
    /// Name of the task.
    pub(crate) name: &'a str,
    /// Number of frames.
    pub(crate) frames: u64,
    /// `annotation` (images) or `interpolation` (tracks).
    pub(crate) mode: &'a str,
    /// First frame, last frame, frames from one to the next.
    pub(crate) range: (u64, u64, u64),
    /// Size of a video's frames, and its file.
    pub(crate) video: Option<(Size, &'a str)>,
    /// Names of the classes.
    pub(crate) labels: &'a [Arc<str>],
    /// Whether objects have the attribute `visibility`.
    pub(crate) states: bool,
}

impl Task<'_> {
    /// The beginning of a file up to its images or tracks.
    pub(crate) fn head(&self) -> String {
        let (start, stop, step) = self.range;
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n");
        let filter = match step {
            0 | 1 => String::new(),
            step => format!("step={step}"),
        };
        let _ = write!(
            out,
            "  <version>1.1</version>\n  <meta>\n    <task>\n      <name>{}</name>\n      <size>{}</size>\n      <mode>{}</mode>\n      <overlap>0</overlap>\n      <start_frame>{start}</start_frame>\n      <stop_frame>{stop}</stop_frame>\n      <frame_filter>{filter}</frame_filter>\n      <labels>\n",
            escaped(self.name),
            self.frames,
            self.mode
        );
        for label in self.labels {
            let _ = write!(
                out,
                "        <label>\n          <name>{}</name>\n          <type>any</type>\n          <attributes>\n",
                escaped(label)
            );
            let visibility = self.states.then_some("visibility");
            for name in ["score", "mask_score", "track_id"]
                .into_iter()
                .chain(visibility)
            {
                let _ = writeln!(
                    out,
                    "            <attribute><name>{name}</name><mutable>True</mutable><input_type>text</input_type><default_value></default_value><values></values></attribute>"
                );
            }
            out.push_str("          </attributes>\n        </label>\n");
        }
        out.push_str("      </labels>\n");
        if let Some((size, source)) = self.video {
            let _ = write!(
                out,
                "      <original_size>\n        <width>{}</width>\n        <height>{}</height>\n      </original_size>\n      <source>{}</source>\n",
                size.width,
                size.height,
                escaped(source)
            );
        }
        out.push_str("    </task>\n  </meta>\n");
        out
    }
}

/// The end of a file.
pub(crate) const TAIL: &str = "</annotations>\n";
