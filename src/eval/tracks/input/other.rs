//! Data sets of other programs that have tracks.

use super::kept::{Frames, Side, no_tracks};
use crate::{
    coco::Segmentation,
    datasets::{self, Annotation, DatasetKind, Item, Outline},
    eval::{
        error::EvalError,
        tracks::{
            set::{Class, Format, Frame, Object, Role, TrackSet},
            shape::Runs,
        },
    },
};
use std::{collections::BTreeMap, path::Path};

/// Reads a data set of a kind that is known.
pub(super) fn read(path: &Path, side: Side) -> Result<TrackSet, EvalError> {
    let Some(kind) = DatasetKind::of(path) else {
        return Err(EvalError::new(path, "is of no form that is known").with_remedy(
            "give COCO with track_id, the record of a run, MOT or MOTS text, or CVAT's XML for video",
        ));
    };
    let dataset = datasets::read(path, Some(kind), &mut Vec::new()).map_err(|e| {
        let error = EvalError::new(&e.path, e.problem.clone());
        match &e.remedy {
            Some(remedy) => error.with_remedy(remedy.clone()),
            None => error,
        }
    })?;
    let mut set = TrackSet {
        path: path.to_path_buf(),
        format: Format::Listed,
        classes: (1i64..)
            .zip(&dataset.classes)
            .map(|(id, name)| Class {
                id,
                name: name.to_string(),
            })
            .collect(),
        ..TrackSet::default()
    };
    let mut sequences: BTreeMap<String, (Frames, u64)> = BTreeMap::new();
    let mut tracked = false;
    for item in &dataset.items {
        let name = item
            .place
            .as_ref()
            .map_or_else(|| "images".to_owned(), |place| place.source.to_string());
        let (frames, next) = sequences.entry(name.clone()).or_default();
        let number = item.place.as_ref().map_or(*next, |place| place.frame);
        *next += 1;
        let mut objects = Vec::with_capacity(item.annotations.len());
        for annotation in &item.annotations {
            match annotation.track_id {
                Some(track) => objects.push(object(item, annotation, track).map_err(|e| {
                    EvalError::new(path, format!("sequence {name}, frame {number}: {e}"))
                })?),
                None => set.untracked += 1,
            }
        }
        tracked |= !objects.is_empty();
        let frame = Frame {
            number,
            image: Some(item.file_name.clone()),
            size: Some([item.size.height, item.size.width]),
            objects,
        };
        frames
            .add(frame)
            .map_err(|e| EvalError::new(path, format!("sequence {name}: {e}")))?;
    }
    if set.untracked > 0 && (side == Side::Truth || !tracked) {
        return Err(no_tracks(path));
    }
    let all = sequences.into_iter();
    set.sequences = all
        .map(|(name, (frames, _))| frames.into_sequence(name, None))
        .collect();
    Ok(set)
}

fn object(item: &Item, annotation: &Annotation, track: u64) -> Result<Object, String> {
    let size = [item.size.height, item.size.width];
    let mask = match &annotation.outline {
        Some(Outline::Mask(mask)) => Some(Runs::new(
            [mask.size().height, mask.size().width],
            mask.counts(),
        )),
        Some(Outline::Polygons(lines)) => {
            let flat = lines.iter().map(|line| line.concat()).collect();
            super::kept::mask(&Segmentation::Polygons(flat), Some(size))?
        }
        None => None,
    };
    let corners = annotation.bbox;
    Ok(Object {
        track: i64::try_from(track).map_err(|_| format!("track {track} is too large"))?,
        class: i64::from(annotation.class) + 1,
        corners: [corners.x0, corners.y0, corners.x1, corners.y1].map(f64::from),
        mask,
        score: annotation.score.map(f64::from),
        role: Role::Object,
    })
}
