//! Batches of assignment problems on the device of their costs.

#[cfg(not(feature = "cuda"))]
use super::no_device as on_device;
use super::{AssignmentError, Rules, assign};
#[cfg(feature = "cuda")]
use crate::ops::cuda::matching as on_device;
use crate::ops::{Result, cpu};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// In [`BatchAssigner::row_to_col`]: this row has no column.
const NONE: i32 = -1;

/// In [`BatchAssigner::status`].
const NOT_A_NUMBER: i32 = 1;

/// How much of each problem of a batch is used, where problems differ in size: `[B]` u32 on the device of the costs. Rows and columns
/// past these counts are as if they were not there, and a count above the batch's shape means all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used<'a> {
    /// Rows; all if not given.
    pub rows: Option<&'a Tensor>,
    /// Columns; all if not given.
    pub cols: Option<&'a Tensor>,
}

/// Solves batches of one shape and leaves the results where the costs are: on the CPU by [`assign`] on all cores, on a
/// CUDA device by a kernel that does the same with costs of f32.
///
/// Results and working memory are made once, here. On a CUDA device [`BatchAssigner::solve`] is one launch: nothing is allocated
/// or moved and nobody waits, so it can be captured in a graph. All is in the order of the device's stream.
#[derive(Debug)]
pub struct BatchAssigner {
    shape: (usize, usize, usize),
    rules: Rules,
    row_to_col: Tensor,
    status: Tensor,
    solver: Option<on_device::Solver>,
}

impl BatchAssigner {
    /// For `batch` problems of at most `rows` × `cols` costs on `device`.
    ///
    /// # Errors
    /// If `rules` have no proper gate, a problem has 2³¹ costs or more, or the device has no memory left.
    pub fn new(
        device: &Device,
        batch: usize,
        rows: usize,
        cols: usize,
        rules: Rules,
    ) -> Result<Self> {
        if rules.gate.is_nan() || rules.gate == f64::NEG_INFINITY {
            return Err(candle_core::Error::wrap(AssignmentError::Gate(rules.gate)));
        }
        if rows.checked_mul(cols).is_none_or(|n| n > i32::MAX as usize)
            || batch.max(rows).max(cols) > 1 << 30
        {
            candle_core::bail!("assignment of {batch} problems of {rows} x {cols}: too large");
        }
        let solver = if device.is_cpu() {
            None
        } else {
            Some(on_device::Solver::new(device, batch, rows, cols, &rules)?)
        };
        let row_to_col = on_device::zeros(&[batch, rows], DType::I32, device)?;
        let status = on_device::zeros(&[batch], DType::I32, device)?;
        Ok(Self {
            shape: (batch, rows, cols),
            rules,
            row_to_col,
            status,
            solver,
        })
    }

    /// Solves the problems whose costs are `costs` `[B, rows, cols]`, f32, contiguous; infinite costs are forbidden pairs.
    ///
    /// # Errors
    /// If a shape, type or device is another than this was made for.
    pub fn solve(&mut self, costs: &Tensor, used: Used<'_>) -> Result<()> {
        let (batch, rows, cols) = self.shape;
        let counts = [used.rows, used.cols];
        let fits = |counts: &Option<&Tensor>| {
            counts
                .is_none_or(|t| t.dims() == [batch] && t.dtype() == DType::U32 && t.is_contiguous())
        };
        if costs.dims() != [batch, rows, cols]
            || costs.dtype() != DType::F32
            || !costs.is_contiguous()
            || !counts.iter().all(fits)
        {
            let shape = costs.shape();
            candle_core::bail!(
                "assignment: costs {shape:?} {:?}, counts {counts:?} for {batch} x {rows} x {cols} in f32",
                costs.dtype()
            );
        }
        if let Some(solver) = &self.solver {
            return solver.solve(costs, counts, &self.row_to_col, &self.status);
        }
        if !counts
            .iter()
            .flatten()
            .copied()
            .chain([costs])
            .all(cpu::is_cpu)
        {
            candle_core::bail!(
                "assignment: costs on {:?} for an assigner on the CPU",
                costs.device().location()
            );
        }
        let (row_to_col, status) = solve_on_cpu(costs, counts, self.shape, &self.rules)?;
        (self.row_to_col, self.status) = (row_to_col, status);
        Ok(())
    }

    /// `[B, rows]` i32: each row's column, or -1. On a CUDA device always the same tensor, overwritten by the next `solve`.
    pub fn row_to_col(&self) -> &Tensor {
        &self.row_to_col
    }

    /// `[B]` i32: 0, or 1 for a problem that has a cost of NaN or minus infinity and therefore no pairs. Kept like `row_to_col`.
    pub fn status(&self) -> &Tensor {
        &self.status
    }
}

fn solve_on_cpu(
    costs: &Tensor,
    counts: [Option<&Tensor>; 2],
    shape: (usize, usize, usize),
    rules: &Rules,
) -> Result<(Tensor, Tensor)> {
    let (batch, rows, cols) = shape;
    let all = costs.flatten_all()?.to_vec1::<f32>()?;
    let of = |counts: Option<&Tensor>, all: usize| -> Result<Vec<usize>> {
        let Some(counts) = counts else {
            return Ok(vec![all; batch]);
        };
        Ok(counts
            .to_vec1::<u32>()?
            .into_iter()
            .map(|n| (n as usize).min(all))
            .collect())
    };
    let (used_rows, used_cols) = (of(counts[0], rows)?, of(counts[1], cols)?);
    let one = |problem: usize| -> Result<(Vec<i32>, i32)> {
        let (height, width) = (used_rows[problem], used_cols[problem]);
        let row = |r: usize| &all[(problem * rows + r) * cols..][..width];
        let part: Vec<f32> = (0..height).flat_map(row).copied().collect();
        let mut found = vec![NONE; rows];
        match assign(&part, height, width, rules) {
            Ok(assignment) => {
                for (row, col) in assignment.pairs() {
                    found[row] = col as i32;
                }
                Ok((found, 0))
            }
            Err(AssignmentError::Cost { .. }) => Ok((found, NOT_A_NUMBER)),
            Err(error) => Err(candle_core::Error::wrap(error)),
        }
    };
    let solved: Vec<_> = (0..batch).into_par_iter().map(one).collect::<Result<_>>()?;
    let status: Vec<i32> = solved.iter().map(|(_, status)| *status).collect();
    let row_to_col: Vec<i32> = solved.into_iter().flat_map(|(found, _)| found).collect();
    Ok((
        Tensor::from_vec(row_to_col, (batch, rows), &Device::Cpu)?,
        Tensor::from_vec(status, batch, &Device::Cpu)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_different_sizes_is_solved_within_the_counts() {
        let cpu = Device::Cpu;
        let mut assigner = BatchAssigner::new(&cpu, 3, 2, 3, Rules::default()).unwrap();
        let costs = Tensor::new(
            &[
                [[3f32, 1., 0.], [1., 2., 0.]],
                [[5., f32::NAN, 0.], [4., 0., 0.]],
                [[0., f32::NAN, 0.]; 2],
            ],
            &cpu,
        )
        .unwrap();
        let (rows, cols) = (
            Tensor::new(&[2u32, 9, 2], &cpu).unwrap(),
            Tensor::new(&[2u32, 1, 3], &cpu).unwrap(),
        );
        assigner
            .solve(
                &costs,
                Used {
                    rows: Some(&rows),
                    cols: Some(&cols),
                },
            )
            .unwrap();
        assert_eq!(
            assigner.row_to_col().to_vec2::<i32>().unwrap(),
            [[1, 0], [-1, 0], [-1, -1]]
        );
        assert_eq!(assigner.status().to_vec1::<i32>().unwrap(), [0, 0, 1]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let cpu = Device::Cpu;
        let mut assigner = BatchAssigner::new(&cpu, 2, 2, 3, Rules::default()).unwrap();
        let good = Tensor::zeros((2, 2, 3), DType::F32, &cpu).unwrap();
        assigner.solve(&good, Used::default()).unwrap();
        assert!(
            assigner
                .solve(&good.to_dtype(DType::F64).unwrap(), Used::default())
                .is_err()
        );
        assert!(
            assigner
                .solve(&good.transpose(0, 1).unwrap(), Used::default())
                .is_err()
        );
        let counts = Tensor::zeros(3, DType::U32, &cpu).unwrap();
        assert!(
            assigner
                .solve(
                    &good,
                    Used {
                        rows: Some(&counts),
                        cols: None
                    }
                )
                .is_err()
        );
        assert!(
            BatchAssigner::new(&cpu, 1, 2, 2, Rules::gated(f64::NAN))
                .unwrap_err()
                .to_string()
                .contains("a gate of NaN")
        );
    }
}
