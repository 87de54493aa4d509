//! Reading COCO files as other programs write them: with a byte order mark, ids as floats, without optional fields.

use crate::coco::{annotation::Annotation, dataset::Dataset};
use serde::Deserialize;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Longest file that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 8 << 30;

/// A file of either form.
#[derive(Debug)]
pub(crate) enum CocoFile<'a, N> {
    /// An object with `images`, `annotations` and `categories`.
    Dataset(Dataset<'a, N>),
    /// A list of annotations with scores, as `COCO.loadRes` takes.
    Results(Vec<Annotation<'a, N>>),
}

/// The bytes of the file at `path`.
///
/// # Errors
/// If it cannot be read or is longer than 8 GiB.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_rest(File::open(path)?, Vec::new())
}

/// `start` and all that `rest` has after it.
///
/// # Errors
/// If it cannot be read or the whole is longer than 8 GiB.
pub(crate) fn read_rest(rest: impl Read, start: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut text = start;
    rest.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        let problem = format!("it is longer than {} GiB", MAX_BYTES >> 30);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

/// JSON without the byte order mark that some editors put before it.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether a file is a results list.
fn is_list(text: &[u8]) -> bool {
    without_bom(text).iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[')
}

/// Reads a file of either form. [`describe`] puts an error in words.
///
/// # Errors
/// If it is not JSON or a required field is missing.
pub(crate) fn parse<'a, N: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<CocoFile<'a, N>> {
    if is_list(text) {
        serde_json::from_slice(without_bom(text)).map(CocoFile::Results)
    } else {
        parse_dataset(text).map(CocoFile::Dataset)
    }
}

/// Reads a data set. [`describe`] puts an error in words.
///
/// # Errors
/// If it is not JSON or a required field is missing.
pub(crate) fn parse_dataset<'a, N: Deserialize<'a>>(
    text: &'a [u8],
) -> serde_json::Result<Dataset<'a, N>> {
    serde_json::from_slice(without_bom(text))
}

/// An error of reading `text` in words.
pub(crate) fn describe(text: &[u8], error: &serde_json::Error) -> String {
    let line = without_bom(text)
        .split(|b| *b == b'\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let near = line
        .get(error.column().saturating_sub(2)..)
        .unwrap_or_default();
    let near = near.get(..12).unwrap_or(near);
    let not_finite = [&b"NaN"[..], b"Inf"]
        .iter()
        .any(|name| near.windows(name.len()).any(|w| w == *name));
    let hint = if error.is_syntax() && not_finite {
        " (NaN and Infinity are not JSON numbers)"
    } else {
        ""
    };
    format!("{error}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(text: &str) -> serde_json::Result<Dataset<'_, f32>> {
        parse_dataset(text.as_bytes())
    }

    #[test]
    fn what_other_programs_write_is_read() {
        let text = r#"{"info":3,"images":[{"id":7.0,"width":null,"timestamp":"noon","exif_orientation":"up"}],
            "annotations":[{"id":null,"image_id":7.0,"category_id":true,"iscrowd":false,"bbox":[],"segmentation":null,
                            "track_id":"left","visible_fraction":[],"mask_score":{}}],
            "videos":[{"id":1,"length":"long","width":"wide","attributes":[1]}]}"#;
        let text = format!("\u{feff}{text}");
        let found = dataset(&text).unwrap();
        let (image, annotation) = (&found.images[0], &found.annotations[0]);
        assert_eq!((image.id, image.size()), (7, None));
        assert_eq!((annotation.image_id, annotation.category_id), (7, 1));
        assert!(!annotation.is_crowd() && annotation.box_numbers().is_none());
        assert!(annotation.segmentation.is_none() && annotation.track_id.is_none());
        assert!(found.categories.is_none() && found.videos[0].length.is_none());
    }

    #[test]
    fn either_form_is_known_by_its_first_character() {
        let list = "\u{feff} [{\"image_id\":1,\"category_id\":2,\"score\":0.1}]";
        let CocoFile::Results(found) = parse::<f32>(list.as_bytes()).unwrap() else {
            panic!("a list")
        };
        assert_eq!(found[0].score, Some(0.1));
        assert!(parse::<f64>(b"").is_err());
    }

    #[test]
    fn errors_name_the_place_and_what_is_wrong() {
        for (text, says) in [
            (
                r#"{"images":[{"id":1.5}]}"#,
                "floating point `1.5`, expected a whole number",
            ),
            (r#"{"images":[{"id":1e300}]}"#, "expected a whole number"),
            (r#"{"images":[{"id":"1"}]}"#, "expected a whole number"),
            (r#"{"images":[]}"#, "missing field `annotations`"),
            (
                "{\"images\":[],\n\"annotations\":[NaN]}",
                "line 2 column 16 (NaN and Infinity",
            ),
        ] {
            let error = dataset(text).unwrap_err();
            let said = describe(text.as_bytes(), &error);
            assert!(said.contains(says), "{said}");
        }
    }
}
