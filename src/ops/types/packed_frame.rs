//! The packed result of one frame, and its tensors.

use super::{masks::mask_words, objects::object_words};
use crate::ops::types::result::Result;
use candle_core::{DType, Tensor};

/// What a packed result of one frame holds: `object_words(max_objects)` numbers of records ([`crate::ops::choose_objects`]), then, with masks,
/// `max_objects` rows of `mask_words(size)` numbers ([`crate::ops::best_masks_to_bits`]), row i for record i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedFrame {
    /// Maximum number of objects.
    pub max_objects: usize,
    /// Number of the detector's classes.
    pub classes: usize,
    /// The frame in pixels (height, width).
    pub size: (usize, usize),
    /// Whether there are masks.
    pub has_masks: bool,
}

impl PackedFrame {
    /// Numbers before the masks.
    pub(in crate::ops) fn records(&self) -> usize {
        object_words(self.max_objects)
    }

    /// Numbers of a mask.
    pub(in crate::ops) fn row_words(&self) -> usize {
        mask_words(self.size)
    }

    /// Numbers in all.
    pub fn words(&self) -> usize {
        let rows = if self.has_masks { self.max_objects } else { 0 };
        self.records() + rows * self.row_words()
    }

    pub(in crate::ops) fn check(&self, packed: &Tensor, op: &str) -> Result<()> {
        if packed.dims() != [self.words()]
            || packed.dtype() != DType::U32
            || self.size.0 == 0
            || self.size.1 == 0
        {
            candle_core::bail!(
                "{op}: {:?} of {:?} for {self:?}",
                packed.shape(),
                packed.dtype()
            );
        }
        Ok(())
    }
}

/// The objects of one frame, best score first; the rows behind the objects are zero.
#[derive(Debug, Clone)]
pub struct ObjectTensors {
    /// `[max_objects, 4]` f32: x0, y0, x1, y1 in pixels of the frame, cut to it.
    pub boxes: Tensor,
    /// `[max_objects]` f32, 0 to 1.
    pub scores: Tensor,
    /// `[max_objects]` u32.
    pub classes: Tensor,
    /// `[max_objects]` f32: the IoU that the segmenter expects of each mask; none without masks.
    pub mask_scores: Option<Tensor>,
    /// `[1]` u32: number of objects; 0 where an output of a model is not finite.
    pub count: Tensor,
    /// `[1]` u32: number of outputs of the models that are not finite.
    pub not_finite: Tensor,
    /// `[max_objects]` u32: the record, and row of masks, of each object.
    pub rows: Tensor,
}

impl ObjectTensors {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tensor> {
        let each = [
            &self.boxes,
            &self.scores,
            &self.classes,
            &self.count,
            &self.not_finite,
            &self.rows,
        ];
        each.into_iter().chain(&self.mask_scores)
    }
}
