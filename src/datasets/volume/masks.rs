//! The masks of a source, by segment and frame.

use crate::{
    datasets::{Annotation, Item},
    frame::{Mask, SourceKind},
    geometry::Size,
    text::counted,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What makes one segment: the objects of a class, or one tracked object of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::datasets) struct SegmentKey {
    /// Class, from 0.
    pub class: u32,
    /// Number of the tracked object.
    pub track: Option<u64>,
}

impl SegmentKey {
    /// The segment's name: its class, with the number of a tracked object.
    pub(in crate::datasets) fn name(self, label: &str) -> String {
        match self.track {
            Some(track) => format!("{label} {track}"),
            None => label.to_owned(),
        }
    }
}

/// A frame with its masks.
#[derive(Debug)]
pub(in crate::datasets) struct FrameMasks {
    /// Number in the source, from 0.
    pub frame: u64,
    /// The frame's own file as it was given.
    pub file: Option<String>,
    /// Presentation time.
    pub timestamp: Option<Duration>,
    /// Masks that are not empty, best score first.
    pub masks: Vec<(SegmentKey, Mask)>,
}

/// The frames of a source with their masks.
#[derive(Debug)]
pub(in crate::datasets) struct SourceMasks {
    /// Name of the source.
    pub name: Arc<str>,
    /// Name of its first picture.
    pub first_name: String,
    /// Kind of source.
    pub kind: SourceKind,
    /// Path of the source's file or folder as it was given; none of a still picture.
    pub path: Option<Arc<str>>,
    /// Width and height of all frames.
    pub size: Size,
    /// Row and column spacing in millimetres, where all frames agree.
    pub spacing_mm: Option<[f64; 2]>,
    /// Labels of the segments that have a mask in any frame.
    pub labels: BTreeMap<SegmentKey, Arc<str>>,
    /// All frames, those without masks too.
    pub frames: Vec<FrameMasks>,
    /// The first frame whose size is not that of those before it, which has no masks here.
    pub other_size: Option<(u64, Size)>,
    /// Objects that have a box alone.
    pub without_mask: usize,
}

impl SourceMasks {
    fn new(item: &Item) -> Self {
        let place = item.place.as_ref();
        Self {
            name: source_name(item),
            first_name: item.file_name.clone(),
            kind: place.map_or(SourceKind::Image, |p| p.kind),
            path: place.map(|p| Arc::clone(&p.path)),
            size: item.size,
            spacing_mm: spacing(item),
            labels: BTreeMap::new(),
            frames: Vec::new(),
            other_size: None,
            without_mask: 0,
        }
    }

    /// Why there is nothing to write of it, if so.
    pub(in crate::datasets) fn unusable(&self) -> Option<String> {
        if let Some((frame, size)) = self.other_size {
            let before = self.size;
            return Some(format!(
                "frame {frame} has {size} pixels, those before it {before}: one file holds one size"
            ));
        }
        self.labels.is_empty().then(|| match self.without_mask {
            0 => "nothing was found in it".to_owned(),
            boxes => format!("its {} have boxes and no masks", counted(boxes, "object")),
        })
    }

    fn add(&mut self, item: &Item) {
        let place = item.place.as_ref();
        let frame = place.map_or(0, |p| p.frame);
        if spacing(item) != self.spacing_mm {
            self.spacing_mm = None;
        }
        let mut masks = Vec::new();
        if item.size == self.size {
            for annotation in &item.annotations {
                match mask_of(annotation, item.size) {
                    Some(mask) => self.keep(annotation, mask, &mut masks),
                    None => self.without_mask += 1,
                }
            }
        } else if self.other_size.is_none() {
            self.other_size = Some((frame, item.size));
        }
        self.frames.push(FrameMasks {
            frame,
            file: place.and_then(|p| p.file.clone()),
            timestamp: place.and_then(|p| p.timestamp),
            masks,
        });
    }

    fn keep(&mut self, of: &Annotation, mask: Mask, masks: &mut Vec<(SegmentKey, Mask)>) {
        if mask.area() == 0 || mask.size() != self.size {
            self.without_mask += 1;
            return;
        }
        let key = SegmentKey {
            class: of.class,
            track: of.track_id,
        };
        self.labels
            .entry(key)
            .or_insert_with(|| Arc::clone(&of.label));
        masks.push((key, mask));
    }
}

fn source_name(item: &Item) -> Arc<str> {
    match &item.place {
        Some(place) => Arc::clone(&place.source),
        None => {
            let name = item.file_name.as_str();
            let folder = name.rfind('/').map_or(0, |slash| slash + 1);
            let stem = name[folder..].rfind('.').filter(|dot| *dot > 0);
            stem.map_or(name, |dot| &name[..folder + dot]).into()
        }
    }
}

fn spacing(item: &Item) -> Option<[f64; 2]> {
    item.physical.as_ref()?.pixel_spacing_mm
}

fn mask_of(annotation: &Annotation, size: Size) -> Option<Mask> {
    let outline = annotation.outline.as_ref()?;
    outline.to_mask(size).map(|mask| mask.into_owned())
}

/// Gathers items, which come one source after the other, by source.
#[derive(Debug, Default)]
pub(in crate::datasets) struct Collector(Option<SourceMasks>);

impl Collector {
    /// Adds an item; returns the source before, if the item is the first of another.
    pub(in crate::datasets) fn add(&mut self, item: &Item) -> Option<SourceMasks> {
        let name = source_name(item);
        let same = item.place.is_some()
            && self
                .0
                .as_ref()
                .is_some_and(|source| source.path.is_some() && source.name == name);
        let before = if same { None } else { self.0.take() };
        self.0
            .get_or_insert_with(|| SourceMasks::new(item))
            .add(item);
        before
    }

    /// The last source.
    pub(in crate::datasets) fn take(&mut self) -> Option<SourceMasks> {
        self.0.take()
    }
}
