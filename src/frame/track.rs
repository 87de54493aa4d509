//! Identity of objects over the frames of a source, and whether they are seen.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether an object, or any object of a class, is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Seen.
    Visible,
    /// Seen a moment ago, or again with too little evidence so far: it is searched for.
    Relocalizing,
    /// Not seen for too long.
    Lost,
}

impl Visibility {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Visible, Self::Relocalizing, Self::Lost];

    /// The name in records: `visible`, `relocalizing`, `lost`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Relocalizing => "relocalizing",
            Self::Lost => "lost",
        }
    }
}

/// The track that an object of a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObjectTrack {
    /// Number of the object over all frames of its source, from 1.
    pub id: u64,
    /// Whether the object is seen.
    pub visibility: Visibility,
    /// The score behind `visibility`, in 0..1.
    pub visibility_score: f32,
}

/// A change of visibility at a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct VisibilityChange {
    /// The track; none where the state is that of a class: the best of its tracks.
    pub track_id: Option<u64>,
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    pub label: Arc<str>,
    /// The state before; none at the first appearance.
    pub from: Option<Visibility>,
    /// The state from this frame on.
    pub to: Visibility,
    /// The score behind the change, in 0..1.
    pub score: f32,
}
