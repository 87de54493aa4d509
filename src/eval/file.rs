//! COCO files as they are on disk: data sets and results lists.

use super::EvalError;
use crate::run_files::without_bom;
use hotcoco::Segmentation;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use std::{borrow::Cow, fmt, path::Path};

/// A file of predictions.
#[derive(Debug)]
pub(super) enum CocoFile<'a> {
    /// An object with `images`, `annotations` and `categories`.
    Dataset(Dataset<'a>),
    /// A list of annotations with scores, as `COCO.loadRes` takes.
    Results(Vec<Annotation>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Dataset<'a> {
    #[serde(borrow)]
    pub(super) images: Vec<Image<'a>>,
    pub(super) annotations: Vec<Annotation>,
    #[serde(borrow)]
    pub(super) categories: Vec<Category<'a>>,
    #[serde(borrow, default)]
    pub(super) videos: Vec<Video<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Image<'a> {
    #[serde(deserialize_with = "integer")]
    pub(super) id: i64,
    #[serde(borrow, default)]
    pub(super) file_name: Option<Cow<'a, str>>,
    #[serde(default)]
    width: Option<u32>,
    #[serde(default)]
    height: Option<u32>,
    #[serde(default, deserialize_with = "optional_integer")]
    pub(super) video_id: Option<i64>,
    #[serde(default, deserialize_with = "optional_integer")]
    pub(super) frame_id: Option<i64>,
}

impl Image<'_> {
    /// `[height, width]` in pixels, as masks state it; none if the file does not tell.
    pub(super) fn size(&self) -> Option<[u32; 2]> {
        Some([
            self.height.filter(|h| *h > 0)?,
            self.width.filter(|w| *w > 0)?,
        ])
    }
}

/// A video, whose name not all writers give.
#[derive(Debug, Deserialize)]
pub(super) struct Video<'a> {
    #[serde(deserialize_with = "integer")]
    pub(super) id: i64,
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Category<'a> {
    #[serde(deserialize_with = "integer")]
    pub(super) id: i64,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Annotation {
    #[serde(default, deserialize_with = "optional_integer")]
    pub(super) id: Option<i64>,
    #[serde(deserialize_with = "integer")]
    pub(super) image_id: i64,
    #[serde(deserialize_with = "integer")]
    pub(super) category_id: i64,
    /// `[x, y, width, height]` in pixels; an empty list is none.
    #[serde(default)]
    bbox: Option<Vec<f64>>,
    #[serde(default)]
    pub(super) area: Option<f64>,
    #[serde(default, deserialize_with = "flag")]
    pub(super) iscrowd: bool,
    #[serde(default)]
    pub(super) score: Option<f64>,
    #[serde(default)]
    pub(super) segmentation: Option<Segmentation>,
}

/// No box or area goes beyond this many pixels (or their square), so that no sum or product of them overflows.
const LARGEST: f64 = 1e9;

impl Annotation {
    /// Whether it states a box.
    pub(super) fn has_box(&self) -> bool {
        self.bbox.as_ref().is_some_and(|b| !b.is_empty())
    }

    /// The box it states, `[x, y, width, height]`; an error for one that is none.
    pub(super) fn stated_box(&self) -> Result<Option<[f64; 4]>, String> {
        let Some(values) = self.bbox.as_deref().filter(|b| !b.is_empty()) else {
            return Ok(None);
        };
        let Ok(found) = <[f64; 4]>::try_from(values) else {
            return Err(format!(
                "its bbox has {} numbers instead of x, y, width, height",
                values.len()
            ));
        };
        if found.iter().any(|v| v.abs() > LARGEST) {
            return Err(format!("its bbox {found:?} is beyond any picture"));
        }
        if found[2] < 0.0 || found[3] < 0.0 {
            return Err(format!("its bbox {found:?} has a negative width or height"));
        }
        Ok(Some(found))
    }

    /// The area it states, in pixels.
    pub(super) fn stated_area(&self) -> Result<Option<f64>, String> {
        match self.area {
            Some(area) if !(0.0..=LARGEST * LARGEST).contains(&area) => {
                Err(format!("its area {area} is no number of pixels"))
            }
            area => Ok(area),
        }
    }
}

/// Reads ground truth.
pub(super) fn dataset<'a>(path: &Path, text: &'a [u8]) -> Result<Dataset<'a>, EvalError> {
    serde_json::from_slice(without_bom(text)).map_err(|e| {
        not_json(path, text, &e, "is no COCO ground truth")
            .with_remedy("give an object with images, annotations and categories")
    })
}

/// Reads the COCO file whose images and categories a results list numbers.
pub(super) fn images<'a>(path: &Path, text: &'a [u8]) -> Result<Dataset<'a>, EvalError> {
    serde_json::from_slice(without_bom(text)).map_err(|e| {
        let remedy =
            "give the COCO file that the results list belongs to, such as the coco.json of its run";
        not_json(path, text, &e, "holds no COCO images").with_remedy(remedy)
    })
}

/// Reads predictions of either form.
pub(super) fn predictions<'a>(path: &Path, text: &'a [u8]) -> Result<CocoFile<'a>, EvalError> {
    let text = without_bom(text);
    let is_list = text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let parsed = if is_list {
        serde_json::from_slice(text).map(CocoFile::Results)
    } else {
        serde_json::from_slice(text).map(CocoFile::Dataset)
    };
    parsed.map_err(|e| {
        let remedy = "give a COCO results list, or a whole COCO file whose annotations have scores";
        not_json(path, text, &e, "holds no COCO predictions").with_remedy(remedy)
    })
}

fn not_json(path: &Path, text: &[u8], error: &serde_json::Error, what: &str) -> EvalError {
    let line = text
        .split(|b| *b == b'\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let near = line
        .get(error.column().saturating_sub(2)..)
        .unwrap_or_default();
    let near = near.get(..12).unwrap_or(near);
    let not_finite = [&b"NaN"[..], b"Inf"]
        .iter()
        .any(|name| near.windows(name.len()).any(|w| w == *name));
    let hint = if error.is_syntax() && not_finite {
        " (NaN and Infinity are not JSON numbers)"
    } else {
        ""
    };
    EvalError::new(path, format!("{what}: {error}{hint}"))
}

/// A whole number, also as `3.0`, which some writers make of it.
struct Integer(i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Integer, E> {
                Ok(Integer(i64::from(value)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                i64::try_from(value)
                    .map(Integer)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Integer, E> {
                // Up to 2⁵³ a float holds whole numbers exactly.
                let whole = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
                if whole {
                    Ok(Integer(value as i64))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(value), &self))
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Integer::deserialize(deserializer).map(|i| i.0)
}

fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Integer>::deserialize(deserializer).map(|i| i.map(|i| i.0))
}

/// 0, 1, false or true; null is false.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    optional_integer(deserializer).map(|value| value.unwrap_or(0) != 0)
}
