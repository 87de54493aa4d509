//! Folders that hold the outputs of a run.

use serde::Deserialize;
use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

/// Bytes of a `run.json` that are read at most.
const MAX_REPORT: u64 = 64 << 20;

#[derive(Deserialize)]
struct Report {
    program: String,
}

/// Whether `folder` holds the `run.json` of a run of this program.
pub(crate) fn is_run_folder(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("run.json")) else {
        return false;
    };
    let report: Result<Report, _> = serde_json::from_reader(BufReader::new(file.take(MAX_REPORT)));
    report.is_ok_and(|report| report.program == "ultramotion")
}

/// The `coco.json` that lists the images of a run's results list: it lies beside the list in the folder of the run.
pub(crate) fn images_beside(list: &Path) -> Option<PathBuf> {
    let folder = list
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let images = folder.join("coco.json");
    (images.is_file() && images.file_name() != list.file_name() && is_run_folder(folder))
        .then_some(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_run_is_known_by_its_report_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_run_folder(dir.path()));
        for other in [
            "",
            "{}",
            "[]",
            r#"{"program":"another"}"#,
            r#"{"program":"ultramotion""#,
        ] {
            fs::write(dir.path().join("run.json"), other).unwrap();
            assert!(!is_run_folder(dir.path()), "{other}");
        }
        fs::write(dir.path().join("coco.json"), "{}").unwrap();
        assert_eq!(images_beside(&dir.path().join("coco_results.json")), None);
        fs::write(
            dir.path().join("run.json"),
            r#"{"version":"0.1.0","program":"ultramotion","models":[]}"#,
        )
        .unwrap();
        assert!(is_run_folder(dir.path()));
        assert_eq!(
            images_beside(&dir.path().join("coco_results.json")),
            Some(dir.path().join("coco.json"))
        );
        assert_eq!(images_beside(&dir.path().join("coco.json")), None);
    }
}
