//! How fast tracked objects move.

use crate::{
    datasets::item::{Annotation, Item},
    measure::Measurements,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The speed of an object, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Speed {
    /// Pixels a second.
    pub(super) px_s: Option<f64>,
    /// Millimetres a second.
    pub(super) mm_s: Option<f64>,
}

/// Where a track was.
struct Last {
    time: Duration,
    centroid_px: [f64; 2],
    /// Centroid and size of a pixel in millimetres.
    mm: Option<([f64; 2], [f64; 2])>,
}

/// The tracks of the present source.
#[derive(Default)]
pub(super) struct Speeds {
    source: Option<Arc<str>>,
    tracks: BTreeMap<u64, Last>,
}

impl Speeds {
    /// The speed from where the track of `object` was before to where it is now, along the straight line: the distance of the
    /// centroids by the time between the two pictures.
    pub(super) fn next(&mut self, item: &Item, object: &Annotation, sizes: &Measurements) -> Speed {
        let source = item.place.as_ref().map(|place| &place.source);
        if self.source.as_ref() != source {
            self.source = source.cloned();
            self.tracks.clear();
        }
        let time = item.place.as_ref().and_then(|place| place.timestamp);
        let (Some(id), Some(time), Some(centroid_px)) = (object.track_id, time, sizes.centroid_px)
        else {
            return Speed::default();
        };
        let now = Last {
            time,
            centroid_px,
            mm: sizes.mm.as_ref().map(|mm| (mm.centroid_mm, mm.spacing_mm)),
        };
        let speed = self.tracks.get(&id).map(|last| now.speed_from(last));
        self.tracks.insert(id, now);
        speed.unwrap_or_default()
    }
}

impl Last {
    fn speed_from(&self, before: &Self) -> Speed {
        let seconds = self.time.saturating_sub(before.time).as_secs_f64();
        if seconds <= 0.0 {
            return Speed::default();
        }
        let speed = |a: [f64; 2], b: [f64; 2]| (b[0] - a[0]).hypot(b[1] - a[1]) / seconds;
        let mm = before.mm.zip(self.mm).filter(|((_, a), (_, b))| a == b);
        Speed {
            px_s: Some(speed(before.centroid_px, self.centroid_px)),
            mm_s: mm.map(|((a, _), (b, _))| speed(a, b)),
        }
    }
}
