//! `coco.json` of several sequences: theirs, one after the other, numbered on.

use crate::{
    sinks::{JsonFile, SinkError},
    tools::phantom::{
        PhantomPlan, SequencePaths, folder_name,
        truth::{Annotation, Image, Video, write_categories},
    },
};
use serde::Deserialize;
use serde_json::json;
use std::{fs, path::Path};

#[derive(Deserialize)]
struct Videos {
    videos: Vec<Video>,
}

#[derive(Deserialize)]
struct Images {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Annotations<'a> {
    #[serde(borrow)]
    annotations: Vec<Annotation<'a>>,
}

/// Writes the ground truth of all sequences of `plan`, in the order of their seeds: the images are numbered as in a run
/// over all clips, or all folders of frames, in that order. Read from the sequences' own files, one at a time.
pub(crate) fn write(plan: &PhantomPlan) -> Result<(), SinkError> {
    let mut file = JsonFile::create(&SequencePaths(&plan.output).truth())?;
    file.text("{\"info\":")?;
    file.value(&json!({
        "description": "Ground truth of ultramotion phantom sequences; synthetic, no patient",
        "version": env!("CARGO_PKG_VERSION"),
        "seed": plan.options.seed,
        "sequences": plan.sequences,
    }))?;
    file.text(",\"licenses\":[]")?;
    file.begin("videos")?;
    for number in 0..plan.sequences.get() {
        let (name, text) = sequence(plan, number)?;
        for video in parse::<Videos>(plan, number, &text)?.videos {
            file.item(&video.moved(number, &name))?;
        }
    }
    file.text("\n]")?;
    file.begin("images")?;
    for number in 0..plan.sequences.get() {
        let (name, text) = sequence(plan, number)?;
        for image in parse::<Images>(plan, number, &text)?.images {
            file.item(&image.moved(first_image(plan, number), number, &name))?;
        }
    }
    file.text("\n]")?;
    write_categories(&mut file)?;
    file.begin("annotations")?;
    let mut before = 0;
    for number in 0..plan.sequences.get() {
        let (_, text) = sequence(plan, number)?;
        let annotations = parse::<Annotations<'_>>(plan, number, &text)?.annotations;
        let count = annotations.len() as u64;
        for annotation in annotations {
            file.item(&annotation.moved(before, first_image(plan, number)))?;
        }
        before += count;
    }
    file.text("\n]}\n")?;
    file.commit()
}

/// Images of the sequences before `number`.
fn first_image(plan: &PhantomPlan, number: u64) -> u64 {
    number.saturating_mul(u64::from(plan.options.frames))
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
