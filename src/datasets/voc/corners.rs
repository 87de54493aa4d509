//! How corners of boxes are written.

/// How corners of boxes are written.
///
/// Files do not say which they use. Today's programs (Datumaro, and CVAT and Geti through it; globox, Roboflow) count from
/// 0 and write edges; the data sets of the PASCAL challenges count pixels from 1, the last pixel included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VocCorners {
    /// Left, upper, right and lower edge, in pixels from 0; Datumaro's `dm-zero-based`.
    #[default]
    Edges,
    /// First and last pixel, from 1: one more than the left and upper edge, equal to the right and lower edge; Datumaro's
    /// `voc-one-based`.
    Pixels,
}
