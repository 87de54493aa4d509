//! Bounds of figures, for release gates, and the report of an evaluation with them.

use crate::{eval_args::EvalArgs, exit::Exit, terminal::Terminal};
use serde::Serialize;

/// A bound that a figure must keep.
#[derive(Debug, Serialize)]
pub(crate) struct Gate {
    option: &'static str,
    figure: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<f64>,
    found: Option<f64>,
    passed: bool,
}

impl Gate {
    /// A figure that must be at least `least`; none where no bound is given. A figure that there is not does not pass.
    pub(crate) fn least(
        option: &'static str,
        figure: &'static str,
        least: Option<f64>,
        found: Option<f64>,
    ) -> Option<Self> {
        least.map(|least| Self {
            option,
            figure,
            least: Some(least),
            most: None,
            found,
            passed: found.is_some_and(|found| found >= least),
        })
    }

    /// A figure that must be at most `most`; none where no bound is given.
    pub(crate) fn most(
        option: &'static str,
        figure: &'static str,
        most: Option<f64>,
        found: f64,
    ) -> Option<Self> {
        most.map(|most| Self {
            option,
            figure,
            least: None,
            most: Some(most),
            found: Some(found),
            passed: found <= most,
        })
    }

    fn problem(&self) -> String {
        let Self { option, figure, .. } = self;
        match (self.least, self.most, self.found) {
            (Some(least), _, Some(found)) => {
                format!("{option} {least}: {figure} is too low: {found:.4}")
            }
            (Some(least), _, None) => {
                format!("{option} {least}: {figure} is too low: there is none")
            }
            (None, most, found) => format!(
                "{option} {}: {figure} are too many: {}",
                most.unwrap_or_default(),
                found.unwrap_or_default()
            ),
        }
    }
}

/// What `--json` prints of an evaluation.
#[derive(Serialize)]
struct Output<'a, E> {
    ground_truth_file: String,
    predictions_file: String,
    #[serde(flatten)]
    evaluation: &'a E,
    gates: &'a [Gate],
}

/// Prints an evaluation, as the lines of its table or as JSON; exit code 1 if a bound is broken.
pub(crate) fn report<E: Serialize>(
    args: &EvalArgs,
    evaluation: &E,
    lines: impl FnOnce() -> Vec<String>,
    gates: &[Gate],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    if terminal.json {
        terminal.print_json(&Output {
            ground_truth_file: args.ground_truth.display().to_string(),
            predictions_file: args.predictions.display().to_string(),
            evaluation,
            gates,
        })?;
    } else {
        lines().iter().try_for_each(|line| terminal.print(line))?;
    }
    Ok(judge(gates, terminal))
}

/// Says which bounds are broken.
fn judge(gates: &[Gate], terminal: &Terminal) -> Exit {
    for gate in gates.iter().filter(|gate| !gate.passed) {
        terminal.problem(&gate.problem());
    }
    if gates.iter().all(|gate| gate.passed) {
        Exit::Done
    } else {
        Exit::CheckFailed
    }
}
