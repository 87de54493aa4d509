//! Deformable attention: for each query and head the weighted pixels first, then their sum by vectors of channels.

#![allow(unsafe_code)]

use super::{
    memory::{Input, Output, Shared, even},
    parallel,
    simd::{Isa, Kernel, Simd},
    softmax::Exponentials,
};
use crate::ops::types::result::Result;
use candle_core::Tensor;

/// See [`crate::ops::deformable_attention`].
pub(crate) fn deformable_attention(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    locations: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    let (b, q, heads, p, two) = locations.dims5()?;
    if weights.dims() != [b, q, heads, p] || two != 2 {
        let (locations, weights) = (locations.shape(), weights.shape());
        candle_core::bail!("deformable_attention: {weights:?} weights for {locations:?}");
    }
    let (locations, weights) = (locations.contiguous()?, weights.contiguous()?);
    let op = "deformable_attention";
    let locations = Input::<f32>::new(&locations, op)?;
    let weights = Input::<f32>::new(&weights, op)?;
    let sampling = Sampling::At {
        locations: locations.slice(),
        weights: weights.slice(),
    };
    attend(value, levels, points, (b, q, heads, heads * p), &sampling)
}

/// See [`crate::ops::deformable_attention_around`].
pub(crate) fn deformable_attention_around(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    heads: usize,
    boxes: &Tensor,
    sampled: &Tensor,
) -> Result<Tensor> {
    let ((b, q, numbers), p) = (sampled.dims3()?, points.iter().sum::<usize>());
    if boxes.dims() != [b, q, 4] || numbers != 3 * heads * p {
        let (boxes, sampled) = (boxes.shape(), sampled.shape());
        candle_core::bail!("deformable_attention_around: {sampled:?} around {boxes:?}");
    }
    let (boxes, sampled) = (boxes.contiguous()?, sampled.contiguous()?);
    let op = "deformable_attention_around";
    let (boxes, sampled) = (
        Input::<f32>::new(&boxes, op)?,
        Input::<f32>::new(&sampled, op)?,
    );
    let sampling = Sampling::Around {
        boxes: boxes.slice(),
        sampled: sampled.slice(),
    };
    attend(value, levels, points, (b, q, heads, heads * p), &sampling)
}

/// Where points lie and what they weigh.
enum Sampling<'a> {
    /// `[queries, heads, points, 2]` and `[queries, heads, points]`.
    At {
        locations: &'a [f32],
        weights: &'a [f32],
    },
    /// `[queries, 4]` and `[queries, 3·heads·points]`: points from the boxes' centres in units of their extent, then weights before
    /// their softmax.
    Around {
        boxes: &'a [f32],
        sampled: &'a [f32],
    },
}

/// `sampling` has weights for `given` points of each query.
fn attend(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    (b, q, heads, given): (usize, usize, usize, usize),
    sampling: &Sampling<'_>,
) -> Result<Tensor> {
    let (vb, tokens, c) = value.dims3()?;
    let p = points.iter().sum::<usize>();
    let fits = levels.len() == points.len()
        && levels.iter().map(|(h, w)| h * w).sum::<usize>() == tokens
        && given == heads * p
        && vb == b
        && heads > 0
        && c % heads == 0;
    if !fits {
        let value = value.shape();
        candle_core::bail!(
            "deformable_attention: {value:?} for {b} batches of levels {levels:?} with {points:?} points"
        );
    }
    let value = even(value)?;
    let input = Input::<f32>::new(&value, "deformable_attention")?;
    let mut out = Output::new(b * q * c);
    let (isa, stride) = (Isa::best(), input.stride);
    let pointers = Shared::new((input.ptr(), out.ptr()));
    parallel::over(b * q, b * q * c * p * 4, |range| {
        let (value, out) = pointers.get();
        let mut head = Head::new(p);
        for item in range {
            let image = value.wrapping_add(item / q * tokens * stride);
            for number in 0..heads {
                let at = item * heads + number;
                // SAFETY: taps are tokens of the image; each query and head has its own place in the output.
                unsafe {
                    isa.run(Sum {
                        head: &mut head,
                        levels,
                        points,
                        sampling,
                        item,
                        heads,
                        number,
                        from: image.wrapping_add(number * (c / heads)),
                        stride,
                        to: out.wrapping_add(at * (c / heads)),
                        d: c / heads,
                    })
                };
            }
        }
    });
    // SAFETY: the ranges cover all queries.
    unsafe { out.into_tensor(&[b, q, c]) }
}

/// The points of one query and head.
struct Head {
    /// x and y of each.
    locations: Vec<f32>,
    weights: Vec<f32>,
    /// For each point the tokens around it and their weights, 0 for those outside its level.
    taps: Vec<[(usize, f32); 4]>,
}

impl Head {
    fn new(points: usize) -> Self {
        Self {
            locations: vec![0.0; 2 * points],
            weights: vec![0.0; points],
            taps: Vec::with_capacity(points),
        }
    }

    /// Reads the points of head `number` of query `item`.
    #[inline(always)]
    unsafe fn read<S: Simd>(
        &mut self,
        sampling: &Sampling<'_>,
        item: usize,
        heads: usize,
        number: usize,
    ) {
        let p = self.weights.len();
        match sampling {
            Sampling::At { locations, weights } => {
                let at = (item * heads + number) * p;
                self.locations
                    .copy_from_slice(&locations[2 * at..][..2 * p]);
                self.weights.copy_from_slice(&weights[at..][..p]);
            }
            Sampling::Around { boxes, sampled } => {
                let sampled = &sampled[item * 3 * heads * p..][..3 * heads * p];
                let (offsets, weights) = sampled.split_at(2 * heads * p);
                let (centre, extent) = boxes[4 * item..][..4].split_at(2);
                let offsets = offsets[2 * number * p..][..2 * p].iter().enumerate();
                for (to, (i, offset)) in self.locations.iter_mut().zip(offsets) {
                    *to = offset * extent[i % 2] + centre[i % 2];
                }
                self.weights.copy_from_slice(&weights[number * p..][..p]);
                let mut factor = [0.0];
                let softmax = Exponentials {
                    rows: self.weights.as_mut_ptr(),
                    stride: p,
                    len: p,
                    scale: 1.0,
                    bias: None,
                    sums: &mut factor,
                };
                // SAFETY: the caller vouches for the instruction set; the row has `p` numbers.
                unsafe { softmax.run::<S>() };
                for weight in &mut self.weights {
                    *weight *= factor[0];
                }
            }
        }
    }

    /// Tokens and weights of the corners around all points.
    #[inline(always)]
    fn collect(&mut self, levels: &[(usize, usize)], points: &[usize]) {
        self.taps.clear();
        let (mut token, mut point) = (0, 0);
        for (&(h, w), &n) in levels.iter().zip(points) {
            for i in point..point + n {
                let columns = neighbours(self.locations[2 * i], w);
                let rows = neighbours(self.locations[2 * i + 1], h);
                let tap = |row: (usize, f32), column: (usize, f32)| {
                    let share = row.1 * column.1;
                    (token + row.0 * w + column.0, share * self.weights[i])
                };
                self.taps.push([
                    tap(rows[0], columns[0]),
                    tap(rows[0], columns[1]),
                    tap(rows[1], columns[0]),
                    tap(rows[1], columns[1]),
                ]);
            }
            token += h * w;
            point += n;
        }
    }
}

/// The two pixels next to `at`, in 0..1 of `size` pixels, and their shares: 0 where they are outside.
#[inline(always)]
fn neighbours(at: f32, size: usize) -> [(usize, f32); 2] {
    let (at, size) = (at * size as f32 - 0.5, size as f32);
    let first = at.floor();
    let beyond = at - first;
    [(first, 1.0 - beyond), (first + 1.0, beyond)].map(|(pixel, share)| {
        let inside = pixel >= 0.0 && pixel < size;
        // What is not a number becomes 0.
        let pixel = pixel.max(0.0).min(size - 1.0) as usize;
        (pixel, if inside { share } else { 0.0 })
    })
}

/// The sum of one query and head over `d` channels.
struct Sum<'a> {
    head: &'a mut Head,
    levels: &'a [(usize, usize)],
    points: &'a [usize],
    sampling: &'a Sampling<'a>,
    item: usize,
    heads: usize,
    number: usize,
    from: *const f32,
    stride: usize,
    to: *mut f32,
    d: usize,
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            self.head
                .read::<S>(self.sampling, self.item, self.heads, self.number)
        };
        self.head.collect(self.levels, self.points);
        let mut c = 0;
        while c < self.d {
            let n = S::LANES.min(self.d - c);
            // SAFETY: tokens have `d` channels from `from` on.
            unsafe {
                // A sum for each corner, so that none waits for another.
                let mut sums = [S::splat(0.0); 4];
                for corners in &self.head.taps {
                    for (sum, &(token, weight)) in sums.iter_mut().zip(corners) {
                        let at = self.from.wrapping_add(token * self.stride + c);
                        let v = if n == S::LANES {
                            S::load(at)
                        } else {
                            S::load_n(at, n)
                        };
                        *sum = S::fma(v, S::splat(weight), *sum);
                    }
                }
                let sum = S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]));
                let to = self.to.wrapping_add(c);
                if n == S::LANES {
                    S::store(to, sum)
                } else {
                    S::store_n(to, sum, n)
                }
            }
            c += S::LANES;
        }
    }
}
