//! Segments in layers: those that share pixels are in layers of their own.

use crate::datasets::volume::{SegmentKey, SourceMasks, overlaps};
use std::collections::BTreeSet;

/// A segment of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Segment {
    pub key: SegmentKey,
    pub label: String,
    /// The layer, from 0.
    pub layer: usize,
    /// The value of its voxels in its layer, from 1.
    pub value: u16,
    /// First and last column, row and frame with one of its pixels.
    pub extent: [u32; 6],
}

/// The segments of a source in the order of their keys, in as few layers as the first that fits gives; none where there are
/// more than a label map has values.
pub(super) fn segments(masks: &SourceMasks) -> Option<Vec<Segment>> {
    let shared = overlaps(&masks.frames);
    let mut layers: Vec<Vec<SegmentKey>> = Vec::new();
    let mut found = Vec::new();
    for (key, label) in &masks.labels {
        let apart = |layer: &Vec<SegmentKey>| {
            !layer
                .iter()
                .any(|other| shared.contains(&(*key.min(other), *key.max(other))))
        };
        let layer = layers.iter().position(apart).unwrap_or(layers.len());
        if layer == layers.len() {
            layers.push(Vec::new());
        }
        layers[layer].push(*key);
        found.push(Segment {
            key: *key,
            label: label.to_string(),
            layer,
            value: u16::try_from(layers[layer].len()).ok()?,
            extent: [u32::MAX, 0, u32::MAX, 0, u32::MAX, 0],
        });
    }
    extents(&mut found, masks);
    Some(found)
}

/// One layer of all segments, for what has no layers.
pub(super) fn flattened(segments: &[Segment]) -> Option<Vec<Segment>> {
    let flat = segments.iter().enumerate().map(|(n, segment)| {
        Some(Segment {
            key: segment.key,
            label: segment.label.clone(),
            layer: 0,
            value: u16::try_from(n + 1).ok()?,
            extent: segment.extent,
        })
    });
    flat.collect()
}

/// Number of layers.
pub(super) fn count(segments: &[Segment]) -> usize {
    let layers: BTreeSet<usize> = segments.iter().map(|segment| segment.layer).collect();
    layers.len()
}

/// Bytes of a voxel: 2 where a value needs them.
pub(super) fn bytes(segments: &[Segment]) -> usize {
    match segments.iter().any(|segment| segment.value > 255) {
        true => 2,
        false => 1,
    }
}

fn extents(segments: &mut [Segment], masks: &SourceMasks) {
    for (k, frame) in masks.frames.iter().enumerate() {
        for (key, mask) in &frame.masks {
            let segment = segments.binary_search_by_key(key, |segment| segment.key);
            let (Ok(segment), Some(bounds)) = (segment, mask.bounds()) else {
                continue;
            };
            let [i0, i1, j0, j1, k0, k1] = &mut segments[segment].extent;
            (*i0, *i1) = ((*i0).min(bounds.x0 as u32), (*i1).max(bounds.x1 as u32 - 1));
            (*j0, *j1) = ((*j0).min(bounds.y0 as u32), (*j1).max(bounds.y1 as u32 - 1));
            (*k0, *k1) = ((*k0).min(k as u32), (*k1).max(k as u32));
        }
    }
}
