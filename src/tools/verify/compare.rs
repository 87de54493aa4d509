//! How far two tensors are apart.

/// How far a tensor of the model is from the reference's.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct TensorComparison {
    /// The tensor's name in the reference.
    pub name: &'static str,
    /// Largest difference of two elements.
    pub max_abs: f64,
    /// ‖model - reference‖ / ‖reference‖ (Frobenius); 0 where both are 0, infinite where only the reference is.
    pub relative: f64,
}

impl TensorComparison {
    /// Whether the relative error is at most `tolerance`.
    pub fn is_within(&self, tolerance: f64) -> bool {
        self.relative <= tolerance
    }
}

/// Row `i` of a matrix with `width` columns; empty where there is none.
pub(in crate::tools) fn row(values: &[f32], i: usize, width: usize) -> &[f32] {
    values.get(i * width..(i + 1) * width).unwrap_or_default()
}

pub(in crate::tools) fn square_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum()
}

fn square(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum()
}

/// 1 where all values are 0.
pub(in crate::tools) fn mean_square(values: &[f32]) -> f64 {
    let square = square(values);
    if square == 0.0 {
        1.0
    } else {
        square / values.len() as f64
    }
}

pub(in crate::tools) fn compare(
    name: &'static str,
    [found, expected]: &[Vec<f32>; 2],
) -> TensorComparison {
    let max_abs = found
        .iter()
        .zip(expected)
        .map(|(&f, &e)| (f64::from(f) - f64::from(e)).abs())
        .fold(0.0, f64::max);
    let (difference, size) = (
        square_distance(found, expected).sqrt(),
        square(expected).sqrt(),
    );
    let relative = if difference == 0.0 {
        0.0
    } else {
        difference / size
    };
    TensorComparison {
        name,
        max_abs,
        relative,
    }
}
