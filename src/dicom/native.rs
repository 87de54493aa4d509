//! Frames of native pixel data.

use super::{
    codec::{self, Decoded},
    error::{DicomError, Result},
    file::DicomFile,
    layout::Layout,
    packing::Packing,
    walk::Span,
};
use dicom_core::VR;

/// A frame of native pixel data.
pub(super) fn native(
    file: &mut DicomFile,
    layout: &Layout,
    (span, packing): (&Span, Packing),
    frame: u64,
) -> Result<Decoded> {
    let bits = layout.frame_bits(packing);
    let available = span.end - span.value;
    let place = frame
        .checked_mul(bits)
        .and_then(|first| Some((first / 8, first.checked_add(bits)?.div_ceil(8), first % 8)));
    let (start, end, first_bit) =
        place
            .filter(|&(_, end, _)| end <= available)
            .ok_or(DicomError::Truncated {
                frame,
                available,
                needed: frame.saturating_add(1).saturating_mul(bits.div_ceil(8)),
                cut_off: span.stated > available,
            })?;
    let big_endian = file.encoding.big_endian;
    // Big-endian OW data of 8 bits or fewer lie in swapped pairs.
    let swapped = big_endian && layout.bits_allocated <= 8 && span.vr == VR::OW;
    let mut data = if swapped {
        let (even_start, even_end) = (start & !1, (end + (end & 1)).min(available));
        let mut pairs = file
            .bytes
            .range(span.value + even_start, even_end - even_start)?;
        pairs
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .for_each(|pair| pair.swap(0, 1));
        let from = (start - even_start) as usize;
        pairs
            .get(from..from + (end - start) as usize)
            .unwrap_or_default()
            .to_vec()
    } else {
        file.bytes.range(span.value + start, end - start)?
    };
    if first_bit > 0 {
        align_bits(&mut data, first_bit as u32);
    }
    let mut samples = codec::unpack(&data, layout, packing, big_endian);
    // Old files may keep their values in high bits.
    samples.shift_right(layout.high_bit + 1 - layout.bits_stored);
    Ok(Decoded::new(samples, layout.bits_stored))
}

/// Shifts packed bits (first pixel lowest) so that bit `first` becomes bit 0.
fn align_bits(data: &mut [u8], first: u32) {
    let mut carry = 0;
    for byte in data.iter_mut().rev() {
        let low = *byte;
        *byte = low >> first | carry;
        carry = low << (8 - first);
    }
}
