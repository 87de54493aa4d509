//! `coco.json` of several sequences: theirs, one after the other, numbered on.

use crate::{
    coco::{Annotation, Image, Info, Section, Video},
    phantom::Motion,
    sinks::{CocoFile, SinkError},
    tools::phantom::{
        paths::{SequencePaths, folder_name},
        plan::PhantomPlan,
        truth::write_categories,
    },
};
use serde::Deserialize;
use std::{borrow::Cow, fs, path::Path};

#[derive(Deserialize)]
struct Videos<'a> {
    #[serde(borrow)]
    videos: Vec<Video<'a>>,
}

#[derive(Deserialize)]
struct Images<'a> {
    #[serde(borrow)]
    images: Vec<Image<'a>>,
}

#[derive(Deserialize)]
struct Annotations<'a> {
    #[serde(borrow)]
    annotations: Vec<Annotation<'a, f32>>,
}

/// Writes the ground truth of all sequences of `plan`, in the order of their seeds: the images are numbered as in a run
/// over all clips, or all folders of frames, in that order. Read from the sequences' own files, one at a time.
pub(crate) fn write(plan: &PhantomPlan) -> Result<(), SinkError> {
    let motion = plan.options.motion;
    let info = Info {
        seed: Some(plan.options.seed),
        sequences: Some(plan.sequences.get()),
        motion: (motion != Motion::Calm).then(|| motion.name()),
        ..Info::new("Ground truth of ultramotion phantom sequences; synthetic, no patient")
    };
    let mut file = CocoFile::dataset(&SequencePaths(&plan.output).truth(), &info)?;
    file.begin(Section::Videos)?;
    for number in 0..plan.sequences.get() {
        let (name, text) = sequence(plan, number)?;
        for mut video in parse::<Videos<'_>>(plan, number, &text)?.videos {
            video.id += place(number);
            video.name = below(&name, video.name);
            video.file_name = below(&name, video.file_name);
            file.item(&video)?;
        }
    }
    file.end()?;
    file.begin(Section::Images)?;
    for number in 0..plan.sequences.get() {
        let (name, text) = sequence(plan, number)?;
        for mut image in parse::<Images<'_>>(plan, number, &text)?.images {
            image.id += first_image(plan, number);
            image.video_id = image.video_id.map(|id| id + place(number));
            image.file_name = below(&name, image.file_name);
            file.item(&image)?;
        }
    }
    file.end()?;
    write_categories(&mut file)?;
    file.begin(Section::Annotations)?;
    let mut before = 0;
    for number in 0..plan.sequences.get() {
        let (_, text) = sequence(plan, number)?;
        let annotations = parse::<Annotations<'_>>(plan, number, &text)?.annotations;
        let count = annotations.len() as i64;
        for mut annotation in annotations {
            annotation.id = annotation.id.map(|id| id + before);
            annotation.image_id += first_image(plan, number);
            file.item(&annotation)?;
        }
        before += count;
    }
    file.end()?;
    file.commit_dataset()
}

/// A name below the folder of its sequence.
fn below<'a>(folder: &str, name: Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    name.map(|name| Cow::Owned(format!("{folder}/{name}")))
}

/// The number of a sequence, as ids count.
fn place(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Images of the sequences before `number`.
fn first_image(plan: &PhantomPlan, number: u64) -> i64 {
    place(number).saturating_mul(i64::from(plan.options.frames))
}

/// Name of a sequence's folder, and its ground truth.
fn sequence(plan: &PhantomPlan, number: u64) -> Result<(String, String), SinkError> {
    let path = SequencePaths(&plan.folder(number)).truth();
    let text = fs::read_to_string(&path)
        .map_err(|e| SinkError::io(&path, "read the ground truth again", &e))?;
    Ok((folder_name(plan.options.seed + number), text))
}

fn parse<'a, T: Deserialize<'a>>(
    plan: &PhantomPlan,
    number: u64,
    text: &'a str,
) -> Result<T, SinkError> {
    let path = SequencePaths(&plan.folder(number)).truth();
    serde_json::from_str(text).map_err(|e| broken(&path, &e))
}

fn broken(path: &Path, error: &serde_json::Error) -> SinkError {
    SinkError::new(path, format!("is not as it was written: {error}"))
        .with_remedy("let no other program change the folder meanwhile")
}
