//! Where the parts of a packed result lie, and what they say.

use crate::{
    frame::{Mask, Object},
    geometry::Size,
    models::{dfine::postprocess, mobile_sam::PackedPrompts},
    ops::{self, ObjectRecords},
    session::{
        detector::Detector,
        error::ModelError,
        executor::resident::{
            masks::{MaskRows, Masks},
            room::Slots,
        },
        prompted::Prompted,
    },
};
use std::ops::Range;

/// Where the parts of a frame's result lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameLayout {
    pub(crate) size: Size,
    /// The objects of a detector.
    pub(crate) records: Range<usize>,
    /// The masks: as many groups as there are kinds of prompts of the user's; for a detector's objects one, the rows that all frames of the
    /// batch share. A frame's own begin behind those of the frames before it.
    pub(crate) masks: Vec<MaskRows>,
}

impl FrameLayout {
    /// The layouts of frames of `sizes`, and the length of the whole: the records of each and the masks of its prompts, then the masks of
    /// `slots` objects that all frames share.
    pub(crate) fn of(
        sizes: impl Iterator<Item = Size> + Clone,
        max_objects: usize,
        slots: usize,
        prompts: &[PromptGroup],
    ) -> (Vec<Self>, usize) {
        let mut at = 0;
        let mut take = |n: usize| {
            at += n;
            at - n..at
        };
        let length = |size: Size| ops::mask_words(size.rows_columns());
        let stride = sizes.clone().map(length).max().unwrap_or(0);
        let one = |size: Size| {
            let records = take(if max_objects > 0 {
                ops::object_words(max_objects)
            } else {
                0
            });
            let rows = |group: &PromptGroup| MaskRows {
                start: take(group.objects.len() * length(size)).start,
                count: group.objects.len(),
                stride: length(size),
                size,
                objects: group.objects.clone(),
            };
            Self {
                size,
                records,
                masks: prompts.iter().map(rows).collect(),
            }
        };
        let mut layouts: Vec<Self> = sizes.map(one).collect();
        if slots > 0 {
            let start = take(slots * stride).start;
            layouts.iter_mut().for_each(|layout| {
                layout.masks.push(MaskRows {
                    start,
                    count: slots,
                    stride,
                    size: layout.size,
                    objects: Vec::new(),
                });
            });
        }
        (layouts, at.max(1))
    }

    fn of_detector<'a>(&self, words: &'a [u32]) -> ObjectRecords<'a> {
        ObjectRecords::new(words.get(self.records.clone()).unwrap_or(&[]))
    }

    /// Objects that a detector found.
    pub(crate) fn objects(&self, words: &[u32]) -> usize {
        self.of_detector(words).len()
    }

    /// A detector's objects, best score first, with those of `masks` from row `first` on, where there are any.
    pub(crate) fn detected(
        &self,
        words: &[u32],
        detector: &Detector,
        masks: Option<(Masks<'_>, usize)>,
    ) -> Result<Vec<Object>, ModelError> {
        let candidates = postprocess::chosen(self.of_detector(words), detector.labels().len())?;
        let mut objects = Vec::with_capacity(candidates.len());
        for (slot, candidate) in candidates.into_iter().enumerate() {
            let Some(mut object) = detector.object(candidate, self.size) else {
                continue;
            };
            if let (Some(rows), Some((masks, first))) = (self.masks.first(), masks) {
                let (mask, score) = masks.read(rows, first + slot)?;
                (object.mask, object.mask_score) = (mask, Some(score));
            }
            objects.push(object);
        }
        Ok(objects)
    }

    /// The user's objects with their masks; one without a box of its own gets its mask's.
    pub(crate) fn outlined(
        &self,
        masks: Masks<'_>,
        prompted: &[Prompted],
    ) -> Result<Vec<Object>, ModelError> {
        let mut objects: Vec<Object> = prompted.iter().map(|p| p.object.clone()).collect();
        for rows in &self.masks {
            for (row, &at) in rows.objects.iter().enumerate() {
                let (Some(object), Some(prompted)) = (objects.get_mut(at), prompted.get(at)) else {
                    continue;
                };
                let (mask, score) = masks.read(rows, row)?;
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
    fn parts_of_a_result_follow_each_other_without_overlap() {
        let sizes = [Size::new(33, 65), Size::new(5, 3)];
        let (layouts, words) = FrameLayout::of(sizes.into_iter(), 7, 2, &[]);
        let (records, stride) = (ops::object_words(7), ops::mask_words((65, 33)));
        for (i, (layout, size)) in layouts.iter().zip(sizes).enumerate() {
            assert_eq!(layout.records, i * records..(i + 1) * records);
            let [rows] = &layout.masks[..] else {
                panic!("one group of masks")
            };
            assert_eq!((rows.start, rows.count), (2 * records, 2));
            assert_eq!((rows.stride, rows.size), (stride, size), "rows fit all");
        }
        assert_eq!(words, 2 * (records + stride));
    }
}
