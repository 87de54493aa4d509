//! From a detector's outputs to objects and prompts on a GPU, so that neither is brought to the host in between.

use super::{
    cpu, cuda,
    types::{
        objects::{HEAD, ObjectChoice, PromptSlots, RECORD},
        result::Result,
    },
};
use candle_core::Tensor;

/// Chooses the objects of one image from `logits` `[Q, K]` and `boxes` `[Q, 4]` (centre and extent in 0..1), both f32: the greatest logits
/// first, equal ones by query and class. Writes to `records` u32 `[object_words(most)]` (see [`ObjectRecords`]), and the corners of the first
/// boxes, cut to the frame, in pixels of the segmenter's input, to `slots`; slots without an object get the whole frame.
///
/// On a GPU only: on the CPU the host chooses.
///
/// # Errors
/// If the shapes do not fit or the tensors are on the CPU.
pub fn choose_objects(
    logits: &Tensor,
    boxes: &Tensor,
    choice: &ObjectChoice<'_>,
    records: &Tensor,
    slots: Option<&PromptSlots<'_>>,
) -> Result<()> {
    if cpu::is_cpu(logits) {
        candle_core::bail!("choose_objects: on the CPU the host chooses objects");
    }
    cuda::choose_objects(logits, boxes, choice, records, slots)
}

/// Writes the numbers whose bytes (little-endian) are in `bytes` u8 `[4·N]` to `out` f32 `[N]`, of any shape, on a GPU.
///
/// # Errors
/// If the sizes do not fit or the tensors are on the CPU.
pub fn floats_of_bytes(bytes: &Tensor, out: &Tensor) -> Result<()> {
    if cpu::is_cpu(bytes) {
        candle_core::bail!("floats_of_bytes: on the CPU numbers are numbers from the start");
    }
    cuda::floats_of_bytes(bytes, out)
}

/// What [`choose_objects`] wrote, on the host.
#[derive(Debug, Clone, Copy)]
pub struct ObjectRecords<'a>(&'a [u32]);

/// An object of [`ObjectRecords`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectRecord {
    /// Its logit.
    pub logit: f32,
    /// Query·K + class.
    pub place: u32,
    /// Centre and extent in 0..1.
    pub bbox: [f32; 4],
}

impl<'a> ObjectRecords<'a> {
    /// Of `object_words(most)` numbers.
    pub fn new(words: &'a [u32]) -> Self {
        Self(words)
    }

    /// Objects.
    pub fn len(&self) -> usize {
        self.0.first().map_or(0, |&n| n as usize)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Logits and coordinates that were not finite.
    pub fn not_finite(&self) -> (usize, usize) {
        let count = |at: usize| self.0.get(at).map_or(0, |&n| n as usize);
        (count(1), count(3))
    }

    /// The objects, best first.
    pub fn iter(&self) -> impl Iterator<Item = ObjectRecord> + 'a {
        let records = self
            .0
            .get(HEAD..)
            .unwrap_or(&[])
            .chunks_exact(RECORD)
            .take(self.len());
        records.filter_map(|record| {
            let &[logit, place, a, b, c, d] = record else {
                return None;
            };
            Some(ObjectRecord {
                logit: f32::from_bits(logit),
                place,
                bbox: [a, b, c, d].map(f32::from_bits),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::types::objects::object_words;

    #[test]
    fn records_are_read_as_the_kernel_writes_them() {
        let mut words = vec![1, 3, 5, 2, 1.5f32.to_bits(), 7];
        words.extend([0.5f32, 0.25, 0.125, 1.0].map(f32::to_bits));
        words.extend([9; RECORD]);
        assert_eq!(words.len(), object_words(2));
        let records = ObjectRecords::new(&words);
        assert_eq!((records.len(), records.not_finite()), (1, (3, 2)));
        assert_eq!(
            records.iter().collect::<Vec<_>>(),
            [ObjectRecord {
                logit: 1.5,
                place: 7,
                bbox: [0.5, 0.25, 0.125, 1.0]
            }]
        );
        assert!(ObjectRecords::new(&[]).is_empty());
    }
}
