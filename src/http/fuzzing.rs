//! The fuzzer's door to requests of predictions. The HTTP around them is hyper's.

use crate::http::predict::PredictCall;
use std::path::Path;

/// Pixels of the largest picture.
const PIXELS: u64 = 1 << 20;

/// The body of a request: its JSON, and the picture in it.
pub(crate) fn predict(bytes: &[u8], _: &Path) {
    let Ok(call) = PredictCall::parse(bytes) else {
        return;
    };
    let _ = call.params();
    if let Ok(picture) = call.picture(PIXELS) {
        assert!(picture.size().pixels() <= PIXELS);
    }
}
