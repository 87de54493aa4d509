//! Planes at one distance from each other.

use crate::dicom::Plane;

/// What planes have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::datasets) struct Stack {
    /// The step from a plane to the next, in millimetres along x, y, z: the same for all, and at right angles to the planes.
    /// None where the steps differ, or for fewer than two planes.
    pub step: Option<[f64; 3]>,
}

/// Compares planes in their order; none where orientations or pixel spacings differ, or there is no plane.
pub(in crate::datasets) fn stack(planes: &[&Plane]) -> Option<Stack> {
    let first = planes.first()?;
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    let alike = planes.iter().all(|plane| {
        near(&plane.orientation, &first.orientation) && near(&plane.spacing_mm, &first.spacing_mm)
    });
    alike.then(|| Stack {
        step: step(planes, first.normal()),
    })
}

fn step(planes: &[&Plane], normal: [f64; 3]) -> Option<[f64; 3]> {
    /// By how much steps may differ, in relation to the step.
    const UNEVEN: f64 = 0.01;
    let (first, last) = (planes.first()?, planes.last()?);
    let steps = planes.len().checked_sub(1).filter(|n| *n > 0)? as f64;
    let mean: [f64; 3] = std::array::from_fn(|i| (last.position[i] - first.position[i]) / steps);
    let length = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let along: f64 = mean.iter().zip(normal).map(|(a, b)| a * b).sum();
    let allowed = length(mean) * UNEVEN;
    let even = planes.windows(2).all(|pair| {
        let off = std::array::from_fn(|i| pair[1].position[i] - pair[0].position[i] - mean[i]);
        length(off) <= allowed
    });
    let straight = length(std::array::from_fn(|i| mean[i] - along * normal[i])) <= allowed;
    (length(mean) > 1e-4 && even && straight).then_some(mean)
}
