//! Masks of COCO files in one form: compressed run lengths that fill the image.

use hotcoco::{Rle, Segmentation, mask};

/// A mask that was checked.
#[derive(Debug)]
pub(super) struct CheckedMask {
    /// Always [`Segmentation::CompressedRle`].
    pub(super) segmentation: Segmentation,
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
    segmentation: &Segmentation,
    size: Option<[u32; 2]>,
) -> Result<Option<CheckedMask>, String> {
    let rle = match segmentation {
        Segmentation::CompressedRle {
            size: [h, w],
            counts,
        } => {
            same_size([*h, *w], size)?;
            filled(
                mask::rle_from_string(counts, *h, *w)
                    .map_err(|e| format!("its mask's counts are broken: {e}"))?,
            )?
        }
        Segmentation::UncompressedRle {
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
        other => {
            let polygons = other
                .polygons()
                .ok_or("its segmentation is neither run lengths nor polygons")?;
            if polygons.iter().all(Vec::is_empty) {
                return Ok(None);
            }
            rasterised(&polygons, size)?
        }
    };
    let (area, bounds) = (mask::area(&rle) as f64, mask::to_bbox(&rle));
    let segmentation = Segmentation::CompressedRle {
        size: [rle.h, rle.w],
        counts: mask::rle_to_string(&rle),
    };
    Ok(Some(CheckedMask {
        segmentation,
        area,
        bounds,
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

    fn rle(size: [u32; 2], counts: &str) -> Segmentation {
        Segmentation::CompressedRle {
            size,
            counts: counts.into(),
        }
    }

    #[test]
    fn masks_that_do_not_fit_are_errors() {
        let size = Some([3, 3]);
        let list = |counts: &[u32]| Segmentation::UncompressedRle {
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
                Segmentation::Polygon(vec![vec![1.0, 2.0, 3.0, 4.0]]),
                "4 numbers",
            ),
            (Segmentation::Polygon(vec![vec![0.0; 7]]), "7 numbers"),
        ] {
            let problem = checked(&segmentation, size).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
        let zigzag = (0..4000u32)
            .map(|i| if i % 4 < 2 { 0.0 } else { 1e300 })
            .collect();
        assert!(
            checked(&Segmentation::Polygon(vec![zigzag]), Some([60_000, 60_000]))
                .unwrap_err()
                .contains("outline")
        );
        assert!(
            checked(&rle([100_000, 100_000], "9"), None)
                .unwrap_err()
                .contains("larger than")
        );
        assert!(
            checked(&Segmentation::Polygon(vec![vec![0.0; 6]]), None)
                .unwrap_err()
                .contains("no width and height")
        );
        assert!(
            checked(&Segmentation::Polygon(vec![]), None)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn all_forms_become_one() {
        // A square of 2×2 pixels at (1, 1) of 4×4, in each form.
        let polygon = Segmentation::Polygon(vec![vec![1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.0]]);
        let list = Segmentation::UncompressedRle {
            size: [4, 4],
            counts: vec![5, 2, 2, 2, 5],
        };
        for segmentation in [polygon, list] {
            let found = checked(&segmentation, Some([4, 4])).unwrap().unwrap();
            assert_eq!((found.area, found.bounds), (4.0, [1.0, 1.0, 2.0, 2.0]));
            let again = checked(&found.segmentation, Some([4, 4])).unwrap().unwrap();
            assert_eq!((again.area, again.bounds), (4.0, [1.0, 1.0, 2.0, 2.0]));
        }
    }
}
