//! Masks of COCO files in one form: compressed run lengths that fill the image.

use crate::coco::{
    Segmentation,
    rle::{decode_counts, encode_counts},
};
use hotcoco::{Rle, mask};

/// A mask that was checked.
#[derive(Debug)]
pub(super) struct CheckedMask {
    /// Always compressed run lengths.
    pub(super) segmentation: hotcoco::Segmentation,
    /// Pixels inside.
    pub(super) area: f64,
    /// The tight box `[x, y, width, height]`; zeros for an empty mask.
    pub(super) bounds: [f64; 4],
}

/// Most polygons of one object.
const MAX_POLYGONS: usize = 10_000;

/// Longest outline of one object in pixels of the image. Rasterising takes memory in proportion.
const MAX_OUTLINE: f64 = 4e6;

/// Checks a segmentation of an image of `size` (`[height, width]`) and brings it into one form, with polygons rasterised as
/// the COCO mask API does; none for an empty list, which some files have in place of no mask.
pub(super) fn checked(
    segmentation: &Segmentation<'_>,
    size: Option<[u32; 2]>,
) -> Result<Option<CheckedMask>, String> {
    let Some(rle) = checked_runs(segmentation, size)? else {
        return Ok(None);
    };
    let (area, bounds) = (mask::area(&rle) as f64, mask::to_bbox(&rle));
    let segmentation = hotcoco::Segmentation::CompressedRle {
        size: [rle.h, rle.w],
        counts: encode_counts(&rle.counts),
    };
    Ok(Some(CheckedMask {
        segmentation,
        area,
        bounds,
    }))
}

/// The same as run lengths.
pub(super) fn checked_runs(
    segmentation: &Segmentation<'_>,
    size: Option<[u32; 2]>,
) -> Result<Option<Rle>, String> {
    Ok(Some(match segmentation {
        Segmentation::Rle(text) => {
            let [h, w] = text.size;
            same_size([h, w], size)?;
            let counts = decode_counts(&text.counts).ok_or("its mask's counts are broken")?;
            filled(Rle { h, w, counts })?
        }
        Segmentation::Runs {
            size: [h, w],
            counts,
        } => {
            same_size([*h, *w], size)?;
            filled(Rle {
                h: *h,
                w: *w,
                counts: counts.clone(),
            })?
        }
        Segmentation::Polygons(polygons) => {
            if polygons.iter().all(Vec::is_empty) {
                return Ok(None);
            }
            rasterised(polygons, size)?
        }
    }))
}

fn same_size(mask: [u32; 2], image: Option<[u32; 2]>) -> Result<(), String> {
    let [h, w] = mask;
    if let Some([height, width]) = image.filter(|size| *size != mask) {
        return Err(format!("its mask is {w}×{h}, its image {width}×{height}"));
    }
    if u32::try_from(u64::from(h) * u64::from(w)).is_err() {
        return Err(format!(
            "its mask of {w}×{h} is larger than COCO's run lengths can hold"
        ));
    }
    Ok(())
}

/// Run lengths that end elsewhere than the image does are of another image.
fn filled(rle: Rle) -> Result<Rle, String> {
    let total: u64 = rle.counts.iter().map(|&c| u64::from(c)).sum();
    let (h, w) = (rle.h, rle.w);
    if total != u64::from(h) * u64::from(w) {
        return Err(format!(
            "its mask's counts add up to {total} pixels instead of {w}×{h}"
        ));
    }
    Ok(rle)
}

fn rasterised(polygons: &[Vec<f64>], size: Option<[u32; 2]>) -> Result<Rle, String> {
    let [h, w] = size.ok_or("it is a polygon, but its image has no width and height")?;
    same_size([h, w], None)?;
    if polygons.len() > MAX_POLYGONS {
        return Err(format!(
            "it has {} polygons, more than {MAX_POLYGONS}",
            polygons.len()
        ));
    }
    let reach = f64::from(h) + f64::from(w);
    let mut outline = 0.0;
    for polygon in polygons {
        if polygon.len() < 6 || polygon.len() % 2 != 0 {
            return Err(format!(
                "a polygon has {} numbers instead of x, y of three points or more",
                polygon.len()
            ));
        }
        let next = polygon[2..].chunks_exact(2).chain(polygon.chunks_exact(2));
        let steps = polygon
            .chunks_exact(2)
            .zip(next)
            .map(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs()).min(reach));
        outline += steps.sum::<f64>();
    }
    if outline > MAX_OUTLINE {
        return Err(format!(
            "its outline is {outline:.0} pixels long, more than {MAX_OUTLINE:.0}"
        ));
    }
    mask::fr_polys(polygons, h, w).map_err(|e| format!("its polygons cannot be rasterised: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coco;

    fn rle(size: [u32; 2], counts: &str) -> Segmentation<'_> {
        Segmentation::Rle(coco::Rle {
            size,
            counts: counts.into(),
        })
    }

    #[test]
    fn masks_that_do_not_fit_are_errors() {
        let size = Some([3, 3]);
        let list = |counts: &[u32]| Segmentation::Runs {
            size: [3, 3],
            counts: counts.to_vec(),
        };
        for (segmentation, says) in [
            (rle([3, 4], "<"), "its mask is 4×3, its image 3×3"),
            (rle([3, 3], "8"), "add up to 8 pixels instead of 3×3"),
            (rle([3, 3], "oooooooooooooo0"), "broken"),
            (rle([3, 3], "é"), "broken"),
            (list(&[u32::MAX, u32::MAX]), "add up to 8589934590"),
            (
                Segmentation::Polygons(vec![vec![1.0, 2.0, 3.0, 4.0]]),
                "4 numbers",
            ),
            (Segmentation::Polygons(vec![vec![0.0; 7]]), "7 numbers"),
        ] {
            let problem = checked(&segmentation, size).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
        let zigzag = (0..4000u32)
            .map(|i| if i % 4 < 2 { 0.0 } else { 1e300 })
            .collect();
        assert!(
            checked(
                &Segmentation::Polygons(vec![zigzag]),
                Some([60_000, 60_000])
            )
            .unwrap_err()
            .contains("outline")
        );
        assert!(
            checked(&rle([100_000, 100_000], "9"), None)
                .unwrap_err()
                .contains("larger than")
        );
        assert!(
            checked(&Segmentation::Polygons(vec![vec![0.0; 6]]), None)
                .unwrap_err()
                .contains("no width and height")
        );
        assert!(
            checked(&Segmentation::Polygons(vec![]), None)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn all_forms_become_one() {
        // A square of 2×2 pixels at (1, 1) of 4×4, in each form.
        let polygon = Segmentation::Polygons(vec![vec![1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.0]]);
        let list = Segmentation::Runs {
            size: [4, 4],
            counts: vec![5, 2, 2, 2, 5],
        };
        for segmentation in [polygon, list] {
            let found = checked(&segmentation, Some([4, 4])).unwrap().unwrap();
            assert_eq!((found.area, found.bounds), (4.0, [1.0, 1.0, 2.0, 2.0]));
            let hotcoco::Segmentation::CompressedRle { size, counts } = &found.segmentation else {
                panic!("compressed run lengths")
            };
            assert_eq!((*size, counts.as_str()), ([4, 4], "52203"));
        }
    }

    /// Run lengths of this crate and of hotcoco, on masks of all kinds.
    #[test]
    fn run_lengths_are_those_of_hotcoco() {
        let mut state = 11u32;
        for (h, w) in [(1, 1), (1, 40), (40, 1), (33, 21), (300, 200)] {
            for share in [0u32, 1, 30, 128, 255, 256] {
                let mut random = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    u8::from(state >> 24 < share)
                };
                let column_major: Vec<u8> = (0..h * w).map(|_| random()).collect();
                let theirs = mask::encode(&column_major, h, w).unwrap();
                let text = mask::rle_to_string(&theirs);
                assert_eq!(encode_counts(&theirs.counts), text);
                assert_eq!(decode_counts(&text).as_ref(), Some(&theirs.counts));
                let ours = rle([h, w], &text);
                let found = checked(&ours, Some([h, w])).unwrap().unwrap();
                let Segmentation::Rle(ours) = ours else {
                    panic!("run lengths")
                };
                let ours = ours.to_mask().unwrap();
                assert_eq!(ours.area() as f64, found.area);
                let bounds = ours.bounds().map_or([0.0; 4], |b| b.to_coco());
                assert_eq!(bounds.map(f64::from), found.bounds);
            }
        }
    }
}
