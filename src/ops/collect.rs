//! From a packed result of one frame to tensors of its objects and masks, on the device that they are for.

use super::{
    cpu, cuda,
    mask_bits::{mask_is_finite, mask_score},
    objects::ObjectRecords,
    types::{
        masks::STATISTICS,
        objects::{HEAD, RECORD},
        packed_frame::{ObjectTensors, PackedFrame},
        result::Result,
    },
};
use candle_core::{Device, Tensor};
use std::ops::Range;

/// The objects of a packed result, u32 `[frame.words()]`, as tensors on `device`, by work on its stream. Objects whose boxes have no extent
/// within the frame are left out.
///
/// `packed` is in the memory of the same GPU; it must be complete when the stream of `device` comes to this work.
///
/// # Errors
/// If `packed` has other numbers than `frame` says, there may be more than 2,048 objects, or memory ran out.
pub fn collect_objects(
    packed: &Tensor,
    frame: &PackedFrame,
    device: &Device,
) -> Result<ObjectTensors> {
    frame.check(packed, "collect_objects")?;
    if cpu::is_cpu(packed) {
        return collect_on_host(packed, frame);
    }
    cuda::collect_objects(packed, frame, device)
}

/// A copy of a packed result on `device`, in which records and masks behind the objects are zero, by work on its stream.
///
/// # Errors
/// As [`collect_objects`].
pub fn copy_packed(packed: &Tensor, frame: &PackedFrame, device: &Device) -> Result<Tensor> {
    frame.check(packed, "copy_packed")?;
    if !cpu::is_cpu(packed) {
        return cuda::copy_packed(packed, frame, device);
    }
    let mut words = packed.to_vec1::<u32>()?;
    let objects = ObjectRecords::new(&words).len();
    let (records, row) = (frame.records(), frame.row_words());
    for (i, word) in words.iter_mut().enumerate().skip(HEAD) {
        let of = match i.checked_sub(records) {
            None => (i - HEAD) / RECORD,
            Some(beyond) => beyond / row,
        };
        if of >= objects {
            *word = 0;
        }
    }
    Tensor::new(words, packed.device())
}

/// The masks of the objects in `objects`, u8 `[objects, H, W]`: 1 inside, 0 outside; those behind `count` are zero. `rows` and `count` are
/// those of [`collect_objects`].
///
/// # Errors
/// If `packed` has other numbers than `frame` says or no masks, `objects` is not within `frame.max_objects`, or memory ran out.
pub fn unpack_masks(
    packed: &Tensor,
    frame: &PackedFrame,
    (rows, count): (&Tensor, &Tensor),
    objects: Range<usize>,
) -> Result<Tensor> {
    frame.check(packed, "unpack_masks")?;
    if !frame.has_masks || objects.start > objects.end || objects.end > frame.max_objects {
        candle_core::bail!("unpack_masks: objects {objects:?} of {frame:?}");
    }
    if !cpu::is_cpu(packed) {
        return cuda::unpack_masks(packed, frame, (rows, count), objects);
    }
    let (words, rows) = (packed.to_vec1::<u32>()?, rows.to_vec1::<u32>()?);
    let count = count.to_vec1::<u32>()?.first().map_or(0, |&n| n as usize);
    let ((height, width), of_column) = (frame.size, frame.size.0.div_ceil(32));
    let mut out = vec![0u8; objects.len() * height * width];
    for (mask, object) in out.chunks_exact_mut(height * width).zip(objects.clone()) {
        if object >= count {
            break;
        }
        let first = frame.records() + rows[object] as usize * frame.row_words() + STATISTICS;
        for (i, pixel) in mask.iter_mut().enumerate() {
            let (x, y) = (i % width, i / width);
            *pixel = (words[first + x * of_column + y / 32] >> (y % 32) & 1) as u8;
        }
    }
    Tensor::from_vec(out, (objects.len(), height, width), packed.device())
}

/// The plain way, which the kernel is compared with.
fn collect_on_host(packed: &Tensor, frame: &PackedFrame) -> Result<ObjectTensors> {
    let words = packed.to_vec1::<u32>()?;
    let records = ObjectRecords::new(&words);
    let (max, device) = (frame.max_objects, packed.device());
    let (height, width) = (frame.size.0 as f32, frame.size.1 as f32);
    let (mut boxes, mut scores, mut mask_scores) = (Vec::new(), Vec::new(), Vec::new());
    let (mut classes, mut rows) = (Vec::new(), Vec::new());
    let (logits, coordinates) = records.not_finite();
    let mut not_finite = logits + coordinates;
    for (row, record) in records.iter().enumerate() {
        let [cx, cy, w, h] = record.bbox;
        let corners = [
            ((cx - w / 2.0) * width).clamp(0.0, width),
            ((cy - h / 2.0) * height).clamp(0.0, height),
            ((cx + w / 2.0) * width).clamp(0.0, width),
            ((cy + h / 2.0) * height).clamp(0.0, height),
        ];
        // Not finite numbers have no extent either.
        if !(corners[2] > corners[0] && corners[3] > corners[1]) {
            continue;
        }
        if frame.has_masks {
            let first = frame.records() + row * frame.row_words();
            let mask = &words[first..first + frame.row_words()];
            not_finite += usize::from(!mask_is_finite(mask) || !mask_score(mask).is_finite());
            mask_scores.push(mask_score(mask));
        }
        boxes.extend(corners);
        scores.push(1.0 / (1.0 + (-record.logit).exp()));
        classes.push(record.place % frame.classes.max(1) as u32);
        rows.push(row as u32);
    }
    if not_finite > 0 {
        for values in [&mut boxes, &mut scores, &mut mask_scores] {
            values.clear();
        }
        for values in [&mut classes, &mut rows] {
            values.clear();
        }
    }
    let count = scores.len() as u32;
    boxes.resize(4 * max, 0.0);
    for values in [&mut scores, &mut mask_scores] {
        values.resize(max, 0.0);
    }
    for values in [&mut classes, &mut rows] {
        values.resize(max, 0);
    }
    Ok(ObjectTensors {
        boxes: Tensor::from_vec(boxes, (max, 4), device)?,
        scores: Tensor::new(scores, device)?,
        classes: Tensor::new(classes, device)?,
        mask_scores: if frame.has_masks {
            Some(Tensor::new(mask_scores, device)?)
        } else {
            None
        },
        count: Tensor::new(&[count], device)?,
        not_finite: Tensor::new(&[not_finite as u32], device)?,
        rows: Tensor::new(rows, device)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::types::masks::SCORE;

    const FRAME: PackedFrame = PackedFrame {
        max_objects: 3,
        classes: 4,
        size: (33, 5),
        has_masks: true,
    };

    /// Two objects, the first of which lies beside the frame; the second's mask has its first pixel and the last. What follows is left
    /// over from another frame.
    fn words() -> Vec<u32> {
        let mut words = vec![7u32; FRAME.words()];
        words[..HEAD].copy_from_slice(&[2, 0, 2, 0]);
        let record = |logit: f32, place: u32, bbox: [f32; 4]| {
            let [a, b, c, d] = bbox.map(f32::to_bits);
            [logit.to_bits(), place, a, b, c, d]
        };
        words[HEAD..HEAD + RECORD].copy_from_slice(&record(2.0, 5, [1.5, 0.5, 0.2, 0.2]));
        words[HEAD + RECORD..HEAD + 2 * RECORD].copy_from_slice(&record(
            0.0,
            7,
            [0.5, 0.5, 0.4, 2.0],
        ));
        let (records, row) = (FRAME.records(), FRAME.row_words());
        words[records..records + 2 * row].fill(0);
        let mask = &mut words[records + row..records + 2 * row];
        mask[SCORE] = 0.75f32.to_bits();
        mask[STATISTICS] = 1;
        mask[STATISTICS + 2 * 4 + 1] = 1;
        words
    }

    fn packed(words: Vec<u32>) -> Tensor {
        Tensor::new(words, &Device::Cpu).unwrap()
    }

    #[test]
    fn objects_move_together_and_rows_behind_them_are_zero() {
        let packed = packed(words());
        let found = collect_objects(&packed, &FRAME, &Device::Cpu).unwrap();
        assert_eq!(found.count.to_vec1::<u32>().unwrap(), [1]);
        assert_eq!(found.not_finite.to_vec1::<u32>().unwrap(), [0]);
        assert_eq!(found.scores.to_vec1::<f32>().unwrap(), [0.5, 0.0, 0.0]);
        assert_eq!(found.classes.to_vec1::<u32>().unwrap(), [3, 0, 0]);
        assert_eq!(found.rows.to_vec1::<u32>().unwrap(), [1, 0, 0]);
        let boxes = found.boxes.to_vec2::<f32>().unwrap();
        assert_eq!(boxes[0], [1.5, 0.0, 3.5, 33.0]);
        assert_eq!(boxes[1..], [[0.0; 4], [0.0; 4]]);
        let scores = found.mask_scores.as_ref().unwrap();
        assert_eq!(scores.to_vec1::<f32>().unwrap(), [0.75, 0.0, 0.0]);

        let (rows, count) = (&found.rows, &found.count);
        let masks = unpack_masks(&packed, &FRAME, (rows, count), 0..2).unwrap();
        let masks = masks.to_vec3::<u8>().unwrap();
        let inside = |mask: &[Vec<u8>]| {
            let pixels = mask.iter().enumerate().flat_map(|(y, row)| {
                row.iter()
                    .enumerate()
                    .filter(|(_, pixel)| **pixel == 1)
                    .map(move |(x, _)| (x, y))
            });
            pixels.collect::<Vec<_>>()
        };
        assert_eq!(inside(&masks[0]), [(0, 0), (4, 32)]);
        assert!(inside(&masks[1]).is_empty());
        assert!(unpack_masks(&packed, &FRAME, (rows, count), 2..4).is_err());
    }

    #[test]
    fn a_copy_has_nothing_of_other_frames() {
        let copy = copy_packed(&packed(words()), &FRAME, &Device::Cpu).unwrap();
        let (copy, words) = (copy.to_vec1::<u32>().unwrap(), words());
        let records = FRAME.records();
        let (first, behind) = (HEAD + 2 * RECORD, records + 2 * FRAME.row_words());
        assert_eq!(copy[..first], words[..first]);
        assert!(copy[first..records].iter().all(|&word| word == 0));
        assert_eq!(copy[records..behind], words[records..behind]);
        assert!(copy[behind..].iter().all(|&word| word == 0));
    }

    #[test]
    fn outputs_that_are_not_finite_leave_no_objects_and_are_counted() {
        let score = FRAME.records() + FRAME.row_words() + SCORE;
        for (at, value) in [(1, 3), (3, 3), (score, f32::NAN.to_bits())] {
            let mut words = words();
            words[at] = value;
            let found = collect_objects(&packed(words), &FRAME, &Device::Cpu).unwrap();
            assert_eq!(found.count.to_vec1::<u32>().unwrap(), [0]);
            let counted = if at == score { 1 } else { 3 };
            assert_eq!(found.not_finite.to_vec1::<u32>().unwrap(), [counted]);
            assert_eq!(found.scores.to_vec1::<f32>().unwrap(), [0.0; 3]);
        }
        let short = packed(vec![0; 5]);
        assert!(collect_objects(&short, &FRAME, &Device::Cpu).is_err());
    }
}
