//! Several detections of one object in one frame.

use super::observation::Observation;
use crate::frame::Object;

/// Removes duplicates from the objects of a frame: of two of a class that overlap by more than `iou` (0 to 1; of masks where
/// both have one, as well as of boxes), the one with the lower score, or the later one of equal scores.
pub fn merge_duplicates(objects: &mut Vec<Object>, iou: f64) {
    let seen: Vec<Observation> = objects.iter().map(|o| Observation::of(o, true)).collect();
    let mut kept = kept(&seen, iou, false).into_iter();
    objects.retain(|_| kept.next().unwrap_or(true));
}

/// For each object whether it is kept: the best-scored of those of a class (of any, `across_classes`) that overlap by
/// more than `iou`. Of equal scores the earlier object is the better one.
pub(super) fn kept(objects: &[Observation], iou: f64, across_classes: bool) -> Vec<bool> {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by(|&a, &b| objects[b].score.total_cmp(&objects[a].score));
    let mut kept = vec![false; objects.len()];
    let mut best: Vec<usize> = Vec::with_capacity(objects.len());
    for place in order {
        let object = &objects[place];
        let duplicate = best.iter().any(|&better| {
            let better = &objects[better];
            (across_classes || better.class == object.class) && better.iou(object) > iou
        });
        if !duplicate {
            best.push(place);
            kept[place] = true;
        }
    }
    kept
}
