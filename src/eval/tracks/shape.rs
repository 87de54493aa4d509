//! Overlap of boxes and of masks.

/// What of an object is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// `[x0, y0, x1, y1]` in pixels.
    Box([f64; 4]),
    Mask(Runs),
}

/// A mask: where its runs begin and end in COCO's column-major order of pixels.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Runs {
    /// Height, width in pixels.
    pub(super) size: [u32; 2],
    /// Half-open, in order, not empty.
    runs: Vec<(u32, u32)>,
}

impl Runs {
    /// Of run lengths, of pixels outside first; they fill the picture of `size`.
    pub(super) fn new(size: [u32; 2], counts: &[u32]) -> Self {
        let (mut at, mut runs) = (0u32, Vec::with_capacity(counts.len() / 2));
        for (i, &count) in counts.iter().enumerate() {
            let end = at.saturating_add(count);
            if i % 2 == 1 && count > 0 {
                runs.push((at, end));
            }
            at = end;
        }
        Self { size, runs }
    }

    pub(super) fn area(&self) -> u64 {
        self.runs.iter().map(|(a, b)| u64::from(b - a)).sum()
    }

    fn intersection(&self, other: &Self) -> u64 {
        let (mut i, mut j, mut both) = (0, 0, 0u64);
        while let (Some(&(a, b)), Some(&(c, d))) = (self.runs.get(i), other.runs.get(j)) {
            both += u64::from(b.min(d).saturating_sub(a.max(c)));
            if b <= d {
                i += 1;
            } else {
                j += 1;
            }
        }
        both
    }

    /// The tight box `[x0, y0, x1, y1]` in pixels; zeros if nothing is inside.
    pub(super) fn bounds(&self) -> [f64; 4] {
        let height = self.size[0].max(1);
        let (mut low, mut high) = ([u32::MAX; 2], [0u32; 2]);
        for &(a, b) in &self.runs {
            let (first, last) = (a / height, (b - 1) / height);
            // A run over several columns touches the upper and the lower edge.
            let rows = if first == last {
                [a % height, (b - 1) % height + 1]
            } else {
                [0, height]
            };
            low = [low[0].min(first), low[1].min(rows[0])];
            high = [high[0].max(last + 1), high[1].max(rows[1])];
        }
        if self.runs.is_empty() {
            return [0.0; 4];
        }
        [low[0], low[1], high[0], high[1]].map(f64::from)
    }

    /// The pixels of any of `all`.
    fn union(all: &[&Self]) -> Self {
        let mut runs: Vec<(u32, u32)> = all.iter().flat_map(|mask| mask.runs.clone()).collect();
        runs.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(runs.len());
        for (a, b) in runs {
            match merged.last_mut() {
                Some(last) if a <= last.1 => last.1 = last.1.max(b),
                _ => merged.push((a, b)),
            }
        }
        Self {
            size: all.first().map_or([0, 0], |mask| mask.size),
            runs: merged,
        }
    }
}

fn box_area([x0, y0, x1, y1]: [f64; 4]) -> f64 {
    (x1 - x0) * (y1 - y0)
}

fn box_intersection(a: [f64; 4], b: [f64; 4]) -> f64 {
    (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0)
}

/// Intersection over union, 0 to 1; 0 where either has no area, or where the one is a box and the other a mask.
pub(super) fn iou(a: &Shape, b: &Shape) -> f64 {
    match (a, b) {
        (Shape::Box(a), Shape::Box(b)) => {
            let (own, other, both) = (box_area(*a), box_area(*b), box_intersection(*a, *b));
            let union = own + other - both;
            if [own, other, union].iter().any(|area| *area <= f64::EPSILON) {
                0.0
            } else {
                both / union
            }
        }
        (Shape::Mask(a), Shape::Mask(b)) => {
            let both = a.intersection(b);
            let union = a.area() + b.area() - both;
            if both == 0 {
                0.0
            } else {
                both as f64 / union as f64
            }
        }
        _ => 0.0,
    }
}

/// Regions in which predictions are not judged.
pub(super) enum Regions {
    /// Each by itself.
    Boxes(Vec<[f64; 4]>),
    /// Together.
    Mask(Runs),
}

impl Regions {
    /// Of the shapes of a frame, which are all of one kind.
    pub(super) fn of(shapes: &[&Shape]) -> Self {
        let masks: Vec<&Runs> = shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Mask(mask) => Some(mask),
                Shape::Box(_) => None,
            })
            .collect();
        if !masks.is_empty() {
            return Self::Mask(Runs::union(&masks));
        }
        Self::Boxes(
            shapes
                .iter()
                .filter_map(|shape| match shape {
                    Shape::Box(corners) => Some(*corners),
                    Shape::Mask(_) => None,
                })
                .collect(),
        )
    }

    /// Whether more than half of a shape lies in one of the boxes, or in the mask.
    pub(super) fn hold(&self, shape: &Shape) -> bool {
        let most = |share: f64| share > 0.5 + f64::EPSILON;
        match (self, shape) {
            (Self::Boxes(regions), Shape::Box(corners)) => {
                let area = box_area(*corners);
                area > f64::EPSILON
                    && regions
                        .iter()
                        .any(|region| most(box_intersection(*corners, *region) / area))
            }
            (Self::Mask(region), Shape::Mask(mask)) => {
                let both = mask.intersection(region);
                both > 0 && most(both as f64 / mask.area() as f64)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_pixels() {
        // 4 rows, 3 columns: pixels 1..3 and 6..10, the latter over two columns.
        let mask = Runs::new([4, 3], &[1, 2, 3, 4, 2]);
        assert_eq!((mask.area(), mask.bounds()), (6, [0.0, 0.0, 3.0, 4.0]));
        let other = Runs::new([4, 3], &[2, 5, 5]);
        assert_eq!(mask.intersection(&other), 2);
        assert_eq!(Runs::union(&[&mask, &other]).area(), 9);
        let small = Runs::new([4, 3], &[5, 2, 5]);
        assert_eq!(small.bounds(), [1.0, 1.0, 2.0, 3.0]);
        let none = Runs::new([4, 3], &[12]);
        assert_eq!((none.area(), none.bounds()), (0, [0.0; 4]));
        assert_eq!(
            iou(&Shape::Mask(none.clone()), &Shape::Mask(none)),
            0.0,
            "nothing overlaps with nothing"
        );
    }
}
