//! A sequence: its frames with their ground truth.

use super::{
    beam::{Beam, Look},
    class::Class,
    clock::Clock,
    crowd,
    error::PhantomError,
    flicker::Flicker,
    furniture::Furniture,
    motion::Motion,
    options::PhantomOptions,
    probe::{Probe, View},
    rng::{Noise, Rng},
    scatterers::Scatterers,
    sweep::Sweep,
    target::{self, Target},
    tissue::Tissue,
};
use crate::{
    frame::{Image, Mask, Physical, UltrasoundRegion},
    geometry::BoxXyxy,
};
use rayon::prelude::*;
use std::collections::VecDeque;

/// One target as it shows in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundTruth {
    /// What it is.
    pub class: Class,
    /// The class's name.
    pub label: &'static str,
    /// Number of the target in its sequence, from 1; the same when it returns.
    pub track_id: u32,
    /// Visible pixels.
    pub mask: Mask,
    /// The tight box around the mask.
    pub bbox: BoxXyxy,
    /// Share of the target's length (bone, needle) or cross-section (cyst, vessel) that is visible, 0..1.
    pub visible_fraction: f32,
    /// [`Self::visible_fraction`] times the share of the target that is in plane, 0..1: for a cyst or vessel the radius of its cut against
    /// its largest, less where the slice holds tissue, too. Of sequences that are not calm, targets below
    /// [`LEAST_VISIBILITY`] are not part of the truth.
    pub visibility: f32,
}

/// A target of less [`GroundTruth::visibility`] has no annotation in a frame, save in [`Motion::Calm`].
pub const LEAST_VISIBILITY: f32 = 0.2;

/// A frame with its ground truth.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomFrame {
    /// Number of the frame, from 0.
    pub index: u32,
    /// The screen, grey.
    pub image: Image,
    /// Visible targets, by track.
    pub objects: Vec<GroundTruth>,
    /// Class id + 1 of the uppermost target at each pixel, 0 elsewhere: grey, of the image's size.
    pub label_map: Image,
}

/// A sequence: everything drawn, no frame rendered yet.
pub struct Phantom {
    pub(super) options: PhantomOptions,
    pub(super) probe: Probe,
    pub(super) look: Look,
    pub(super) sweep: Sweep,
    pub(super) tissue: Tissue,
    pub(super) noise: Noise,
    pub(super) scatterers: Scatterers,
    pub(super) targets: Vec<Target>,
    pub(super) furniture: Furniture,
    pub(super) clock: Clock,
    pub(super) flicker: Option<Flicker>,
    /// One, or two with the frame from which the second holds in `zoom_at`.
    pub(super) views: Vec<(View, Beam)>,
    pub(super) zoom_at: u32,
}

impl Phantom {
    /// Draws the sequence of `options`.
    ///
    /// # Errors
    /// If the size, the number of frames or the frame rate is out of the range that [`PhantomOptions`] gives.
    pub fn new(options: PhantomOptions) -> Result<Self, PhantomError> {
        options.check()?;
        let stream = |n: u64| Rng::new(options.seed, n);
        let probe = Probe::draw(&mut stream(1), options.size);
        let hard = options.motion == Motion::Hard;
        let mut look = Look::draw(&mut stream(2), probe.depth);
        if hard {
            look = look.with_dropouts();
        }
        let tissue = Tissue::draw(&mut stream(3), probe.depth);
        let view = View::new(&probe, probe.depth, options.size);
        let targets = if hard {
            crowd::draw(&mut stream(4), &view, options.targets)
        } else {
            target::draw(&mut stream(4), &view, options.targets, options.motion)
        };
        let scatterers = Scatterers::new(&mut stream(5), &view, probe.frequency);
        let mut zoom = stream(6);
        let beam_for = |view: &View| {
            Beam::new(
                &look,
                &probe,
                view,
                tissue.mean_attenuation(),
                scatterers.density(),
            )
        };
        let first = beam_for(&view);
        let mut views = vec![(view, first)];
        let (zooms, closer, wider) = match options.motion {
            Motion::Calm => (0.1, 0.78, 1.25),
            _ => (0.35, 0.9, 1.12),
        };
        let zoomed = zoom.chance(zooms);
        let factor = if zoom.chance(0.5) { closer } else { wider };
        let half = views[0].0.half_width(probe.depth * 0.4);
        if zoomed {
            let view = View::new(&probe, probe.depth * factor, options.size);
            let beam = beam_for(&view);
            views.push((view, beam));
        }
        Ok(Self {
            sweep: Sweep::draw(&mut stream(7), options.motion, probe.depth, half),
            noise: Noise::new(&mut stream(8)),
            furniture: Furniture::draw(&mut stream(9), probe.layout, probe.depth),
            clock: if hard {
                Clock::with_losses(&mut stream(11))
            } else {
                Clock::steady()
            },
            flicker: hard.then(|| Flicker::draw(&mut stream(12))),
            zoom_at: (options.frames as f32 * zoom.range(0.3, 0.7)) as u32,
            options,
            probe,
            look,
            tissue,
            scatterers,
            targets,
            views,
        })
    }

    /// What the sequence was made from.
    pub fn options(&self) -> &PhantomOptions {
        &self.options
    }

    /// When frame `index` is taken, from the first frame: where frames are lost, later than its number says.
    pub fn seconds(&self, index: u32) -> f64 {
        self.clock.tick(index) as f64 / self.options.frame_rate
    }

    /// Whether frames follow each other evenly.
    pub fn is_steady(&self) -> bool {
        self.clock.is_steady()
    }

    /// Number of targets in the sequence; track ids run from 1 to it.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Every frame in order, a few rendered ahead on the threads of rayon's pool.
    pub fn frames(&self) -> Frames<'_> {
        Frames {
            phantom: self,
            next: 0,
            ready: VecDeque::new(),
        }
    }

    /// Scale and region of frame `index`, as a DICOM header would state them: some sequences change depth on the way.
    pub fn physical(&self, index: u32) -> Physical {
        let view = &self.views[self.view_index(index)].0;
        let mm = f64::from(view.mm_per_px);
        let region = view.bounds().map(|bounds| UltrasoundRegion {
            bounds,
            spatial_format: 1,
            data_type: 1,
            physical_delta: Some([mm / 10.0; 2]),
            physical_units: Some([3, 3]),
        });
        Physical {
            pixel_spacing_mm: Some([mm; 2]),
            ultrasound_regions: region.into_iter().collect(),
            pixel_aspect: None,
            sop_instance_uid: None,
        }
    }

    pub(super) fn view_index(&self, index: u32) -> usize {
        usize::from(self.views.len() > 1 && index >= self.zoom_at)
    }
}

/// The frames of a [`Phantom`] in order.
pub struct Frames<'a> {
    phantom: &'a Phantom,
    next: u32,
    ready: VecDeque<PhantomFrame>,
}

impl Iterator for Frames<'_> {
    type Item = PhantomFrame;

    fn next(&mut self) -> Option<PhantomFrame> {
        if self.ready.is_empty() {
            // Frames ahead are held in memory: bounded by threads and, for large screens, by pixels.
            let room = (1 << 26) / self.phantom.options.size.pixels().max(1);
            let ahead = (rayon::current_num_threads() as u64).clamp(1, room.clamp(1, 32)) as u32;
            let end = self
                .next
                .saturating_add(ahead)
                .min(self.phantom.options.frames);
            let range: Vec<u32> = (self.next..end).collect();
            self.ready = range
                .par_iter()
                .filter_map(|&i| self.phantom.frame(i))
                .collect::<Vec<_>>()
                .into();
            self.next = end;
        }
        self.ready.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.phantom.options.frames - self.next) as usize + self.ready.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Frames<'_> {}
