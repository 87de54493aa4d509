//! A change of visibility in a line of `detections.jsonl`.

use crate::frame::{Visibility, VisibilityChange};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// A change of visibility of a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeLine<'a> {
    /// The track; absent where the state is that of a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    #[serde(borrow)]
    pub label: Cow<'a, str>,
    /// The state before; null at the first appearance.
    pub from: Option<Visibility>,
    /// The state from this frame on.
    pub to: Visibility,
    /// The score behind the change, in 0..1.
    pub score: f32,
}

impl<'a> ChangeLine<'a> {
    /// The line of a change; none if its score is not finite, which JSON cannot hold.
    pub(crate) fn new(change: &'a VisibilityChange) -> Option<Self> {
        change.score.is_finite().then(|| Self {
            track_id: change.track_id,
            class: change.class,
            label: Cow::Borrowed(&change.label),
            from: change.from,
            to: change.to,
            score: change.score,
        })
    }

    pub(crate) fn to_change(&self) -> VisibilityChange {
        VisibilityChange {
            track_id: self.track_id,
            class: self.class,
            label: Arc::from(&*self.label),
            from: self.from,
            to: self.to,
            score: self.score,
        }
    }
}
