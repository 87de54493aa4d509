//! How DICOM is read.

use super::window::Window;

/// How DICOM is read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DicomOptions {
    /// The window of grey images.
    pub window: Window,
    /// Whether attributes that identify a patient are given out.
    pub keep_patient_data: bool,
    /// Whether instance UIDs are given out, with or without the rest that identifies.
    pub keep_uids: bool,
    /// Whether frames carry the values as stored besides the picture for display.
    pub stored_values: bool,
}

impl DicomOptions {
    /// Whether instance UIDs are given out.
    pub(super) fn gives_uids(&self) -> bool {
        self.keep_uids || self.keep_patient_data
    }
}
