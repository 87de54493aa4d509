//! The rows of MOT and MOTS files, as the readers of data sets and the evaluation of tracks both read them.
//!
//! Formats: Milan et al., "MOT16" (arXiv:1603.00831); Voigtlaender et al., "MOTS" (CVPR 2019). Columns may be divided by commas
//! or by blanks, and whole numbers may be written as `3.0`, as some programs do.

use crate::geometry::Size;
use std::fmt::Write as _;

/// Instances of a class that a MOTS number has room for: it is class × 1000 + instance.
pub(crate) const INSTANCES: u64 = 1000;

/// The class of MOTS for regions in which nothing is judged.
pub(crate) const MOTS_IGNORED: u32 = 10;

/// No frame has a higher number.
const MAX_FRAME: u64 = 1 << 40;

/// No side of a box is further from the corner of the picture, in pixels.
const MAX_PLACE: f64 = 1e9;

/// A row of MOTChallenge: `frame, id, x, y, width, height[, mark or confidence[, class[, visibility[, …]]]]`. The last columns
/// of results are often -1, and stand for nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MotRow {
    /// Number of the frame, from 1.
    pub(crate) frame: u64,
    /// Number of the track, from 0 or 1; none where it is negative, as in lists of detections.
    pub(crate) track: Option<i64>,
    /// Left, upper edge, width, height in pixels; none is negative of the last two.
    pub(crate) bbox: [f64; 4],
    /// Column 7: a mark in ground truth, a confidence in results; none where there is no such column.
    mark: Option<f64>,
    /// Column 8 as it is written.
    pub(crate) class: Option<i64>,
    /// Share of the object that is seen, in 0..1; none where it is not in that range.
    pub(crate) visibility: Option<f64>,
}

impl MotRow {
    /// The row of a line of text.
    ///
    /// # Errors
    /// In words: there are fewer than six columns, or one is not what it should be.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let fields = Fields::of(line);
        let (frame, id) = (fields.frame()?, fields.whole(1, "id")?);
        let mut bbox = [0.0; 4];
        for (at, what) in ["x", "y", "width", "height"].into_iter().enumerate() {
            bbox[at] = fields.number(at + 2, what)?;
        }
        if bbox.iter().any(|v| v.abs() > MAX_PLACE) {
            return Err(format!("the box {bbox:?} is beyond any picture"));
        }
        if bbox[2] < 0.0 || bbox[3] < 0.0 {
            return Err(format!("the box {bbox:?} has a negative width or height"));
        }
        let mark = fields
            .given(6)
            .then(|| fields.number(6, "mark or confidence"));
        let class = fields.given(7).then(|| fields.whole(7, "class"));
        let visibility = fields.given(8).then(|| fields.number(8, "visibility"));
        Ok(Self {
            frame,
            track: Some(id).filter(|id| *id >= 0),
            bbox,
            mark: mark.transpose()?,
            class: class.transpose()?,
            visibility: visibility.transpose()?.filter(|v| (0.0..=1.0).contains(v)),
        })
    }

    /// Whether a row of ground truth is not to be evaluated: its mark is 0, in whole numbers.
    pub(crate) fn is_unmarked(&self) -> bool {
        self.mark.is_some_and(|mark| mark.trunc() == 0.0)
    }

    /// The confidence of a row of results; none where it is negative.
    pub(crate) fn confidence(&self) -> Option<f64> {
        self.mark.filter(|confidence| *confidence >= 0.0)
    }

    /// The class from 1; none where there is none.
    pub(crate) fn class_number(&self) -> Option<u32> {
        let class = self.class.and_then(|class| u32::try_from(class).ok());
        class.filter(|class| *class > 0)
    }

    /// The line of an object, numbers as the files have them: frame and class from 1; `bbox` is left, upper edge, width and
    /// height; `mark` is 1 in ground truth, the score in results.
    pub(crate) fn line(
        frame: u64,
        track: u64,
        bbox: [f32; 4],
        (mark, class, visibility): (f32, u64, f32),
    ) -> String {
        let [x, y, width, height] = bbox;
        format!("{frame},{track},{x},{y},{width},{height},{mark},{class},{visibility}\n")
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
    /// Whether a line can be of MOTS and not of MOT: six columns divided by blanks.
    pub(crate) fn fits(line: &str) -> bool {
        !line.contains(',') && line.split_whitespace().take(7).count() == 6
    }

    /// The row of a line of text.
    ///
    /// # Errors
    /// In words: there are not six columns, or one is not what it should be.
    pub(crate) fn parse(line: &'a str) -> Result<Self, String> {
        let fields = Fields(line.split_whitespace().take(7).collect());
        let [.., counts] = fields.0[..] else {
            return Err("is empty".to_owned());
        };
        if fields.0.len() != 6 {
            let count = line.split_whitespace().count();
            return Err(format!("has {count} columns instead of 6"));
        }
        let side = |at: usize, what: &str| {
            u32::try_from(fields.whole(at, what)?)
                .map_err(|_| format!("{what} is negative or huge"))
        };
        let (id, class) = (fields.whole(1, "id")?, fields.whole(2, "class")?);
        Ok(Self {
            frame: fields.frame()?,
            id: u64::try_from(id).map_err(|_| format!("id {id} is negative"))?,
            class: u32::try_from(class)
                .ok()
                .filter(|class| *class > 0)
                .ok_or_else(|| format!("class {class} is not one from 1"))?,
            size: Size::new(side(4, "width")?, side(3, "height")?),
            counts,
        })
    }

    /// Number of the track in its class: the instance, where the number of the object says the class too.
    pub(crate) fn track(&self) -> u64 {
        match self.id / INSTANCES == u64::from(self.class) {
            true => self.id % INSTANCES,
            false => self.id,
        }
    }

    /// Adds the line of an object to `text`, numbers as the files have them.
    pub(crate) fn write(&self, text: &mut String) {
        // A string takes all that is written to it.
        let _ = writeln!(
            text,
            "{} {} {} {} {} {}",
            self.frame, self.id, self.class, self.size.height, self.size.width, self.counts
        );
    }
}

/// The columns of a line.
struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    /// Of a line that is divided by commas, of which it may end with some, or else by blanks.
    fn of(line: &'a str) -> Self {
        Self(match line.contains(',') {
            true => {
                let line = line.trim().trim_end_matches(',');
                line.split(',').map(str::trim).collect()
            }
            false => line.split_whitespace().collect(),
        })
    }

    /// Whether there is such a column, and something in it.
    fn given(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|text| !text.is_empty())
    }

    fn number(&self, at: usize, what: &str) -> Result<f64, String> {
        let Some(text) = self.0.get(at) else {
            return Err(format!("has {} columns, and no {what}", self.0.len()));
        };
        let value: f64 = text
            .parse()
            .map_err(|_| format!("{what} {:?} is no number", shown(text)))?;
        match value.is_finite() {
            true => Ok(value),
            false => Err(format!("{what} {:?} is not finite", shown(text))),
        }
    }

    fn whole(&self, at: usize, what: &str) -> Result<i64, String> {
        let value = self.number(at, what)?;
        match value.fract() == 0.0 && value.abs() < 9e15 {
            true => Ok(value as i64),
            false => Err(format!("{what} {value} is no whole number")),
        }
    }

    fn frame(&self) -> Result<u64, String> {
        let frame = self.whole(0, "frame")?;
        let number = u64::try_from(frame).ok();
        number
            .filter(|number| (1..=MAX_FRAME).contains(number))
            .ok_or_else(|| format!("frame {frame} is not one from 1 to {MAX_FRAME}"))
    }
}

/// The start of a column, for messages.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str) -> MotRow {
        MotRow::parse(line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    #[test]
    fn rows_of_boxes_have_six_columns_or_more() {
        let whole = row("3,7.0,1.5,-2,10, 20.25 ,0.5,2,0.75");
        assert_eq!((whole.frame, whole.track), (3, Some(7)));
        assert_eq!((whole.class, whole.class_number()), (Some(2), Some(2)));
        assert_eq!(whole.bbox, [1.5, -2.0, 10.0, 20.25]);
        assert_eq!(whole.visibility, Some(0.75));
        let short = row("1,4,0,0,1,1");
        assert_eq!((short.confidence(), short.class), (None, None));
        assert!(!short.is_unmarked(), "what has no mark counts");
        // Blanks for commas, a comma at the end, nothing in a column.
        assert_eq!(row("1 4 0 0 1 1 0.5"), row("1,4,0,0,1,1,0.5,"));
        assert_eq!(row("1,4,0,0,1,1,,2").class, Some(2));
        for wrong in [
            "1,1,0,0,1",
            "0,1,0,0,1,1",
            "1.5,1,0,0,1,1",
            "1,1,0,0,-1,1",
            "1,1,nan,0,1,1",
            "1,1,1e300,0,1,1",
            "1,1,2e9,0,1,1",
            "1,1,0,0,1,1,x",
            "1,1,0,0,1,1,1,2.5",
        ] {
            assert!(MotRow::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Detections have the id -1; some programs number tracks from 0.
    #[test]
    fn a_negative_id_is_no_track_and_0_is_one() {
        assert_eq!(row("1,-1,0,0,1,1,0.9").track, None);
        assert_eq!(row("1,0,0,0,1,1,0.9").track, Some(0));
    }

    #[test]
    fn column_7_is_a_flag_in_ground_truth_and_a_confidence_in_results() {
        for (mark, unmarked, confidence) in [
            ("0", true, Some(0.0)),
            ("1", false, Some(1.0)),
            ("0.25", true, Some(0.25)),
            ("-1", false, None),
        ] {
            let row = row(&format!("1,1,0,0,1,1,{mark},1,1"));
            assert_eq!(
                (row.is_unmarked(), row.confidence()),
                (unmarked, confidence)
            );
        }
    }

    #[test]
    fn columns_8_and_9_of_results_may_stand_for_nothing() {
        let results = row("1,1,0,0,1,1,0.9,-1,-1,-1");
        assert_eq!((results.class, results.class_number()), (Some(-1), None));
        assert_eq!(results.visibility, None);
    }

    #[test]
    fn rows_of_masks_have_six_columns() {
        let row = MotsRow::parse("2 3014 3 48 64 abc").unwrap();
        assert_eq!((row.frame, row.track(), row.class), (2, 14, 3));
        assert_eq!((row.size, row.counts), (Size::new(64, 48), "abc"));
        assert_eq!(MotsRow::parse("2 14 3.0 48 64 abc").unwrap().track(), 14);
        for wrong in [
            "",
            "2 14 3 48 64",
            "2 14 3 48 64 a b",
            "0 14 3 48 64 a",
            "1 14 0 48 64 a",
            "1 -1 3 48 64 a",
            "1 14 3 -4 64 a",
        ] {
            assert!(MotsRow::parse(wrong).is_err(), "{wrong}");
        }
        assert!(MotsRow::fits("2 14 3 48 64 a") && !MotsRow::fits("2 14 3 48 64 8 1"));
        assert!(!MotsRow::fits("2,14,3,48,64,8"));
    }

    #[test]
    fn what_is_written_is_read() {
        let line = MotRow::line(3, 7, [1.5, 2.0, 10.0, 20.25], (0.5, 2, 0.75));
        assert_eq!(line, "3,7,1.5,2,10,20.25,0.5,2,0.75\n");
        assert_eq!(row(&line).confidence(), Some(0.5));
        let mask = MotsRow {
            frame: 2,
            id: 3014,
            class: 3,
            size: Size::new(64, 48),
            counts: "abc",
        };
        let mut text = String::new();
        mask.write(&mut text);
        assert_eq!(MotsRow::parse(&text), Ok(mask));
    }
}
