//! MOTChallenge and MOTS text.

use super::kept::{Frames, Side, corners, mask};
use crate::{
    coco::{self, Rle, Segmentation},
    datasets::mot::{LABELS, MOTS_IGNORED, MotRow, MotsRow},
    eval::{
        error::EvalError,
        tracks::set::{Class, Format, Object, Role, Sequence, TrackSet},
    },
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Longest `seqinfo.ini` and list of names that is read, in bytes.
const MAX_SMALL: u64 = 1 << 20;

/// No sequence is longer.
const MAX_LENGTH: u64 = 1 << 40;

/// Reads `files`, each of a sequence, all of one form.
pub(super) fn read(path: &Path, files: &[PathBuf], side: Side) -> Result<TrackSet, EvalError> {
    let mut set = TrackSet {
        path: path.to_path_buf(),
        ..TrackSet::default()
    };
    let (mut format, mut names): (Option<Format>, Option<Vec<Class>>) = (None, None);
    for file in files {
        let bytes =
            coco::read(file).map_err(|e| EvalError::new(file, format!("cannot be read: {e}")))?;
        let lines = parse(&bytes, side).map_err(|e| wrong(file, e))?;
        if let Some(own) = lines.format {
            if format.is_some_and(|known| known != own) {
                let problem = "is MOT text beside MOTS text, or the other way round";
                return Err(EvalError::new(file, problem).with_remedy("give files of one form"));
            }
            format = Some(own);
        }
        let own = labels(file)?;
        if names.as_ref().is_some_and(|known| *known != own) {
            let problem = format!("has another {LABELS} beside it than the files before it");
            return Err(EvalError::new(file, problem).with_remedy("give all sequences the same"));
        }
        names = Some(own);
        set.untracked += lines.untracked;
        set.sequences.push(sequence(path, file, lines.frames)?);
    }
    let names = names.unwrap_or_default();
    set.format = match format {
        Some(Format::Mots) => Format::Mots,
        _ if names.is_empty() => Format::Mot,
        _ => Format::NamedMot,
    };
    set.default_names = set.format == Format::Mots && names.is_empty();
    set.classes = if set.default_names {
        mots_classes()
    } else {
        names
    };
    Ok(set)
}

fn wrong(file: &Path, (line, problem): (u64, String)) -> EvalError {
    EvalError::new(file, format!("line {line}: {problem}")).with_remedy(
        "give MOT text (frame, id, x, y, width, height, mark or confidence, class, visibility) or MOTS text (frame id class height width run-lengths)",
    )
}

fn mots_classes() -> Vec<Class> {
    let class = |(id, name): (i64, &str)| Class {
        id,
        name: name.to_owned(),
    };
    [(1, "car"), (2, "pedestrian")].map(class).to_vec()
}

/// The lines of a file.
#[derive(Debug, Default)]
pub(in crate::eval::tracks) struct Lines {
    /// None without a line.
    pub(in crate::eval::tracks) format: Option<Format>,
    frames: Frames,
    /// Rows of objects without a track, which are left out.
    untracked: u64,
}

impl Lines {
    /// As a sequence without a name.
    #[cfg(any(test, fuzzing))]
    pub(in crate::eval::tracks) fn into_sequence(self) -> Sequence {
        self.frames.into_sequence(String::new(), None)
    }
}

/// Reads text of either form. An error has the number of its line.
pub(in crate::eval::tracks) fn parse(bytes: &[u8], side: Side) -> Result<Lines, (u64, String)> {
    let text = std::str::from_utf8(coco::without_bom(bytes)).map_err(|e| {
        let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        (line, "is no UTF-8 text".to_owned())
    })?;
    let mut found = Lines::default();
    let mut seen = HashSet::new();
    for (line, number) in text.lines().zip(1u64..) {
        if line.trim().trim_matches(',').is_empty() {
            continue;
        }
        let format = *found.format.get_or_insert(match MotsRow::fits(line) {
            true => Format::Mots,
            false => Format::Mot,
        });
        let parsed = match format {
            Format::Mots => mots(line, side).map(Some),
            _ => mot(line, side),
        };
        let Some((frame, object)) = parsed.map_err(|problem| (number, problem))? else {
            found.untracked += 1;
            continue;
        };
        if object.role != Role::CrowdOfAll && !seen.insert((frame, object.track)) {
            let problem = format!("id {} is there twice in frame {}", object.track, frame + 1);
            return Err((number, problem));
        }
        found.frames.push(frame, object);
    }
    Ok(found)
}

/// The frame, from 0, and object of a row of MOT; none where it has no track.
fn mot(line: &str, side: Side) -> Result<Option<(u64, Object)>, String> {
    let row = MotRow::parse(line)?;
    let is_unmarked = side == Side::Truth && row.is_unmarked();
    Ok(row.track.map(|track| {
        let object = Object {
            track,
            class: row.class.unwrap_or(-1),
            corners: corners(row.bbox),
            mask: None,
            score: row.confidence().filter(|_| side == Side::Predictions),
            role: match is_unmarked {
                true => Role::Unmarked,
                false => Role::Object,
            },
        };
        (row.frame - 1, object)
    }))
}

/// The frame, from 0, and object of a row of MOTS.
fn mots(line: &str, side: Side) -> Result<(u64, Object), String> {
    let row = MotsRow::parse(line)?;
    let rle = Segmentation::Rle(Rle {
        size: [row.size.height, row.size.width],
        counts: row.counts.into(),
    });
    let runs = mask(&rle, None)?.unwrap_or_default();
    let object = Object {
        track: i64::try_from(row.id).map_err(|_| format!("id {} is huge", row.id))?,
        class: i64::from(row.class),
        corners: runs.bounds(),
        mask: Some(runs),
        score: None,
        role: match side == Side::Truth && row.class == MOTS_IGNORED {
            true => Role::CrowdOfAll,
            false => Role::Object,
        },
    };
    Ok((row.frame - 1, object))
}

/// The text of a small file; none if it is not there.
fn small(path: &Path) -> Result<Option<String>, EvalError> {
    let about = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(|e| EvalError::new(path, format!("cannot be read: {e}")))?,
    };
    if about.len() > MAX_SMALL {
        return Err(EvalError::new(
            path,
            format!("is longer than {MAX_SMALL} bytes"),
        ));
    }
    fs::read_to_string(path)
        .map(Some)
        .map_err(|e| EvalError::new(path, format!("cannot be read: {e}")))
}

/// The classes that are named beside a file.
fn labels(file: &Path) -> Result<Vec<Class>, EvalError> {
    let text = small(&file.with_file_name(LABELS))?.unwrap_or_default();
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    Ok((1i64..)
        .zip(names)
        .map(|(id, name)| Class {
            id,
            name: name.to_owned(),
        })
        .collect())
}

/// The sequence of a file: called as the file is, or as the folder is whose `gt/gt.txt` it is, with the folders between it and `root`.
fn sequence(root: &Path, file: &Path, frames: Frames) -> Result<Sequence, EvalError> {
    let called = |path: &Path| {
        let below = path.strip_prefix(root).ok();
        let below = below.filter(|below| !below.as_os_str().is_empty());
        let name = below.map(Path::as_os_str).or_else(|| path.file_name());
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let own = file.file_stem().is_some_and(|stem| stem == "gt")
        && folder.file_name().is_some_and(|name| name == "gt");
    if !own {
        let name = called(&file.with_extension(""));
        return Ok(frames.into_sequence(name.unwrap_or_default(), None));
    }
    let above = folder.parent().unwrap_or_else(|| Path::new("."));
    let name = called(above);
    let info = above.join("seqinfo.ini");
    let length = match small(&info)? {
        Some(text) => seq_length(&text).map_err(|problem| EvalError::new(&info, problem))?,
        None => None,
    };
    let sequence = frames.into_sequence(name.unwrap_or_default(), length);
    let last = sequence.frames.last().map_or(0, |frame| frame.number + 1);
    match length {
        Some(length) if last > length => {
            let problem = format!("has frame {last}, beyond the {length} of seqinfo.ini");
            Err(EvalError::new(file, problem).with_remedy("put the number right"))
        }
        _ => Ok(sequence),
    }
}

/// `seqLength` of a `seqinfo.ini`.
fn seq_length(text: &str) -> Result<Option<u64>, String> {
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("seqLength")
        {
            let value = value.trim();
            return match value.parse::<u64>() {
                Ok(length) if length <= MAX_LENGTH => Ok(Some(length)),
                _ => Err(format!("seqLength {value:?} is no number of frames")),
            };
        }
    }
    Ok(None)
}
