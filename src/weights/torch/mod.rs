//! Files of `torch.save`: the zip form (torch 1.6 on) and the older row of pickles.

mod archive;
mod contents;
mod extras;
mod legacy;
mod read;
mod state_dict;
mod storages;
mod tensor;

pub(super) use contents::Contents;
pub use extras::Extra;
pub(super) use read::{read_legacy, read_zip};
