//! Types and layouts that the operations share with their implementations, which use nothing of the files that dispatch to them.

pub(in crate::ops) mod activation;
pub(in crate::ops) mod convolution;
pub(in crate::ops) mod masks;
pub(in crate::ops) mod objects;
pub(in crate::ops) mod packed_frame;
pub(in crate::ops) mod position_bias;
pub(in crate::ops) mod resampling;
pub(in crate::ops) mod result;
pub(in crate::ops) mod strides;
pub(in crate::ops) mod yuv;
