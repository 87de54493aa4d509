//! What the fuzzer runs of the files beside a checkpoint.

use super::dfine::{DFineConfig, Labels};
use std::path::Path;

/// `config.json`, and behind a NUL byte `preprocessor_config.json`. What is accepted is a network that can be built.
pub(crate) fn config(data: &[u8], _: &Path) {
    let mut parts = data.splitn(2, |&b| b == 0).map(std::str::from_utf8);
    let Some(Ok(config)) = parts.next() else {
        return;
    };
    let preprocessor = parts.next().and_then(Result::ok);
    if let Ok(config) = DFineConfig::from_json(config, preprocessor, None) {
        assert!(config.validate().is_ok());
        assert!(config.levels() > 0 && config.channels() > 0 && config.num_labels > 0);
        let names = config.label_names.as_ref();
        assert!(names.is_none_or(|names| names.len() == config.num_labels));
    }
}

/// A file of class names: lines, JSON or YAML.
pub(crate) fn labels(data: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for name in ["names.txt", "names.json", "data.yaml"] {
        if let Ok(labels) = Labels::parse(name, text) {
            assert!(labels.iter().all(|label| !label.is_empty()), "{name}");
        }
    }
}
