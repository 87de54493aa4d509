//! The doors of the fuzzer (`fuzz/`) to every parser here of bytes that anyone may have made. Not part of the library: it is
//! there where `cfg(fuzzing)` is set, and in the crate's own tests, which run the corpus.
//!
//! A door takes any bytes, and a folder of its own for files that the parser reads by path. Beyond "no panic, no endless
//! loop, bounded memory" it asserts what must hold of anything that was accepted.

#[cfg(feature = "http")]
use crate::http;
use crate::{coco, datasets, dicom, eval, igtl, models, run, sources, weights};
use std::path::Path;

/// A door.
pub type Target = fn(&[u8], &Path);

/// All doors by name; `fuzz/corpus` has a folder for each.
pub const TARGETS: &[(&str, Target)] = &[
    ("annotations_coco", datasets::fuzzing::coco),
    ("annotations_cvat", datasets::fuzzing::cvat),
    ("annotations_label_studio", datasets::fuzzing::label_studio),
    ("annotations_labelme", datasets::fuzzing::labelme),
    ("annotations_mot", datasets::fuzzing::mot),
    ("annotations_mots", datasets::fuzzing::mots),
    ("annotations_voc", datasets::fuzzing::voc),
    ("annotations_yolo", datasets::fuzzing::yolo),
    ("boxes", run::fuzzing::boxes),
    ("checkpoint", weights::fuzzing::checkpoint),
    ("coco_counts", coco::fuzzing::counts),
    ("config", models::fuzzing::config),
    ("dicom_elements", dicom::fuzzing::elements),
    ("dicom_file", dicom::fuzzing::file),
    ("dicom_fragments", dicom::fuzzing::fragments),
    ("dicom_jpeg_header", dicom::fuzzing::jpeg_header),
    ("dicom_rle", dicom::fuzzing::rle),
    ("dicom_tables", dicom::fuzzing::tables),
    ("evaluation", eval::fuzzing::evaluation),
    ("igtl_messages", igtl::fuzzing::messages),
    #[cfg(feature = "http")]
    ("http_predict", http::fuzzing::predict),
    ("image_animation", sources::fuzzing::animation),
    ("image_jpeg", sources::fuzzing::jpeg),
    ("image_tiff", sources::fuzzing::tiff),
    ("input_list", sources::fuzzing::list),
    ("labels", models::fuzzing::labels),
    ("pickle", weights::fuzzing::pickle),
    ("record", run::fuzzing::record),
    ("seg_codes", datasets::fuzzing::codes),
    ("track_evaluation", eval::tracks::fuzzing::evaluation),
    ("track_text", eval::tracks::fuzzing::text),
    ("video_ending", sources::fuzzing::ending),
    ("video_key_sample", sources::fuzzing::key_sample),
    ("video_transport", sources::fuzzing::transport),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The corpus holds small valid files, and what once made a parser fail.
    #[test]
    fn every_file_of_the_corpus_is_survived() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            let scratch = tempfile::tempdir().unwrap();
            let mut files = 0;
            for entry in fs::read_dir(corpus.join(name)).unwrap() {
                let path = entry.unwrap().path();
                println!("{}", path.display());
                target(&fs::read(path).unwrap(), scratch.path());
                files += 1;
            }
            assert!(files > 0, "{name} has no corpus");
        }
    }
}
