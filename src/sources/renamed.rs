//! Sources under neutral names: outputs and messages of a run then contain no file or folder name of its inputs.

use super::{
    Decoding, Issue, Source, SourceError, SourceSpec, SourceWarning,
    parts::{PartSource, PartStep},
};
use crate::frame::{Frame, SourceInfo};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// File names with fewer characters are not looked for in texts: they may be words of the text itself.
const SHORTEST_NAME: usize = 4;

/// Paths that stand for those of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// For the source's path.
    pub path: PathBuf,
    /// For its files, in their order.
    pub files: Vec<PathBuf>,
}

/// The aliases of a run's sources, by [`SourceSpec::name`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases(HashMap<String, Alias>);

impl Aliases {
    /// Aliases by the name of their source.
    pub fn new(aliases: impl IntoIterator<Item = (String, Alias)>) -> Self {
        Self(aliases.into_iter().collect())
    }

    /// The alias of a source; `None` where it keeps its own name.
    pub fn of(&self, spec: &SourceSpec) -> Option<&Alias> {
        self.0.get(&spec.name)
    }
}

impl Alias {
    /// The path that stands for `path` of the source `spec`.
    fn path_of(&self, spec: &SourceSpec, path: &Path) -> PathBuf {
        let file = spec
            .files
            .iter()
            .position(|file| file == path)
            .filter(|_| path != spec.path);
        file.and_then(|at| self.files.get(at))
            .unwrap_or(&self.path)
            .clone()
    }

    /// An error of the source `spec` without its paths.
    pub fn error(&self, spec: &SourceSpec, mut error: SourceError) -> SourceError {
        self.rename(spec, &mut error);
        error
    }

    /// A warning about the source `spec` without its paths.
    fn warning(&self, spec: &SourceSpec, mut warning: SourceWarning) -> SourceWarning {
        self.rename(spec, &mut warning);
        warning
    }

    fn rename(&self, spec: &SourceSpec, issue: &mut Issue) {
        let alias = self.path_of(spec, &issue.path);
        issue.rename(&alias);
        issue.hide(&spec.path, &self.path);
    }
}

impl Issue {
    /// Puts `alias` in place of the path, also where the texts name it.
    pub fn rename(&mut self, alias: &Path) {
        let path = std::mem::replace(&mut self.path, alias.to_owned());
        self.hide(&path, alias);
    }

    /// Puts `alias` in place of `path` in the texts.
    fn hide(&mut self, path: &Path, alias: &Path) {
        self.problem = hidden(std::mem::take(&mut self.problem), path, alias);
        let remedy = self.remedy.take();
        self.remedy = remedy.map(|remedy| hidden(remedy, path, alias));
    }
}

/// `text` with `alias` in place of `path`, and of its last part where that stands alone.
fn hidden(text: String, path: &Path, alias: &Path) -> String {
    let (path_text, alias) = (path.to_string_lossy(), alias.to_string_lossy());
    let text = if path_text.is_empty() {
        text
    } else {
        text.replace(&*path_text, &alias)
    };
    let parts = [path.file_name(), path.file_stem()]
        .into_iter()
        .flatten()
        .map(|part| part.to_string_lossy());
    parts
        .filter(|part| part.chars().count() >= SHORTEST_NAME)
        .fold(text, |text, part| text.replace(&*part, &alias))
}

/// A source whose frames, errors and warnings have neutral paths.
pub struct Renamed<S> {
    inner: S,
    spec: SourceSpec,
    alias: Alias,
    files: HashMap<PathBuf, usize>,
    info: Arc<SourceInfo>,
}

impl<S: Source> Renamed<S> {
    /// The source of `spec` under `alias`.
    pub fn new(inner: S, spec: &SourceSpec, alias: &Alias) -> Self {
        let info = inner.info().clone();
        Self::with(inner, &info, spec, alias)
    }
}

impl Renamed<Box<dyn PartSource>> {
    /// The parts of the source of `spec` under `alias`.
    pub(crate) fn part(inner: Box<dyn PartSource>, spec: &SourceSpec, alias: &Alias) -> Self {
        let info = inner.info().clone();
        Self::with(inner, &info, spec, alias)
    }
}

impl<S> Renamed<S> {
    fn with(inner: S, info: &SourceInfo, spec: &SourceSpec, alias: &Alias) -> Self {
        let info = Arc::new(SourceInfo {
            path: alias.path.clone(),
            ..info.clone()
        });
        let files = spec
            .files
            .iter()
            .cloned()
            .enumerate()
            .map(|(at, file)| (file, at))
            .collect();
        Self {
            inner,
            spec: spec.clone(),
            alias: alias.clone(),
            files,
            info,
        }
    }

    fn frame(&self, mut frame: Frame) -> Frame {
        let alias = |file: &PathBuf| {
            self.files
                .get(file)
                .and_then(|at| self.alias.files.get(*at))
                .unwrap_or(&self.alias.path)
                .clone()
        };
        frame.file = frame.file.as_ref().map(alias);
        frame.source = self.info.clone();
        frame
    }

    fn warnings(&self, warnings: Vec<SourceWarning>) -> Vec<SourceWarning> {
        warnings
            .into_iter()
            .map(|warning| self.alias.warning(&self.spec, warning))
            .collect()
    }
}

impl<S: Source> Source for Renamed<S> {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let next = self
            .inner
            .next_frame()
            .map_err(|error| self.alias.error(&self.spec, error))?;
        Ok(next.map(|frame| self.frame(frame)))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.inner
            .skip_frame()
            .map_err(|error| self.alias.error(&self.spec, error))
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.inner.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let warnings = self.inner.take_warnings();
        self.warnings(warnings)
    }
}

impl PartSource for Renamed<Box<dyn PartSource>> {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<PartStep, SourceError> {
        match self.inner.next_frame() {
            Ok(PartStep::Frame(frame)) => Ok(PartStep::Frame(self.frame(frame))),
            Ok(other) => Ok(other),
            Err(error) => Err(self.alias.error(&self.spec, error)),
        }
    }

    fn restart(&mut self, part: usize) -> Result<(), SourceError> {
        self.inner
            .restart(part)
            .map_err(|error| self.alias.error(&self.spec, error))
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.inner.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let warnings = self.inner.take_warnings();
        self.warnings(warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SourceKind;

    #[test]
    fn paths_and_file_names_are_hidden_in_texts() {
        let spec = SourceSpec {
            path: "study/Meier_1960".into(),
            kind: SourceKind::Sequence,
            files: vec![
                "study/Meier_1960/Hans1.png".into(),
                "study/Meier_1960/Hans2.png".into(),
            ],
            name: "source-000003".into(),
            folder: None,
        };
        let files = vec![
            "source-000003/000000.png".into(),
            "source-000003/000001.png".into(),
        ];
        let alias = Alias {
            path: "source-000003".into(),
            files,
        };
        let error = SourceError::new(
            "study/Meier_1960/Hans2.png",
            "Hans2.png in study/Meier_1960 is cut",
        )
        .with_remedy("see Hans2");
        let error = alias.error(&spec, error).to_string();
        assert_eq!(
            error,
            "source-000003/000001.png: source-000003/000001.png in source-000003 is cut; see source-000003/000001.png"
        );
        let whole = alias
            .error(
                &spec,
                SourceError::new("study/Meier_1960", "cannot be read"),
            )
            .to_string();
        assert_eq!(whole, "source-000003: cannot be read");
        let warning = SourceWarning::new("study/Meier_1960/Hans1.png", "is odd");
        assert_eq!(
            alias.warning(&spec, warning).to_string(),
            "source-000003/000000.png: is odd"
        );
    }

    #[test]
    fn short_names_are_no_words_to_replace() {
        assert_eq!(
            hidden("a frame".to_owned(), Path::new("x/a"), Path::new("s")),
            "a frame"
        );
    }
}
