//! Files, series and directories; timing, spacing, regions; what is given out about a patient; the sources.

use super::common::*;
use dicom_core::{DataElement, Tag, VR, value::PrimitiveValue};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::{path::Path, time::Duration};
use tempfile::TempDir;
use ultramotion::{
    dicom::{
        DicomError, DicomFile, DicomOptions, Timing, VideoCodec, directory_files,
        encapsulated_video, is_dicom, scan,
    },
    frame::{Frame, SourceKind},
    geometry::BoxXyxy,
    sources::{DicomSeries, DicomSource, Source},
};

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn small() -> Object {
    let mut o = Object::image(2, 1);
    o.bytes(&[1, 2]);
    o
}

/// A file without preamble and file meta information.
fn without_meta(bytes: &[u8]) -> &[u8] {
    let len = u32::from_le_bytes(bytes[140..144].try_into().expect("four bytes")) as usize;
    &bytes[144 + len..]
}

#[test]
fn files_without_preamble_or_meta_information_are_read() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN] {
        let mut o = Object::image(2, 1);
        o.bits(16, 16).pixel_words(&[258, 3]).syntax(syntax);
        let bytes = o.encoded();
        let mut bare = open_bytes(without_meta(&bytes), Default::default()).expect(syntax);
        assert_eq!(values(&bare.stored(0).expect("a frame")), [258, 3]);
        assert_eq!(bare.file().transfer_syntax_uid(), syntax);
        let mut no_preamble = open_bytes(&bytes[128..], Default::default()).expect(syntax);
        assert_eq!(values(&no_preamble.stored(0).expect("a frame")), [258, 3]);
    }
}

#[test]
fn content_tells_what_is_dicom_not_the_name() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    small().write(&at("image.png"));
    std::fs::write(at("bare"), without_meta(&small().encoded())).expect("written");
    std::fs::write(at("liar.dcm"), b"\x89PNG\r\n\x1a\nno DICOM here").expect("written");
    std::fs::write(at("empty.dcm"), b"").expect("written");
    assert!(is_dicom(&at("image.png")) && is_dicom(&at("bare")));
    assert!(
        !is_dicom(&at("liar.dcm")) && !is_dicom(&at("empty.dcm")) && !is_dicom(&at("absent.dcm"))
    );
    assert_eq!(
        DicomFile::open(&at("liar.dcm")).map(|_| ()),
        Err(DicomError::NotDicom)
    );
}

#[test]
fn deflated_files_are_read() {
    use std::io::Write;
    let bytes = small().encoded();
    let data_set = without_meta(&bytes);
    let head = bytes.len() - data_set.len();
    let mut file = bytes[..head].to_vec();
    // The transfer syntax is replaced by one of the same even length, so the group length stays right only if it is not trusted.
    let old = file
        .windows(EXPLICIT.len())
        .position(|w| w == EXPLICIT.as_bytes())
        .expect("a transfer syntax");
    let new = b"1.2.840.10008.1.2.1.99";
    file.splice(old..old + EXPLICIT.len() + 1, new.iter().copied());
    file[old - 2..old].copy_from_slice(&(new.len() as u16).to_le_bytes());
    let mut deflate = flate2::write::DeflateEncoder::new(file, flate2::Compression::default());
    deflate.write_all(data_set).expect("memory");
    let file = deflate.finish().expect("memory");
    let mut image = open_bytes(&file, Default::default()).expect("an image");
    assert_eq!(values(&image.stored(0).expect("a frame")), [1, 2]);
}

fn slice(series: &str, number: i32, z: Option<f64>) -> Object {
    let mut o = small();
    o.text(tags::SERIES_INSTANCE_UID, VR::UI, series);
    o.text(tags::SERIES_NUMBER, VR::IS, "7");
    o.text(tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
    if let Some(z) = z {
        o.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
        o.text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("5\\5\\{z}"));
    }
    o
}

#[test]
fn series_are_separated_and_sorted_by_position_else_instance_number() {
    let folder = folder();
    let write = |name: &str, o: Object| {
        let path = folder.path().join(name);
        o.write(&path);
        path
    };
    let given = vec![
        write("a", slice("1.1", 1, Some(30.0))),
        write("b", slice("1.2", 3, None)),
        write("c", slice("1.1", 2, Some(-10.0))),
        write("d", slice("1.2", 1, Some(5.0))),
        write("e", slice("1.1", 3, Some(10.0))),
        folder.path().join("absent"),
    ];
    let found = scan(&given);
    let names = |files: &[std::path::PathBuf]| {
        files
            .iter()
            .map(|p| p.file_name().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found
            .series
            .iter()
            .map(|s| names(&s.files))
            .collect::<Vec<_>>(),
        [vec!["c", "e", "a"], vec!["d", "b"]]
    );
    assert_eq!(
        found
            .series
            .iter()
            .map(|s| s.label.as_str())
            .collect::<Vec<_>>(),
        ["series-7", "series-7-2"]
    );
    assert!(
        matches!(found.failures.as_slice(), [(path, DicomError::Io(_))] if path.ends_with("absent"))
    );
}

#[test]
fn multi_frame_files_and_other_sizes_are_series_of_their_own() {
    let folder = folder();
    let mut cine = slice("1.1", 1, None);
    cine.text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .bytes(&[1, 2, 3, 4]);
    let mut wide = slice("1.1", 2, None);
    wide.u16(tags::COLUMNS, 4).bytes(&[1, 2, 3, 4]);
    let paths: Vec<_> = [cine, wide, slice("1.1", 3, None), slice("1.1", 4, None)]
        .into_iter()
        .enumerate()
        .map(|(i, o)| {
            let path = folder.path().join(i.to_string());
            o.write(&path);
            path
        })
        .collect();
    let sizes: Vec<_> = scan(&paths).series.iter().map(|s| s.files.len()).collect();
    assert_eq!(sizes, [1, 1, 2]);
}

fn record(kind: &str, id: Option<&str>) -> InMemDicomObject {
    let mut record = InMemDicomObject::from_element_iter([DataElement::new(
        tags::DIRECTORY_RECORD_TYPE,
        VR::CS,
        PrimitiveValue::from(kind),
    )]);
    if let Some(id) = id {
        record.put(DataElement::new(
            tags::REFERENCED_FILE_ID,
            VR::CS,
            PrimitiveValue::Strs(id.split('\\').map(str::to_owned).collect()),
        ));
    }
    record
}

#[test]
fn a_directory_lists_its_image_files() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("st000")).expect("made");
    small().write(&folder.path().join("st000/im000"));
    let directory = |records| {
        let mut o = Object {
            data: InMemDicomObject::new_empty(),
            syntax: EXPLICIT,
        };
        o.text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.1.3.10")
            .text(tags::SOP_INSTANCE_UID, VR::UI, "1.2");
        o.items(tags::DIRECTORY_RECORD_SEQUENCE, records);
        let path = folder.path().join("DICOMDIR");
        o.write(&path);
        path
    };
    let path = directory(vec![
        record("PATIENT", None),
        record("IMAGE", Some("ST000\\IM000")),
        record("IMAGE", Some("GONE")),
        record("SR DOCUMENT", Some("SR")),
    ]);
    assert!(DicomFile::open(&path).expect("a directory").is_directory());
    let beside = scan(&[path.clone(), folder.path().join("st000/im000")]);
    assert!(
        beside.failures.is_empty() && beside.series.len() == 1,
        "a directory among files is no failure: {beside:?}"
    );
    let expected = [
        folder.path().join("st000/im000"),
        folder.path().join("GONE"),
    ];
    assert_eq!(directory_files(&path).expect("a directory"), expected);
    for escape in ["..\\SECRET", "A\\..\\..\\B", "/etc/passwd", "A\\/etc"] {
        let result = directory_files(&directory(vec![record("IMAGE", Some(escape))]));
        assert!(
            matches!(
                result,
                Err(DicomError::Invalid {
                    name: "ReferencedFileID",
                    ..
                })
            ),
            "{escape}: {result:?}"
        );
    }
    small().write(&path);
    assert_eq!(
        directory_files(&path),
        Err(DicomError::Missing("DirectoryRecordSequence"))
    );
}

#[test]
fn a_video_stream_comes_out_as_it_went_in() {
    let folder = folder();
    let path = folder.path().join("video.dcm");
    let stream: Vec<u8> = (0..=255).collect();
    let mut o = Object::image(2, 1);
    o.photometric("YBR_FULL_422", 3).fragments(
        "1.2.840.10008.1.2.4.102",
        &[],
        &[stream[..100].to_vec(), stream[100..].to_vec()],
    );
    o.write(&path);
    assert_eq!(o.open().map(|_| ()), Err(DicomError::Video("H.264")));
    let mut file = DicomFile::open(&path).expect("a file");
    assert!(file.is_video());
    let mut video = encapsulated_video(&mut file)
        .expect("a sound file")
        .expect("a video");
    let mut out = Vec::new();
    video.write_to(&mut out).expect("memory");
    assert_eq!(
        (video.codec(), video.len(), out),
        (VideoCodec::H264, 256, stream)
    );
    small().write(&path);
    assert!(
        encapsulated_video(&mut DicomFile::open(&path).expect("a file"))
            .expect("a sound file")
            .is_none()
    );
}

fn timing(o: &Object, frames: u64) -> Timing {
    let folder = folder();
    let path = folder.path().join("cine.dcm");
    o.write(&path);
    Timing::read(DicomFile::open(&path).expect("a file").attributes(), frames)
}

#[test]
fn timing_comes_from_vector_frame_time_or_rates() {
    let mut o = small();
    assert_eq!(timing(&o, 3), Timing::Unknown);
    o.text(tags::CINE_RATE, VR::IS, "25");
    assert_eq!(timing(&o, 3), Timing::Constant(40.0));
    o.text(tags::RECOMMENDED_DISPLAY_FRAME_RATE, VR::IS, "50");
    assert_eq!(timing(&o, 3), Timing::Constant(20.0));
    o.text(tags::FRAME_TIME, VR::DS, "33.333");
    assert_eq!(timing(&o, 3), Timing::Constant(33.333));
    o.text(tags::FRAME_TIME_VECTOR, VR::DS, "0\\10\\30");
    let t = timing(&o, 3);
    assert_eq!(t.timestamp(2), Some(Duration::from_millis(40)));
    assert_eq!(t.frame_rate(), Some(50.0));
    assert_eq!(
        timing(&o, 4),
        Timing::Constant(33.333),
        "a vector too short says nothing of every frame"
    );
    o.put(
        tags::FRAME_INCREMENT_POINTER,
        VR::AT,
        PrimitiveValue::from(tags::FRAME_TIME),
    );
    assert_eq!(
        timing(&o, 3),
        Timing::Constant(33.333),
        "the pointer decides"
    );
    let mut o = small();
    o.text(tags::FRAME_TIME, VR::DS, "0");
    assert_eq!(timing(&o, 3), Timing::Unknown);
}

#[test]
fn a_frame_time_vector_longer_than_its_vr_allows_is_read() {
    // 20,000 times of 4 characters: more than the 64 KiB of a DS, so in implicit encoding or as UN.
    let text = std::iter::once("0.0".to_owned())
        .chain(std::iter::repeat_n("20.5".to_owned(), 19_999))
        .collect::<Vec<_>>()
        .join("\\");
    let mut o = small();
    o.put(
        tags::FRAME_TIME_VECTOR,
        VR::UN,
        PrimitiveValue::from(text.as_bytes()),
    );
    assert_eq!(
        timing(&o, 20_000).timestamp(2),
        Some(Duration::from_millis(41))
    );
    o.text(tags::FRAME_TIME_VECTOR, VR::DS, &text)
        .syntax(IMPLICIT);
    assert_eq!(
        timing(&o, 20_000).timestamp(2),
        Some(Duration::from_millis(41))
    );
}

fn region(delta: f64, format: u16) -> InMemDicomObject {
    let long = |tag: Tag, v: u32| DataElement::new(tag, VR::UL, PrimitiveValue::from(v));
    let short = |tag: Tag, v: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(v));
    let double = |tag: Tag, v: f64| DataElement::new(tag, VR::FD, PrimitiveValue::from(v));
    InMemDicomObject::from_element_iter([
        short(tags::REGION_SPATIAL_FORMAT, format),
        short(tags::REGION_DATA_TYPE, 1),
        long(tags::REGION_LOCATION_MIN_X0, 10),
        long(tags::REGION_LOCATION_MIN_Y0, 20),
        long(tags::REGION_LOCATION_MAX_X1, 109),
        long(tags::REGION_LOCATION_MAX_Y1, 219),
        short(tags::PHYSICAL_UNITS_X_DIRECTION, 3),
        short(tags::PHYSICAL_UNITS_Y_DIRECTION, 3),
        double(tags::PHYSICAL_DELTA_X, delta),
        double(tags::PHYSICAL_DELTA_Y, -delta / 2.0),
    ])
}

fn first_frame(o: &Object, options: DicomOptions) -> Frame {
    let folder = folder();
    let path = folder.path().join("one.dcm");
    o.write(&path);
    let mut source = DicomSource::open(&path, 0, "one", options).expect("a source");
    source.next_frame().expect("a frame").expect("a frame")
}

#[test]
fn regions_and_spacing_travel_with_the_frame() {
    let mut o = small();
    assert_eq!(first_frame(&o, DicomOptions::default()).physical, None);
    o.items(
        tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
        vec![region(0.02, 1), region(0.5, 3)],
    );
    let physical = first_frame(&o, DicomOptions::default())
        .physical
        .expect("physical facts");
    assert_eq!(
        physical.pixel_spacing_mm,
        Some([0.1, 0.2]),
        "rows first, from centimetres, of 2D regions alone"
    );
    let [first, second] = physical.ultrasound_regions.as_slice() else {
        panic!("two regions")
    };
    assert_eq!(
        first.bounds,
        BoxXyxy::new(10.0, 20.0, 110.0, 220.0),
        "the standard's maxima lie inside"
    );
    assert_eq!(
        (first.physical_delta, second.spatial_format),
        (Some([0.02, -0.01]), 3)
    );
    o.items(
        tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
        vec![region(0.02, 1), region(0.05, 1)],
    );
    assert_eq!(
        first_frame(&o, DicomOptions::default())
            .physical
            .expect("regions")
            .pixel_spacing_mm,
        None,
        "they disagree"
    );
    o.text(tags::IMAGER_PIXEL_SPACING, VR::DS, "0.3\\0.4");
    assert_eq!(
        first_frame(&o, DicomOptions::default())
            .physical
            .expect("regions")
            .pixel_spacing_mm,
        Some([0.3, 0.4])
    );
    o.text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.6");
    assert_eq!(
        first_frame(&o, DicomOptions::default())
            .physical
            .expect("regions")
            .pixel_spacing_mm,
        Some([0.5, 0.6])
    );
}

#[test]
fn spacing_at_the_detector_is_read_of_the_frame_too() {
    let mut o = small();
    let spacing = |value: &str| {
        let spacing = DataElement::new(
            tags::IMAGER_PIXEL_SPACING,
            VR::DS,
            PrimitiveValue::from(value),
        );
        let item = InMemDicomObject::from_element_iter([spacing]);
        InMemDicomObject::from_element_iter([DataElement::new(
            tags::FRAME_PIXEL_DATA_PROPERTIES_SEQUENCE,
            VR::SQ,
            sequence(vec![item]),
        )])
    };
    o.text(tags::IMAGER_PIXEL_SPACING, VR::DS, "0.3\\0.4");
    o.items(
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        vec![spacing("0.7\\0.8")],
    );
    let physical = first_frame(&o, DicomOptions::default()).physical;
    assert_eq!(
        physical.expect("spacing").pixel_spacing_mm,
        Some([0.7, 0.8])
    );
}

/// Everything a data set may say of a patient, each with a value that nothing else has.
const IDENTIFYING: [(Tag, VR, &str); 14] = [
    (tags::PATIENT_NAME, VR::PN, "Zzsecret^Name"),
    (tags::PATIENT_ID, VR::LO, "Zzsecret-1"),
    (tags::PATIENT_BIRTH_DATE, VR::DA, "19010203"),
    (tags::PATIENT_COMMENTS, VR::LT, "Zzsecret-2"),
    (tags::ACCESSION_NUMBER, VR::SH, "Zzsecret-3"),
    (tags::INSTITUTION_NAME, VR::LO, "Zzsecret-4"),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Zzsecret^5"),
    (tags::STATION_NAME, VR::SH, "Zzsecret-6"),
    (tags::DEVICE_SERIAL_NUMBER, VR::LO, "Zzsecret-7"),
    (tags::STUDY_DATE, VR::DA, "19020304"),
    (tags::STUDY_DESCRIPTION, VR::LO, "Zzsecret-8"),
    (tags::SERIES_DESCRIPTION, VR::LO, "Zzsecret-9"),
    (tags::STUDY_INSTANCE_UID, VR::UI, "1.9.99.1"),
    (tags::SERIES_INSTANCE_UID, VR::UI, "1.9.99.2"),
];

#[test]
fn nothing_that_identifies_is_given_out_unless_asked() {
    let mut o = small();
    o.text(tags::MANUFACTURER, VR::LO, "Acme").text(
        tags::SPECIFIC_CHARACTER_SET,
        VR::CS,
        "ISO_IR 192",
    );
    for (tag, vr, value) in IDENTIFYING {
        o.text(tag, vr, value);
    }
    let given = |keep_patient_data| {
        first_frame(
            &o,
            DicomOptions {
                keep_patient_data,
                ..Default::default()
            },
        )
        .source
        .attributes
        .clone()
    };
    let quiet = given(false);
    let text = format!("{quiet:?}");
    for secret in ["secret", "1901", "1902", "1.9.99", "1.2.3.4"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(
        (quiet["Modality"].as_str(), quiet["Manufacturer"].as_str()),
        ("US", "Acme")
    );
    let full = given(true);
    assert_eq!(
        (
            full["PatientName"].as_str(),
            full["SOPInstanceUID"].as_str()
        ),
        ("Zzsecret^Name", "1.2.3.4")
    );
}

#[test]
fn uids_are_given_out_alone_where_only_they_are_asked_for() {
    let mut o = small();
    for (tag, vr, value) in IDENTIFYING {
        o.text(tag, vr, value);
    }
    let frame = first_frame(
        &o,
        DicomOptions {
            keep_uids: true,
            ..Default::default()
        },
    );
    let (attributes, physical) = (
        &frame.source.attributes,
        frame.physical.as_ref().expect("facts"),
    );
    let uids = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
        .map(|name| attributes[name].as_str());
    assert_eq!(uids, ["1.9.99.1", "1.9.99.2", "1.2.3.4"]);
    assert_eq!(physical.sop_instance_uid.as_deref(), Some("1.2.3.4"));
    let text = format!("{attributes:?}");
    for secret in ["secret", "1901", "1902"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(
        first_frame(&o, DicomOptions::default())
            .physical
            .as_ref()
            .and_then(|facts| facts.sop_instance_uid.clone()),
        None
    );
}

#[test]
fn each_frame_of_a_series_has_its_own_instance_uid() {
    let folder = folder();
    let files: Vec<_> = (1..=3_u8)
        .map(|i| {
            let path = folder.path().join(format!("{i}.dcm"));
            let mut o = small();
            o.text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{i}"));
            o.write(&path);
            path
        })
        .collect();
    let options = DicomOptions {
        keep_uids: true,
        ..Default::default()
    };
    let mut series =
        DicomSeries::open(files, folder.path(), 0, "series", options).expect("a series");
    assert_eq!(
        series.info().attributes.get("SOPInstanceUID"),
        None,
        "it would be that of the first frame alone"
    );
    for i in 1..=3 {
        let frame = series.next_frame().expect("a frame").expect("a frame");
        assert_eq!(
            frame.physical.expect("facts").sop_instance_uid,
            Some(format!("1.2.3.{i}"))
        );
    }
}

#[test]
fn names_in_other_character_sets_are_decoded() {
    let mut o = small();
    o.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")
        .text(tags::PATIENT_NAME, VR::PN, "Müller^Jörg");
    let options = DicomOptions {
        keep_patient_data: true,
        ..Default::default()
    };
    assert_eq!(
        first_frame(&o, options).source.attributes["PatientName"],
        "Müller^Jörg"
    );
}

#[test]
fn a_cine_gives_each_frame_with_its_time() {
    let folder = folder();
    let path = folder.path().join("cine.dcm");
    let mut o = small();
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "3")
        .text(tags::FRAME_TIME, VR::DS, "50")
        .bytes(&[1, 2, 3, 4, 5, 6]);
    o.write(&path);
    let mut source =
        DicomSource::open(&path, 4, "a/cine", DicomOptions::default()).expect("a source");
    let info = source.info().clone();
    assert_eq!(
        (
            info.ordinal,
            info.name.as_str(),
            info.kind,
            info.frame_count,
            info.frame_rate
        ),
        (4, "a/cine", SourceKind::Dicom, Some(3), Some(20.0))
    );
    for i in 0..3_u8 {
        let frame = source.next_frame().expect("a frame").expect("a frame");
        assert_eq!(
            (frame.index, frame.timestamp),
            (i.into(), Some(Duration::from_millis(50 * u64::from(i))))
        );
        assert_eq!(frame.image().unwrap().data(), [2 * i + 1, 2 * i + 2]);
    }
    assert!(source.next_frame().expect("the end").is_none());
    assert_eq!(values(&source.stored_values(1).expect("a frame")), [3, 4]);
    assert_eq!(
        source.stored_values(3).expect_err("past the end").frame,
        Some(3)
    );
}

#[test]
fn frames_promised_but_absent_are_one_error_and_then_the_end() {
    let folder = folder();
    let path = folder.path().join("cut.dcm");
    let mut o = small();
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "1000000000")
        .bytes(&[1, 2, 3, 4]);
    o.write(&path);
    let mut source = DicomSource::open(&path, 0, "cut", DicomOptions::default()).expect("a source");
    assert_eq!(
        source
            .next_frame()
            .expect("frame 0")
            .expect("frame 0")
            .index,
        0
    );
    assert_eq!(
        source
            .next_frame()
            .expect("frame 1")
            .expect("frame 1")
            .index,
        1
    );
    assert_eq!(source.next_frame().expect_err("frame 2").frame, Some(2));
    assert!(source.next_frame().expect("the end").is_none());
}

#[test]
fn a_series_shares_one_range_and_goes_on_after_a_bad_file() {
    let folder = folder();
    let write = |name: &str, words: [u16; 2]| {
        let mut o = Object::image(2, 1);
        o.bits(16, 16).pixel_words(&words);
        let path = folder.path().join(name);
        o.write(&path);
        path
    };
    let bad = folder.path().join("bad");
    std::fs::write(&bad, b"not DICOM").expect("written");
    let files = vec![write("a", [0, 100]), bad.clone(), write("b", [300, 500])];
    let mut source = DicomSeries::open(
        files.clone(),
        folder.path(),
        0,
        "s",
        DicomOptions::default(),
    )
    .expect("a source");
    assert_eq!(source.info().frame_count, Some(3));
    let first = source.next_frame().expect("a frame").expect("a frame");
    assert_eq!(
        (first.image().unwrap().data(), first.file.as_deref()),
        ([0, 51].as_slice(), Some(files[0].as_path()))
    );
    assert_eq!(source.next_frame().expect_err("the bad file").path, bad);
    let last = source.next_frame().expect("a frame").expect("a frame");
    assert_eq!(
        (last.index, last.image().unwrap().data()),
        (2, [153, 255].as_slice())
    );
    assert!(source.next_frame().expect("the end").is_none());
    assert!(DicomSeries::open(vec![], Path::new("x"), 0, "x", DicomOptions::default()).is_err());
}
