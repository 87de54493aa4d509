//! One line of `detections.jsonl`.

use super::{change::ChangeLine, measured::Measured};
use crate::{
    coco::{Rle, plain_number},
    frame::{Detections, Frame, Object, ObjectTrack, Physical, SourceKind, Visibility},
    geometry::{BoxXyxy, Size},
    sinks::layout::Layout,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// A frame's line. Numbers are written in the shortest form that reads back as the same `f32`; times in seconds, exact
/// to the nanosecond.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordLine<'a> {
    /// The source's name, by which its outputs are named.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// Position of the source among the run's sources.
    pub source_index: usize,
    /// Kind of source.
    pub kind: SourceKind,
    /// The source's path as given.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// The file of this frame, where a sequence or series has a file for each.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Cow<'a, str>>,
    /// The bytes of `file` in hexadecimal, where it is not UTF-8 (`file` then has a replacement character).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<Cow<'a, str>>,
    /// The frame's picture below the folder of pictures, `/`-separated; absent in records of earlier versions.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Cow<'a, str>>,
    /// Number of the frame in its source.
    pub frame: u64,
    /// Presentation time in seconds; null for still images.
    #[serde(default, with = "seconds")]
    pub timestamp: Option<Duration>,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Facts about the source, on the first line of each source alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceFacts>,
    /// Pixel spacing and ultrasound regions, where the source has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Cow<'a, Physical>>,
    /// The EXIF orientation (2 to 8) by which the file's picture was turned; boxes and masks are those of the turned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exif_orientation: Option<u8>,
    /// What was found, best score first.
    #[serde(borrow)]
    pub objects: Vec<ObjectLine<'a>>,
    /// Changes of visibility at this frame, where objects are tracked.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub visibility_changes: Vec<ChangeLine<'a>>,
}

/// Facts about a source that do not change from frame to frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Nominal frames a second, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// DICOM attributes by keyword, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// An object of a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectLine<'a> {
    /// `[x0, y0, x1, y1]` in pixels, right and lower edges exclusive.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Confidence in 0..1.
    pub score: f32,
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    #[serde(borrow)]
    pub label: Cow<'a, str>,
    /// Pixels of the mask, or of the box where there is no mask.
    #[serde(serialize_with = "plain_number")]
    pub area: f64,
    /// COCO run lengths.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Rle<'a>>,
    /// The segmenter's estimate of its mask's IoU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_score: Option<f32>,
    /// Number of the object over all frames of its source, from 1, where objects are tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
    /// Whether the object is seen; with `track_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// The score behind `visibility`, in 0..1; with `track_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility_score: Option<f32>,
    /// Sizes in millimetres, where the frame states a scale. They follow from mask and scale, and are not read back.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measured>,
}

impl<'a> RecordLine<'a> {
    /// The line of a frame; none if a box or score is not finite, which JSON cannot hold.
    pub fn new(
        frame: &'a Frame,
        found: &'a Detections,
        facts: Option<SourceFacts>,
    ) -> Option<Self> {
        let (source, file) = (&frame.source, frame.file.as_deref());
        let physical = frame.physical.as_deref();
        Some(Self {
            source: Cow::Borrowed(&source.name),
            source_index: source.ordinal,
            kind: source.kind,
            path: source.path.to_string_lossy(),
            file: file.map(Path::to_string_lossy),
            file_bytes: file.and_then(bytes_if_not_utf8).map(Cow::Owned),
            image: Some(Cow::Owned(Layout::image_name(source, frame.index, file))),
            frame: frame.index,
            timestamp: frame.timestamp,
            width: found.size.width,
            height: found.size.height,
            source_info: facts.filter(|f| *f != SourceFacts::default()),
            physical: physical.map(Cow::Borrowed),
            exif_orientation: frame.exif_orientation,
            objects: found
                .objects
                .iter()
                .map(|object| ObjectLine::new(object, physical))
                .collect::<Option<_>>()?,
            visibility_changes: found
                .changes
                .iter()
                .map(ChangeLine::new)
                .collect::<Option<_>>()?,
        })
    }

    /// The frame's picture below the folder of pictures; of records of earlier versions, as those named it.
    pub fn image_name(&self) -> Cow<'_, str> {
        match (&self.image, self.kind) {
            (Some(image), _) => Cow::Borrowed(image),
            (None, SourceKind::Image) => Cow::Borrowed(&self.path),
            (None, SourceKind::Sequence) => {
                Cow::Borrowed(self.file.as_deref().unwrap_or(&self.path))
            }
            (None, _) => Cow::Owned(Layout::earlier_frame_name(&self.source, self.frame)),
        }
    }

    /// The objects that the line was written from, equal in every bit.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    pub fn detections(&self) -> Result<Detections, String> {
        Ok(Detections {
            size: Size::new(self.width, self.height),
            objects: self
                .objects
                .iter()
                .map(ObjectLine::to_object)
                .collect::<Result<_, _>>()?,
            changes: self
                .visibility_changes
                .iter()
                .map(ChangeLine::to_change)
                .collect(),
        })
    }

    /// The file of the frame that the line was written from.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    pub fn file_path(&self) -> Result<Option<PathBuf>, String> {
        Ok(match (&self.file_bytes, &self.file) {
            (Some(hex), _) => Some(path_from_hex(hex).ok_or("file_bytes is not hexadecimal")?),
            (None, file) => file.as_deref().map(PathBuf::from),
        })
    }
}

impl<'a> ObjectLine<'a> {
    fn new(object: &'a Object, physical: Option<&Physical>) -> Option<Self> {
        let BoxXyxy { x0, y0, x1, y1 } = object.bbox;
        let numbers = [
            x0,
            y0,
            x1,
            y1,
            object.score,
            object.mask_score.unwrap_or(0.0),
            object.track.map_or(0.0, |track| track.visibility_score),
        ];
        let mask = object.mask.as_ref();
        numbers.iter().all(|v| v.is_finite()).then(|| Self {
            bbox: [x0, y0, x1, y1],
            score: object.score,
            class: object.class,
            label: Cow::Borrowed(&object.label),
            area: mask.map_or_else(|| box_area(object.bbox.to_coco()), |m| m.area() as f64),
            mask: mask.map(Rle::of),
            mask_score: object.mask_score,
            track_id: object.track.map(|track| track.id),
            visibility: object.track.map(|track| track.visibility),
            visibility_score: object.track.map(|track| track.visibility_score),
            measure: physical.and_then(|physical| Measured::of(object, physical)),
        })
    }

    fn to_object(&self) -> Result<Object, String> {
        let [x0, y0, x1, y1] = self.bbox;
        let mask = match &self.mask {
            Some(rle) => Some(rle.to_mask().ok_or_else(|| {
                let [height, width] = rle.size;
                format!("the mask's counts do not fill {height} rows of {width} pixels")
            })?),
            None => None,
        };
        Ok(Object {
            bbox: BoxXyxy::new(x0, y0, x1, y1),
            score: self.score,
            class: self.class,
            label: Arc::from(&*self.label),
            mask,
            mask_score: self.mask_score,
            track: match (self.track_id, self.visibility, self.visibility_score) {
                (Some(id), Some(visibility), Some(visibility_score)) => Some(ObjectTrack {
                    id,
                    visibility,
                    visibility_score,
                }),
                _ => None,
            },
        })
    }
}

/// Width × height of `[x, y, width, height]` as a reader of the decimals would compute it in 64 bits.
pub(crate) fn box_area([_, _, w, h]: [f32; 4]) -> f64 {
    decimal(w) * decimal(h)
}

/// The `f64` that a reader of the shortest decimal form of `value` gets.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(unix)]
fn bytes_if_not_utf8(path: &Path) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    path.to_str().is_none().then(|| {
        path.as_os_str()
            .as_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    })
}

#[cfg(not(unix))]
fn bytes_if_not_utf8(_: &Path) -> Option<String> {
    None
}

#[cfg(unix)]
fn path_from_hex(hex: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let digits = hex.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|d| {
            std::str::from_utf8(d)
                .ok()
                .and_then(|d| u8::from_str_radix(d, 16).ok())
        })
        .collect();
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes?)))
}

#[cfg(not(unix))]
fn path_from_hex(_: &str) -> Option<PathBuf> {
    None
}

/// A time in seconds as a JSON number, exact to the nanosecond.
pub(crate) fn seconds_json(time: Duration) -> serde_json::Result<Box<RawValue>> {
    RawValue::from_string(seconds::text(time))
}

/// Seconds as a decimal number, exact to the nanosecond: beyond what an `f64` would keep for long recordings.
mod seconds {
    use super::{Duration, RawValue};
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _,
    };

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            None => serializer.serialize_none(),
            Some(time) => RawValue::from_string(text(*time))
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let raw: Option<&RawValue> = Deserialize::deserialize(deserializer)?;
        raw.map(|raw| {
            parse(raw.get()).ok_or_else(|| D::Error::custom("timestamp is not a time in seconds"))
        })
        .transpose()
    }

    pub(crate) fn text(time: Duration) -> String {
        let digits = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
        let short = digits.trim_end_matches('0');
        format!("{short}{}", if short.ends_with('.') { "0" } else { "" })
    }

    fn parse(text: &str) -> Option<Duration> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if plain(whole) && plain(fraction) && fraction.len() <= 9 {
            let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
            return Some(Duration::new(whole.parse().ok()?, nanos));
        }
        Duration::try_from_secs_f64(text.parse().ok()?).ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn any_duration_comes_back() {
            for time in [
                Duration::ZERO,
                Duration::from_nanos(1),
                Duration::from_millis(40),
                Duration::new(86_400 * 400, 999_999_999),
                Duration::new(u64::MAX, 1),
            ] {
                assert_eq!(parse(&text(time)), Some(time), "{}", text(time));
            }
            assert_eq!(text(Duration::from_millis(40)), "0.04");
            assert_eq!(text(Duration::from_secs(3)), "3.0");
            assert_eq!(parse("1e-1"), Some(Duration::from_millis(100)));
            assert_eq!(parse("-1"), None);
        }
    }
}
