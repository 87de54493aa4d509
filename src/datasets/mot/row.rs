//! The rows of MOT and MOTS files.

use crate::geometry::Size;
use std::str::FromStr;

/// Instances of a class that a MOTS number has room for: it is class × 1000 + instance.
pub(crate) const INSTANCES: u64 = 1000;

/// A row of MOTChallenge: `frame, id, x, y, width, height[, confidence[, class[, visibility[, …]]]]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MotRow {
    /// Number of the frame, from 1.
    pub(crate) frame: u64,
    /// Number of the track; below 1 for detections without one.
    pub(crate) id: i64,
    /// Left, upper edge, width, height in pixels.
    pub(crate) bbox: [f64; 4],
    /// Confidence in results; in ground truth 0 for what is not evaluated.
    pub(crate) confidence: Option<f64>,
    /// Class, from 1; none where it is below 1.
    pub(crate) class: Option<u32>,
    /// Share of the object that is seen, in 0..1; none where it is not in that range.
    pub(crate) visibility: Option<f64>,
}

impl MotRow {
    /// The row of a line of text.
    ///
    /// # Errors
    /// In words: there are fewer than six numbers, or one is not what its column holds.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut fields = line.split(',').map(str::trim);
        let mut next = |name: &str| number(fields.next(), name);
        let frame = whole(next("frame")?, "frame")?;
        let frame = u64::try_from(frame).ok().filter(|frame| *frame > 0);
        let id = whole(next("id")?, "id")?;
        let bbox = [next("x")?, next("y")?, next("width")?, next("height")?];
        if bbox[2] < 0.0 || bbox[3] < 0.0 {
            return Err("a box of negative size".to_owned());
        }
        let mut more = |name: &str| match fields.next() {
            None | Some("") => Ok(None),
            text => number(text, name).map(Some),
        };
        let confidence = more("confidence")?;
        let class = more("class")?.map(|c| whole(c, "class")).transpose()?;
        let visibility = more("visibility")?;
        Ok(Self {
            frame: frame.ok_or("frames are numbered from 1")?,
            id,
            bbox,
            confidence,
            class: class.and_then(|c| u32::try_from(c).ok()).filter(|c| *c > 0),
            visibility: visibility.filter(|v| (0.0..=1.0).contains(v)),
        })
    }
}

/// A row of MOTS: `frame id class height width counts`, in which id is class × 1000 + instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MotsRow<'a> {
    /// Number of the frame, from 1.
    pub(crate) frame: u64,
    /// Number of the object.
    pub(crate) id: u64,
    /// Class, from 1.
    pub(crate) class: u32,
    /// Width and height of the mask.
    pub(crate) size: Size,
    /// COCO's compressed run lengths.
    pub(crate) counts: &'a str,
}

impl<'a> MotsRow<'a> {
    /// The row of a line of text.
    ///
    /// # Errors
    /// In words: there are not six fields, or one is not what its column holds.
    pub(crate) fn parse(line: &'a str) -> Result<Self, String> {
        let mut fields = line.split_ascii_whitespace();
        let (frame, id) = (
            parsed(fields.next(), "frame")?,
            parsed(fields.next(), "id")?,
        );
        let class = parsed(fields.next(), "class")?;
        let height = parsed(fields.next(), "height")?;
        let width = parsed(fields.next(), "width")?;
        let counts = fields.next().ok_or("the run lengths are missing")?;
        if fields.next().is_some() {
            return Err("more than six fields".to_owned());
        }
        if frame == 0 || class == 0 {
            return Err("frames and classes are numbered from 1".to_owned());
        }
        Ok(Self {
            frame,
            id,
            class,
            size: Size::new(width, height),
            counts,
        })
    }

    /// Number of the track: the instance, where the number of the object says the class too.
    pub(crate) fn track(&self) -> u64 {
        match self.id / INSTANCES == u64::from(self.class) {
            true => self.id % INSTANCES,
            false => self.id,
        }
    }
}

fn parsed<T: FromStr>(text: Option<&str>, name: &str) -> Result<T, String> {
    let text = text.ok_or_else(|| format!("{name} is missing"))?;
    text.parse().map_err(|_| unfit(text, name))
}

fn number(text: Option<&str>, name: &str) -> Result<f64, String> {
    let text = text.ok_or_else(|| format!("{name} is missing"))?;
    let value = text.parse().ok().filter(|v: &f64| v.abs() <= 1e9);
    value.ok_or_else(|| unfit(text, name))
}

/// Some programs write whole numbers as `3.0`.
fn whole(value: f64, name: &str) -> Result<i64, String> {
    match value.fract() == 0.0 {
        true => Ok(value as i64),
        false => Err(unfit(&value.to_string(), name)),
    }
}

fn unfit(text: &str, name: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("{shown:?} is no number for {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_boxes_have_six_numbers_or_more() {
        let row = MotRow::parse("3,7.0,1.5,-2,10, 20.25 ,0.5,2,0.75").unwrap();
        assert_eq!((row.frame, row.id, row.class), (3, 7, Some(2)));
        assert_eq!(row.bbox, [1.5, -2.0, 10.0, 20.25]);
        assert_eq!((row.confidence, row.visibility), (Some(0.5), Some(0.75)));
        let short = MotRow::parse("1,-1,0,0,1,1").unwrap();
        assert_eq!((short.id, short.confidence, short.class), (-1, None, None));
        let results = MotRow::parse("1,1,0,0,1,1,0.9,-1,-1,-1").unwrap();
        assert_eq!((results.class, results.visibility), (None, None));
        for wrong in [
            "1,1,0,0,1",
            "0,1,0,0,1,1",
            "1.5,1,0,0,1,1",
            "1,1,0,0,-1,1",
            "1,1,nan,0,1,1",
            "1,1,1e300,0,1,1",
            "1 1 0 0 1 1",
            "1,1,0,0,1,1,x",
        ] {
            assert!(MotRow::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_of_masks_have_six_fields() {
        let row = MotsRow::parse("2 3014 3 48 64 abc").unwrap();
        assert_eq!((row.frame, row.track(), row.class), (2, 14, 3));
        assert_eq!((row.size, row.counts), (Size::new(64, 48), "abc"));
        assert_eq!(MotsRow::parse("2 14 3 48 64 abc").unwrap().track(), 14);
        for wrong in [
            "2 14 3 48 64",
            "2 14 3 48 64 a b",
            "0 14 3 48 64 a",
            "1 14 0 48 64 a",
            "1 14 3 -4 64 a",
        ] {
            assert!(MotsRow::parse(wrong).is_err(), "{wrong}");
        }
    }
}
