//! Sequences by the names of their frames, in data sets that name no source.

use super::names::stem;
use crate::run_files::last_number;

/// The sequence that a picture of this name may be a frame of, as inputs find numbered images: what its name has in common with
/// the names of other frames. Frames in a folder of their own (`clip/000000.png`) have the folder's name, as their source has.
/// None for a name without a number.
pub(super) fn sequence_of(file_name: &str) -> Option<String> {
    let stem = stem(file_name);
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let number = last_number(name.as_bytes())?;
    let (before, after) = (name.get(..number.start)?, name.get(number.end..)?);
    Some(match (folder, before, after) {
        ("", ..) => format!("{before}*{after}"),
        (folder, "", "") => folder.to_owned(),
        _ => format!("{folder}/{before}*{after}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_their_last_number_are_of_one_sequence() {
        for (name, sequence) in [
            ("a/clip 1/000000.png", Some("a/clip 1")),
            ("a/clip 1/x7.png", Some("a/clip 1/x*")),
            ("000123.jpg", Some("*")),
            ("p2_frame007_left.PNG", Some("p2_frame*_left")),
            ("straße 4é.png", Some("straße *é")),
            ("clip1/still.png", None),
            ("portrait.jp2", None),
        ] {
            assert_eq!(sequence_of(name).as_deref(), sequence, "{name}");
        }
    }
}
