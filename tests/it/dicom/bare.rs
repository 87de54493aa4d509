//! What is DICOM by its content alone, what folders and discs hold, and what is said of it.

use super::common::*;
use dicom_core::{DataElement, VR, value::PrimitiveValue};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use ultramotion::{
    dicom::{DicomError, DicomFile, DicomOptions, directory_files, is_dicom},
    frame::SourceKind,
    sources::{
        DicomSeries, DicomSource, ExpandOptions, Inputs, Source, SourceOptions, expand, open,
    },
};

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(&path, bytes).expect("written");
    path
}

fn expanded(inputs: &[&Path]) -> Inputs {
    let inputs: Vec<OsString> = inputs.iter().map(|p| p.as_os_str().to_owned()).collect();
    expand(&inputs, ExpandOptions::default(), &mut &b""[..])
}

fn image(syntax: &'static str, series: &str) -> Object {
    let mut o = Object::image(2, 1);
    o.bits(16, 16).pixel_words(&[258, 3]).syntax(syntax).text(
        tags::SERIES_INSTANCE_UID,
        VR::UI,
        series,
    );
    o
}

fn data_set(bytes: &[u8]) -> &[u8] {
    let len = u32::from_le_bytes(bytes[140..144].try_into().expect("four bytes")) as usize;
    &bytes[144 + len..]
}

/// A file in each form that lacks the mark at its place.
fn bare_forms(syntax: &'static str, series: &str) -> Vec<(&'static str, Vec<u8>)> {
    let whole = image(syntax, series).encoded();
    let data = data_set(&whole);
    vec![
        ("data set alone", data.to_vec()),
        ("mark at byte 0", whole[128..].to_vec()),
        ("meta information at byte 0", whole[132..].to_vec()),
        ("preamble without mark", [&[0; 128], data].concat()),
        (
            "preamble and meta information without mark",
            [&[0; 128], &whole[132..]].concat(),
        ),
    ]
}

#[test]
fn data_sets_are_found_by_content_alone_and_in_folders() {
    let folder = folder();
    let names = [
        "IM0001",
        "MR.1.2.840.113619",
        "1.2.826.0.1",
        "slice.img",
        "image.001",
        "a.dcm",
        "x.DCM",
        "y.ima",
        "scan.png",
        "z.txt",
    ];
    let mut written = Vec::new();
    for (s, syntax) in [IMPLICIT, EXPLICIT, BIG_ENDIAN].into_iter().enumerate() {
        for (f, (form, bytes)) in bare_forms(syntax, &format!("1.2.{s}"))
            .into_iter()
            .enumerate()
        {
            // Without meta information nothing says big endian but the bytes themselves.
            let path = put(
                folder.path(),
                &format!("{s}/{f}/{}", names[(5 * s + f) % names.len()]),
                &bytes,
            );
            assert!(is_dicom(&path), "{form}, {syntax}");
            let found = expanded(&[&path]);
            let spec = found.sources[0]
                .as_ref()
                .unwrap_or_else(|e| panic!("{form}, {syntax}: {e}"));
            assert_eq!(spec.kind, SourceKind::Dicom);
            let mut source = open(spec, 0, &SourceOptions::default()).expect("a source");
            assert_eq!(
                source
                    .next_frame()
                    .expect("a frame")
                    .expect("a frame")
                    .image()
                    .unwrap()
                    .data(),
                [255, 0],
                "{form}, {syntax}"
            );
            written.push(path);
        }
    }
    let found = expanded(&[folder.path()]);
    assert!(
        found.ignored.is_empty() && found.sources.iter().all(|s| s.is_ok()),
        "{found:?}"
    );
    let mut files: Vec<PathBuf> = found
        .sources
        .into_iter()
        .flatten()
        .flat_map(|s| s.files)
        .collect();
    files.sort();
    written.sort();
    assert_eq!(files, written);
}

#[test]
fn other_files_are_not_taken_for_dicom() {
    let folder = folder();
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media");
    let mut tried = 0;
    for entry in fs::read_dir(media).expect("fixtures") {
        let path = entry.expect("an entry").path();
        tried += 1;
        assert!(!is_dicom(&path), "{}", path.display());
    }
    assert!(tried > 5);
    let ints = |values: &[u32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let made: Vec<Vec<u8>> = vec![
        b"DICM is how this text begins, and it goes on for longer than a header".to_vec(),
        b"\x08\0 a text after a backspace and a zero, which goes on for a while".to_vec(),
        // Small numbers read as tags of group lengths.
        ints(&[8, 4, 1, 16, 4, 1, 24, 4, 1, 32, 4, 1, 40, 4, 1]),
        ints(&(2..400).collect::<Vec<_>>()),
        [vec![0; 128], ints(&(8..400).step_by(8).collect::<Vec<_>>())].concat(),
        // The right tags with values that are not theirs.
        b"\x08\0\x16\0\x04\0\0\0\xff\xfe\x01\x02\x08\0\x18\0\x04\0\0\x001.2\0\x08\0\x60\0\x02\0\0\0US".to_vec(),
        // The right tags in explicit encoding under another VR, and out of order.
        b"\x08\0\x16\0US\x04\x001.2\0\x08\0\x18\0UI\x04\x001.2\0\x08\0\x60\0CS\x02\0US".to_vec(),
        b"\x08\0\x60\0CS\x02\0US\x08\0\x18\0UI\x04\x001.2\0\x08\0\x16\0UI\x04\x001.2\0".to_vec(),
        // Two elements are too few to tell.
        b"\x08\0\x16\0UI\x04\x001.2\0\x08\0\x18\0UI\x04\x001.2\0".to_vec(),
        vec![8; 4096],
        vec![0; 4096],
    ];
    for (i, bytes) in made.iter().enumerate() {
        assert!(!is_dicom(&put(folder.path(), "some", bytes)), "{i}");
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for i in 0..2000 {
        let mut bytes: Vec<u8> = (0..512)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        // The first bytes of a data set, so that more than the first two are put to the test.
        bytes[..4].copy_from_slice(
            [
                b"\x08\0\x05\0",
                b"\x08\0\0\0",
                b"\x02\0\0\0",
                b"\0\x08\0\x05",
            ][i % 4],
        );
        assert!(
            !is_dicom(&put(folder.path(), "some", &bytes)),
            "random bytes {i}"
        );
    }
}

/// An object without rows and pixels, as a report is.
fn report(modality: &str) -> Object {
    let mut o = Object {
        data: InMemDicomObject::new_empty(),
        syntax: EXPLICIT,
    };
    o.text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.88.11")
        .text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3");
    o.text(tags::MODALITY, VR::CS, modality);
    o
}

#[test]
fn a_folder_passes_over_objects_without_an_image_and_says_so_once() {
    let folder = folder();
    image(EXPLICIT, "1.2").write(&folder.path().join("image"));
    let names = ["b/KO", "b/PR.dcm", "PDF", "SR.dcm"];
    for (name, modality) in names.iter().zip(["KO", "PR", "DOC", "SR"]) {
        put(folder.path(), name, &report(modality).encoded());
    }
    let found = expanded(&[folder.path()]);
    assert_eq!(
        found.sources.iter().map(|s| s.is_ok()).collect::<Vec<_>>(),
        [true],
        "{found:?}"
    );
    let [warning] = &found.warnings[..] else {
        panic!("one warning: {:?}", found.warnings)
    };
    assert_eq!(
        (warning.path.as_path(), warning.remedy.as_ref()),
        (folder.path(), None)
    );
    let words = "4 DICOM files without an image were passed over (PDF, SR.dcm, b/KO, …)";
    assert_eq!(warning.problem.replace('\\', "/"), words);
    // Named by the user it is an error that says what it is.
    let found = expanded(&[&folder.path().join("SR.dcm"), &folder.path().join("image")]);
    let errors: Vec<String> = found
        .sources
        .iter()
        .filter_map(|s| Some(s.as_ref().err()?.to_string()))
        .collect();
    assert!(
        matches!(&errors[..], [e] if e.contains("without an image (Modality SR); give files of an image")),
        "{errors:?}"
    );
    assert!(found.warnings.is_empty());
    // A folder of nothing else is an error.
    let found = expanded(&[&folder.path().join("b")]);
    assert!(
        matches!(&found.sources[..], [Err(e)] if e.problem.contains("no image"))
            && found.warnings.len() == 1,
        "{found:?}"
    );
}

#[test]
fn an_image_that_lost_its_pixels_is_an_error_in_a_folder_too() {
    let folder = folder();
    image(EXPLICIT, "1.2").write(&folder.path().join("image"));
    put(folder.path(), "lost", &Object::image(2, 1).encoded());
    let found = expanded(&[folder.path()]);
    let errors: Vec<_> = found
        .sources
        .iter()
        .filter_map(|s| s.as_ref().err())
        .collect();
    assert!(
        matches!(errors[..], [e] if e.problem.contains("no pixel data")),
        "{found:?}"
    );
    assert!(found.warnings.is_empty());
}

fn directory(folder: &Path, ids: &[&str]) -> PathBuf {
    let record = |id: &&str| {
        let id: Vec<String> = id.split('\\').map(str::to_owned).collect();
        InMemDicomObject::from_element_iter([
            DataElement::new(
                tags::DIRECTORY_RECORD_TYPE,
                VR::CS,
                PrimitiveValue::from("IMAGE"),
            ),
            DataElement::new(
                tags::REFERENCED_FILE_ID,
                VR::CS,
                PrimitiveValue::Strs(id.into_iter().collect()),
            ),
        ])
    };
    let mut o = Object {
        data: InMemDicomObject::new_empty(),
        syntax: EXPLICIT,
    };
    o.text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.1.3.10")
        .text(tags::SOP_INSTANCE_UID, VR::UI, "1.2");
    o.items(
        tags::DIRECTORY_RECORD_SEQUENCE,
        ids.iter().map(record).collect(),
    );
    put(folder, "DICOMDIR", &o.encoded())
}

#[test]
fn files_of_a_dicomdir_are_found_with_an_extension() {
    let folder = folder();
    let bytes = image(EXPLICIT, "1.2").encoded();
    let files = [
        "A/IM1.dcm",
        "A/im2.DCM",
        "A/IM3",
        "A/IM4.;1",
        "A/IM5.img",
        "A/IM6.dcm",
    ];
    for name in files {
        put(folder.path(), name, &bytes);
    }
    // Beside some lie previews and files of longer names.
    let others = [
        "A/IM1.bmp",
        "A/IM10.dcm",
        "A/IM3.dcm",
        "A/IM5.a.txt",
        "A/IM5.htm",
        "A/IM6.1.dcm",
    ];
    for name in others {
        put(folder.path(), name, b"something else");
    }
    let path = directory(
        folder.path(),
        &[
            "A\\IM1", "A\\IM2", "A\\IM3", "A\\IM4", "A\\IM5", "A\\IM6", "A\\IM7",
        ],
    );
    let expected: Vec<PathBuf> = files
        .iter()
        .chain(&["A/IM7"])
        .map(|f| folder.path().join(f))
        .collect();
    assert_eq!(directory_files(&path).expect("a directory"), expected);
    let found = expanded(&[&path]);
    let errors: Vec<_> = found
        .sources
        .iter()
        .filter_map(|s| s.as_ref().err())
        .collect();
    assert!(
        matches!(errors[..], [e] if e.path.ends_with("IM7")),
        "{found:?}"
    );
}

fn burned_in(change: impl FnOnce(&mut Object)) -> Vec<String> {
    let folder = folder();
    let path = folder.path().join("one");
    let mut o = image(EXPLICIT, "1.2");
    change(&mut o);
    o.write(&path);
    let said = |mut source: Box<dyn Source>| {
        source
            .take_warnings()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let lone = said(Box::new(
        DicomSource::open(&path, 0, "one", DicomOptions::default()).expect("a source"),
    ));
    let files = vec![path.clone(), path.clone()];
    let series = said(Box::new(
        DicomSeries::open(files, &path, 0, "s", DicomOptions::default()).expect("a source"),
    ));
    assert_eq!(lone, series);
    lone
}

#[test]
fn burned_in_annotation_is_told_once_a_source() {
    let other = |o: &mut Object, modality: &str| {
        o.text(tags::MODALITY, VR::CS, modality).text(
            tags::SOP_CLASS_UID,
            VR::UI,
            "1.2.840.10008.5.1.4.1.1.4",
        );
    };
    let absent = burned_in(|_| ());
    assert!(
        matches!(&absent[..], [w] if w.contains("absent in an ultrasound object: the pixels may show names")),
        "{absent:?}"
    );
    let stated = burned_in(|o| {
        other(o, "MR");
        o.text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    });
    assert!(
        matches!(&stated[..], [w] if w.contains("BurnedInAnnotation is YES")),
        "{stated:?}"
    );
    assert_eq!(burned_in(|o| other(o, "MR")), [""; 0]);
    assert_eq!(burned_in(|o| other(o, "IVUS")).len(), 1);
    let no = burned_in(|o| {
        o.text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    });
    assert_eq!(no, [""; 0]);
}

/// The words for a file that cannot be opened as an image.
fn refusal(bytes: &[u8]) -> String {
    let folder = folder();
    let path = put(folder.path(), "some.dcm", bytes);
    let error = DicomSource::open(&path, 0, "some", DicomOptions::default());
    error
        .and_then(|mut source| source.next_frame())
        .expect_err("a broken file")
        .to_string()
}

#[test]
fn only_files_that_are_cut_off_are_to_be_fetched_again() {
    let mut native = Object::image(2, 1);
    let under = |o: &Object, uid: &[u8]| {
        let mut bytes = o.encoded();
        let at = bytes
            .windows(EXPLICIT.len())
            .position(|w| w == EXPLICIT.as_bytes())
            .expect("a transfer syntax");
        bytes[at..at + uid.len()].copy_from_slice(uid);
        bytes
    };
    let rle = under(native.bytes(&[1, 2]), b"1.2.840.10008.1.2.5");
    assert!(
        refusal(&rle).contains("correct TransferSyntaxUID"),
        "{}",
        refusal(&rle)
    );
    let mut fragments = Object::image(2, 1);
    fragments.fragments(EXPLICIT, &[], &[vec![1, 2]]);
    // The writer pads the transfer syntax it was given, whatever the pixel data are.
    let wrong = refusal(&fragments.encoded());
    assert!(
        wrong.contains("fragments") && wrong.contains("correct TransferSyntaxUID"),
        "{wrong}"
    );
    let mut short = Object::image(4, 4);
    short.bytes(&[0; 10]);
    let promised = refusal(&short.encoded());
    assert!(
        promised.contains("promise more than the file holds") && !promised.contains("fetch"),
        "{promised}"
    );
    let mut whole = Object::image(4, 4);
    whole.bytes(&[0; 16]);
    let bytes = whole.encoded();
    let cut = refusal(&bytes[..bytes.len() - 6]);
    assert!(cut.contains("fetch the file again"), "{cut}");
    let header = bytes
        .windows(4)
        .position(|w| w == [0x28, 0, 2, 0])
        .expect("Samples per Pixel");
    assert!(refusal(&bytes[..header + 9]).contains("fetch the file again"));
    assert!(!refusal(&report("SR").encoded()).contains("fetch"));
}

#[test]
fn a_file_without_pixels_says_what_it_is() {
    let folder = folder();
    let path = put(folder.path(), "sr", &report("SR").encoded());
    let file = DicomFile::open(&path).expect("a file");
    let error = ultramotion::dicom::DicomImage::from_file(file, Default::default())
        .map(|_| ())
        .expect_err("no image");
    assert_eq!(
        error,
        DicomError::NoImage {
            modality: Some("SR".to_owned())
        }
    );
}
