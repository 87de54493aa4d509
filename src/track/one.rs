//! One object over time.

use super::{
    camera_motion::CameraMotion,
    filter::BoxFilter,
    observation::Observation,
    outline::{Outline, Shift},
    rect::Rect,
    visibility::Sight,
};
use crate::frame::Object;
use std::sync::Arc;

/// A class that objects of a track had, and the sum of their scores.
#[derive(Debug, Clone)]
struct Vote {
    class: u32,
    label: Arc<str>,
    score: f64,
}

/// An object that was found before.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// Number and visibility, once it is confirmed.
    pub(super) identity: Option<Identity>,
    /// Frames in which it was matched.
    pub(super) hits: u32,
    /// Seconds since its last match.
    pub(super) unseen: f64,
    /// Seconds from its last match to the frame before this one.
    pub(super) missing: f64,
    /// State at this frame; before the match, as predicted.
    filter: BoxFilter,
    /// The mask of the last match, and the box that it had then.
    outline: Option<(Outline, Rect)>,
    votes: Vec<Vote>,
}

/// What makes a track known outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) id: u64,
    pub(super) sight: Sight,
}

impl Track {
    pub(super) fn new(seen: Observation, object: &Object) -> Self {
        let mut track = Self {
            identity: None,
            hits: 1,
            unseen: 0.0,
            filter: BoxFilter::new(&seen.rect),
            missing: 0.0,
            outline: seen.outline.map(|outline| (outline, seen.rect)),
            votes: Vec::new(),
        };
        track.vote(object);
        track
    }

    fn vote(&mut self, object: &Object) {
        let score = f64::from(object.score);
        match self.votes.iter_mut().find(|v| v.class == object.class) {
            Some(vote) => vote.score += score,
            None => self.votes.push(Vote {
                class: object.class,
                label: object.label.clone(),
                score,
            }),
        }
    }

    /// Its class and the class's name: the one whose objects have the highest sum of scores, the first of equal ones.
    pub(super) fn class(&self) -> (u32, &Arc<str>) {
        let mut best = &self.votes[0];
        for vote in &self.votes[1..] {
            if vote.score > best.score {
                best = vote;
            }
        }
        (best.class, &best.label)
    }

    /// On to a frame `dt` seconds later.
    pub(super) fn predict(&mut self, dt: f64, motion: &CameraMotion) {
        if self.unseen > 0.0 {
            self.filter.hold_size();
        }
        self.filter.predict(dt);
        if *motion != CameraMotion::IDENTITY {
            self.filter.follow(motion);
        }
        self.missing = self.unseen;
        self.unseen += dt;
    }

    /// Where it is expected.
    pub(super) fn predicted(&self) -> Rect {
        self.filter.rect()
    }

    /// Squared distance of an object from the prediction, in standard deviations.
    pub(super) fn distance(&self, seen: &Observation) -> f64 {
        self.filter.distance(&seen.rect)
    }

    /// IoU of the mask that is expected and the one found, where both are there.
    pub(super) fn mask_iou(&self, predicted: &Rect, seen: &Observation) -> Option<f64> {
        let (ours, from) = self.outline.as_ref()?;
        let theirs = seen.outline.as_ref()?;
        Some(ours.shifted_iou(&Shift::between(from, predicted), theirs))
    }

    /// Takes an object as its own.
    pub(super) fn take(&mut self, seen: Observation, object: &Object) {
        self.filter.correct(&seen.rect);
        self.outline = seen.outline.map(|outline| (outline, seen.rect));
        self.hits += 1;
        self.unseen = 0.0;
        self.vote(object);
    }
}
