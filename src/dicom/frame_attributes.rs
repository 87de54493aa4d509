//! Attributes of one frame of a multi-frame object.

use super::{attributes::Attributes, file::DicomFile};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Where a frame's attributes of display are: its functional groups first, then the shared ones, then the data set.
#[derive(Clone, Copy)]
pub(super) struct FrameAttributes<'a> {
    pub(super) per_frame: Option<Attributes<'a>>,
    pub(super) shared: Option<Attributes<'a>>,
    pub(super) data_set: Attributes<'a>,
}

impl DicomFile {
    pub(super) fn frame_attributes(&self, frame: u64) -> FrameAttributes<'_> {
        let data_set = self.attributes();
        let per_frame = usize::try_from(frame).ok().and_then(|n| {
            data_set
                .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
                .nth(n)
        });
        FrameAttributes {
            per_frame,
            shared: data_set.first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE),
            data_set,
        }
    }
}

impl<'a> FrameAttributes<'a> {
    /// The first of the places where `macro_sequence` holds `tag`, else the data set.
    pub(super) fn place(&self, macro_sequence: Tag, tag: Tag) -> Attributes<'a> {
        let groups = [self.per_frame, self.shared].into_iter().flatten();
        groups
            .filter_map(|g| g.first_item(macro_sequence))
            .find(|item| item.has(tag))
            .unwrap_or(self.data_set)
    }
}
