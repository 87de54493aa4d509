//! What the program offers beside runs: benchmarks, comparison with reference outputs, new models, a look at the machine,
//! and files of phantoms.

mod against_candle;
mod bench;
mod describe;
mod doctor;
mod init;
mod phantom;
mod test_frame;
mod verify;
mod verify_file;

pub use against_candle::{AgainstCandle, CandleComparison, CandleError, CandleTiming};
pub use bench::{Bench, StageTiming};
pub use describe::{ModelDescription, ModelFamily, ModelInput, describe, model_family};
pub use doctor::{Finding, examine};
pub use init::{NewDetector, init_detector, init_segmenter};
pub use phantom::{
    PhantomEvent, PhantomFiles, PhantomObserver, PhantomPlan, PhantomRunError, PhantomSummary,
    SequenceSummary,
};
pub use test_frame::test_frame;
pub use verify::{
    Reference, SegmenterOutput, TensorComparison, VerifyError, verify_detector, verify_segmenter,
};
pub use verify_file::VerifyFileError;
