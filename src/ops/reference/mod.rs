//! The layers written plainly in the operations of candle and candle-nn, for any device: the reference that the fast code is
//! tested against, and what a GPU runs where no kernel of ours takes the shapes (grouped convolutions, unaligned attention).

mod attention;
mod layers;
mod masks;
mod pixels;

pub use attention::{attention, deformable_attention, window_attention};
pub use layers::{
    activate, conv2d, layer_norm, linear, max_pool2d, sigmoid, softmax, upsample_nearest2x,
};
pub use masks::{masks_to_runs, resize_bilinear};
pub use pixels::resize_normalise;
