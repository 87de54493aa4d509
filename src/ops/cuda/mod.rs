//! Every operation on CUDA devices, by kernels of our own, in f32, f16 and bf16.
//!
//! To add a kernel: put `extern "C" __global__ void name(...)` into a `.cu` file of this folder (headers shared by several are
//! `.cuh`); `build.rs` compiles every `.cu` there is. Launch it from a module here through [`launch::Kernel`].
//!
//! Results have the type of the input, but for those that are f32 by their nature (scores, boxes). Sums are always in f32.

mod attention;
mod boxes;
mod collect;
mod conv2d;
mod deformable_attention;
mod few;
mod halo_tiles;
mod image_pair;
mod inverted_residual;
mod kernels;
mod launch;
mod layout;
mod mask_heads;
mod mask_upscaling;
mod masks;
mod norm;
mod normed_mlp;
mod objects;
mod perceptron;
mod pointwise;
mod position;
mod product;
mod product_arguments;
mod product_pair;
mod resample;
mod resize;
mod selection;
mod stem;
mod tiles;
mod times;
mod token_products;
mod trying;
mod typed;
mod yuv;

pub(super) use attention::{WindowAttention, attention};
pub(super) use boxes::{inverse_sigmoid, refine_boxes, top_probabilities};
pub(super) use collect::{collect_objects, copy_packed, unpack_masks};
pub(super) use conv2d::Conv2d;
pub(super) use deformable_attention::{deformable_attention, deformable_attention_around};
pub(super) use image_pair::image_pair;
pub(super) use inverted_residual::inverted_residual;
pub(super) use launch::poison_results;
pub(super) use layout::{contiguous, converted, take_images};
pub(super) use mask_heads::mask_heads;
pub(super) use mask_upscaling::upscale_to_masks;
pub(super) use masks::{mask_logits, masks_to_bits, pack_masks};
pub(super) use norm::{Norm, gated_norm, layer_norm, softmax};
pub(super) use normed_mlp::normed_mlp;
pub(super) use objects::{choose_objects, floats_of_bytes};
pub(super) use perceptron::perceptron;
pub(super) use pointwise::{activate, add, concat_channels, max_pool2d, upsample_nearest2x};
pub(super) use position::{fourier_features, token_features};
pub(super) use product::Linear;
pub(super) use resize::{resize_normalise, resize_normalise_to};
pub(super) use selection::{best_scores, gather_queries, top_k};
pub(super) use stem::stem;
pub(super) use tiles::with_tile;
pub(super) use times::kernel_times;
pub(super) use token_products::token_products;
pub(super) use yuv::{
    resize_normalise_surface, resize_normalise_surface_to, resize_normalise_yuv_to, surface_to_rgb,
};
