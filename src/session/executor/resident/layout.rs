//! Where the parts of a packed result lie, and what they say.

use crate::{
    frame::{Mask, Object},
    geometry::{LongestSide, Size},
    models::{
        dfine::postprocess,
        mobile_sam::{IMAGE_SIDE, PackedPrompts},
    },
    ops::{self, ObjectRecords},
    session::{
        detector::Detector,
        error::ModelError,
        prompted::Prompted,
        segmenter::{MASKS, SCORES},
    },
};
use std::{collections::VecDeque, ops::Range};

/// A frame of `size` within the segmenter's input (height, width).
pub(crate) fn scaled(size: Size) -> (usize, usize) {
    LongestSide::new(size, IMAGE_SIDE as u32)
        .scaled
        .rows_columns()
}

/// Rows of mask bits in a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaskRows {
    /// Where the first begins.
    pub(crate) start: usize,
    pub(crate) count: usize,
    size: Size,
    /// For prompts of the user, the places of the objects in the frame's list.
    objects: Vec<usize>,
}

impl MaskRows {
    /// The frame (height, width).
    pub(crate) fn frame(&self) -> (usize, usize) {
        self.size.rows_columns()
    }

    /// The frame within the segmenter's input (height, width).
    pub(crate) fn scaled(&self) -> (usize, usize) {
        scaled(self.size)
    }

    /// The `count` rows from row `first` on.
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        Self {
            start: self.start + first * ops::mask_words(self.frame()),
            count,
            ..self.clone()
        }
    }

    /// The mask of row `at` and its score.
    fn mask(&self, words: &[u32], at: usize) -> Result<(Option<Mask>, f32), ModelError> {
        let length = ops::mask_words(self.frame());
        let row = words
            .get(self.start + at * length..)
            .and_then(|rest| rest.get(..length))
            .unwrap_or(&[]);
        let score = ops::mask_score(row);
        if !score.is_finite() {
            return Err(ModelError::NotFinite(SCORES));
        }
        if !ops::mask_is_finite(row) {
            return Err(ModelError::NotFinite(MASKS));
        }
        let packed = ops::bits_to_runs(row, self.frame()).pop();
        let mask = packed.and_then(|m| Mask::from_measured(self.size, m.counts, m.area, m.bounds));
        Ok((mask, score))
    }
}

/// Where the parts of a frame's result lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameLayout {
    pub(crate) size: Size,
    /// The objects of a detector.
    pub(crate) records: Range<usize>,
    /// The masks: one group for a detector's objects, as many as there are kinds of prompts for the user's.
    pub(crate) masks: Vec<MaskRows>,
}

impl FrameLayout {
    /// The layouts of frames of `sizes` one after the other, and the length of the whole.
    pub(crate) fn of(
        sizes: impl Iterator<Item = Size>,
        max_objects: usize,
        slots: usize,
        prompts: &[PromptGroup],
    ) -> (Vec<Self>, usize) {
        let mut at = 0;
        let mut take = |n: usize| {
            at += n;
            at - n..at
        };
        let one = |size: Size| {
            let records = take(if max_objects > 0 {
                ops::object_words(max_objects)
            } else {
                0
            });
            let mut rows = |count: usize, objects: Vec<usize>| {
                let length = ops::mask_words(size.rows_columns());
                MaskRows {
                    start: take(count * length).start,
                    count,
                    size,
                    objects,
                }
            };
            let mut masks: Vec<MaskRows> = prompts
                .iter()
                .map(|group| rows(group.objects.len(), group.objects.clone()))
                .collect();
            if slots > 0 {
                masks.push(rows(slots, Vec::new()));
            }
            Self {
                size,
                records,
                masks,
            }
        };
        let layouts = sizes.map(one).collect();
        (layouts, at.max(1))
    }

    fn of_detector<'a>(&self, words: &'a [u32]) -> ObjectRecords<'a> {
        ObjectRecords::new(words.get(self.records.clone()).unwrap_or(&[]))
    }

    /// Objects that a detector found.
    pub(crate) fn objects(&self, words: &[u32]) -> usize {
        self.of_detector(words).len()
    }

    /// A detector's objects, best score first, with their masks where there are any.
    pub(crate) fn detected(
        &self,
        words: &[u32],
        detector: &Detector,
        masks: bool,
    ) -> Result<Vec<Object>, ModelError> {
        let candidates = postprocess::chosen(self.of_detector(words), detector.labels().len())?;
        let mut objects = Vec::with_capacity(candidates.len());
        for (slot, candidate) in candidates.into_iter().enumerate() {
            let Some(mut object) = detector.object(candidate, self.size) else {
                continue;
            };
            if let Some(rows) = self.masks.first().filter(|_| masks) {
                let (mask, score) = rows.mask(words, slot)?;
                (object.mask, object.mask_score) = (mask, Some(score));
            }
            objects.push(object);
        }
        Ok(objects)
    }

    /// The user's objects with their masks; one without a box of its own gets its mask's.
    pub(crate) fn outlined(
        &self,
        words: &[u32],
        prompted: &[Prompted],
    ) -> Result<Vec<Object>, ModelError> {
        let mut objects: Vec<Object> = prompted.iter().map(|p| p.object.clone()).collect();
        for rows in &self.masks {
            for (row, &at) in rows.objects.iter().enumerate() {
                let (Some(object), Some(prompted)) = (objects.get_mut(at), prompted.get(at)) else {
                    continue;
                };
                let (mask, score) = rows.mask(words, row)?;
                if prompted.prompt.bounds.is_none()
                    && let Some(bounds) = mask.as_ref().and_then(Mask::bounds)
                {
                    object.bbox = bounds;
                }
                (object.mask, object.mask_score) = (mask, Some(score));
            }
        }
        Ok(objects)
    }
}

/// How many objects a frame has room for: as many as the frames of late had at most.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    late: VecDeque<usize>,
}

impl Slots {
    /// Frames that are remembered.
    const REMEMBERED: usize = 256;
    /// Room that every frame has: what few frames exceed, and the decoder takes hardly longer for than for one.
    const MIN: usize = 4;

    /// Room for that many objects: 1, 2, 4, 8, 16 and multiples of 16, so that few sizes are captured.
    pub(crate) fn for_objects(objects: usize) -> usize {
        if objects <= 16 {
            objects.max(1).next_power_of_two()
        } else {
            objects.next_multiple_of(16)
        }
    }

    /// Room for the next frames.
    pub(crate) fn now(&self) -> usize {
        Self::for_objects(self.late.iter().copied().max().unwrap_or(0).max(Self::MIN))
    }

    /// Takes note of the numbers of objects of frames with `room` for so many; says whether one had more.
    pub(crate) fn note(&mut self, counts: impl Iterator<Item = usize>, room: usize) -> bool {
        let mut too_many = false;
        for count in counts {
            too_many |= count > room;
            self.late.push_back(count);
            if self.late.len() > Self::REMEMBERED {
                self.late.pop_front();
            }
        }
        too_many
    }
}

/// Prompts with as many tokens each, with room for more: the last one stands for those that are not there.
#[derive(Debug, Clone)]
pub(crate) struct PromptGroup {
    /// Places of the objects in the frame's list.
    pub(crate) objects: Vec<usize>,
    pub(crate) values: Vec<f32>,
    pub(crate) tokens: usize,
    pub(crate) slots: usize,
}

impl PromptGroup {
    pub(crate) fn new(packed: &PackedPrompts) -> Self {
        let (values, [objects, tokens, width]) = packed.values();
        let slots = Slots::for_objects(objects);
        let last = values.len().saturating_sub(tokens * width);
        let mut all = values.to_vec();
        for _ in objects..slots {
            all.extend_from_slice(values.get(last..).unwrap_or(&[]));
        }
        Self {
            objects: packed.objects().to_vec(),
            values: all,
            tokens,
            slots,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_what_was_found_lately() {
        let mut slots = Slots::default();
        assert_eq!(slots.now(), 4);
        assert!(
            slots.note([1, 5].into_iter(), 4),
            "five objects in four slots"
        );
        assert_eq!(slots.now(), 8);
        assert!(!slots.note(std::iter::repeat_n(0, Slots::REMEMBERED), 8));
        assert_eq!(slots.now(), 4);
        assert_eq!(
            [0, 1, 3, 16, 17, 300].map(Slots::for_objects),
            [1, 1, 4, 16, 32, 304]
        );
    }

    #[test]
    fn parts_of_a_result_follow_each_other_without_overlap() {
        let sizes = [Size::new(33, 65), Size::new(5, 3)];
        let (layouts, words) = FrameLayout::of(sizes.into_iter(), 7, 2, &[]);
        let mut at = 0;
        for (layout, size) in layouts.iter().zip(sizes) {
            assert_eq!(layout.records, at..at + ops::object_words(7));
            let [rows] = &layout.masks[..] else {
                panic!("one group of masks")
            };
            assert_eq!((rows.start, rows.count), (layout.records.end, 2));
            at = rows.start + 2 * ops::mask_words(size.rows_columns());
        }
        assert_eq!(at, words);
    }
}
