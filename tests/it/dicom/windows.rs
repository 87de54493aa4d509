//! Windows that are narrow, of floating-point values, or none; what counts for the range of the values.

use super::common::*;
use dicom_core::{VR, value::PrimitiveValue};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ultramotion::dicom::{DicomFinding, Window};

fn grey16(words: &[u16]) -> Object {
    let mut o = Object::image(words.len() as u16, 1);
    o.bits(16, 16).pixel_words(words);
    o
}

fn floats(values: &[f32]) -> Object {
    let mut o = Object::image(values.len() as u16, 1);
    o.bits(32, 32).put(
        tags::FLOAT_PIXEL_DATA,
        VR::OF,
        PrimitiveValue::F32(values.into()),
    );
    o
}

fn doubles(values: &[f64]) -> Object {
    let mut o = Object::image(values.len() as u16, 1);
    o.bits(64, 64).put(
        tags::DOUBLE_FLOAT_PIXEL_DATA,
        VR::OD,
        PrimitiveValue::F64(values.into()),
    );
    o
}

fn window(o: &mut Object, center: &str, width: &str) {
    o.text(tags::WINDOW_CENTER, VR::DS, center)
        .text(tags::WINDOW_WIDTH, VR::DS, width);
}

fn rescale(o: &mut Object, slope: &str, intercept: &str) {
    o.text(tags::RESCALE_SLOPE, VR::DS, slope)
        .text(tags::RESCALE_INTERCEPT, VR::DS, intercept);
}

fn shown_in(o: &Object, window: &str) -> Vec<u8> {
    shown_with_findings(o, window.parse().expect("a window"))
        .0
        .data
}

/// PS3.3 C.11.2.1.3.2.
fn linear_exact(values: &[f64], center: f64, width: f64) -> Vec<u8> {
    values
        .iter()
        .map(|x| ((((x - center) / width + 0.5) * 255.0).clamp(0.0, 255.0) + 0.5).floor() as u8)
        .collect()
}

#[test]
fn narrow_windows_of_tiny_slopes_are_shown_as_linear_exact() {
    let mut o = grey16(&[0, 1000, 2000, 3000, 4000, 5000]);
    rescale(&mut o, "0.0001", "0");
    let values = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5];
    window(&mut o, "0.2", "0.4");
    assert_eq!(shown_quietly(&o).data, linear_exact(&values, 0.2, 0.4));
    assert_eq!(shown_in(&o, "0.25,0.1"), linear_exact(&values, 0.25, 0.1));
    // A width above 1 of values that are not whole: no half value is taken off.
    assert_eq!(shown_in(&o, "0.5,1"), linear_exact(&values, 0.5, 1.0));
    // Without a window the values' range.
    let mut o = grey16(&[0, 1000, 5000]);
    rescale(&mut o, "1e-12", "-3e-9");
    assert_eq!(shown_quietly(&o).data, [0, 51, 255]);
}

#[test]
fn floating_point_pixels_are_windowed_and_ranged() {
    let values = [0.0, 0.25, 0.5, 0.75, 1.0];
    let singles = floats(&values.map(|v| v as f32));
    let mut stated = floats(&values.map(|v| v as f32));
    window(&mut stated, "0.5", "1");
    let expected = linear_exact(&values, 0.5, 1.0);
    assert_eq!(expected, [0, 64, 128, 191, 255]);
    assert_eq!(
        (shown_quietly(&singles).data, shown_quietly(&stated).data),
        (expected.clone(), expected.clone())
    );
    assert_eq!(
        (
            shown_in(&singles, "0.5,1"),
            shown_in(&doubles(&values), "0.5,1")
        ),
        (expected.clone(), expected.clone())
    );
    assert_eq!(shown_quietly(&doubles(&values)).data, expected);
    assert_eq!(
        shown_in(&doubles(&values), "0.5,0.5"),
        linear_exact(&values, 0.5, 0.5)
    );
    // Not-a-number is black and infinity the end of the scale; neither counts for the range, nor do the largest numbers overflow it.
    assert_eq!(
        shown_quietly(&floats(&[f32::NAN, 1.0, 3.0, f32::INFINITY])).data,
        [0, 0, 255, 255]
    );
    assert_eq!(
        shown_quietly(&doubles(&[-f64::MAX, 0.0, f64::MAX])).data,
        [0, 128, 255]
    );
}

#[test]
fn whole_numbers_keep_the_linear_window() {
    let mut o = grey16(&[94, 95, 100, 105]);
    rescale(&mut o, "1", "0");
    let linear =
        |x: f64| ((((x - 99.5) / 10.0 + 0.5) * 255.0).clamp(0.0, 255.0) + 0.5).floor() as u8;
    let expected = [94.0, 95.0, 100.0, 105.0].map(linear);
    assert_eq!(shown_in(&o, "100,11"), expected);
    window(&mut o, "100", "11");
    assert_eq!(shown_quietly(&o).data, expected);
    assert_eq!(
        shown_in(&o, "95,0.5"),
        [0, 128, 255, 255],
        "below 1 LINEAR has no meaning"
    );
    for wrong in ["40,0", "40,-1", "40,nan", "nan,40", "40,1e999"] {
        assert!(
            wrong
                .parse::<Window>()
                .expect_err(wrong)
                .contains("width above 0"),
            "{wrong}"
        );
    }
}

#[test]
fn windows_of_the_file_that_are_none_fall_back_to_the_range() {
    let cases = [
        ("300", "0", "WindowWidth", "0"),
        ("300", "-5", "WindowWidth", "-5"),
        ("300", "nan", "WindowWidth", "nan"),
        ("300", "2000,5", "WindowWidth", "2000,5"),
        ("300", "wide", "WindowWidth", "wide"),
        ("inf", "400", "WindowCenter", "inf"),
        ("middle", "400", "WindowCenter", "middle"),
    ];
    for (center, width, name, value) in cases {
        let mut o = grey16(&[100, 200, 300]);
        window(&mut o, center, width);
        let (shown, found) = shown_with_findings(&o, Window::Auto);
        assert_eq!(
            (shown.data, found),
            (
                vec![0, 128, 255],
                vec![DicomFinding::Window {
                    name,
                    value: value.to_owned()
                }]
            )
        );
        let (shown, found) = shown_with_findings(&o, "200,101".parse().expect("a window"));
        assert_eq!(
            (shown.data, found),
            (vec![0, 129, 255], vec![]),
            "a window of the user's needs none of the file's"
        );
        // 8-bit grey is shown as it is, as without a window.
        let mut o = Object::image(2, 1);
        window(o.bytes(&[7, 9]), center, width);
        assert_eq!(o.shown().data, [7, 9]);
    }
    // A second value that is none does no harm to the first.
    let mut o = grey16(&[100, 200, 300]);
    window(&mut o, "200\\x", "101\\");
    assert_eq!(shown_quietly(&o).data, [0, 129, 255]);
}

#[test]
fn a_window_function_that_is_none_counts_as_linear() {
    let mut o = grey16(&[90, 100, 110]);
    window(&mut o, "100", "11");
    let expected = shown_quietly(&o).data;
    o.text(tags::VOILUT_FUNCTION, VR::CS, "CUBIC");
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert_eq!(
        (shown.data, found),
        (
            expected,
            vec![DicomFinding::WindowFunction {
                value: "CUBIC".to_owned()
            }]
        )
    );
}

#[test]
fn a_voi_lut_that_is_none_leaves_the_window() {
    let item = InMemDicomObject::from_element_iter([
        dicom_core::DataElement::new(
            tags::LUT_DESCRIPTOR,
            VR::US,
            PrimitiveValue::U16([300, 0, 12].as_slice().into()),
        ),
        dicom_core::DataElement::new(
            tags::LUT_DATA,
            VR::US,
            PrimitiveValue::U16([1, 2].as_slice().into()),
        ),
    ]);
    let mut o = grey16(&[90, 100, 110]);
    window(&mut o, "100", "11");
    let expected = shown_quietly(&o).data;
    o.items(tags::VOILUT_SEQUENCE, vec![item]);
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert!(
        shown.data == expected && matches!(found[..], [DicomFinding::VoiTable { .. }]),
        "{found:?}"
    );
}

#[test]
fn a_rescale_that_is_none_shows_the_stored_values() {
    for (slope, intercept, name, value) in [
        ("0", "10", "RescaleSlope", "0"),
        ("x", "10", "RescaleSlope", "x"),
        ("2", "nan", "RescaleIntercept", "nan"),
    ] {
        let mut o = grey16(&[100, 200, 300]);
        rescale(&mut o, slope, intercept);
        window(&mut o, "40", "400");
        let (shown, found) = shown_with_findings(&o, Window::Auto);
        assert_eq!(
            (shown.data, found),
            (
                vec![0, 128, 255],
                vec![DicomFinding::Rescale {
                    name,
                    value: value.to_owned()
                }]
            )
        );
        assert_eq!(shown_in(&o, "200,101"), [0, 129, 255], "in stored values");
    }
}

#[test]
fn padding_does_not_count_for_the_range() {
    let mut o = grey16(&[63536, 100, 200, 300]);
    o.u16(tags::PIXEL_REPRESENTATION, 1).put(
        tags::PIXEL_PADDING_VALUE,
        VR::SS,
        PrimitiveValue::from(-2000_i16),
    );
    assert_eq!(shown_quietly(&o).data, [0, 0, 128, 255]);
    o.u16(tags::PIXEL_PADDING_VALUE, 63536);
    assert_eq!(
        shown_quietly(&o).data,
        [0, 0, 128, 255],
        "of a VR of the other sign"
    );
    let mut o = grey16(&[0, 5, 10, 100, 200, 300]);
    o.u16(tags::PIXEL_PADDING_VALUE, 10)
        .u16(tags::PIXEL_PADDING_RANGE_LIMIT, 0);
    assert_eq!(
        shown_quietly(&o).data,
        [0, 0, 0, 0, 128, 255],
        "a range, from either end"
    );
    let mut o = grey16(&[0, 0]);
    o.u16(tags::PIXEL_PADDING_VALUE, 0);
    assert_eq!(shown_quietly(&o).data, [0, 0], "nothing but padding");
    let mut o = floats(&[-1e30, 1.0, 2.0, 3.0]);
    o.put(
        tags::FLOAT_PIXEL_PADDING_VALUE,
        VR::FL,
        PrimitiveValue::from(-1e30_f32),
    );
    assert_eq!(shown_quietly(&o).data, [0, 0, 128, 255]);
}

#[test]
fn photometric_interpretation_decides_over_inversion_and_a_shape_that_disagrees_is_told() {
    let mut o = Object::image(2, 1);
    o.bytes(&[0, 10])
        .text(tags::PRESENTATION_LUT_SHAPE, VR::CS, "INVERSE");
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert!(
        shown.data == [0, 10] && matches!(found[..], [DicomFinding::Inversion { .. }]),
        "{found:?}"
    );
    o.photometric("MONOCHROME1", 1);
    assert_eq!(shown_quietly(&o).data, [255, 245], "inverted once");
}
