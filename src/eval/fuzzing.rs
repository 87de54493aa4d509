//! What the fuzzer runs of evaluation.

use super::{EvalOptions, evaluate};
use std::{fs, path::Path};

/// A ground truth, and behind a NUL byte predictions. Metrics lie between 0 and 1, or are absent (-1).
pub(crate) fn evaluation(data: &[u8], folder: &Path) {
    let mut parts = data.splitn(2, |&b| b == 0);
    let mut write = |name: &str| {
        let path = folder.join(name);
        let text = parts.next().unwrap_or_default();
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    };
    let (truth, predictions) = (write("truth.json"), write("predictions.json"));
    if let Ok(found) = evaluate(&truth, &predictions, &EvalOptions::default()) {
        for name in ["AP", "AP50", "AR100"] {
            let value = found.bbox.overall.get(name).unwrap_or(-1.0);
            assert!(
                value == -1.0 || (0.0..=1.0).contains(&value),
                "{name} {value}"
            );
        }
    }
}
