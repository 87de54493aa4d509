//! MOTS as other programs write it.

use super::{
    files::{Form, SequenceFile, find},
    found::{Found, Reading},
    row::{INSTANCES, MOTS_IGNORED, MotsRow},
};
use crate::{
    coco::Rle,
    datasets::{
        item::{Annotation, Outline},
        masks::Budget,
        names::{files_below, stem},
        reader::{Dataset, DatasetError},
    },
    frame::Mask,
    geometry::Size,
};
use image::{DynamicImage, ImageReader, Limits};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Bytes that a picture may take.
const MAX_PICTURE: u64 = 1 << 29;

/// Runs of the numbers of one picture, by number.
type Runs = BTreeMap<u16, Vec<(u64, u64)>>;

/// Reads masks of MOTS: a file of text, or a folder with `gt/gt.txt` of sequences or, where there is none, with files of
/// results or, where there are none, with pictures of 16 bits below `instances`. Regions to be ignored (class 10 without a
/// list of names) are counted in `warnings`. Pictures are numbered from 1, or from 0 where one has that number.
///
/// Size, length and name of a sequence are those of its `seqinfo.ini`, or of its masks. Classes are those of `gt/labels.txt` or
/// `instances/labels.txt` in their order; without them, the names of MOTS.
///
/// # Errors
/// [`DatasetError`] if a file cannot be read, or a row or picture is broken.
pub fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Dataset, DatasetError> {
    let files = find(path, Some(Form::Masks))?;
    let mut reading = Reading::new();
    for file in &files {
        let found = sequence(&mut reading, file)?;
        reading.add(found);
    }
    if files.is_empty() && !pictures(&mut reading, path)? {
        return Err(DatasetError::new(path, "the folder has no files of MOTS")
            .with_remedy("name the folder that holds NAME/gt/gt.txt, NAME.txt, or instances"));
    }
    Ok(reading.finish(path, warnings))
}

fn sequence(reading: &mut Reading, file: &SequenceFile) -> Result<Found, DatasetError> {
    let mut found = reading.begin_file(file, Form::Masks)?;
    Reading::rows(file, |line| {
        let row = MotsRow::parse(line)?;
        let rle = Rle {
            size: [row.size.height, row.size.width],
            counts: Cow::Borrowed(row.counts),
        };
        let mask = rle
            .to_mask()
            .ok_or("the run lengths do not fill their size")?;
        object(
            reading,
            &mut found,
            row.frame - 1,
            row.class,
            row.track(),
            mask,
        )
    })?;
    Ok(found)
}

/// Adds an object of a frame, from 0.
fn object(
    reading: &mut Reading,
    found: &mut Found,
    frame: u64,
    class: u32,
    track: u64,
    mask: Mask,
) -> Result<(), String> {
    let size = *found.size.get_or_insert(mask.size());
    if mask.size() != size {
        let own = mask.size();
        return Err(format!("a mask of {own}, where the sequence is {size}"));
    }
    let Some(bbox) = mask.bounds() else {
        reading.ignored.add("mask without pixels");
        return Ok(());
    };
    if class == MOTS_IGNORED && found.classes.is_empty() {
        reading.ignored.add("region to be ignored");
        return Ok(());
    }
    let label = reading.labels.of(&found.class_name(Some(class)));
    found.frames.entry(frame).or_default().push(Annotation {
        class: 0,
        label,
        bbox,
        outline: Some(Outline::Mask(mask)),
        score: None,
        mask_score: None,
        track_id: Some(track),
        visibility: None,
        visibility_score: None,
    });
    Ok(())
}

/// Reads the sequences of pictures below `path`; whether there are any.
fn pictures(reading: &mut Reading, path: &Path) -> Result<bool, DatasetError> {
    const FOLDER: &str = "instances/";
    let mut sequences: BTreeMap<(String, String), Vec<(u64, PathBuf)>> = BTreeMap::new();
    for (below, file) in files_below(path, "png")? {
        let at = match below.starts_with(FOLDER) {
            true => Some(0),
            false => below.find(&format!("/{FOLDER}")).map(|at| at + 1),
        };
        let Some(at) = at else { continue };
        let (folder, name) = (&below[..at], &below[at + FOLDER.len()..]);
        let (inner, name) = name.rsplit_once('/').unwrap_or(("", name));
        match stem(name).parse::<u64>() {
            Ok(number) => sequences
                .entry((folder.to_owned(), inner.to_owned()))
                .or_default()
                .push((number, file)),
            Err(_) => reading.ignored.add("picture whose name is no number"),
        }
    }
    let any = !sequences.is_empty();
    let mut budget = Budget::default();
    for ((folder, inner), files) in sequences {
        let root = path.join(&folder);
        let labels = root.join("instances").join("labels.txt");
        let name = format!("{folder}{inner}");
        let name = match name.trim_end_matches('/') {
            "" => "sequence",
            name => name,
        };
        let mut found = reading.begin(name, Some(&root), Some(&labels), Form::Masks)?;
        let first = u64::from(files.iter().all(|(number, _)| *number > 0));
        for (number, file) in files {
            let frame = number - first;
            found.frames.entry(frame).or_default();
            picture(reading, &mut found, frame, &file, &mut budget)
                .map_err(|problem| DatasetError::new(&file, problem))?;
        }
        reading.add(found);
    }
    Ok(any)
}

fn picture(
    reading: &mut Reading,
    found: &mut Found,
    frame: u64,
    file: &Path,
    budget: &mut Budget,
) -> Result<(), String> {
    let (size, runs) = runs_of(file)?;
    found.size.get_or_insert(size);
    for (value, runs) in runs {
        let (class, track) = (u64::from(value) / INSTANCES, u64::from(value) % INSTANCES);
        if class == 0 {
            reading.ignored.add("number of a picture below 1000");
            continue;
        }
        let mask = budget.mask(size, runs)?;
        object(reading, found, frame, class as u32, track, mask)?;
    }
    Ok(())
}

/// The size of a picture, and where its numbers are in row-major order, background left out.
fn runs_of(file: &Path) -> Result<(Size, Runs), String> {
    let opened = ImageReader::open(file).and_then(ImageReader::with_guessed_format);
    let mut reader = opened.map_err(|e| format!("cannot read the picture: {e}"))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PICTURE);
    reader.limits(limits);
    let picture = reader
        .decode()
        .map_err(|e| format!("cannot read the picture: {e}"))?;
    let size = Size::new(picture.width(), picture.height());
    let values: Vec<u16> = match picture {
        DynamicImage::ImageLuma16(grey) => grey.into_raw(),
        DynamicImage::ImageLuma8(grey) => grey.into_raw().into_iter().map(u16::from).collect(),
        _ => return Err("the picture is no grey one of 16 bits".to_owned()),
    };
    let mut runs = Runs::new();
    let mut at = 0u64;
    for run in values.chunk_by(|a, b| a == b) {
        let end = at + run.len() as u64;
        if run[0] != 0 {
            runs.entry(run[0]).or_default().push((at, end));
        }
        at = end;
    }
    Ok((size, runs))
}
