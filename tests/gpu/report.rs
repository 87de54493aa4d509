//! Comparing and saying what was found.

use candle_core::{DType, Device, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};
use ultramotion::{engine::Engine, ops, session::Stage};

/// Failed comparisons, or what ended the group.
pub(crate) type Outcome = Result<usize, String>;

/// Whether only small cases are wanted, whose kernels run once.
static SMALL: AtomicBool = AtomicBool::new(false);

pub(crate) fn only_small() {
    SMALL.store(true, Ordering::Relaxed);
}

pub(crate) fn small() -> bool {
    SMALL.load(Ordering::Relaxed)
}

/// Multiplications of a case that counts as small.
const SMALL_WORK: usize = 4 << 20;

/// The cases that are wanted, given each one's multiplications, with their places among all.
pub(crate) fn wanted<T>(
    cases: impl IntoIterator<Item = T>,
    work: impl Fn(&T) -> usize,
) -> Vec<(usize, T)> {
    let cases = cases.into_iter().enumerate();
    cases
        .filter(|(_, case)| !small() || work(case) <= SMALL_WORK)
        .collect()
}

/// Work whose products try which tile is fastest, or where only small cases are wanted take the tile `at` without trying.
pub(crate) fn with_tiles<T>(at: usize, work: impl FnOnce() -> T) -> T {
    if small() {
        ops::with_tile(at, work)
    } else {
        work()
    }
}

pub(crate) fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// The types that are tried, and the error that each may have relative to the size of the expected numbers.
pub(crate) const TYPES: [(DType, f64); 3] = [
    (DType::F32, 2e-5),
    (DType::F16, 2e-3),
    (DType::BF16, 1.6e-2),
];

/// Counts failed comparisons of a group.
pub(crate) struct Report<'a> {
    pub(crate) engine: &'a Engine,
    wrong: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self { engine, wrong: 0 }
    }

    pub(crate) fn finish(self) -> Outcome {
        Ok(self.wrong)
    }

    /// On the device, in `dtype`.
    pub(crate) fn up(&self, x: &Tensor, dtype: DType) -> Result<Tensor, String> {
        let x = if x.dtype().is_float() {
            x.to_dtype(dtype).map_err(text)?
        } else {
            x.clone()
        };
        self.engine
            .upload_tensor(Stage::Load, &x.contiguous().map_err(text)?)
            .map_err(text)
    }

    pub(crate) fn down(&self, x: &Tensor) -> Result<Vec<f32>, String> {
        self.engine.download_f32(Stage::Pack, x).map_err(text)
    }

    /// Compares what the device made with what the CPU made; a failure of either is one too.
    pub(crate) fn compare(
        &mut self,
        what: &str,
        found: Result<Tensor, String>,
        expected: &Tensor,
        tolerance: f64,
    ) {
        let found = found.and_then(|found| {
            if found.dims() == expected.dims() {
                self.down(&found)
            } else {
                Err(format!("{:?}, not {:?}", found.shape(), expected.shape()))
            }
        });
        let expected: Vec<f32> = expected
            .to_dtype(DType::F32)
            .and_then(|e| e.flatten_all()?.to_vec1())
            .unwrap_or_default();
        match found {
            Ok(found) => self.numbers(what, &found, &expected, tolerance),
            Err(message) => {
                self.wrong += 1;
                println!("  FAIL {what}: {message}");
            }
        }
    }

    pub(crate) fn numbers(&mut self, what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
        let relative = relative(found, expected);
        let most = found
            .iter()
            .zip(expected)
            .map(|(f, e)| f64::from((f - e).abs()))
            .fold(0.0, f64::max);
        // NaN fails too.
        let good = relative <= tolerance && found.len() == expected.len();
        self.wrong += usize::from(!good);
        println!(
            "  {} {what}: relative {relative:.1e}, largest difference {most:.1e} (may be {tolerance:.0e})",
            if good { "ok  " } else { "FAIL" }
        );
    }

    /// A statement that must be true.
    pub(crate) fn check(&mut self, what: &str, good: bool) {
        self.wrong += usize::from(!good);
        println!("  {} {what}", if good { "ok  " } else { "FAIL" });
    }
}

/// ‖a - b‖ / ‖b‖, NaN included.
pub(crate) fn relative(a: &[f32], b: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let size = square(&mut b.iter().map(|&b| f64::from(b)));
    if difference == 0.0 {
        0.0
    } else {
        (difference / size.max(f64::MIN_POSITIVE)).sqrt()
    }
}

/// Seeded numbers in -1..1.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let values: Vec<f32> = crate::weights::uniform("random", shape.iter().product(), seed)
        .map(|u| (2.0 * u - 1.0) as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("as many numbers as the shape has")
}

/// Numbers as they are after a round trip through `dtype`.
pub(crate) fn rounded(x: &Tensor, dtype: DType) -> Tensor {
    x.to_dtype(dtype)
        .and_then(|x| x.to_dtype(DType::F32))
        .expect("a conversion on the CPU")
}
