//! Which images of a file of boxes are which frames of a run.

use crate::{
    frame::{Frame, SourceKind},
    geometry::Size,
    run::boxes::prompts::{BoxPrompt, BoxPrompts, Image, KnownSource},
    run_files::{Unmatched, folders_differ, match_names, normalised},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

/// A source of a run before it is opened.
#[derive(Debug, Clone, Copy)]
pub struct SourceFrames<'a> {
    /// Kind of source.
    pub kind: SourceKind,
    /// The file, or the folder of a sequence or series.
    pub path: &'a Path,
    /// Name for outputs.
    pub name: &'a str,
    /// Its files in order.
    pub files: &'a [PathBuf],
}

/// The prompts of a run's frames. A frame is found
///
/// - by its own file, where it has one (still images, sequences, DICOM): the same path; else the one image left whose
///   path has the most trailing parts in common with it; else the same without the extension;
/// - else by its source and its number: sources are matched in the same way by their paths, then by their names, then
///   by the folders of decoded frames (`frames/<name>/000000.png`).
#[derive(Debug)]
pub struct FrameBoxes<'a> {
    boxes: &'a BoxPrompts,
    by_file: HashMap<String, usize>,
    /// Place of the file's source by the ordinal of the run's.
    sources: HashMap<usize, usize>,
    by_place: HashMap<(usize, u64), usize>,
    ambiguous: Vec<String>,
    doubtful: Vec<(String, String)>,
    example: Option<String>,
}

/// The boxes of a frame refer to a picture of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its boxes are of a picture of {expected}, and it is {found}")]
#[non_exhaustive]
pub struct OtherSize {
    /// The size that the file of boxes states.
    pub expected: Size,
    /// The frame's.
    pub found: Size,
}

impl BoxPrompts {
    /// Finds the frames of `sources`, in the order of the run, among the images of the file.
    pub fn for_sources<'s>(
        &self,
        sources: impl IntoIterator<Item = SourceFrames<'s>>,
    ) -> FrameBoxes<'_> {
        let sources: Vec<SourceFrames<'s>> = sources.into_iter().collect();
        let by_place = self
            .images
            .iter()
            .enumerate()
            .filter_map(|(at, image)| Some((image.place?, at)));
        let mut found = FrameBoxes {
            boxes: self,
            by_file: HashMap::new(),
            sources: HashMap::new(),
            by_place: by_place.collect(),
            ambiguous: Vec::new(),
            doubtful: Vec::new(),
            example: sources.first().map(example_of),
        };
        found.match_files(&sources);
        found.match_sources(&sources);
        found
    }
}

/// What the first frame of a source may be called.
fn example_of(source: &SourceFrames<'_>) -> String {
    match source.kind {
        SourceKind::Sequence => source
            .files
            .first()
            .map_or(source.path, PathBuf::as_path)
            .display()
            .to_string(),
        _ => source.path.display().to_string(),
    }
}

fn name_of(path: &Path) -> String {
    normalised(&path.to_string_lossy())
}

impl FrameBoxes<'_> {
    /// The prompts for a frame; none if the file does not know it. An empty list means that the file has no box in it.
    ///
    /// # Errors
    /// [`OtherSize`] if the boxes refer to a picture of another size than the frame's.
    pub fn of(&self, frame: &Frame) -> Result<Option<&[BoxPrompt]>, OtherSize> {
        let Some(image) = self
            .place_of(frame)
            .and_then(|at| self.boxes.images.get(at))
        else {
            return Ok(None);
        };
        match image.size {
            Some(expected) if expected != frame.size() => Err(OtherSize {
                expected,
                found: frame.size(),
            }),
            _ => Ok(Some(&image.prompts)),
        }
    }

    fn place_of(&self, frame: &Frame) -> Option<usize> {
        let alone = frame.index == 0
            && frame.source.frame_count == Some(1)
            && frame.source.kind != SourceKind::Video;
        let file = frame
            .file
            .as_deref()
            .or_else(|| alone.then_some(&*frame.source.path));
        let by_file = file.and_then(|file| self.by_file.get(&name_of(file)));
        by_file.copied().or_else(|| {
            self.by_place
                .get(&(*self.sources.get(&frame.source.ordinal)?, frame.index))
                .copied()
        })
    }

    /// Whether no frame can have boxes, as far as that is known before the sources are opened.
    pub fn match_nothing(&self) -> bool {
        self.by_file.is_empty() && self.sources.is_empty()
    }

    /// Why no frame has boxes, in words, with an example of what either side calls an image.
    pub fn mismatch(&self) -> String {
        let Some(known) = self.boxes.images.first() else {
            return "holds no image".to_owned();
        };
        let source = |(at, frame): (usize, u64)| {
            self.boxes
                .sources
                .get(at)
                .map(|source| format!("frame {frame} of {}", source.path))
        };
        let known = known
            .names
            .first()
            .cloned()
            .or_else(|| source(known.place?))
            .unwrap_or_default();
        let ours = self.example.as_deref().unwrap_or("none");
        let ambiguous = self
            .ambiguous
            .first()
            .map(|name| format!("; {name} could be several of its images"));
        format!(
            "holds boxes for none of the frames: it has {known}, the inputs have {ours}{}",
            ambiguous.unwrap_or_default()
        )
    }

    /// Names that could be several of the file's images; those have no boxes.
    pub fn ambiguous(&self) -> &[String] {
        &self.ambiguous
    }

    /// Matches by the file's name alone, where the folders on both sides differ: the run's name and the file's.
    pub fn doubtful(&self) -> &[(String, String)] {
        &self.doubtful
    }

    /// Matches frames that have files of their own.
    fn match_files(&mut self, sources: &[SourceFrames<'_>]) {
        let files = sources
            .iter()
            .filter(|source| source.kind != SourceKind::Video)
            .flat_map(|source| source.files);
        let mut seen = HashSet::new();
        let files: Vec<String> = files
            .map(|file| name_of(file))
            .filter(|name| seen.insert(name.clone()))
            .collect();
        let known = self
            .boxes
            .images
            .iter()
            .enumerate()
            .flat_map(|(at, image)| image.names.iter().map(move |name| (name.as_str(), at)));
        let (known, shared) = unique(known);
        for (name, place) in files.iter().zip(match_names(&files, &known.names)) {
            match place {
                // Several images of one name: pages of one file differ by their numbers, others cannot be distinguished.
                Ok(place) if shared.contains(&place) => {
                    if known
                        .images
                        .get(place)
                        .and_then(|at| self.boxes.images.get(*at))
                        .is_some_and(|image| image.place.is_none())
                    {
                        self.ambiguous.push(name.clone());
                    }
                }
                Ok(place) => {
                    self.note_doubt(name, &known.names[place]);
                    self.by_file.insert(name.clone(), known.images[place]);
                }
                Err(Unmatched::Ambiguous) => self.ambiguous.push(name.clone()),
                Err(Unmatched::Unknown) => {}
            }
        }
    }

    fn note_doubt(&mut self, name: &str, known: &str) {
        if folders_differ(name, known) {
            self.doubtful.push((name.to_owned(), known.to_owned()));
        }
    }

    /// Matches sources whose frames have no files: by path, by name, by the folder of decoded frames. Pages of a file are
    /// never frames of a video.
    fn match_sources(&mut self, sources: &[SourceFrames<'_>]) {
        let known = self.boxes.sources.clone();
        let mut open = Vec::new();
        for pages in [true, false] {
            let of_kind = |source: &SourceFrames<'_>| match source.kind {
                SourceKind::Image => pages && !self.by_file.contains_key(&name_of(source.path)),
                SourceKind::Video | SourceKind::Dicom => !pages,
                SourceKind::Sequence => false,
            };
            open = sources
                .iter()
                .enumerate()
                .filter(|(_, source)| of_kind(source))
                .collect();
            let left: Vec<(usize, &KnownSource)> = known
                .iter()
                .enumerate()
                .filter(|(_, known)| known.pages == pages)
                .collect();
            self.match_known(
                &mut open,
                &left,
                |source| name_of(source.path),
                |known| known.path.clone(),
            );
            self.match_known(
                &mut open,
                &left,
                |source| normalised(source.name),
                |known| known.name.clone(),
            );
        }
        let folders = self.folders_of_frames();
        let left: Vec<(usize, &KnownSource)> = (known.len()..).zip(&folders).collect();
        self.match_known(
            &mut open,
            &left,
            |source| normalised(source.name),
            |known| known.name.clone(),
        );
        if let ([(ordinal, _)], [only]) = (&open[..], &folders[..])
            && only.name.is_empty()
            && self.by_file.is_empty()
        {
            self.sources.insert(*ordinal, known.len());
        }
    }

    /// Takes from `open` the sources of the run that are among `known`, which come with their places.
    fn match_known(
        &mut self,
        open: &mut Vec<(usize, &SourceFrames<'_>)>,
        known: &[(usize, &KnownSource)],
        ours: impl Fn(&SourceFrames<'_>) -> String,
        theirs: impl Fn(&KnownSource) -> String,
    ) {
        let taken: HashSet<usize> = self.sources.values().copied().collect();
        let left = known.iter().filter(|(at, _)| !taken.contains(at));
        let named: Vec<(String, usize)> = left.map(|(at, source)| (theirs(source), *at)).collect();
        let (known, shared) = unique(named.iter().map(|(name, at)| (name.as_str(), *at)));
        let names: Vec<String> = open.iter().map(|(_, source)| ours(source)).collect();
        // The same file given twice is the same source twice.
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let places: HashMap<&String, Result<usize, Unmatched>> = distinct
            .iter()
            .zip(match_names(&distinct, &known.names))
            .collect();
        let mut rest = Vec::new();
        for (name, (ordinal, source)) in names.iter().zip(open.drain(..)) {
            match places.get(name) {
                Some(Ok(place)) if !shared.contains(place) => {
                    self.note_doubt(name, &known.names[*place]);
                    self.sources.insert(ordinal, known.images[*place]);
                }
                _ => rest.push((ordinal, source)),
            }
        }
        *open = rest;
    }

    /// Folders of frames as this program decodes them (`frames/<name>/000000.png`), whose numbers count from 0. A folder of
    /// another name counts where it has a frame 0, so that its numbers are known not to count from 1. They come after the
    /// file's own sources.
    fn folders_of_frames(&mut self) -> Vec<KnownSource> {
        let named = |image: &Image| {
            image
                .names
                .last()
                .filter(|_| image.place.is_none())
                .and_then(|name| numbered(name))
        };
        let of_files: HashSet<usize> = self.by_file.values().copied().collect();
        let left = self
            .boxes
            .images
            .iter()
            .enumerate()
            .filter(|(at, _)| !of_files.contains(at));
        let frames: Vec<(usize, (String, u64))> = left
            .filter_map(|(at, image)| Some((at, named(image)?)))
            .collect();
        let from_zero: HashSet<&str> = frames
            .iter()
            .filter(|(_, (_, number))| *number == 0)
            .map(|(_, (folder, _))| &**folder)
            .collect();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut folders = Vec::new();
        for (at, (folder, number)) in &frames {
            if folder.split('/').next() != Some("frames") && !from_zero.contains(&**folder) {
                continue;
            }
            let place = *places.entry(folder).or_insert_with(|| {
                folders.push(KnownSource {
                    path: folder.clone(),
                    name: folder.clone(),
                    pages: false,
                });
                self.boxes.sources.len() + folders.len() - 1
            });
            self.by_place.insert((place, *number), *at);
        }
        folders
    }
}

/// The folder and number of a decoded frame's file name.
fn numbered(name: &str) -> Option<(String, u64)> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let digits = file
        .split('.')
        .next()
        .filter(|digits| digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((folder.to_owned(), digits.parse().ok()?))
}

/// Names without repetition, and the image of each.
struct Unique {
    names: Vec<String>,
    images: Vec<usize>,
}

/// The names, each once, and the places of those that several images have.
fn unique<'n>(named: impl Iterator<Item = (&'n str, usize)>) -> (Unique, HashSet<usize>) {
    let (mut unique, mut shared) = (
        Unique {
            names: Vec::new(),
            images: Vec::new(),
        },
        HashSet::new(),
    );
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (name, image) in named {
        let place = *places.entry(name).or_insert_with(|| {
            unique.names.push(name.to_owned());
            unique.images.push(image);
            unique.names.len() - 1
        });
        if unique.images.get(place) != Some(&image) {
            shared.insert(place);
        }
    }
    (unique, shared)
}
