//! How DICOM is read.

use super::window::Window;

/// How DICOM is read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DicomOptions {
    /// The window of grey images.
    pub window: Window,
    /// Whether attributes that identify a patient reach the outputs.
    pub keep_patient_data: bool,
    /// Whether instance UIDs reach the outputs, with or without the other identifying attributes.
    pub keep_uids: bool,
    /// Whether frames carry their stored values besides the picture for display.
    pub stored_values: bool,
}

impl DicomOptions {
    /// Whether instance UIDs reach the outputs.
    pub(super) fn gives_uids(&self) -> bool {
        self.keep_uids || self.keep_patient_data
    }
}
