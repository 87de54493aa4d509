//! One run of several that shared the inputs, with the bytes of a run of all.
//!
//! | file | what |
//! |---|---|
//! | `lines` | lines of many files at once |
//! | `streams` | the lines of all shards in the order of sources and frames |
//! | `record` | `detections.jsonl` and the list of the sources that ended |
//! | `place` | masks, pictures, overlays and frames, linked into the output folder |
//! | `report` | `run.json` |
//! | `shards` | which shards there are, and which are not complete |
//! | `whole` | the merge itself |

mod lines;
mod place;
mod record;
mod report;
mod shards;
mod streams;
mod whole;

pub use shards::{MissingShards, missing_shards};
pub use whole::{MergeSummary, merge};
