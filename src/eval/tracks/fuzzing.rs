//! What the fuzzer runs of tracks.

use super::{
    TrackOptions, evaluate_tracks,
    input::{Side, parse},
};
use std::{fs, path::Path};

/// MOT and MOTS text, of both sides. What is read has at most one frame a line, and whole boxes.
pub(crate) fn text(data: &[u8], _: &Path) {
    for side in [Side::Truth, Side::Predictions] {
        let Ok(lines) = parse(data, side) else {
            continue;
        };
        let sequence = lines.into_sequence();
        let count = data.iter().filter(|byte| **byte == b'\n').count() + 1;
        let objects = sequence.frames.iter().flat_map(|frame| &frame.objects);
        assert!(objects.clone().count() <= count && sequence.frames.len() <= count);
        for object in objects {
            let [x0, y0, x1, y1] = object.corners;
            assert!(x0 <= x1 && y0 <= y1, "{:?}", object.corners);
        }
    }
}

/// A ground truth, and behind a NUL byte predictions, as COCO, as lines of a record or as text. Shares lie between 0 and 1.
pub(crate) fn evaluation(data: &[u8], folder: &Path) {
    let mut parts = data.splitn(2, |&b| b == 0);
    let mut write = |name: &str| {
        let part = parts.next().unwrap_or_default();
        let start = part.iter().find(|byte| !byte.is_ascii_whitespace());
        let ending = match start {
            Some(b'{') if part.windows(8).any(|w| w == b"\"images\"") => "json",
            Some(b'{') => "jsonl",
            _ => "txt",
        };
        let path = folder.join(format!("{name}.{ending}"));
        fs::write(&path, part).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    };
    let (truth, predictions) = (write("truth"), write("predictions"));
    let options = TrackOptions {
        common_only: true,
        ..TrackOptions::default()
    };
    if let Ok(found) = evaluate_tracks(&truth, &predictions, &options) {
        let all = found.detection_averaged;
        for (name, value) in [
            ("HOTA", all.hota.mean.hota),
            ("AssA", all.hota.mean.ass_a),
            ("LocA", all.hota.mean.loc_a),
            ("IDF1", all.identity.idf1),
            ("MOTP", all.clear.motp),
        ] {
            assert!((0.0..=1.0 + 1e-9).contains(&value), "{name} {value}");
        }
    }
}
