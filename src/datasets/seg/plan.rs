//! What a segmentation object will hold: its segments, and the segment and source frame of each of its frames.

use super::{
    options::{SegGeometry, SegOptions, SegType},
    uid::uid,
};
use crate::{
    datasets::volume::{SegmentKey, SourceHeader, SourceMasks, overlaps, stack},
    dicom::Plane,
};
use std::collections::BTreeSet;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// Segment Number, from 1.
    pub number: u16,
    pub key: SegmentKey,
    /// Name of its class.
    pub label: String,
}

/// A frame of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlanFrame {
    /// Place of its segment among [`Plan::segments`]; none in a label map, whose frames hold all.
    pub segment: Option<usize>,
    /// Place of the source's frame among [`SourceMasks::frames`].
    pub frame: usize,
}

/// Where frames are, and by what they differ.
#[derive(Debug)]
pub(super) enum Geometry {
    /// By number alone, in the order of time.
    None,
    /// The source's own planes.
    Source {
        frame_of_reference: String,
        /// Distance of neighbouring planes in millimetres, where it is the same for all.
        slice_spacing: Option<f64>,
        /// Whether no thickness of slices is known, nor their distance.
        no_thickness: bool,
        /// Whether orientation, pixel spacing and thickness are the same for all.
        shared: bool,
        /// Number of each frame's place, from 1, in the order of the frames.
        places: Vec<u32>,
        /// Number of each frame among those of its place, from 1; none where each has its own place.
        times: Option<Vec<u32>>,
    },
    /// Made up: frames lie along z.
    Frames {
        frame_of_reference: String,
        spacing_mm: [f64; 2],
    },
}

/// What a segmentation object will hold.
#[derive(Debug)]
pub(super) struct Plan {
    pub segments: Vec<Segment>,
    pub frames: Vec<PlanFrame>,
    pub geometry: Geometry,
    /// Bits Allocated: 1, or 8 or 16 of a label map.
    pub bits: u16,
    /// Whether segments share pixels in what is written.
    pub overlap: bool,
    /// Whether objects share pixels that a label map can give to one alone.
    pub lost: bool,
}

impl Plan {
    /// The plan of a source with masks; none where it has more segments than numbers.
    pub(super) fn new(
        masks: &SourceMasks,
        header: &SourceHeader,
        options: &SegOptions,
    ) -> Option<Self> {
        let segments: Option<Vec<Segment>> = masks
            .labels
            .iter()
            .enumerate()
            .map(|(i, (key, label))| {
                Some(Segment {
                    number: u16::try_from(i + 1).ok()?,
                    key: *key,
                    label: label.to_string(),
                })
            })
            .collect();
        let segments = segments?;
        let shared_pixels = !overlaps(&masks.frames).is_empty();
        let label_map = options.seg_type == SegType::LabelMap;
        let geometry = geometry(masks, header, options);
        let all = !matches!(geometry, Geometry::None);
        Some(Self {
            frames: frames(masks, &segments, label_map, all),
            bits: match label_map {
                false => 1,
                true if segments.len() < 256 => 8,
                true => 16,
            },
            geometry,
            overlap: shared_pixels && !label_map,
            lost: shared_pixels && label_map,
            segments,
        })
    }
}

/// The frames of the first segment, those of the second, and so on; or of a label map. With `all`, frames of the source without
/// any mask are there too, as frames of the first segment: readers take the distance of slices from the slices that there are
/// (dcmqi), and a gap would stretch the volume.
fn frames(masks: &SourceMasks, segments: &[Segment], label_map: bool, all: bool) -> Vec<PlanFrame> {
    let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (at, frame) in masks.frames.iter().enumerate() {
        let found = frame.masks.iter().filter_map(|(key, _)| match label_map {
            true => Some((0, at)),
            false => {
                let segment = segments.binary_search_by_key(key, |segment| segment.key);
                Some((segment.ok()?, at))
            }
        });
        pairs.extend(found);
        if frame.masks.is_empty() && all {
            pairs.insert((0, at));
        }
    }
    pairs
        .into_iter()
        .map(|(segment, frame)| PlanFrame {
            segment: (!label_map).then_some(segment),
            frame,
        })
        .collect()
}

fn geometry(masks: &SourceMasks, header: &SourceHeader, options: &SegOptions) -> Geometry {
    let own = header.frame_of_reference.clone().zip(header.planes());
    if let Some((frame_of_reference, planes)) = own {
        return of_planes(frame_of_reference, &planes);
    }
    match options.geometry {
        SegGeometry::Source => Geometry::None,
        SegGeometry::Frames => Geometry::Frames {
            frame_of_reference: uid(&[b"frame of reference", header.identity().as_bytes()]),
            spacing_mm: masks.spacing_mm.unwrap_or([1.0; 2]),
        },
    }
}

fn of_planes(frame_of_reference: String, planes: &[&Plane]) -> Geometry {
    let mut distinct: Vec<&Plane> = Vec::new();
    let (mut places, mut times, mut seen) = (Vec::new(), Vec::new(), Vec::<u32>::new());
    let mut known = std::collections::HashMap::new();
    for plane in planes {
        let key: Vec<u64> = plane
            .position
            .iter()
            .chain(&plane.orientation)
            .map(|v| v.to_bits())
            .collect();
        let place = *known.entry(key).or_insert_with(|| {
            distinct.push(plane);
            seen.push(0);
            distinct.len() - 1
        });
        seen[place] += 1;
        places.push(place as u32 + 1);
        times.push(seen[place]);
    }
    let all = stack(&distinct);
    let length = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let stated = planes.first().and_then(|plane| plane.slice_spacing_mm);
    let step = all.and_then(|all| all.step).map(length);
    let one = planes.first().is_some_and(|first| {
        planes.iter().all(|p| {
            (p.orientation, p.spacing_mm, p.thickness_mm)
                == (first.orientation, first.spacing_mm, first.thickness_mm)
        })
    });
    let slice_spacing = if distinct.len() == 1 { stated } else { step };
    Geometry::Source {
        frame_of_reference,
        slice_spacing,
        no_thickness: slice_spacing.is_none() && planes.iter().any(|p| p.thickness_mm.is_none()),
        shared: one,
        places,
        times: (distinct.len() < planes.len()).then_some(times),
    }
}
