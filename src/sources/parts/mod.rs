//! Sources in parts: consecutive frames of one source that decode without those before them, so that several decoders share
//! it. Put together in order, the parts give the frames that the source opened whole gives.

mod divide;
mod divided;
mod open;
mod part;
mod positioned;
#[cfg(test)]
mod tests;

pub(crate) use divide::divide;
pub(crate) use divided::{Divided, Division};
pub(crate) use open::open_part;
pub(crate) use part::{Part, PartSource, PartStep};
pub(in crate::sources) use positioned::Positioned;
