//! Any bytes as a checkpoint file: tensors or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;
use ultramotion::weights::Checkpoint;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("space for a temporary file");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        let names = checkpoint.infos().len();
        if let Ok(tensors) = checkpoint.tensors() {
            assert_eq!(tensors.len(), names);
        }
    }
});
