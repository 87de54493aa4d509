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
mod class;
mod clock;
mod crowd;
pub mod dicom;
mod error;
mod flicker;
mod furniture;
mod inclusion;
mod itinerary;
mod motion;
mod needle;
mod options;
mod plane;
mod probe;
mod render;
mod rng;
mod scatterers;
mod sequence;
mod sweep;
mod target;
mod tissue;
mod truth;

pub use class::{CLASS_NAMES, Class, TargetSet};
pub use error::PhantomError;
pub use motion::Motion;
pub use options::PhantomOptions;
pub use sequence::{Frames, GroundTruth, LEAST_VISIBILITY, Phantom, PhantomFrame};
