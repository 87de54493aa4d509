//! Tools beside runs: benchmarks, comparison with reference outputs, new models, checks of the machine, and files of
//! phantoms; data sets of runs.

mod against_candle;
mod bench;
mod describe;
mod doctor;
mod export;
mod init;
mod phantom;
mod test_frame;
mod verify;
mod verify_file;

pub use against_candle::{AgainstCandle, CandleComparison, CandleError, CandleTiming};
pub use bench::{Bench, StageTiming};
pub use describe::{ModelDescription, ModelFamily, ModelInput, describe, model_family};
pub use doctor::{Finding, FindingKind, examine};
pub use export::{export_dataset, export_run};
pub use init::{NewDetector, init_detector, init_segmenter};
pub use phantom::{
    PhantomEvent, PhantomFiles, PhantomObserver, PhantomPlan, PhantomRunError, PhantomSummary,
    SequenceSummary,
};
pub use test_frame::test_frame;
pub use verify::{TensorComparison, VerifyError};
pub use verify_file::VerifyFileError;
