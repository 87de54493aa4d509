//! `seqinfo.ini`: name, length and size of a sequence.

use crate::geometry::Size;
use std::{fs, io::Read, path::Path};

/// Name of the file in the folder of its sequence.
pub(super) const FILE: &str = "seqinfo.ini";

/// Bytes of a file that are read at most.
const MAX_BYTES: u64 = 1 << 16;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Info {
    pub(crate) name: Option<String>,
    pub(crate) frame_rate: Option<f64>,
    /// Number of frames.
    pub(crate) length: Option<u64>,
    pub(crate) size: Option<Size>,
}

impl Info {
    /// The file's text, with all keys that readers insist on; `images` is the folder of the pictures. They take whole frame rates alone: it is rounded, and 1 where
    /// it is not known.
    pub(crate) fn text(&self, images: &str) -> String {
        let size = self.size.unwrap_or(Size::new(0, 0));
        let rate = self.frame_rate.map_or(1.0, |rate| rate.round().max(1.0));
        format!(
            "[Sequence]\nname={}\nimDir={images}\nframeRate={rate}\nseqLength={}\nimWidth={}\nimHeight={}\nimExt=.png\n",
            self.name
                .as_deref()
                .unwrap_or_default()
                .replace(['\r', '\n'], " "),
            self.length.unwrap_or(0),
            size.width,
            size.height
        )
    }

    /// What the file in `folder` says; nothing where there is none, or it is not text.
    pub(super) fn read(folder: &Path) -> Self {
        let mut text = String::new();
        let read = fs::File::open(folder.join(FILE))
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => Self::parse(&text),
            Err(_) => Self::default(),
        }
    }

    fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let (mut width, mut height) = (None, None);
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "name" if !value.is_empty() => info.name = Some(value.to_owned()),
                "framerate" => {
                    let rate = value.parse().ok();
                    info.frame_rate = rate.filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
                }
                "seqlength" => info.length = value.parse().ok(),
                "imwidth" => width = value.parse().ok(),
                "imheight" => height = value.parse().ok(),
                _ => {}
            }
        }
        info.size = width
            .zip(height)
            .map(|(width, height)| Size::new(width, height))
            .filter(|size| size.pixels() > 0);
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let info = Info {
            name: Some("clips/a = b".to_owned()),
            frame_rate: Some(25.0),
            length: Some(12),
            size: Some(Size::new(64, 48)),
        };
        assert_eq!(Info::parse(&info.text("img1")), info);
        assert_eq!(
            Info::parse("[Sequence]\nimWidth=4\nseqLength=x"),
            Info::default()
        );
        assert!(Info::default().text("img1").contains("\nframeRate=1\n"));
    }
}
