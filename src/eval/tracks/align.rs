//! Which sequence and frame of the predictions is which of the ground truth.

use super::set::{Frame, Object, TrackSet};
use crate::{
    eval::error::{EvalError, EvalErrorKind, some_of},
    run_files::{match_names, normalised},
    text::counted,
};
use std::collections::{BTreeMap, HashSet};

/// A sequence with all that is compared of it.
#[derive(Debug)]
pub(super) struct Paired<'a> {
    pub(super) name: &'a str,
    /// Frames, with those in which there is nothing.
    pub(super) length: u64,
    /// In order.
    pub(super) frames: Vec<PairedFrame<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PairedFrame<'a> {
    pub(super) truth: &'a [Object],
    pub(super) predictions: &'a [Object],
    /// The place of the sequence that the predictions are of: their tracks' numbers are different within it.
    pub(super) predicted_in: usize,
}

const COMMON: &str = "compare only the sequences, frames and classes that both have";

/// Pairs the frames of two files: by file name where both list their frames with file names that tell them apart, else by
/// sequence and number.
pub(super) fn pair<'a>(
    truth: &'a TrackSet,
    predictions: &'a TrackSet,
    common_only: bool,
) -> Result<Vec<Paired<'a>>, EvalError> {
    let by_names = by_names(truth, predictions);
    let complete = |found: &[Option<Place>]| found.iter().all(Option::is_some);
    match by_names {
        Some(found) if complete(&found) => of_places(truth, predictions, &found, common_only),
        found => match by_numbers(truth, predictions, common_only) {
            Ok(paired) => Ok(paired),
            Err(error) => match found {
                Some(found) if common_only && found.iter().any(Option::is_some) => {
                    of_places(truth, predictions, &found, common_only)
                }
                _ => Err(error),
            },
        },
    }
}

/// Sequence and frame by place.
type Place = (usize, usize);

fn places(set: &TrackSet) -> Vec<Place> {
    let frames = set.sequences.iter().enumerate();
    frames
        .flat_map(|(s, sequence)| (0..sequence.frames.len()).map(move |f| (s, f)))
        .collect()
}

fn names(set: &TrackSet) -> Option<Vec<String>> {
    let frames = set.sequences.iter().flat_map(|sequence| &sequence.frames);
    frames
        .map(|frame| frame.image.as_deref().map(normalised))
        .collect::<Option<Vec<String>>>()
        .filter(|names| names.iter().all(|name| !name.is_empty()))
        .filter(|names| names.iter().collect::<HashSet<_>>().len() == names.len())
}

/// For each frame of the predictions that of the ground truth; none if file names do not tell frames apart.
fn by_names(truth: &TrackSet, predictions: &TrackSet) -> Option<Vec<Option<Place>>> {
    if !truth.format.lists_frames() || !predictions.format.lists_frames() {
        return None;
    }
    let (known, own) = (names(truth)?, names(predictions)?);
    let places = places(truth);
    let found = match_names(&own, &known).into_iter();
    Some(
        found
            .map(|found| found.ok().and_then(|at| places.get(at).copied()))
            .collect(),
    )
}

fn of_places<'a>(
    truth: &'a TrackSet,
    predictions: &'a TrackSet,
    found: &[Option<Place>],
    common_only: bool,
) -> Result<Vec<Paired<'a>>, EvalError> {
    let mut of_truth: BTreeMap<Place, Place> = BTreeMap::new();
    for (own, place) in places(predictions).into_iter().zip(found) {
        if let Some(place) = place {
            of_truth.insert(*place, own);
        }
    }
    let mut paired = Vec::new();
    for (s, sequence) in truth.sequences.iter().enumerate() {
        let mut frames = Vec::new();
        for (f, frame) in sequence.frames.iter().enumerate() {
            let Some(&(ps, pf)) = of_truth.get(&(s, f)) else {
                if common_only {
                    continue;
                }
                return Err(missing(truth, predictions, &of_truth));
            };
            let predicted = &predictions.sequences[ps].frames[pf];
            check_size(frame, predicted, &sequence.name, predictions)?;
            frames.push(PairedFrame {
                truth: &frame.objects,
                predictions: &predicted.objects,
                predicted_in: ps,
            });
        }
        if !frames.is_empty() || !common_only {
            paired.push(Paired {
                name: &sequence.name,
                length: frames.len() as u64,
                frames,
            });
        }
    }
    Ok(paired)
}

fn missing(truth: &TrackSet, predictions: &TrackSet, found: &BTreeMap<Place, Place>) -> EvalError {
    let absent: Vec<String> = places(truth)
        .into_iter()
        .filter(|place| !found.contains_key(place))
        .map(|(s, f)| {
            let frame = &truth.sequences[s].frames[f];
            frame
                .image
                .clone()
                .unwrap_or_else(|| format!("frame {}", frame.number))
        })
        .collect();
    not_in_both(
        predictions,
        format!(
            "has no result for {} of the ground truth: {}",
            counted(absent.len(), "frame"),
            some_of(&absent)
        ),
    )
}

fn not_in_both(predictions: &TrackSet, problem: String) -> EvalError {
    EvalError::new(&predictions.path, problem)
        .with_kind(EvalErrorKind::NotInBoth)
        .with_remedy(COMMON)
}

fn check_size(
    truth: &Frame,
    predicted: &Frame,
    sequence: &str,
    predictions: &TrackSet,
) -> Result<(), EvalError> {
    let (Some([height, width]), Some([h, w])) = (truth.size, predicted.size) else {
        return Ok(());
    };
    if (h, w) == (height, width) {
        return Ok(());
    }
    let problem = format!(
        "sequence {sequence}, frame {} is {w}×{h}, and {width}×{height} in the ground truth",
        predicted.number
    );
    Err(EvalError::new(&predictions.path, problem)
        .with_remedy("run on the pictures that the ground truth was made for"))
}

/// For each sequence of the predictions that of the ground truth: the same name, else the same ending or stem; where both have
/// one sequence, that.
fn sequences(truth: &TrackSet, predictions: &TrackSet) -> Result<Vec<Option<usize>>, EvalError> {
    if truth.sequences.len() == 1 && predictions.sequences.len() == 1 {
        return Ok(vec![Some(0)]);
    }
    let names = |set: &TrackSet| -> Vec<String> {
        set.sequences.iter().map(|s| normalised(&s.name)).collect()
    };
    let (known, own) = (names(truth), names(predictions));
    for (set, names) in [(truth, &known), (predictions, &own)] {
        let mut seen = HashSet::new();
        let twice: Vec<&String> = names.iter().filter(|name| !seen.insert(*name)).collect();
        if !twice.is_empty() {
            let problem = format!(
                "cannot be matched: several of its sequences have the same name: {}",
                some_of(&twice)
            );
            return Err(EvalError::new(&set.path, problem));
        }
    }
    Ok(match_names(&own, &known)
        .into_iter()
        .map(Result::ok)
        .collect())
}

fn by_numbers<'a>(
    truth: &'a TrackSet,
    predictions: &'a TrackSet,
    common_only: bool,
) -> Result<Vec<Paired<'a>>, EvalError> {
    let found = sequences(truth, predictions)?;
    let name = |place: usize| predictions.sequences[place].name.clone();
    let unknown = found
        .iter()
        .enumerate()
        .filter(|(_, place)| place.is_none());
    let unknown: Vec<String> = unknown.map(|(own, _)| name(own)).collect();
    if !unknown.is_empty() && (!common_only || unknown.len() == found.len()) {
        let problem = format!(
            "{} not in the ground truth: {}",
            crate::text::counted_are(unknown.len(), "sequence"),
            some_of(&unknown)
        );
        return Err(not_in_both(predictions, problem));
    }
    let mut paired = Vec::new();
    for (place, sequence) in truth.sequences.iter().enumerate() {
        let Some(own) = found.iter().position(|found| *found == Some(place)) else {
            if common_only {
                continue;
            }
            let problem = format!("has no sequence {} of the ground truth", sequence.name);
            return Err(not_in_both(predictions, problem));
        };
        paired.push(frames_by_number(
            truth,
            predictions,
            [place, own],
            common_only,
        )?);
    }
    Ok(paired)
}

fn frames_by_number<'a>(
    truth: &'a TrackSet,
    predictions: &'a TrackSet,
    [place, own]: [usize; 2],
    common_only: bool,
) -> Result<Paired<'a>, EvalError> {
    let (sequence, predicted) = (&truth.sequences[place], &predictions.sequences[own]);
    let mut numbers: BTreeMap<u64, [Option<&Frame>; 2]> = BTreeMap::new();
    for (side, frames) in [&sequence.frames, &predicted.frames]
        .into_iter()
        .enumerate()
    {
        for frame in frames {
            numbers.entry(frame.number).or_default()[side] = Some(frame);
        }
    }
    let listed = [truth, predictions].map(|set| set.format.lists_frames());
    let outside = |number: u64, [object, prediction]: [Option<&Frame>; 2]| {
        let beyond = sequence.length.is_some_and(|length| number >= length);
        (prediction.is_some() && (beyond || (object.is_none() && listed[0])))
            || (prediction.is_none() && listed[1])
    };
    let differ: Vec<u64> = numbers
        .iter()
        .filter(|(number, sides)| outside(**number, **sides))
        .map(|(number, _)| *number)
        .collect();
    if !differ.is_empty() && (!common_only || differ.len() == numbers.len()) {
        let problem = format!(
            "sequence {}: {} in one of both files alone, counted from 0: {}",
            predicted.name,
            crate::text::counted_are(differ.len(), "frame"),
            some_of(&differ)
        );
        return Err(not_in_both(predictions, problem));
    }
    differ.iter().for_each(|number| {
        numbers.remove(number);
    });
    let mut frames = Vec::with_capacity(numbers.len());
    for [object, prediction] in numbers.values() {
        if let (Some(object), Some(prediction)) = (object, prediction) {
            check_size(object, prediction, &sequence.name, predictions)?;
        }
        frames.push(PairedFrame {
            truth: object.map_or(&[], |frame| &frame.objects),
            predictions: prediction.map_or(&[], |frame| &frame.objects),
            predicted_in: own,
        });
    }
    let last = numbers.keys().next_back().map_or(0, |last| last + 1);
    let length = match sequence.length {
        _ if listed.contains(&true) => frames.len() as u64,
        Some(length) => length,
        None => last,
    };
    Ok(Paired {
        name: &sequence.name,
        length,
        frames,
    })
}
