//! Layers and pixels on the CPU, in f32, products in bf16 where asked for: vectors of whatever width the processor has, on the threads of the current pool.

mod amx;
mod attention;
mod attention_head;
mod boxes;
mod conv2d;
mod deformable_attention;
mod depthwise;
mod gemm;
mod image_pair;
mod inverted_residual;
mod linear;
mod map;
mod masks;
mod math;
mod memory;
mod norm;
mod packed;
mod parallel;
mod parts;
mod pixels;
mod pointwise;
mod pool;
mod residual;
mod resize;
mod rounded;
mod rows;
mod simd;
mod softmax;
mod stem;
mod tile;
mod tiles;
mod window_attention;
mod winograd;
mod winograd_points;

pub(super) use attention::attention;
pub(super) use boxes::{refine_boxes, top_probabilities};
pub(super) use conv2d::Conv2d;
pub(super) use deformable_attention::{deformable_attention, deformable_attention_around};
pub(super) use image_pair::image_pair;
pub(super) use inverted_residual::{inverted_residual, linear_depthwise};
pub(super) use linear::Linear;
pub(super) use masks::masks_to_runs;
pub(super) use memory::is_cpu;
pub(super) use norm::{Norm, gated_norm, layer_norm};
pub(super) use parallel::on_pool;
pub(super) use pointwise::{activate, add, concat_channels, softmax};
pub(super) use pool::{max_pool2d, upsample_nearest2x};
pub(super) use resize::resize_normalise;
pub(super) use rows::gather_rows;
pub(super) use simd::instruction_set;
pub(super) use stem::stem;
pub(super) use window_attention::window_attention;

#[cfg(test)]
mod tests;
