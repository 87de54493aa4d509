//! What the metrics are computed from: the frames of a sequence, with objects of one class.

/// A pair of objects that overlap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Similar {
    /// Place among the frame's objects of the ground truth.
    pub(super) truth: u32,
    /// Place among its predictions.
    pub(super) prediction: u32,
    /// IoU, above 0 and up to 1.
    pub(super) value: f64,
}

/// A frame in which there is something.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Step {
    /// Numbers of the tracks, from 0 and different; each order is that of the file.
    pub(super) truth: Vec<u32>,
    pub(super) predictions: Vec<u32>,
    /// The pairs that overlap; all others have an IoU of 0.
    pub(super) similar: Vec<Similar>,
}

impl Step {
    /// `f` of the IoU of each pair, row by row: a row for each object, a column for each prediction. 0 stays 0.
    pub(super) fn table(&self, mut f: impl FnMut(&Similar) -> f64) -> Vec<f64> {
        let columns = self.predictions.len();
        let mut table = vec![0.0; self.truth.len() * columns];
        for similar in &self.similar {
            table[similar.truth as usize * columns + similar.prediction as usize] = f(similar);
        }
        table
    }

    /// The numbers of both tracks of a pair.
    pub(super) fn tracks(&self, similar: &Similar) -> (u32, u32) {
        (
            self.truth[similar.truth as usize],
            self.predictions[similar.prediction as usize],
        )
    }
}

/// A sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Steps {
    /// Tracks in the ground truth, and in the predictions.
    pub(super) tracks: [usize; 2],
    /// Frames, with those in which there is nothing.
    pub(super) length: u64,
    /// Frames with something in them, in order.
    pub(super) steps: Vec<Step>,
    /// In which order sums over a frame's table are made. They decide ties in their last digit.
    pub(super) order: SumOrder,
}

/// Which of a table's two directions is contiguous in memory, where the figures were defined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum SumOrder {
    #[default]
    ByRow,
    ByColumn,
}

impl Steps {
    /// Objects in the ground truth, and predictions.
    pub(super) fn objects(&self) -> [u64; 2] {
        self.steps
            .iter()
            .fold([0, 0], |[truth, predictions], step| {
                [
                    truth + step.truth.len() as u64,
                    predictions + step.predictions.len() as u64,
                ]
            })
    }

    /// How many objects each track has: the ground truth's tracks, and the predicted.
    pub(super) fn counts(&self) -> [Vec<u64>; 2] {
        let mut counts = self.tracks.map(|n| vec![0u64; n]);
        for step in &self.steps {
            for &id in &step.truth {
                counts[0][id as usize] += 1;
            }
            for &id in &step.predictions {
                counts[1][id as usize] += 1;
            }
        }
        counts
    }
}

/// Sums of a table's rows and of its columns.
pub(super) fn sums(table: &[f64], rows: usize, columns: usize, order: SumOrder) -> [Vec<f64>; 2] {
    let row = |row: usize| (0..columns).map(move |column| table[row * columns + column]);
    let column = |column: usize| (0..rows).map(move |row| table[row * columns + column]);
    let pairwise_rows = order == SumOrder::ByRow || rows == 1;
    let pairwise_columns = order == SumOrder::ByColumn || columns == 1;
    let total = |values: Vec<f64>, pairwise: bool| {
        if pairwise {
            pairwise_sum(&values)
        } else {
            values.iter().sum()
        }
    };
    [
        (0..rows)
            .map(|i| total(row(i).collect(), pairwise_rows))
            .collect(),
        (0..columns)
            .map(|i| total(column(i).collect(), pairwise_columns))
            .collect(),
    ]
}

/// Elements that are summed without a further division, and partial sums that are kept of them.
const BLOCK: usize = 128;
const LANES: usize = 8;

/// The sum as numpy makes it of contiguous numbers: in eight interleaved partial sums, halves apart where there are many.
/// Equal tables give equal sums in any order; nearly equal ones may differ in the last digit.
fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() < LANES {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if values.len() > BLOCK {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % LANES);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let whole = values.len() - values.len() % LANES;
    let mut lanes = [0.0; LANES];
    for chunk in values[..whole].chunks_exact(LANES) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    let sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
        + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    values[whole..].iter().fold(sum, |sum, value| sum + value)
}
