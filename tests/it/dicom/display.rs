//! Windows, lookup tables, rescale and inversion.

use super::common::*;
use dicom_core::{VR, value::PrimitiveValue};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ultramotion::dicom::Window;

fn grey16(words: &[u16]) -> Object {
    let mut o = Object::image(words.len() as u16, 1);
    o.bits(16, 16).pixel_words(words);
    o
}

fn window(o: &mut Object, center: &str, width: &str) {
    o.text(tags::WINDOW_CENTER, VR::DS, center)
        .text(tags::WINDOW_WIDTH, VR::DS, width);
}

#[test]
fn eight_bit_grey_is_shown_as_it_is() {
    let mut o = Object::image(4, 1);
    o.bytes(&[0, 1, 128, 255]);
    assert_eq!(o.shown().data, [0, 1, 128, 255]);
    o.photometric("MONOCHROME1", 1);
    assert_eq!(o.shown().data, [255, 254, 127, 0]);
}

#[test]
fn the_linear_window_follows_the_standard() {
    // PS3.3 C.11.2.1.2.1, centre 100, width 11: black to 94.5, white above 104.5.
    let mut o = grey16(&[0, 94, 95, 99, 100, 104, 105, 1000]);
    window(&mut o, "100\\5", "11\\5");
    let expected = [94_i32, 95, 99, 100, 104, 105].map(|x| {
        let y = ((f64::from(x) - 99.5) / 10.0 + 0.5) * 255.0;
        (y + 0.5).floor().clamp(0.0, 255.0) as u8
    });
    assert_eq!(o.shown().data, [&[0], &expected[..], &[255]].concat());
    o.photometric("MONOCHROME1", 1);
    let inverted: Vec<u8> = [&[0], &expected[..], &[255]]
        .concat()
        .iter()
        .map(|v| 255 - v)
        .collect();
    assert_eq!(o.shown().data, inverted, "inverted after the window");
}

#[test]
fn linear_exact_and_sigmoid_functions() {
    let mut o = grey16(&[90, 95, 100, 105, 110]);
    window(&mut o, "100", "10");
    o.text(tags::VOILUT_FUNCTION, VR::CS, "LINEAR_EXACT");
    assert_eq!(o.shown().data, [0, 0, 128, 255, 255]);
    o.text(tags::VOILUT_FUNCTION, VR::CS, "SIGMOID");
    let expected = [-10_f64, -5.0, 0.0, 5.0, 10.0]
        .map(|d| (255.0 / (1.0 + (-4.0 * d / 10.0).exp()) + 0.5).floor() as u8);
    assert_eq!(o.shown().data, expected);
}

#[test]
fn a_window_is_in_rescaled_units() {
    let mut o = grey16(&[0, 1024, 1064, 2048]);
    o.text(tags::RESCALE_INTERCEPT, VR::DS, "-1024")
        .text(tags::RESCALE_SLOPE, VR::DS, "1");
    window(&mut o, "40", "400");
    let at = |x: f64| (((x - 39.5) / 399.0 + 0.5) * 255.0 + 0.5).floor() as u8;
    assert_eq!(o.shown().data, [0, at(0.0), at(40.0), 255]);
}

#[test]
fn the_users_window_wins_and_holds_for_8_bits_too() {
    let mut o = Object::image(3, 1);
    o.bytes(&[10, 20, 30, 0]);
    window(&mut o, "128", "256");
    let fixed: Window = "20,2".parse().expect("a window");
    assert_eq!(
        o.open_with(fixed)
            .and_then(|mut i| i.shown(0))
            .expect("a frame")
            .data,
        [0, 255, 255]
    );
    for wrong in ["", "40", "40,0", "a,b", "40,inf", "40,400,1"] {
        assert!(wrong.parse::<Window>().is_err(), "{wrong}");
    }
}

#[test]
fn a_voi_lut_wins_over_a_window_and_clamps() {
    let item = InMemDicomObject::from_element_iter([
        dicom_core::DataElement::new(
            tags::LUT_DESCRIPTOR,
            VR::US,
            PrimitiveValue::U16([3, 100, 12].as_slice().into()),
        ),
        dicom_core::DataElement::new(
            tags::LUT_DATA,
            VR::US,
            PrimitiveValue::U16([0, 4095, 2048].as_slice().into()),
        ),
    ]);
    let mut o = grey16(&[0, 100, 101, 102, 9999]);
    window(&mut o, "40", "400");
    o.items(tags::VOILUT_SEQUENCE, vec![item]);
    assert_eq!(o.shown().data, [0, 0, 255, 128, 128]);
}

#[test]
fn a_modality_lut_comes_before_the_window() {
    let item = InMemDicomObject::from_element_iter([
        dicom_core::DataElement::new(
            tags::LUT_DESCRIPTOR,
            VR::US,
            PrimitiveValue::U16([2, 0, 16].as_slice().into()),
        ),
        dicom_core::DataElement::new(
            tags::LUT_DATA,
            VR::US,
            PrimitiveValue::U16([1000, 3000].as_slice().into()),
        ),
    ]);
    let mut o = grey16(&[0, 1]);
    o.items(tags::MODALITY_LUT_SEQUENCE, vec![item]);
    window(&mut o, "2000", "100");
    assert_eq!(o.shown().data, [0, 255]);
}

#[test]
fn without_a_window_the_range_of_all_frames_counts() {
    let mut o = Object::image(2, 1);
    o.bits(16, 12)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .pixel_words(&[100, 200, 300, 500]);
    let mut image = o.open().expect("an image");
    assert_eq!(image.shown(0).expect("frame 0").data, [0, 64]);
    assert_eq!(image.shown(1).expect("frame 1").data, [128, 255]);
    let flat = grey16(&[7, 7]);
    assert_eq!(flat.shown().data, [0, 0]);
}

#[test]
fn enhanced_files_have_a_window_and_rescale_for_each_frame() {
    let group = |center: &str, intercept: &str| {
        let element =
            |tag, text: &str| dicom_core::DataElement::new(tag, VR::DS, PrimitiveValue::from(text));
        let voi = [
            element(tags::WINDOW_CENTER, center),
            element(tags::WINDOW_WIDTH, "2"),
        ];
        let transform = [
            element(tags::RESCALE_SLOPE, "1"),
            element(tags::RESCALE_INTERCEPT, intercept),
        ];
        InMemDicomObject::from_element_iter([
            dicom_core::DataElement::new(
                tags::FRAME_VOILUT_SEQUENCE,
                VR::SQ,
                sequence(vec![InMemDicomObject::from_element_iter(voi)]),
            ),
            dicom_core::DataElement::new(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                VR::SQ,
                sequence(vec![InMemDicomObject::from_element_iter(transform)]),
            ),
        ])
    };
    let mut o = Object::image(2, 1);
    o.bits(16, 16)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .pixel_words(&[10, 20, 10, 20]);
    o.items(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        vec![group("15", "0"), group("15", "100")],
    );
    let mut image = o.open().expect("an image");
    assert_eq!(image.shown(0).expect("frame 0").data, [0, 255]);
    assert_eq!(image.shown(1).expect("frame 1").data, [255, 255]);
}
