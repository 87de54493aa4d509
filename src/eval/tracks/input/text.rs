//! MOTChallenge and MOTS text.

use super::kept::{Frames, Side, check_corners, corners, mask};
use crate::{
    coco::{self, Rle, Segmentation},
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

/// Names of classes, one a line, the first that of class 1.
pub(super) const LABELS: &str = "labels.txt";

/// The class of MOTS text that is no object but a region.
const MOTS_IGNORED: i64 = 10;

/// Longest `seqinfo.ini` and list of names that is read, in bytes.
const MAX_SMALL: u64 = 1 << 20;

/// No frame has a higher number.
const MAX_FRAME: u64 = 1 << 40;

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
        let fields: Vec<&str> = if line.contains(',') {
            line.trim()
                .trim_end_matches(',')
                .split(',')
                .map(str::trim)
                .collect()
        } else {
            line.split_whitespace().collect()
        };
        if fields.is_empty() || fields == [""] {
            continue;
        }
        let format = *found
            .format
            .get_or_insert(if fields.len() == 6 && !line.contains(',') {
                Format::Mots
            } else {
                Format::Mot
            });
        let parsed = if format == Format::Mots {
            mots(&fields, side)
        } else {
            mot(&fields, side)
        };
        let (frame, object) = parsed.map_err(|problem| (number, problem))?;
        if object.role != Role::CrowdOfAll && !seen.insert((frame, object.track)) {
            let problem = format!("id {} is there twice in frame {}", object.track, frame + 1);
            return Err((number, problem));
        }
        found.frames.push(frame, object);
    }
    Ok(found)
}

fn number(fields: &[&str], at: usize, what: &str) -> Result<f64, String> {
    let Some(text) = fields.get(at) else {
        return Err(format!("has {} columns, and no {what}", fields.len()));
    };
    let value: f64 = text
        .parse()
        .map_err(|_| format!("{what} {text:?} is no number"))?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("{what} {text:?} is not finite"))
    }
}

/// A whole number, also as `3.0`.
fn whole(fields: &[&str], at: usize, what: &str) -> Result<i64, String> {
    let value = number(fields, at, what)?;
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Ok(value as i64)
    } else {
        Err(format!("{what} {value} is no whole number"))
    }
}

/// The frame, from 0.
fn frame(fields: &[&str]) -> Result<u64, String> {
    let frame = whole(fields, 0, "frame")?;
    match u64::try_from(frame - 1) {
        Ok(number) if number < MAX_FRAME => Ok(number),
        _ => Err(format!("frame {frame} is not one from 1 to {MAX_FRAME}")),
    }
}

fn track(fields: &[&str]) -> Result<i64, String> {
    let id = whole(fields, 1, "id")?;
    if id < 0 {
        return Err(format!(
            "id {id} is no track: they are numbered from 0 or 1"
        ));
    }
    Ok(id)
}

fn mot(fields: &[&str], side: Side) -> Result<(u64, Object), String> {
    let (frame, track) = (frame(fields)?, track(fields)?);
    let mut stated = [0.0; 4];
    for (at, what) in ["x", "y", "width", "height"].into_iter().enumerate() {
        stated[at] = number(fields, at + 2, what)?;
    }
    let corners = corners(stated);
    if stated[2] < 0.0 || stated[3] < 0.0 {
        return Err(format!("the box {stated:?} has a negative width or height"));
    }
    check_corners(corners)?;
    let mark = number(fields, 6, "mark or confidence")?;
    let class = if fields.len() > 7 {
        whole(fields, 7, "class")?
    } else {
        -1
    };
    Ok((
        frame,
        Object {
            track,
            class,
            corners,
            mask: None,
            score: (side == Side::Predictions && mark >= 0.0).then_some(mark),
            role: if side == Side::Truth && mark.trunc() == 0.0 {
                Role::Unmarked
            } else {
                Role::Object
            },
        },
    ))
}

fn mots(fields: &[&str], side: Side) -> Result<(u64, Object), String> {
    if fields.len() != 6 {
        return Err(format!(
            "has {} columns instead of 6, unlike the lines before it",
            fields.len()
        ));
    }
    let (frame, class) = (frame(fields)?, whole(fields, 2, "class")?);
    let is_region = side == Side::Truth && class == MOTS_IGNORED;
    let track = track(fields)?;
    let side_of = |at: usize, what: &str| {
        u32::try_from(whole(fields, at, what)?).map_err(|_| format!("{what} is negative or huge"))
    };
    let size = [side_of(3, "height")?, side_of(4, "width")?];
    let rle = Segmentation::Rle(Rle {
        size,
        counts: fields[5].into(),
    });
    let runs = mask(&rle, None)?.unwrap_or_default();
    Ok((
        frame,
        Object {
            track,
            class,
            corners: runs.bounds(),
            mask: Some(runs),
            score: None,
            role: if is_region {
                Role::CrowdOfAll
            } else {
                Role::Object
            },
        },
    ))
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
                Ok(length) if length <= MAX_FRAME => Ok(Some(length)),
                _ => Err(format!("seqLength {value:?} is no number of frames")),
            };
        }
    }
    Ok(None)
}
