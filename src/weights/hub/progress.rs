//! How a download goes on.

/// Hears how a download goes on. All methods do nothing unless written.
pub trait DownloadProgress {
    /// A transfer of `file` of `bytes` in all begins, or begins again from its start after an interruption. Bytes that
    /// were there before are then counted by the first [`DownloadProgress::advance`].
    fn start(&mut self, file: &str, bytes: u64) {
        let _ = (file, bytes);
    }

    /// So many more bytes are there.
    fn advance(&mut self, bytes: u64) {
        let _ = bytes;
    }

    /// The transfer ended, well or not.
    fn finish(&mut self) {}
}

impl DownloadProgress for () {}
