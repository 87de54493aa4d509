//! What the fuzzer runs of files that runs read back: boxes, and the record of a run that is resumed.

use super::{BoxPrompts, Record};
use crate::{
    coco::Classes,
    sinks::{Layout, read_record},
};
use std::{fs, path::Path};

fn write(path: &Path, data: &[u8]) {
    fs::write(path, data).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A file of boxes: `detections.jsonl`, a COCO data set or a results list. No box is other than finite.
pub(crate) fn boxes(data: &[u8], folder: &Path) {
    let path = folder.join("boxes.json");
    write(&path, data);
    let Ok(prompts) = BoxPrompts::read(&path, &Classes::new(["a", "b"])) else {
        return;
    };
    assert_eq!(prompts.sha256().len(), 64);
    assert!(prompts.classes().names().len() <= 100_001);
    let again = BoxPrompts::read(&path, &Classes::new(["a", "b"]));
    assert_eq!(
        again.map(|again| again.sha256()).ok(),
        Some(prompts.sha256())
    );
}

/// The record that a run left. It is refused, or cut to whole lines and accepted again with the same counts.
pub(crate) fn record(data: &[u8], folder: &Path) {
    let layout = Layout::new(folder);
    // The state of ended sources comes behind a NUL byte, which no line has.
    let end = data.iter().position(|&b| b == 0).unwrap_or(data.len());
    let (lines, state) = data.split_at(end);
    write(&layout.record(), lines);
    write(&layout.state(), state.get(1..).unwrap_or_default());
    if let Ok(record) = Record::resume(&layout) {
        let (stored, ended) = (record.stored_frames(), record.ended_sources());
        let results = record
            .stored()
            .map(|results| results.filter(Result::is_ok).count() as u64);
        assert!(results.is_ok_and(|results| results <= stored));
        drop(record);
        let kept = fs::read(layout.record()).unwrap_or_default();
        assert!(lines.starts_with(&kept) && kept.last().is_none_or(|&b| b == b'\n'));
        match Record::resume(&layout) {
            Ok(again) => assert_eq!(
                (again.stored_frames(), again.ended_sources()),
                (stored, ended)
            ),
            Err(error) => panic!("{error}"),
        }
    }
    for line in lines.split(|&b| b == b'\n') {
        if let Ok(Ok(found)) = std::str::from_utf8(line).map(read_record) {
            for mask in found.iter().filter_map(|object| object.mask.as_ref()) {
                assert!(mask.area() <= mask.size().pixels());
            }
        }
    }
}
