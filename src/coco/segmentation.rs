//! Outlines: run lengths in both forms, polygons.

use crate::{
    coco::rle::{decode_counts, encode_counts},
    frame::Mask,
    geometry::Size,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// Run lengths in their compressed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle<'a> {
    /// Height, width in pixels.
    pub size: [u32; 2],
    /// The string of [`encode_counts`].
    #[serde(borrow)]
    pub counts: Cow<'a, str>,
}

impl Rle<'_> {
    /// The run lengths of `mask`.
    pub fn of(mask: &Mask) -> Self {
        Self {
            size: [mask.size().height, mask.size().width],
            counts: Cow::Owned(encode_counts(mask.counts())),
        }
    }

    /// The mask; none if the string is broken or its runs do not add up to height × width.
    pub fn to_mask(&self) -> Option<Mask> {
        let [height, width] = self.size;
        Mask::from_counts(Size::new(width, height), decode_counts(&self.counts)?)
    }
}

/// The outline of an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Segmentation<'a> {
    Rle(Rle<'a>),
    /// Run lengths as numbers; size is height, width in pixels.
    Runs {
        size: [u32; 2],
        counts: Vec<u32>,
    },
    /// Lists of x, y in pixels. An empty list stands for no mask.
    Polygons(Vec<Vec<f64>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Segmentation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = Segmentation<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of polygons or an RLE object with size and counts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Segmentation<'de>, A::Error> {
        let mut polygons = Vec::new();
        while let Some(polygon) = list.next_element()? {
            polygons.push(polygon);
        }
        Ok(Segmentation::Polygons(polygons))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Segmentation<'de>, A::Error> {
        let (mut size, mut height, mut width, mut counts) = (None, None, None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "size" => size = Some(map.next_value()?),
                // Some writers state them apart.
                "h" => height = Some(map.next_value()?),
                "w" => width = Some(map.next_value()?),
                "counts" => counts = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let size = match (size, height, width) {
            (Some(size), ..) => size,
            (None, Some(height), Some(width)) => [height, width],
            _ => return Err(de::Error::missing_field("size")),
        };
        match counts.ok_or_else(|| de::Error::missing_field("counts"))? {
            Counts::Text(counts) => Ok(Segmentation::Rle(Rle { size, counts })),
            Counts::Numbers(counts) => Ok(Segmentation::Runs { size, counts }),
        }
    }
}

/// The string, or the numbers that it stands for.
enum Counts<'a> {
    Text(Cow<'a, str>),
    Numbers(Vec<u32>),
}

impl<'de> Deserialize<'de> for Counts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RLE string or a list of run lengths")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Counts<'de>, E> {
        Ok(Counts::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Counts<'de>, E> {
        Ok(Counts::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Counts<'de>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(count) = list.next_element()? {
            numbers.push(count);
        }
        Ok(Counts::Numbers(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read_and_come_back() {
        for (text, expected) in [
            (
                r#"{"size":[3,4],"counts":"0\\2"}"#,
                Segmentation::Rle(Rle {
                    size: [3, 4],
                    counts: "0\\2".into(),
                }),
            ),
            (
                r#"{"size":[3,4],"counts":[0,12]}"#,
                Segmentation::Runs {
                    size: [3, 4],
                    counts: vec![0, 12],
                },
            ),
            (
                "[[1.5,2.0,3.0]]",
                Segmentation::Polygons(vec![vec![1.5, 2.0, 3.0]]),
            ),
            ("[]", Segmentation::Polygons(Vec::new())),
        ] {
            let found: Segmentation<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(found, expected);
            assert_eq!(serde_json::to_string(&found).unwrap(), text);
        }
        let apart: Segmentation<'_> =
            serde_json::from_str(r#"{"w":4,"counts":"<","x":{},"h":3}"#).unwrap();
        assert!(matches!(apart, Segmentation::Rle(rle) if rle.to_mask().is_some()));
    }

    #[test]
    fn other_forms_are_errors_that_name_what_is_wrong() {
        for (text, says) in [
            ("\"mask\"", "polygons or an RLE"),
            (r#"{"size":[3,4]}"#, "missing field `counts`"),
            (r#"{"counts":"9"}"#, "missing field `size`"),
            (
                r#"{"size":[3,-4],"counts":"9"}"#,
                "invalid value: integer `-4`",
            ),
            (r#"{"size":[3,4],"counts":9}"#, "a list of run lengths"),
        ] {
            let error = serde_json::from_str::<Segmentation<'_>>(text).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
