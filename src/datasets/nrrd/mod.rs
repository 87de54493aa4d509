//! NRRD files as 3D Slicer reads them: `.seg.nrrd`, a segmentation; `.seq.nrrd`, label maps over time.
//!
//! | file | what |
//! |---|---|
//! | `writer` | the files of each source |
//! | `axes` | where voxels are |
//! | `layers` | segments that share pixels in layers of their own |
//! | `text` | the text of headers |
//! | `voxels` | label maps, compressed |

mod axes;
mod layers;
#[cfg(test)]
mod tests;
mod text;
mod voxels;
mod writer;

pub use writer::NrrdWriter;
