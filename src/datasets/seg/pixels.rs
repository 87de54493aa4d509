//! Pixel data: bits over frame borders, or label maps.

use super::plan::{Plan, PlanFrame};
use crate::{datasets::volume::SourceMasks, frame::Mask, geometry::Size};
use std::io::{self, Write};

/// The number of bytes of all frames, with the one that makes it even.
pub(super) fn length(plan: &Plan, size: Size) -> u64 {
    let bits = size.pixels() * plan.frames.len() as u64 * u64::from(plan.bits);
    bits.div_ceil(8).next_multiple_of(2)
}

/// Writes the pixel data.
///
/// # Errors
/// Those of `to`.
pub(super) fn write(to: &mut dyn Write, plan: &Plan, masks: &SourceMasks) -> io::Result<()> {
    let written = match plan.bits {
        1 => bits(to, plan, masks)?,
        bits => label_maps(to, plan, masks, usize::from(bits / 8))?,
    };
    match written % 2 {
        0 => Ok(()),
        _ => to.write_all(&[0]),
    }
}

/// The masks of a frame's segment.
fn of<'a>(plan: &'a Plan, masks: &'a SourceMasks, at: PlanFrame) -> impl Iterator<Item = &'a Mask> {
    let key = at.segment.and_then(|s| plan.segments.get(s)).map(|s| s.key);
    let frame = masks.frames.get(at.frame).into_iter();
    frame
        .flat_map(|frame| &frame.masks)
        .filter(move |(of, _)| Some(*of) == key)
        .map(|(_, mask)| mask)
}

/// A bit a pixel, the first pixel lowest, each frame right behind the one before.
fn bits(to: &mut dyn Write, plan: &Plan, masks: &SourceMasks) -> io::Result<u64> {
    let (width, pixels) = (masks.size.width as usize, masks.size.pixels() as usize);
    let mut bytes: Vec<u8> = Vec::with_capacity(pixels / 8 + 2);
    // The last byte of the frame before, as far as it is filled, is the first of `bytes`.
    let (mut used, mut written) = (0, 0);
    for at in &plan.frames {
        let end = used + pixels;
        bytes.resize(end.div_ceil(8), 0);
        for mask in of(plan, masks, *at) {
            mask.for_each_run(|x, top, bottom| {
                for y in top..bottom {
                    let bit = used + y as usize * width + x as usize;
                    bytes[bit / 8] |= 1 << (bit % 8);
                }
            });
        }
        let whole = end / 8;
        to.write_all(&bytes[..whole])?;
        written += whole as u64;
        used = end % 8;
        let rest = bytes.get(whole).copied();
        bytes.clear();
        bytes.extend(rest);
    }
    to.write_all(&bytes)?;
    Ok(written + bytes.len() as u64)
}

/// Segment numbers of `width` bytes a pixel, little endian. Where masks overlap the first of them, which has the best score,
/// has the pixel.
fn label_maps(
    to: &mut dyn Write,
    plan: &Plan,
    masks: &SourceMasks,
    bytes: usize,
) -> io::Result<u64> {
    let (width, pixels) = (masks.size.width as usize, masks.size.pixels() as usize);
    let mut map = vec![0u8; pixels * bytes];
    for at in &plan.frames {
        map.fill(0);
        let frame = masks.frames.get(at.frame);
        for (key, mask) in frame.iter().flat_map(|frame| frame.masks.iter().rev()) {
            let Ok(segment) = plan.segments.binary_search_by_key(key, |s| s.key) else {
                continue;
            };
            let number = plan.segments[segment].number.to_le_bytes();
            mask.for_each_run(|x, top, bottom| {
                for y in top..bottom {
                    let pixel = y as usize * width + x as usize;
                    map[pixel * bytes..][..bytes].copy_from_slice(&number[..bytes]);
                }
            });
        }
        to.write_all(&map)?;
    }
    Ok(map.len() as u64 * plan.frames.len() as u64)
}
