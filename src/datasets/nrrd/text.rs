//! The text of NRRD headers.

use super::{
    axes::Axes,
    layers::{self, Segment},
};
use crate::{
    datasets::{
        seg::{Code, SegCodes},
        volume::SourceMasks,
    },
    sinks::class_colour,
};
use std::fmt::Write;

/// A header while it is written; its lines end with a line feed, and it ends with an empty line.
struct Header(String);

impl Header {
    fn new() -> Self {
        Self("NRRD0005\n".to_owned())
    }

    fn field(&mut self, name: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.0, "{name}: {}", value.as_ref());
    }

    /// A key and its value, in which line feeds and backslashes are escaped.
    fn pair(&mut self, key: &str, value: impl AsRef<str>) {
        let value = value.as_ref().replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.0, "{key}:={}", value.replace('\r', " "));
    }

    fn done(self) -> Vec<u8> {
        (self.0 + "\n").into_bytes()
    }
}

/// The header of a `.seg.nrrd` file: columns, rows and frames, behind layers where there are several.
pub(super) fn segmentation(
    masks: &SourceMasks,
    segments: &[Segment],
    axes: &Axes,
    codes: &SegCodes,
) -> Vec<u8> {
    let layers = layers::count(segments);
    let (width, height, frames) = (masks.size.width, masks.size.height, masks.frames.len());
    let mut header = Header::new();
    let steps = vectors(axes);
    kind(&mut header, layers::bytes(segments));
    let several = layers > 1;
    let with = |first: String, rest: String| {
        if several {
            format!("{first} {rest}")
        } else {
            rest
        }
    };
    header.field("dimension", if several { "4" } else { "3" });
    header.field("space", "left-posterior-superior");
    header.field(
        "sizes",
        with(layers.to_string(), format!("{width} {height} {frames}")),
    );
    header.field("space directions", with("none".to_owned(), steps));
    header.field(
        "kinds",
        with("list".to_owned(), "domain domain domain".to_owned()),
    );
    header.field("encoding", "gzip");
    header.field("space origin", vector(&axes.origin));
    for (n, segment) in segments.iter().enumerate() {
        described(&mut header, n, segment, codes);
    }
    header.pair(
        "Segmentation_ContainedRepresentationNames",
        "Binary labelmap|",
    );
    header.pair("Segmentation_ConversionParameters", "");
    header.pair("Segmentation_MasterRepresentation", "Binary labelmap");
    header.pair("Segmentation_SourceRepresentation", "Binary labelmap");
    header.pair("Segmentation_ReferenceImageExtentOffset", "0 0 0");
    header.done()
}

/// The header of a `.seq.nrrd` file: columns, rows, one slice, and the frames as a list with their times in seconds, or numbers
/// where not all have times.
pub(super) fn sequence(masks: &SourceMasks, segments: &[Segment], axes: &Axes) -> Vec<u8> {
    let (width, height, frames) = (masks.size.width, masks.size.height, masks.frames.len());
    let times: Option<Vec<String>> = masks
        .frames
        .iter()
        .map(|frame| Some(frame.timestamp?.as_secs_f64().to_string()))
        .collect();
    let (label, unit) = if times.is_some() {
        ("time", "s")
    } else {
        ("frame", "")
    };
    let values =
        times.unwrap_or_else(|| masks.frames.iter().map(|f| f.frame.to_string()).collect());
    let mut header = Header::new();
    kind(&mut header, layers::bytes(segments));
    header.field("dimension", "4");
    header.field("space", "left-posterior-superior");
    header.field("sizes", format!("{width} {height} 1 {frames}"));
    header.field("space directions", format!("{} none", vectors(axes)));
    header.field("kinds", "domain domain domain list");
    header.field("labels", format!("\"\" \"\" \"\" \"{label}\""));
    header.field("units", format!("\"\" \"\" \"\" \"{unit}\""));
    header.field("encoding", "gzip");
    header.field("space origin", vector(&axes.origin));
    header.pair("DataNodeClassName", "vtkMRMLLabelMapVolumeNode");
    // Slicer's reader over Teem moves the list to the front and knows the keys of axis 0; its reader over ITK, which leaves the
    // list where it is, knows both.
    for axis in [0, 3] {
        header.pair(&format!("axis {axis} index type"), "numeric");
        header.pair(&format!("axis {axis} index values"), values.join(" "));
    }
    for segment in segments {
        header.pair(
            &format!("label {}", segment.value),
            segment.key.name(&segment.label),
        );
    }
    header.done()
}

fn kind(header: &mut Header, bytes: usize) {
    header.field(
        "type",
        if bytes == 1 {
            "unsigned char"
        } else {
            "unsigned short"
        },
    );
    if bytes > 1 {
        header.field("endian", "little");
    }
}

fn vector(v: &[f64; 3]) -> String {
    // Without a sign of zero, which some readers take for text.
    let [x, y, z] = v.map(|v| if v == 0.0 { 0.0 } else { v });
    format!("({x},{y},{z})")
}

fn vectors(axes: &Axes) -> String {
    let steps: Vec<String> = axes.steps.iter().map(vector).collect();
    steps.join(" ")
}

/// The keys of a segment.
fn described(header: &mut Header, n: usize, segment: &Segment, codes: &SegCodes) {
    let mut pair = |key: &str, value: String| header.pair(&format!("Segment{n}_{key}"), value);
    let colour = class_colour(segment.key.class).map(|c| format!("{:.6}", f64::from(c) / 255.0));
    pair("ID", format!("Segment_{}", n + 1));
    pair("Name", segment.key.name(&segment.label));
    pair("NameAutoGenerated", "0".to_owned());
    pair("Color", colour.join(" "));
    pair("ColorAutoGenerated", "0".to_owned());
    pair("Extent", segment.extent.map(|v| v.to_string()).join(" "));
    pair("LabelValue", segment.value.to_string());
    pair("Layer", segment.layer.to_string());
    let code = codes.of(&segment.label);
    let terminology = format!(
        "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list\
         ~{}~{}~^^~Anatomic codes - DICOM master list~^^~^^|",
        triplet(&code.category),
        triplet(&code.kind)
    );
    pair("Tags", terminology);
}

/// Scheme, value and meaning, without the separators of the entry.
fn triplet(code: &Code) -> String {
    [&code.scheme, &code.value, &code.meaning]
        .map(|text| text.replace(['^', '~', '|'], " "))
        .join("^")
}
