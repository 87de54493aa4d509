//! TIFF of every kind of samples: what comes out of the files of `tests/fixtures/media/tiff` (made by `make_images.py`
//! there; its formulas are those below) and of `tests/fixtures/media/cases`.

use std::{
    fs,
    path::{Path, PathBuf},
};
use ultramotion::{
    dicom::Window,
    frame::{Channels, Frame, SourceKind},
    geometry::Size,
    sources::{
        ImageOptions, ImageSource, IssueKind, Source, SourceError, SourceSpec, SourceWarning,
    },
};

const WIDTH: usize = 24;
const HEIGHT: usize = 16;

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media")
        .join(name)
}

fn source(path: &Path, window: Window) -> Result<ImageSource, SourceError> {
    let spec = SourceSpec {
        path: path.to_owned(),
        kind: SourceKind::Image,
        files: vec![path.to_owned()],
        name: "name".to_owned(),
        folder: None,
    };
    ImageSource::open(
        &spec,
        0,
        &ImageOptions {
            window,
            ..ImageOptions::default()
        },
    )
}

fn shown(name: &str, window: Window) -> (Frame, Vec<SourceWarning>) {
    let mut source = source(&media(name), window).unwrap_or_else(|e| panic!("{e}"));
    let frame = source
        .next_frame()
        .unwrap_or_else(|e| panic!("{e}"))
        .unwrap();
    assert!(source.next_frame().unwrap().is_none());
    (frame, source.take_warnings())
}

fn pixels(name: &str) -> (Channels, Vec<u8>) {
    let (frame, warnings) = shown(name, Window::Auto);
    assert!(warnings.is_empty(), "{name}: {warnings:?}");
    let image = frame.image().unwrap();
    (image.channels(), image.data().to_vec())
}

fn error(name: &str) -> String {
    source(&media(name), Window::Auto)
        .and_then(|mut s| s.next_frame())
        .unwrap_err()
        .to_string()
}

fn each<T>(value: impl Fn(usize, usize) -> T) -> Vec<T> {
    let value = &value;
    (0..HEIGHT)
        .flat_map(|y| (0..WIDTH).map(move |x| value(x, y)))
        .collect()
}

fn grey() -> Vec<u8> {
    each(|x, y| (8 * x + 4 * y) as u8)
}

fn rgb() -> Vec<u8> {
    each(|x, y| [(8 * x) as u8, (10 * y) as u8, (200 - 5 * x) as u8]).into_flattened()
}

fn assert_same(name: &str, channels: Channels, expected: &[u8]) {
    let (found, data) = pixels(name);
    assert_eq!(found, channels, "{name}");
    if let Some(at) = data.iter().zip(expected).position(|(a, b)| a != b) {
        panic!("{name}: sample {at} is {}, not {}", data[at], expected[at]);
    }
    assert_eq!(data.len(), expected.len(), "{name}");
}

fn assert_near(name: &str, expected: &[u8], tolerance: u8, mean: f64) {
    let (_, data) = pixels(name);
    assert_eq!(data.len(), expected.len(), "{name}");
    let off: Vec<u8> = data
        .iter()
        .zip(expected)
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    let average = off.iter().map(|&v| f64::from(v)).sum::<f64>() / off.len() as f64;
    let largest = off.iter().copied().max().unwrap();
    assert!(
        largest <= tolerance && average <= mean,
        "{name}: off by {average} on average, {largest} at most"
    );
}

fn png(name: &str) -> Vec<u8> {
    pixels(name).1
}

#[test]
fn grey_of_few_bits_fills_the_whole_range() {
    for (bits, most) in [(1, 1), (2, 3), (4, 15)] {
        assert_same(
            &format!("tiff/grey{bits}.tif"),
            Channels::Gray,
            &each(|x, y| ((x + y) % (most + 1) * 255 / most) as u8),
        );
    }
    assert_same(
        "tiff/grey12.tif",
        Channels::Gray,
        &each(|x, y| ((x + y) % 16 * 17) as u8),
    );
    assert_same(
        "tiff/grey4_white_is_zero.tif",
        Channels::Gray,
        &each(|x, y| ((x + y) % 16 * 17) as u8),
    );
    assert_same(
        "tiff/grey1_reversed.tif",
        Channels::Gray,
        &each(|x, y| ((x + y) % 2 * 255) as u8),
    );
}

#[test]
fn signed_and_long_samples_are_scaled_by_the_range_of_their_type() {
    for name in ["signed8", "signed16", "signed32", "unsigned32"] {
        assert_same(&format!("tiff/{name}.tif"), Channels::Gray, &grey());
    }
}

#[test]
fn a_window_scales_what_the_range_of_the_type_does_not() {
    let twelve = Window::Fixed {
        center: 2048.0,
        width: 4096.0,
    };
    for name in ["tiff/grey12_in_16.tif", "gray12_in_16.png"] {
        let (frame, warnings) = shown(name, Window::Auto);
        assert!(
            frame.image().unwrap().data().iter().all(|&v| v < 17),
            "{name}"
        );
        let text = warnings[0].to_string();
        assert!(
            text.contains("16-bit")
                && text.contains("nearly black")
                && text.contains("give a window: 2048,4096 (center, width)")
                && warnings[0].kind == IssueKind::Window,
            "{text}"
        );
        let (frame, warnings) = shown(name, twelve);
        assert!(warnings.is_empty());
        let expected: Vec<u8> = grey()
            .iter()
            .map(|&v| (f64::from(v) * 16.0 / 4095.0 * 255.0).round() as u8)
            .collect();
        assert_eq!(frame.image().unwrap().data(), expected, "{name}");
    }
    // Air to bone in Hounsfield units: all but uniform without a window.
    let (_, warnings) = shown("tiff/signed16_hounsfield.tif", Window::Auto);
    assert!(
        warnings[0].to_string().contains("nearly uniform"),
        "{}",
        warnings[0]
    );
    let (frame, _) = shown(
        "tiff/signed16_hounsfield.tif",
        Window::Fixed {
            center: 0.5 - 4.0,
            width: 2041.0,
        },
    );
    assert_eq!(frame.image().unwrap().data(), grey());
    assert!(
        error("tiff/float32.tif")
            .contains("floating point, whose range is not known; a window (center and width)")
    );
    let (frame, _) = shown(
        "tiff/float32.tif",
        Window::Fixed {
            center: 0.5,
            width: 1.0,
        },
    );
    assert_eq!(frame.image().unwrap().data(), grey());
    // Grey of 8 bits is as it is.
    let (frame, _) = shown("gray8.png", twelve);
    assert_eq!(frame.image().unwrap().data(), grey());
}

#[test]
fn palettes_become_rgb() {
    let colour = |i: usize| [i as u8, (255 - i) as u8, (7 * i % 256) as u8];
    for bits in [1, 2, 4, 8] {
        let expected = each(|x, y| colour((x + y) % (1 << bits))).into_flattened();
        assert_same(&format!("tiff/palette{bits}.tif"), Channels::Rgb, &expected);
        if bits == 8 {
            assert_same("tiff/palette8_of_8_bits.tif", Channels::Rgb, &expected);
            assert_same("tiff/palette8_256.tif", Channels::Rgb, &expected);
        }
        if bits == 4 {
            assert_same("tiff/palette4_tiled.tif", Channels::Rgb, &expected);
        }
    }
    assert_same("cases/pal.tif", Channels::Rgb, &png("cases/pal.png"));
}

#[test]
fn premultiplied_colours_are_as_stored_and_others_are_multiplied_once() {
    let over = |v: u8, x: usize| ((f64::from(v) * (10 * x) as f64) / 255.0).round() as u8;
    let multiplied: Vec<u8> = rgb()
        .iter()
        .enumerate()
        .map(|(i, &v)| over(v, i / 3 % WIDTH))
        .collect();
    assert_same("tiff/rgb_alpha.tif", Channels::Rgb, &multiplied);
    assert_same("tiff/rgb_alpha_planar.tif", Channels::Rgb, &multiplied);
    for name in [
        "rgb_premultiplied",
        "rgb_unspecified",
        "rgb16_premultiplied",
    ] {
        assert_same(&format!("tiff/{name}.tif"), Channels::Rgb, &rgb());
    }
    let multiplied: Vec<u8> = grey()
        .iter()
        .enumerate()
        .map(|(i, &v)| over(v, i % WIDTH))
        .collect();
    assert_same("tiff/grey_alpha.tif", Channels::Gray, &multiplied);
    assert_same("tiff/grey_premultiplied.tif", Channels::Gray, &grey());
    assert_same("cases/assoc.tif", Channels::Rgb, &png("cases/assoc.png"));
}

#[test]
fn ycbcr_is_converted_whatever_its_subsampling() {
    let expected = each(|x, y| {
        let (x, y) = (x / 4 * 4, y / 4 * 4);
        [(8 * x) as u8, (10 * y) as u8, (200 - 5 * x) as u8]
    })
    .into_flattened();
    for name in [
        "ycbcr11",
        "ycbcr21",
        "ycbcr22",
        "ycbcr41",
        "ycbcr44",
        "ycbcr22_limited",
    ] {
        assert_near(&format!("tiff/{name}.tif"), &expected, 2, 1.0);
    }
    assert_near("cases/jpegycc.tif", &png("cases/jpegycc.png"), 40, 2.0);
    let smooth = png("tiff/smooth.png");
    for name in ["jpeg_ycbcr", "jpeg_rgb", "jpeg_tiled"] {
        assert_near(&format!("tiff/{name}.tif"), &smooth, 12, 2.0);
    }
}

#[test]
fn compressions_are_read_or_named() {
    for name in ["zstd", "zstd_predictor", "webp"] {
        assert_same(&format!("tiff/{name}.tif"), Channels::Rgb, &rgb());
    }
    let fax: Vec<u8> = (0..40)
        .flat_map(|y| (0..70).map(move |x| if (x + y) % 7 < 3 { 255 } else { 0 }))
        .collect();
    for name in ["rle", "g3", "g3_2d", "g3_fill", "g4", "g4_reversed"] {
        assert_same(&format!("tiff/fax_{name}.tif"), Channels::Gray, &fax);
    }
    for (name, what) in [
        ("lzma", "compressed as LZMA"),
        ("old_jpeg", "old-style JPEG"),
        ("lab", "colours are L*a*b*"),
        ("mixed_bits", "different numbers of bits"),
    ] {
        let text = error(&format!("tiff/{name}.tif"));
        assert!(
            text.contains(what)
                && text.contains("convert it to 8-bit PNG")
                && !text.contains("Unknown"),
            "{text}"
        );
    }
}

/// Every file cut anywhere gives an error, and never pixels of what is not there.
#[test]
fn a_cut_file_is_an_error_whatever_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tif");
    for entry in fs::read_dir(media("tiff")).unwrap() {
        let name = entry.unwrap().path();
        if name.extension().is_none_or(|e| e != "tif")
            || source(&name, Window::Auto)
                .and_then(|mut s| s.next_frame())
                .is_err()
        {
            continue;
        }
        let whole = fs::read(&name).unwrap();
        for tenth in 1..10 {
            fs::write(&path, &whole[..whole.len() * tenth / 10]).unwrap();
            let text = source(&path, Window::Auto)
                .and_then(|mut s| s.next_frame())
                .unwrap_err()
                .to_string();
            assert!(
                text.contains("cut.tif: the file ends early"),
                "{} at {tenth}: {text}",
                name.display()
            );
        }
    }
}

#[test]
fn a_cut_file_of_several_pages_keeps_those_that_are_whole() {
    // Four pages; the directory of each follows its data.
    let whole = fs::read(media("pages.tif")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tif");
    let mut found = Vec::new();
    for length in (8..whole.len()).step_by(40) {
        fs::write(&path, &whole[..length]).unwrap();
        let (mut pages, mut errors) = (0, Vec::new());
        match source(&path, Window::Auto) {
            Err(error) => errors.push(error),
            Ok(mut source) => loop {
                match source.next_frame() {
                    Ok(Some(frame)) => {
                        assert_eq!(
                            (frame.index, frame.size()),
                            (pages, Size::new(20 + pages as u32, 10))
                        );
                        pages += 1;
                    }
                    Ok(None) => break,
                    Err(error) => errors.push(error),
                }
            },
        }
        assert!(
            !errors.is_empty() && errors.iter().all(|e| e.to_string().contains("ends early")),
            "{length}: {errors:?}"
        );
        found.push(pages);
    }
    assert!(
        found.is_sorted() && found.contains(&1) && found.contains(&2) && found.contains(&3),
        "{found:?}"
    );
}
