//! Data sets made of a run that has ended, or of another data set.

use crate::{
    coco::Classes,
    datasets::{Dataset, Export, ExportSource, ExportSummary},
    run::{OutputMode, RunReport, RunStatus, clear_outputs},
    sinks::{ImagesMode, Layout, SinkError, SinkErrorKind, write_atomic},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// `export.json`: what an output folder was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ExportReport {
    program: String,
    version: String,
    /// The run or data set.
    source: String,
    /// Kinds of data sets.
    to: Vec<String>,
    images: String,
    masks: String,
    split: Option<String>,
    /// Whether all files are there.
    complete: bool,
}

const REPORT: &str = "export.json";
const PROGRAM: &str = "ultramotion";

/// Makes data sets of the run in the folder `run`, in the folder `output`, which may be the run's own. Of a recording that was killed
/// they are of the frames up to that.
///
/// # Errors
/// [`SinkError`] if `run` holds no run or one that has not ended, `output` holds other files ([`SinkErrorKind::NotEmpty`]) or
/// another export, or a file cannot be read or written.
pub fn export_run(
    run: &Path,
    export: &Export,
    output: &Path,
    mode: OutputMode,
) -> Result<ExportSummary, SinkError> {
    let layout = Layout::new(run);
    let report = RunReport::read(&layout)?.ok_or_else(|| {
        SinkError::new(run, "holds no run")
            .with_remedy("give the output folder of a run, with run.json in it")
    })?;
    // A recording has no more than is there.
    if report.status != RunStatus::Completed && !report.recording {
        let error = SinkError::new(run, "the run in it has not ended");
        return Err(error.with_remedy("resume it first"));
    }
    let labels = report.settings.get("labels").and_then(|v| v.as_array());
    let names = labels.into_iter().flatten().filter_map(|v| v.as_str());
    let classes = Classes::new(names);
    let mut export = export.clone();
    export.seg.algorithm = Some(report.algorithm());
    export.report = report.page();
    if export.image_root.is_none() {
        export.image_root = image_root(run, &report);
    }
    let own = same_folder(run, output);
    if own {
        // Its pictures are where they were put.
        if report.image_root.as_deref() == Some("images") && export.images == ImagesMode::None {
            export.images = ImagesMode::Link;
        }
        return export.write(ExportSource::Record(&layout.record(), &classes), output);
    }
    let source = ExportSource::Record(&layout.record(), &classes);
    into_folder(&export, source, &run.display().to_string(), output, mode)
}

/// Makes data sets of `dataset`, which was read from `path`, in the folder `output`.
///
/// # Errors
/// As [`export_run`], but for those of the run.
pub fn export_dataset(
    (path, dataset): (&Path, &Dataset),
    export: &Export,
    output: &Path,
    mode: OutputMode,
) -> Result<ExportSummary, SinkError> {
    let source = ExportSource::Dataset(dataset);
    into_folder(export, source, &path.display().to_string(), output, mode)
}

/// The folder of the run's pictures.
fn image_root(run: &Path, report: &RunReport) -> Option<PathBuf> {
    let root = match report.image_root.as_deref()? {
        "images" => run.join("images"),
        given => PathBuf::from(given),
    };
    // Data sets are read from other working directories.
    Some(fs::canonicalize(&root).unwrap_or(root))
}

fn same_folder(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn into_folder(
    export: &Export,
    source: ExportSource<'_>,
    name: &str,
    output: &Path,
    mode: OutputMode,
) -> Result<ExportSummary, SinkError> {
    let mut report = ExportReport {
        program: PROGRAM.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: name.to_owned(),
        to: export
            .kinds
            .iter()
            .map(|kind| kind.name().to_owned())
            .collect(),
        images: export.images.name().to_owned(),
        masks: format!("{:?}", export.masks).to_lowercase(),
        split: export
            .split
            .map(|(shares, by, seed)| format!("{shares} by {by:?} seed {seed}")),
        complete: false,
    };
    fs::create_dir_all(output)
        .map_err(|e| SinkError::io(output, "create the output folder", &e))?;
    prepare(&report, output, mode)?;
    write(&report, output)?;
    let summary = export.write(source, output)?;
    report.complete = !summary.interrupted;
    write(&report, output)?;
    Ok(summary)
}

fn write(report: &ExportReport, output: &Path) -> Result<(), SinkError> {
    let path = output.join(REPORT);
    let text =
        serde_json::to_string_pretty(report).map_err(|e| SinkError::new(&path, e.to_string()))?;
    write_atomic(&path, (text + "\n").as_bytes())
}

/// Does as `mode` says with what is in the folder.
fn prepare(report: &ExportReport, output: &Path, mode: OutputMode) -> Result<(), SinkError> {
    let listed = fs::read_dir(output).map_err(|e| SinkError::io(output, "list the folder", &e))?;
    if listed.count() == 0 {
        return Ok(());
    }
    let path = output.join(REPORT);
    let earlier: Option<ExportReport> = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .ok()
            .filter(|r: &ExportReport| r.program == PROGRAM),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => {
            return Err(SinkError::io(
                &path,
                "read the report of the earlier export",
                &e,
            ));
        }
    };
    match (mode, earlier) {
        (OutputMode::Overwrite, Some(_)) => {
            clear_outputs(output)?;
            fs::remove_file(&path).map_err(|e| SinkError::io(&path, "remove the file", &e))
        }
        (OutputMode::Resume, Some(earlier)) => {
            let same = ExportReport {
                complete: report.complete,
                ..earlier
            };
            if same == *report {
                return Ok(());
            }
            let problem = "the folder holds an export of another source, or with other options";
            Err(SinkError::new(output, problem)
                .with_kind(SinkErrorKind::OtherRun)
                .with_remedy("overwrite it, or choose another folder"))
        }
        (_, earlier) => {
            let resumable = earlier.is_some();
            let remedy = if resumable {
                "resume or overwrite the export in it, or choose another folder"
            } else {
                "choose another folder"
            };
            Err(SinkError::new(output, "the output folder is not empty")
                .with_kind(SinkErrorKind::NotEmpty { resumable })
                .with_remedy(remedy))
        }
    }
}
