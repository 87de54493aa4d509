//! Any bytes as the `data.pkl` of an archive with two storages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;
use ultramotion::weights::Checkpoint;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut zip = ZipWriter::new(file.as_file());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, contents) in [("archive/data.pkl", bytes), ("archive/data/0", &[1; 64]), ("archive/data/1", &[2; 24])] {
        zip.start_file(name, stored).and_then(|()| Ok(zip.write_all(contents)?)).expect("an archive");
    }
    zip.finish().expect("an archive");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        let names = checkpoint.infos().len();
        if let Ok(tensors) = checkpoint.tensors() {
            assert_eq!(tensors.len(), names);
        }
    }
});
