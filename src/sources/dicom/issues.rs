//! Findings and errors of DICOM as warnings and errors of a source.

use crate::{
    dicom::{DicomError, DicomFinding},
    sources::issue::{IssueKind, SourceError, SourceWarning},
};
use std::path::Path;

pub(super) fn warning(path: &Path, frame: Option<u64>, finding: &DicomFinding) -> SourceWarning {
    let mut warning = SourceWarning::new(path, finding.to_string());
    warning.frame = frame;
    warning.remedy = finding.remedy();
    if finding.is_of_window() {
        warning.kind = IssueKind::Window;
    }
    warning
}

pub(super) fn source_error(path: &Path, frame: Option<u64>, error: DicomError) -> SourceError {
    let mut issue = SourceError::new(path, error.to_string());
    issue.frame = frame;
    issue.remedy = error.remedy().map(str::to_owned);
    issue
}
