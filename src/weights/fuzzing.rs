//! What the fuzzer runs of checkpoints.

use super::Checkpoint;
use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A checkpoint of any kind: safetensors, a zip or an old file of `torch.save`.
pub(crate) fn checkpoint(data: &[u8], folder: &Path) {
    let path = folder.join("checkpoint");
    fs::write(&path, data).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        let names = checkpoint.infos().len();
        if let Ok(tensors) = checkpoint.tensors() {
            assert_eq!(tensors.len(), names);
        }
    }
}

/// The `data.pkl` of a sound archive with two storages, so that all of it reaches the unpickler.
pub(crate) fn pickle(data: &[u8], folder: &Path) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let entries = [
        ("archive/data.pkl", data),
        ("archive/data/0", &[1; 64]),
        ("archive/data/1", &[2; 24]),
    ];
    for (name, contents) in entries {
        let written = zip
            .start_file(name, stored)
            .and_then(|()| Ok(zip.write_all(contents)?));
        assert!(written.is_ok(), "{written:?}");
    }
    if let Ok(archive) = zip.finish() {
        checkpoint(archive.get_ref(), folder);
    }
}
