//! What data sets tell of the run that they are made of: the same during the run and later.

use crate::{
    datasets::{ReportOptions, SegAlgorithm},
    run::report::RunReport,
};

impl RunReport {
    /// What made the masks, for DICOM Segmentations.
    pub(crate) fn algorithm(&self) -> SegAlgorithm {
        let mut algorithm = SegAlgorithm::new("ultramotion D-FINE + MobileSAM", &*self.version);
        for model in &self.models {
            if let Some(file) = model.files.first() {
                algorithm = algorithm.with_model(&*model.role, format!("sha256:{}", file.sha256));
            }
        }
        algorithm.guided = self.settings.get("task").and_then(|t| t.as_str()) == Some("segment");
        algorithm
    }

    /// What the page of the run tells beside its results.
    pub(crate) fn page(&self) -> ReportOptions {
        let task = self.settings.get("task").and_then(|t| t.as_str());
        let threshold = self.settings.get("confidence").and_then(|v| v.as_f64());
        let title = format!("Results of {}", task.unwrap_or("a run"));
        let mut page = ReportOptions::new(title, threshold.unwrap_or(0.0))
            .fact("Program", format!("{} {}", self.program, self.version))
            .fact("Device", &*self.device);
        for model in &self.models {
            let sha256 = model
                .files
                .first()
                .map(|file| file.sha256.chars().take(12).collect::<String>());
            let digest = sha256
                .map(|sha256| format!(" (SHA-256 {sha256}…)"))
                .unwrap_or_default();
            page = page.fact(&*model.role, format!("{}{digest}", model.name));
        }
        page
    }
}
