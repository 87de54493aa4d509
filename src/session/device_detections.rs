//! The objects of a frame in the memory of a GPU.

use crate::{
    engine::{Engine, note_read, note_written},
    frame::Detections,
    geometry::Size,
    ops::{self, ObjectTensors, PackedFrame},
    session::{
        detector::Detector,
        error::{ModelError, SessionError},
        executor::resident::{layout::FrameLayout, masks::Masks},
        stage::Stage,
    },
};
use candle_core::Tensor;
use std::{
    fmt,
    ops::{Bound, Range, RangeBounds},
    sync::Arc,
};

/// The objects of one frame as tensors on the GPU, best score first.
///
/// All tensors are new ones, made with the `Device` of the frame's tensor: later calls do not overwrite them. They have room for
/// `max_objects` objects; how many there are is in [`DeviceDetections::count`], on the device too, and the rows behind are zero.
///
/// They may be used at once in operations that the calling thread enqueues with that `Device`. On another stream, and on another thread
/// where `Device::new_cuda` made the device (which gives each thread a stream of its own), they may be used after an event or
/// `Device::synchronize`.
pub struct DeviceDetections {
    size: Size,
    objects: ObjectTensors,
    packed: Tensor,
    packed_frame: PackedFrame,
    layout: FrameLayout,
    detector: Arc<Detector>,
    /// Of the stream that the tensors are made on.
    engine: Engine,
    number: u64,
}

/// What [`DeviceDetections`] are made of.
pub(crate) struct Parts {
    pub(crate) objects: ObjectTensors,
    pub(crate) packed: Tensor,
    pub(crate) packed_frame: PackedFrame,
    pub(crate) layout: FrameLayout,
    pub(crate) detector: Arc<Detector>,
    pub(crate) engine: Engine,
    pub(crate) number: u64,
}

impl fmt::Debug for DeviceDetections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DeviceDetections of a frame of {}×{} on {}, {} at most",
            self.size.width,
            self.size.height,
            self.engine.name(),
            self.max_objects()
        )
    }
}

impl DeviceDetections {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            objects,
            packed,
            packed_frame,
            layout,
            detector,
            engine,
            number,
        } = parts;
        Self {
            size: layout.size,
            objects,
            packed,
            packed_frame,
            layout,
            detector,
            engine,
            number,
        }
    }

    /// Width and height of the frame in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Number of rows of each tensor: the session's maximum number of objects, 300 at most.
    pub fn max_objects(&self) -> usize {
        self.packed_frame.max_objects
    }

    /// `[max_objects, 4]` f32: left, upper, right and lower edge in pixels of the frame, cut to it.
    pub fn boxes(&self) -> &Tensor {
        &self.objects.boxes
    }

    /// `[max_objects]` f32: scores in 0..=1, decreasing. They may differ from those of [`DeviceDetections::download`] by 1e-6: the device
    /// has an exponential function of its own.
    pub fn scores(&self) -> &Tensor {
        &self.objects.scores
    }

    /// `[max_objects]` u32, candle's type of indices: class numbers, places in [`crate::Session::labels`].
    pub fn classes(&self) -> &Tensor {
        &self.objects.classes
    }

    /// `[max_objects]` f32: the IoU with the object that the segmenter expects of each mask; none without a segmenter.
    pub fn mask_scores(&self) -> Option<&Tensor> {
        self.objects.mask_scores.as_ref()
    }

    /// `[1]` u32: the number of objects.
    pub fn count(&self) -> &Tensor {
        &self.objects.count
    }

    /// `[1]` u32: how many outputs of the models are not finite, 0 for a sound checkpoint. Where it is not 0, there are no objects:
    /// [`DeviceDetections::count`] is 0, and [`DeviceDetections::download`] fails.
    pub fn not_finite(&self) -> &Tensor {
        &self.objects.not_finite
    }

    /// `[max_objects, H, W]` u8: the masks of all objects, 1 inside and 0 outside.
    ///
    /// Masks are kept as bits and unpacked by this call, on the device, without waiting. The result takes a byte a pixel and row: 207 MB for
    /// 1920×1080 pixels and 100 rows. [`DeviceDetections::masks_of`] unpacks the first few alone.
    ///
    /// # Errors
    /// [`SessionError::Without`] without a segmenter, [`SessionError::Model`] if memory ran out or the device failed.
    pub fn masks(&self) -> Result<Tensor, SessionError> {
        self.masks_of(..)
    }

    /// As [`DeviceDetections::masks`] for some rows: `masks_of(..8)` is `[8, H, W]` u8. Rows beyond `max_objects` are left out.
    ///
    /// # Errors
    /// As [`DeviceDetections::masks`].
    pub fn masks_of(&self, rows: impl RangeBounds<usize>) -> Result<Tensor, SessionError> {
        if !self.packed_frame.has_masks {
            return Err(SessionError::Without("segmenter"));
        }
        let (of, rows) = (&self.objects, within(&rows, self.max_objects()));
        let unpack = || -> Result<Tensor, ModelError> {
            let masks = ops::unpack_masks(
                &self.packed,
                &self.packed_frame,
                (&of.rows, &of.count),
                rows,
            )
            .map_err(ModelError::op("masks on the device"))?;
            for read in [&self.packed, &of.rows, &of.count] {
                note_read(read)?;
            }
            note_written(&masks)?;
            Ok(masks)
        };
        let masks = Engine::in_frame(self.number, || self.engine.within(Stage::Masks, unpack));
        Ok(masks?)
    }

    /// Copies the result to the host, by one transfer that is waited for: what [`crate::Session::run`] finds in the same pixels.
    ///
    /// # Errors
    /// [`SessionError::Model`] if outputs of a model are not finite or the device failed.
    pub fn download(&self) -> Result<Detections, SessionError> {
        let words = Engine::in_frame(self.number, || {
            self.engine.within(Stage::Pack, || {
                self.engine.download_u32(Stage::Pack, &self.packed)
            })
        });
        let words = words.map_err(ModelError::from)?;
        let masks = self
            .packed_frame
            .has_masks
            .then(|| (Masks::InPlace(&words), 0));
        let objects = self.layout.detected(&words, &self.detector, masks)?;
        Ok(Detections::new(self.size, objects))
    }
}

/// The part of `rows` within `0..max`.
fn within(rows: &impl RangeBounds<usize>, max: usize) -> Range<usize> {
    let end = match rows.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => max,
    };
    let start = match rows.start_bound() {
        Bound::Included(&first) => first,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = end.min(max);
    start.min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_beyond_the_last_are_left_out() {
        assert_eq!(within(&(..), 5), 0..5);
        assert_eq!(within(&(2..9), 5), 2..5);
        assert_eq!(within(&(..=1), 5), 0..2);
        assert_eq!(within(&(7..), 5), 5..5);
    }
}
