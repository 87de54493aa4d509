//! Seeded ultrasound-like sequences with exact ground truth.
//!
//! A sequence is a pure function of its [`PhantomOptions`]: point scatterers in layered tissue are summed with the phase of
//! their depth over a grid of beams, weakened by what lies above them, spread by a pulse whose width depends on depth, log
//! compressed, and brought to the screen. Everything is computed with IEEE basic operations and the portable `libm`, so the
//! bytes are the same on every machine. Nothing in it is an image of a person.
//!
//! Ground truth is what an observer could outline: of a bone the bright band of its cortex, of a cyst the lumen, of a vessel
//! the lumen with its wall, of a needle the shaft without its comet tail; each only as far as it shows, so what lies in
//! shadow, in a dropout, outside the sector or below the grey of the background is not part of it.

mod beam;
mod bone;
pub mod dicom;
mod furniture;
mod inclusion;
mod needle;
mod probe;
mod render;
mod rng;
mod scatterers;
mod target;
mod tissue;
mod truth;

use crate::{
    frame::{Image, Mask, Physical, UltrasoundRegion},
    geometry::{BoxXyxy, Size},
};
use beam::{Beam, Look};
use furniture::Furniture;
use probe::{Probe, View};
use rayon::prelude::*;
use rng::{Noise, Rng, Sway};
use scatterers::{Plane, Scatterers};
use std::collections::VecDeque;
use target::Target;
use tissue::Tissue;

/// Names of the classes, by class id.
pub const CLASS_NAMES: [&str; 4] = ["bone", "cyst", "vessel", "needle"];

/// What a target is; the discriminant is the class id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Visible cortex over an acoustic shadow.
    Bone = 0,
    /// Fluid without echoes, enhancement behind it.
    Cyst = 1,
    /// Pulsating lumen with a wall, cut across or along.
    Vessel = 2,
    /// Bright straight shaft with a comet tail.
    Needle = 3,
}

impl Class {
    /// Every class, by id.
    pub const ALL: [Self; 4] = [Self::Bone, Self::Cyst, Self::Vessel, Self::Needle];

    /// Its name in [`CLASS_NAMES`].
    pub const fn name(self) -> &'static str {
        CLASS_NAMES[self as usize]
    }
}

impl std::str::FromStr for Class {
    type Err = PhantomError;

    fn from_str(text: &str) -> Result<Self, PhantomError> {
        let found = Self::ALL.into_iter().find(|c| c.name() == text.trim());
        found.ok_or_else(|| PhantomError::Class(text.to_owned()))
    }
}

/// Which classes a sequence may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetSet(u8);

impl TargetSet {
    /// All four.
    pub const ALL: Self = Self(0b1111);
    /// None: tissue only.
    pub const NONE: Self = Self(0);

    /// The classes in it, by id.
    pub fn classes(self) -> impl Iterator<Item = Class> {
        Class::ALL
            .into_iter()
            .filter(move |&class| self.contains(class))
    }

    /// This set with `class`.
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | 1 << class as u8)
    }

    /// Whether `class` is in it.
    pub const fn contains(self, class: Class) -> bool {
        self.0 >> class as u8 & 1 == 1
    }
}

impl FromIterator<Class> for TargetSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        classes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomOptions {
    /// Decides everything that the other options leave open.
    pub seed: u64,
    /// Length of the sequence, at least 1. Targets leave and return at shares of it.
    pub frames: u32,
    /// Size of the screen, each side in 16..=4096.
    pub size: Size,
    /// Classes that may appear; a sequence draws 0 to 5 targets among them.
    pub targets: TargetSet,
    /// Frames a second, in 1..=1000.
    pub frame_rate: f64,
}

impl Default for PhantomOptions {
    /// 100 frames of 512×512 at 25 a second, every class, seed 0.
    fn default() -> Self {
        Self {
            seed: 0,
            frames: 100,
            size: Size::new(512, 512),
            targets: TargetSet::ALL,
            frame_rate: 25.0,
        }
    }
}

impl PhantomOptions {
    /// Whether a sequence can be made from them, before anything is drawn.
    ///
    /// # Errors
    /// If the size, the number of frames or the frame rate is out of the range that its field gives.
    pub fn check(&self) -> Result<(), PhantomError> {
        let sides = 16..=4096;
        if !sides.contains(&self.size.width) || !sides.contains(&self.size.height) {
            return Err(PhantomError::Size(self.size));
        }
        if self.frames == 0 {
            return Err(PhantomError::NoFrames);
        }
        if !(1.0..=1000.0).contains(&self.frame_rate) {
            return Err(PhantomError::FrameRate(self.frame_rate));
        }
        Ok(())
    }
}

/// Why a sequence cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A side is too small to show anything or too large to hold.
    #[error("phantom size {0}: each side must be 16 to 4096 pixels")]
    Size(Size),
    /// No frames asked for.
    #[error("phantom of 0 frames: ask for at least 1")]
    NoFrames,
    /// Frame rate not finite or out of range.
    #[error("phantom frame rate {0}: it must be 1 to 1000 frames a second")]
    FrameRate(f64),
    /// Not the name of a class.
    #[error("unknown phantom target {0:?}: the targets are bone, cyst, vessel, needle")]
    Class(String),
}

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
}

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

/// How the hand moves the probe.
struct Sweep {
    x: Sway,
    elevation: Sway,
    drift: f32,
    pressure: Sway,
}

impl Sweep {
    fn draw(rng: &mut Rng, depth: f32) -> Self {
        let reach = if rng.chance(0.6) {
            rng.range(0.3, 2.0)
        } else {
            depth * rng.range(0.05, 0.16)
        };
        let out_of_plane = rng.range(0.5, 9.0);
        Self {
            x: Sway::new(rng, reach, 0.11),
            elevation: Sway::new(rng, out_of_plane, 0.09),
            drift: rng.range(-2.0, 2.0),
            pressure: Sway::new(rng, 0.035, 0.13),
        }
    }

    fn plane(&self, seconds: f32) -> Plane {
        let elevation = self.elevation.at(seconds) + self.drift * seconds;
        Plane {
            x: self.x.at(seconds),
            elevation,
            stretch: 1.0 + self.pressure.at(seconds),
        }
    }
}

/// A sequence: everything drawn, no frame rendered yet.
pub struct Phantom {
    options: PhantomOptions,
    probe: Probe,
    look: Look,
    sweep: Sweep,
    tissue: Tissue,
    noise: Noise,
    scatterers: Scatterers,
    targets: Vec<Target>,
    furniture: Furniture,
    /// One, or two with the frame from which the second holds in `zoom_at`.
    views: Vec<(View, Beam)>,
    zoom_at: u32,
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
        let look = Look::draw(&mut stream(2), probe.depth);
        let tissue = Tissue::draw(&mut stream(3), probe.depth);
        let view = View::new(&probe, probe.depth, options.size);
        let targets = target::draw(&mut stream(4), &view, options.targets);
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
        let zoomed = zoom.chance(0.1);
        let factor = if zoom.chance(0.5) { 0.78 } else { 1.25 };
        if zoomed {
            let view = View::new(&probe, probe.depth * factor, options.size);
            let beam = beam_for(&view);
            views.push((view, beam));
        }
        Ok(Self {
            sweep: Sweep::draw(&mut stream(7), probe.depth),
            noise: Noise::new(&mut stream(8)),
            furniture: Furniture::draw(&mut stream(9), probe.layout, probe.depth),
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

    fn view_index(&self, index: u32) -> usize {
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
