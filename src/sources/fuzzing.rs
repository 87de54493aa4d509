//! What the fuzzer runs of sources.

pub(crate) use super::{
    image::fuzzing::{animation, jpeg, tiff},
    inputs::fuzzing::list,
    video::fuzzing::{ending, key_sample, transport},
};
