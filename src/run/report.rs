//! `run.json`: what was run, with what, and how it went.

use crate::{
    run::{
        counts::{Counts, InputProblems},
        unreadable::Unreadable,
    },
    session::StageSummary,
    sinks::{Layout, SinkError, SinkErrorKind, write_atomic},
    text::counted,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fs, io, time::SystemTime};

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunStatus {
    /// Begun, not ended; or killed.
    #[default]
    Running,
    /// All sources were processed; `errors` lists those that could not be read.
    Completed,
    /// The user ended it; it can be resumed.
    Interrupted,
    /// An output could not be written, or an input failed under [`crate::run::OnError::Stop`].
    Failed,
}

impl RunStatus {
    /// The exit status of a process that did nothing but this run: 0 done, 2 some inputs failed or the run could not
    /// continue, 130 interrupted; none while it runs.
    pub fn exit_status(self, failed_inputs: u64) -> Option<i32> {
        match self {
            Self::Running => None,
            Self::Completed if failed_inputs == 0 => Some(0),
            Self::Completed | Self::Failed => Some(2),
            Self::Interrupted => Some(130),
        }
    }
}

/// A model that took part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelReport {
    /// What it did: `detector` or `segmenter`.
    pub role: String,
    /// As the user named it.
    pub name: String,
    /// Hub repository, where it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Revision in that repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its files.
    pub files: Vec<ModelFile>,
}

/// A file of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelFile {
    /// Path as given or found.
    pub path: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Where a video was decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceDecoding {
    /// Name of the source.
    pub source: String,
    /// `gpu` or `cpu`.
    pub decoder: String,
    /// Why not on the GPU, where the run has one and decoding on it was not disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where the videos of a run were decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DecodingReport {
    /// Videos decoded on the GPU.
    pub gpu: u64,
    /// Videos decoded on the CPU.
    pub cpu: u64,
    /// The first of them.
    pub sources: Vec<SourceDecoding>,
    /// The most bytes that results, and the pixels that outputs show, took while they waited to be written.
    #[serde(default)]
    pub most_ahead_bytes: u64,
}

impl DecodingReport {
    /// Videos that are listed at most.
    const LISTED: usize = 1000;

    /// Notes where a video is decoded. One that changes its place counts for both.
    pub fn push(&mut self, source: &str, decoder: &str, reason: Option<String>) {
        *(if decoder == "gpu" {
            &mut self.gpu
        } else {
            &mut self.cpu
        }) += 1;
        if self.sources.len() < Self::LISTED {
            self.sources.push(SourceDecoding {
                source: source.to_owned(),
                decoder: decoder.to_owned(),
                reason,
            });
        }
    }

    /// Adds those of another run.
    pub(crate) fn extend(&mut self, other: Self) {
        self.gpu += other.gpu;
        self.cpu += other.cpu;
        self.most_ahead_bytes = self.most_ahead_bytes.max(other.most_ahead_bytes);
        let room = Self::LISTED.saturating_sub(self.sources.len());
        self.sources.extend(other.sources.into_iter().take(room));
    }

    fn is_empty(&self) -> bool {
        self.gpu == 0 && self.cpu == 0
    }
}

/// The content of `run.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunReport {
    /// `ultramotion`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The command line after the program's name, paths as given.
    pub arguments: Vec<String>,
    /// What the results depend on (inputs, thresholds, outputs …): a run is resumed only where these and the
    /// models' hashes are the same.
    pub settings: BTreeMap<String, Value>,
    /// The models.
    pub models: Vec<ModelReport>,
    /// The folder that the pictures' names (`image`, `file_name`) are below: absolute or as given, or relative to this file
    /// for `images`; none where there is no such folder, as for videos without their pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_root: Option<String>,
    /// Which of several runs that share the inputs it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardReport>,
    /// Of a run that is merged of shards: how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_of: Option<u32>,
    /// Whether it recorded what a live loop found: such a run is not resumed, and what one that was killed left is complete up to its
    /// last frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recording: bool,
    /// Where it ran.
    pub device: String,
    /// Start, UTC, RFC 3339.
    pub started: String,
    /// End, UTC, RFC 3339; null while it runs.
    pub ended: Option<String>,
    /// How far it has come.
    pub status: RunStatus,
    /// The program's exit status; null while it runs.
    pub exit_status: Option<i32>,
    /// Totals, of resumed runs over all their parts.
    pub counts: Counts,
    /// Where videos were decoded; of a resumed run, in its last part.
    #[serde(default, skip_serializing_if = "DecodingReport::is_empty")]
    pub decoding: DecodingReport,
    /// Times by stage; of a resumed run, of its last part.
    pub timings: BTreeMap<String, StageSummary>,
    /// Inputs that could not be read.
    pub errors: InputProblems,
    /// Why the run could not go on, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was found about inputs that were read all the same; of a resumed run, of all its parts.
    #[serde(default, skip_serializing_if = "InputProblems::is_empty")]
    pub warnings: InputProblems,
    /// Deviations from the settings, such as frames computed on the CPU because the GPU ran out of memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// Which of several runs that share the inputs a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardReport {
    /// Its number, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// The inputs dealt to it that cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unreadable: Vec<Unreadable>,
}

impl RunReport {
    /// The report of a run that starts now.
    pub fn start(
        arguments: Vec<String>,
        settings: BTreeMap<String, Value>,
        models: Vec<ModelReport>,
        device: String,
    ) -> Self {
        Self {
            program: PROGRAM.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arguments,
            settings,
            models,
            device,
            started: timestamp(SystemTime::now()),
            ..Self::default()
        }
    }

    /// Sets the end to now.
    pub fn end(&mut self, status: RunStatus) {
        self.ended = Some(timestamp(SystemTime::now()));
        self.status = status;
        self.exit_status = status.exit_status(self.errors.count);
    }

    /// Writes it as `run.json`.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    pub fn write(&self, layout: &Layout) -> Result<(), SinkError> {
        let path = layout.run_report();
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|e| SinkError::new(&path, e.to_string()))?;
        text.push(b'\n');
        write_atomic(&path, &text)
    }

    /// Reads `run.json`; none if there is no such file.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be read or is not a report of this program.
    pub fn read(layout: &Layout) -> Result<Option<Self>, SinkError> {
        let path = layout.run_report();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(SinkError::io(
                    &path,
                    "read the report of the earlier run",
                    &error,
                ));
            }
        };
        let parsed: Result<Self, _> = serde_json::from_slice(&text);
        match parsed {
            Ok(report) if report.program == PROGRAM => Ok(Some(report)),
            Ok(report) => Err(SinkError::new(
                path,
                format!("is a report of '{}', not of {PROGRAM}", report.program),
            )),
            Err(error) => Err(SinkError::new(
                path,
                format!("is not a report of {PROGRAM}: {error}"),
            )),
        }
    }

    /// What `earlier` was made with that this run has otherwise, in words: version, a setting, or a model.
    pub(crate) fn difference(&self, earlier: &Self) -> Option<String> {
        if self.version == earlier.version {
            difference_of(&earlier.settings, &self.settings)
                .or_else(|| model_difference(&earlier.models, &self.models))
        } else {
            Some(format!(
                "version {} of the program, this is {}",
                earlier.version, self.version
            ))
        }
    }

    /// Whether a run of `self` may go on with what the run of `earlier` left in `layout`.
    ///
    /// # Errors
    /// [`SinkError`] that names the first difference: version, a setting, or a model.
    pub fn check_resumes(&self, earlier: &Self, layout: &Layout) -> Result<(), SinkError> {
        self.difference(earlier).map_or(Ok(()), |difference| {
            let problem = format!("the run in this folder cannot be resumed: it was made with {difference}");
            let remedy = "run with the same arguments and models as before, overwrite the run, or choose another folder";
            Err(SinkError::new(layout.root(), problem).with_kind(SinkErrorKind::OtherRun).with_remedy(remedy))
        })
    }
}

const PROGRAM: &str = "ultramotion";

fn difference_of(
    earlier: &BTreeMap<String, Value>,
    now: &BTreeMap<String, Value>,
) -> Option<String> {
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let keys: std::collections::BTreeSet<&String> = earlier.keys().chain(now.keys()).collect();
    let key = keys
        .into_iter()
        .find(|key| earlier.get(*key) != now.get(*key))?;
    Some(format!(
        "{key} {}, this run has {}",
        text(earlier.get(key)),
        text(now.get(key))
    ))
}

fn model_difference(earlier: &[ModelReport], now: &[ModelReport]) -> Option<String> {
    if earlier.len() != now.len() {
        return Some(format!(
            "{}, this run has {}",
            counted(earlier.len(), "model"),
            now.len()
        ));
    }
    let hashes = |model: &ModelReport| {
        model
            .files
            .iter()
            .map(|f| f.sha256.clone())
            .collect::<Vec<_>>()
    };
    let pair = earlier
        .iter()
        .zip(now)
        .find(|(a, b)| a.role != b.role || hashes(a) != hashes(b))?;
    Some(format!(
        "the {} {}, this run has {}, and their files differ",
        pair.0.role, pair.0.name, pair.1.name
    ))
}

fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(confidence: f64, sha256: &str) -> RunReport {
        let files = vec![ModelFile {
            path: "m.safetensors".into(),
            sha256: sha256.into(),
        }];
        let model = ModelReport {
            role: "detector".into(),
            name: "dfine-n".into(),
            files,
            ..ModelReport::default()
        };
        let settings = BTreeMap::from([("confidence".to_owned(), Value::from(confidence))]);
        RunReport::start(vec!["detect".into()], settings, vec![model], "cpu".into())
    }

    #[test]
    fn a_report_reads_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(RunReport::read(&layout).unwrap(), None);
        let mut report = report(0.5, "aa");
        report.write(&layout).unwrap();
        report.end(RunStatus::Completed);
        report.write(&layout).unwrap();
        assert_eq!(RunReport::read(&layout).unwrap(), Some(report));
        fs::write(layout.run_report(), "{}").unwrap();
        assert!(RunReport::read(&layout).is_err());
    }

    #[test]
    fn only_the_same_settings_and_models_resume() {
        let layout = Layout::new("out");
        let earlier = report(0.5, "aa");
        report(0.5, "aa").check_resumes(&earlier, &layout).unwrap();
        let error = report(0.3, "aa")
            .check_resumes(&earlier, &layout)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("confidence 0.5, this run has 0.3"),
            "{error}"
        );
        let error = report(0.5, "bb")
            .check_resumes(&earlier, &layout)
            .unwrap_err()
            .to_string();
        assert!(error.contains("detector dfine-n"), "{error}");
    }
}
