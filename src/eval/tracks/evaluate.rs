//! From two files to the figures.

use super::{
    align::{self, Paired},
    clear::Clear,
    figures::{ClassFigures, SequenceFigures, TrackCount, TrackEvaluation, TrackFigures},
    hota::Hota,
    identity::Identity,
    input,
    options::{TrackIou, TrackOptions, TrackRules},
    prepare::{Judged, LAST_MOT_CLASS, PEDESTRIAN},
    set::{Format, Object, Role, TrackSet},
};
use crate::eval::error::{EvalError, EvalErrorKind, some_of};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Compares the tracks of `predictions` with those of `ground_truth`, as trackeval does.
///
/// Either is one of
/// - a COCO file with `track_id` at each annotation (or in its `attributes`), with sequences in `videos`, `video_id` and `frame_id`
///   of the images where there are several; crowds (`iscrowd`) need no track;
/// - the folder of a run, or its record `detections.jsonl`;
/// - MOTChallenge text: `frame, id, x, y, width, height, confidence or mark, class, visibility`, frames from 1; a file, a folder of
///   `SEQUENCE.txt`, or a folder of `SEQUENCE/gt/gt.txt`, where `SEQUENCE/seqinfo.ini` states the number of frames, and a `labels.txt`
///   beside the text, if it is there, the names of classes;
/// - MOTS text: `frame id class height width run-lengths`, in the same places; class 10 is a region that is not judged;
/// - any other data set that has tracks, such as CVAT's XML for video.
///
/// Frames are paired by file name where both files list them with names that tell them apart, else by sequence (by name; a single one
/// with a single one) and number. Classes are paired by name, else by id.
///
/// # Errors
/// [`EvalError`] if a file cannot be read or holds something else, if a track appears twice in a frame, if one has sequences, frames or
/// classes that the other does not have, or if masks are requested and not all objects have one.
pub fn evaluate_tracks(
    ground_truth: &Path,
    predictions: &Path,
    options: &TrackOptions,
) -> Result<TrackEvaluation, EvalError> {
    let truth = input::read(ground_truth, input::Side::Truth)?;
    let predicted = input::read(predictions, input::Side::Predictions)?;
    compare(&truth, &predicted, options)
}

pub(super) fn compare(
    truth: &TrackSet,
    predictions: &TrackSet,
    options: &TrackOptions,
) -> Result<TrackEvaluation, EvalError> {
    let rules = rules_of(truth, predictions, options)?;
    let iou = iou_of(truth, predictions, options)?;
    let paired = align::pair(truth, predictions, options.common_only)?;
    let mut per_class = Vec::new();
    for class in classes(truth, predictions, rules, options)? {
        let judged = Judged {
            rules,
            iou,
            class: class.id,
            predicted: class.predicted.as_ref(),
            confidence: options.confidence,
        };
        let found = of_class(&class, &judged, &paired, predictions, options)?;
        if !found.figures.count.is_empty() {
            per_class.push(found);
        }
    }
    let all = || per_class.iter().map(|class| &class.figures);
    Ok(TrackEvaluation {
        sequences: paired.len(),
        frames: paired.iter().map(|sequence| sequence.length).sum(),
        iou,
        iou_threshold: options.iou_threshold,
        rules,
        predictions_without_track: predictions.untracked,
        class_averaged: (!per_class.is_empty()).then(|| TrackFigures::averaged(all())),
        detection_averaged: TrackFigures::combined(all()),
        per_class,
    })
}

fn of_class(
    class: &JudgedClass,
    judged: &Judged<'_>,
    paired: &[Paired<'_>],
    predictions: &TrackSet,
    options: &TrackOptions,
) -> Result<ClassFigures, EvalError> {
    let mut sequences = Vec::with_capacity(paired.len());
    for sequence in paired {
        let steps = judged.steps(sequence).map_err(|(kind, problem)| {
            let place = format!("sequence {}: {problem}", sequence.name);
            EvalError::new(&predictions.path, place).with_kind(kind)
        })?;
        let ([objects, predicted], [tracks, predicted_tracks]) = (steps.objects(), steps.tracks);
        sequences.push(SequenceFigures {
            sequence: sequence.name.to_owned(),
            figures: TrackFigures {
                hota: Hota::measure(&steps),
                clear: Clear::measure(&steps, options.iou_threshold),
                identity: Identity::measure(&steps, options.iou_threshold),
                count: TrackCount {
                    objects,
                    tracks: tracks as u64,
                    predictions: predicted,
                    predicted_tracks: predicted_tracks as u64,
                },
            },
        });
    }
    Ok(ClassFigures {
        category_id: class.id,
        category: class.name.clone(),
        figures: TrackFigures::combined(sequences.iter().map(|s| &s.figures)),
        sequences,
    })
}

fn objects(set: &TrackSet) -> impl Iterator<Item = &Object> {
    let frames = set.sequences.iter().flat_map(|sequence| &sequence.frames);
    frames.flat_map(|frame| &frame.objects)
}

fn rules_of(
    truth: &TrackSet,
    predictions: &TrackSet,
    options: &TrackOptions,
) -> Result<TrackRules, EvalError> {
    let is_mot = matches!(truth.format, Format::Mot | Format::NamedMot);
    // Text without a line is of any form.
    let is_empty = objects(truth).next().is_none();
    let rules = options.rules.unwrap_or_else(|| match truth.format {
        Format::Mot if is_empty && predictions.format == Format::Mots => TrackRules::Classes,
        Format::Mot if !is_empty && objects(truth).all(|object| object.class == -1) => {
            TrackRules::Mot15
        }
        Format::Mot if truth.sequences.iter().all(|s| s.name.starts_with("MOT20")) => {
            TrackRules::Mot20
        }
        Format::Mot => TrackRules::Mot17,
        _ => TrackRules::Classes,
    });
    if rules == TrackRules::Classes {
        return Ok(rules);
    }
    if !is_mot {
        let problem = format!("is no MOTChallenge text, to which the rules of {rules} apply");
        return Err(EvalError::new(&truth.path, problem)
            .with_kind(EvalErrorKind::OtherRules)
            .with_remedy("give ground truth in that form, or choose the rules of classes"));
    }
    let unknown: BTreeSet<i64> = objects(truth)
        .map(|object| object.class)
        .filter(|class| !(1..=LAST_MOT_CLASS).contains(class))
        .collect();
    if rules != TrackRules::Mot15 && !unknown.is_empty() {
        let unknown: Vec<i64> = unknown.into_iter().collect();
        let problem = format!(
            "has classes that the rules of {rules} do not know, beyond 1 to {LAST_MOT_CLASS}: {}",
            some_of(&unknown)
        );
        return Err(EvalError::new(&truth.path, problem)
            .with_kind(EvalErrorKind::OtherRules)
            .with_remedy(
                "put their names into a labels.txt beside it, one a line, or choose the rules of classes",
            ));
    }
    Ok(rules)
}

fn iou_of(
    truth: &TrackSet,
    predictions: &TrackSet,
    options: &TrackOptions,
) -> Result<TrackIou, EvalError> {
    let lacking = |set: &&TrackSet| objects(set).any(|object| object.mask.is_none());
    let without = [truth, predictions].into_iter().find(lacking);
    let any = objects(truth).chain(objects(predictions)).next().is_some();
    match (options.iou, without) {
        (Some(TrackIou::Masks), Some(set)) => {
            Err(EvalError::new(&set.path, "has objects without a mask")
                .with_kind(EvalErrorKind::MasksMissing)
                .with_remedy("evaluate boxes"))
        }
        (Some(iou), _) => Ok(iou),
        (None, None) if any => Ok(TrackIou::Masks),
        (None, _) => Ok(TrackIou::Boxes),
    }
}

/// A class of the ground truth.
struct JudgedClass {
    id: i64,
    name: String,
    /// The classes of the predictions that are it; none for all.
    predicted: Option<BTreeSet<i64>>,
}

fn classes(
    truth: &TrackSet,
    predictions: &TrackSet,
    rules: TrackRules,
    options: &TrackOptions,
) -> Result<Vec<JudgedClass>, EvalError> {
    match rules {
        TrackRules::Classes => named_classes(truth, predictions, options),
        TrackRules::Mot15 => Ok(vec![JudgedClass {
            id: -1,
            name: "object".to_owned(),
            predicted: None,
        }]),
        TrackRules::Mot17 | TrackRules::Mot20 => Ok(vec![JudgedClass {
            id: PEDESTRIAN,
            name: "pedestrian".to_owned(),
            predicted: pedestrians(predictions)?,
        }]),
    }
}

/// The classes of the predictions that are pedestrians; none for all, where the file says nothing of classes.
fn pedestrians(predictions: &TrackSet) -> Result<Option<BTreeSet<i64>>, EvalError> {
    if predictions.format == Format::Mot {
        let other: BTreeSet<i64> = objects(predictions)
            .map(|object| object.class)
            .filter(|class| *class > PEDESTRIAN)
            .collect();
        let other: Vec<i64> = other.into_iter().collect();
        if other.is_empty() {
            return Ok(None);
        }
        let problem = format!("has classes other than pedestrian (1): {}", some_of(&other));
        return Err(EvalError::new(&predictions.path, problem)
            .with_kind(EvalErrorKind::OtherRules)
            .with_remedy("leave them out, or choose the rules of classes: those of MOTChallenge judge pedestrians alone"));
    }
    let is_one = |name: &str| ["pedestrian", "person"].contains(&name.to_lowercase().as_str());
    let found: BTreeSet<i64> = predictions
        .classes
        .iter()
        .filter(|class| is_one(&class.name))
        .map(|class| class.id)
        .collect();
    if !found.is_empty() || objects(predictions).next().is_none() {
        return Ok(Some(found));
    }
    let names: Vec<&str> = predictions.classes.iter().map(|c| &*c.name).collect();
    let problem = format!(
        "has no class called pedestrian or person, but: {}",
        some_of(&names)
    );
    Err(EvalError::new(&predictions.path, problem)
        .with_kind(EvalErrorKind::OtherRules)
        .with_remedy("choose the rules of mot15, for which every object counts"))
}

fn named_classes(
    truth: &TrackSet,
    predictions: &TrackSet,
    options: &TrackOptions,
) -> Result<Vec<JudgedClass>, EvalError> {
    let known = known_classes(truth);
    // Text without a line says nothing of classes.
    let known = if known.is_empty() && truth.format == Format::Mot {
        known_classes(predictions)
    } else {
        known
    };
    let mut found: Vec<JudgedClass> = known
        .into_iter()
        .map(|(id, name)| JudgedClass {
            id,
            name: name.unwrap_or_else(|| format!("class {id}")),
            predicted: Some(BTreeSet::new()),
        })
        .collect();
    let named = |set: &TrackSet| !set.classes.is_empty();
    // Text beside text has the same numbers, whether or not a list names them.
    let numbered = [truth, predictions].iter().any(|set| set.default_names)
        && !truth.format.lists_frames()
        && !predictions.format.lists_frames();
    let by_name = named(truth) && named(predictions) && !numbered;
    let mut unknown = Vec::new();
    for (id, name) in known_classes(predictions) {
        let same = |class: &&mut JudgedClass| match &name {
            Some(name) if by_name => class.name == *name,
            _ => class.id == id,
        };
        let only = found.len() == 1;
        let place = match found.iter_mut().find(same) {
            // Text without classes: there is but one that can be meant.
            None if id == -1 && name.is_none() && only => found.first_mut(),
            place => place,
        };
        match place.and_then(|class| class.predicted.as_mut()) {
            Some(classes) => {
                classes.insert(id);
            }
            None if objects(predictions).any(|object| object.class == id) => {
                unknown.push(name.unwrap_or_else(|| format!("class {id}")));
            }
            None => {}
        }
    }
    if !unknown.is_empty() && !options.common_only {
        let problem = format!(
            "has objects of classes that the ground truth does not have: {}",
            some_of(&unknown)
        );
        return Err(EvalError::new(&predictions.path, problem)
            .with_kind(EvalErrorKind::NotInBoth)
            .with_remedy("compare only the sequences, frames and classes that both have"));
    }
    Ok(found)
}

/// The classes of a file by id: those that it names, and those that its objects have.
fn known_classes(set: &TrackSet) -> BTreeMap<i64, Option<String>> {
    let mut found: BTreeMap<i64, Option<String>> = set
        .classes
        .iter()
        .map(|class| (class.id, Some(class.name.clone())))
        .collect();
    for object in objects(set).filter(|object| object.role != Role::CrowdOfAll) {
        found.entry(object.class).or_default();
    }
    found
}
