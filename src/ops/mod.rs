//! The operations models are written in, one function or layer each.
//!
//! Activations are `[batch, height, width, channels]` ("NHWC") or `[batch, tokens, channels]`, contiguous, f32 on the
//! CPU, f32, f16 or bf16 on a GPU. On the CPU products may round their factors to bf16 ([`Products`]). Layers fold and lay out their weights once, when they are built. Every operation runs on the device of its
//! inputs and moves nothing between host and device. [`mod@reference`] has the layers written plainly in candle's own
//! operations, for any device: the reference that the fast code is tested against.
//!
//! On CUDA devices they run kernels of their own (`cuda`). On the CPU the layers run code of their own (`cpu`); operations that take
//! little time there are written in candle's.
//!
//! Errors are candle's: a shape or type that the operation does not take, or memory that ran out.

mod activation;
mod attention;
mod boxes;
mod collect;
mod conv2d;
mod cpu;
#[cfg_attr(not(feature = "cuda"), path = "cuda_disabled.rs")]
mod cuda;
mod deformable_attention;
mod linear;
mod linear_pair;
mod mask_bits;
mod mask_heads;
mod masks;
mod norm;
mod normed_mlp;
mod objects;
mod perceptron;
mod pool;
mod position;
pub mod reference;
mod resize;
mod rows;
mod selection;
mod token_products;
mod torch_ties;
mod types;
mod yuv;

pub use crate::engine::{Engine, Params, ParamsError, Surface, constant, not_finite};
pub use activation::{activate, add, concat_channels, softmax};
pub use attention::{WindowAttention, attention, attention_in};
pub use boxes::{inverse_sigmoid, refine_boxes, top_probabilities};
pub use collect::{collect_objects, copy_packed, unpack_masks};
pub use conv2d::{Conv2d, image_pair, inverted_residual, linear_depthwise, stem};
pub use deformable_attention::{deformable_attention, deformable_attention_around};
pub use linear::Linear;
pub use linear_pair::LinearPair;
pub use mask_bits::{PackedMasks, bits_to_runs, mask_is_finite, mask_score};
pub use mask_heads::{MaskHeads, mask_heads};
pub use masks::{
    best_masks_to_bits, mask_logits, masks_to_bits, masks_to_runs, pack_masks, upscale_to_masks,
};
pub use norm::LayerNorm;
pub use normed_mlp::{local_perceptron, normed_mlp};
pub use objects::{ObjectRecord, ObjectRecords, choose_objects, floats_of_bytes};
pub use perceptron::{perceptron, perceptron_beside};
pub use pool::{max_pool2d, upsample_nearest2x};
pub use position::{fourier_features, token_features};
pub use resize::{resize_normalise, resize_normalise_to};
pub use rows::{concat_batches, contiguous, convert, take_images};
pub use selection::{Ties, best_scores, gather_queries, top_k, top_k_with_ties};
pub use token_products::token_products;
pub use types::{
    activation::Activation,
    convolution::{Conv2dOptions, LinearPrecision, Padding, Part, Products},
    masks::{PackedMask, SlotRows, mask_words, packed_words},
    objects::{ObjectChoice, PromptSlots, SharedSlots, object_words},
    packed_frame::{ObjectTensors, PackedFrame},
    position_bias::PositionBias,
    resampling::Normalisation,
    result::{KernelTime, Result},
};
pub use yuv::{
    resize_normalise_surface, resize_normalise_surface_to, resize_normalise_yuv_to, surface_to_rgb,
    yuv_to_rgb,
};

/// The time of each of our own kernels that `work` launches on this thread, in order. Each is launched many times over.
///
/// # Errors
/// Those of `work`.
pub fn kernel_times<E>(
    work: impl FnOnce() -> std::result::Result<(), E>,
) -> std::result::Result<Vec<KernelTime>, E> {
    cuda::kernel_times(work)
}

/// Fills the memory of each result on a GPU with NaN from now on, before anything is written to it: in tests, so that what is left out
/// shows.
#[doc(hidden)]
pub fn poison_results() {
    cuda::poison_results();
}

/// Does `work` with products of 16-bit numbers by candidate number `at` of their tiles, instead of by the fastest; by a default one where
/// there are fewer. The fastest is found by trying, so all must give the same bits: this is for the test of it.
#[doc(hidden)]
pub fn with_tile<T>(at: usize, work: impl FnOnce() -> T) -> T {
    cuda::with_tile(at, work)
}

/// Does `work`, whose operations take or give `x`; where that is on the CPU, on one of the threads that work there, so that operations need
/// not hand over to them one by one.
pub(crate) fn on_pool<T: Send>(x: &candle_core::Tensor, work: impl FnOnce() -> T + Send) -> T {
    if cpu::is_cpu(x) {
        cpu::on_pool(work)
    } else {
        work()
    }
}

/// The vector instructions that operations on the CPU use on this machine.
pub fn instruction_set() -> &'static str {
    cpu::instruction_set()
}
