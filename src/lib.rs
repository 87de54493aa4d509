//! Finds and outlines things in moving images, ultrasound first: D-FINE detects, MobileSAM segments, on Candle.
//!
//! ```no_run
//! use ultramotion::Session;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut session = Session::builder().detector("dfine-s").segmenter("mobile-sam").confidence(0.4).build()?;
//! for object in &session.run(&image::open("a.png")?)? {
//!     println!("{} {:.2} {:?}", object.label, object.score, object.bbox);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Session`] takes pixels in memory and gives what is found in them: one image, a batch, the frames of a source, or
//! frames one by one as they come. [`Run`] takes a session over files and writes files. Both read through
//! [`sources::Source`] and [`Run`] writes through [`sinks::Sink`], which others can implement.
//!
//! | module | what it holds |
//! |---|---|
//! | [`session`] | models on their device: builder, executors, batches, order |
//! | [`run`] | files in, files out: decoding, inference and writing side by side, journal and resume |
//! | [`sources`], [`sinks`] | where frames come from, where results go |
//! | [`datasets`] | data sets of other programs: written from a run, read back, converted |
//! | [`frame`], [`geometry`], [`coco`] | frames, masks, detections; boxes and sizes; the COCO formats |
//! | [`live`], [`igtl`] | a stream in, results out while they are current; messages of OpenIGTLink |
//! | `http` (feature `http`) | a page that shows a live loop; predictions for annotation tools |
//! | [`measure`] | sizes of objects in pixels and millimetres |
//! | [`track`] | identity of objects over frames, and whether they are seen |
//! | [`models`], [`ops`], [`weights`] | the networks, the operations they consist of, checkpoints and the hub |
//! | [`engine`] | devices, streams, memory, captured graphs, every move between host and device |
//! | [`progress`] | observers of the events of long work, and the request to end it |
//! | [`audit`] | what the GPU's driver recorded, held against what the engine announced |
//! | [`eval`], [`matching`], [`phantom`], [`tools`] | metrics, assignment, synthetic ultrasound, benchmarks and checks |

pub mod audit;
mod av;
pub mod coco;
pub mod datasets;
pub mod dicom;
pub mod engine;
pub mod eval;
pub mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod geometry;
#[cfg(feature = "http")]
pub mod http;
pub mod igtl;
pub mod live;
pub mod matching;
pub mod measure;
pub mod models;
pub mod ops;
pub mod phantom;
pub mod progress;
mod quantiles;
pub mod run;
mod run_files;
pub mod session;
pub mod sinks;
pub mod sources;
pub mod text;
pub mod tools;
pub mod track;
pub mod weights;

pub use frame::Detections;
pub use run::Run;
pub use session::{Prompt, Session, SessionError};
