//! Pictures of messages as frames have them.

use super::geometry::spacing;
use crate::{
    dicom::Window,
    frame::{self, Channels, Physical},
    geometry::Size,
    igtl::{Image, Samples},
    sources::{display_colour_16, display_grey_16, display_grey_i16},
};
use std::sync::Arc;

/// A picture of 8 bits a channel.
#[derive(Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) image: frame::Image,
    pub(super) physical: Option<Arc<Physical>>,
    /// What a user should know: what was found, and what would change it.
    pub(super) remark: Option<[String; 2]>,
}

/// The picture of an `IMAGE` of one slice. Grey of 16 bits is scaled by `window` or, without one, by the range of its type: v/257
/// without sign; with sign from −32768, black, to 32767, white. Colour of 16 bits is v/257. All rounded.
///
/// # Errors
/// What is not read, and what would work.
pub(super) fn picture(
    image: Image,
    window: Window,
    max_pixels: u64,
) -> Result<Picture, [String; 2]> {
    let [columns, rows, slices] = image.size;
    let size = Size::new(u32::from(columns), u32::from(rows));
    if slices != 1 {
        return Err([
            format!("it is a volume of {slices} slices"),
            "send single slices".to_owned(),
        ]);
    }
    if size.pixels() > max_pixels {
        return Err([
            format!("it has {} pixels", size.pixels()),
            format!("at most {max_pixels} are read"),
        ]);
    }
    let colour = image.components == 3;
    let (data, remark) = match image.samples {
        Samples::U8(values) => (values, None),
        Samples::U16(values) if colour => (display_colour_16(&values), None),
        Samples::U16(values) => display_grey_16(&values, window),
        Samples::I16(_) if colour => {
            return Err([
                "it has colours of 16 bits with sign".to_owned(),
                "send them without sign, or in 8 bits".to_owned(),
            ]);
        }
        Samples::I16(values) => display_grey_i16(&values, window),
    };
    let channels = match colour {
        true => Channels::Rgb,
        false => Channels::Gray,
    };
    let physical = spacing(&image.geometry).map(|spacing| {
        Arc::new(Physical {
            pixel_spacing_mm: Some(spacing),
            ..Physical::default()
        })
    });
    let pixels = frame::Image::new(size, channels, data);
    let image = pixels.ok_or_else(|| {
        [
            "it has no pixels".to_owned(),
            "send at least one".to_owned(),
        ]
    })?;
    Ok(Picture {
        image,
        physical,
        remark,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::igtl::{CoordinateSystem, ImageGeometry};

    fn image(size: [u16; 3], components: u8, samples: Samples) -> Image {
        let geometry = ImageGeometry {
            column_step: [0.0, 0.3, 0.4],
            row_step: [0.25, 0.0, 0.0],
            slice_step: [0.0, 0.0, 1.0],
            centre: [0.0; 3],
            coordinates: CoordinateSystem::Ras,
        };
        Image {
            size,
            components,
            samples,
            geometry,
        }
    }

    fn shown(image: Image, window: Window) -> Vec<u8> {
        picture(image, window, 100).unwrap().image.into_data()
    }

    #[test]
    fn sixteen_bits_are_scaled_by_the_range_of_their_type_or_a_window() {
        let wide = || image([3, 1, 1], 1, Samples::U16(vec![0, 257, 65_535]));
        assert_eq!(shown(wide(), Window::Auto), [0, 1, 255]);
        let window = Window::Fixed {
            center: 128.5,
            width: 257.0,
        };
        assert_eq!(shown(wide(), window), [0, 255, 255]);
        let signed = image([3, 1, 1], 1, Samples::I16(vec![i16::MIN, 0, i16::MAX]));
        assert_eq!(shown(signed, Window::Auto), [0, 128, 255]);
        let colour = image([1, 1, 1], 3, Samples::U16(vec![0, 514, 65_535]));
        assert_eq!(shown(colour, Window::Auto), [0, 2, 255]);
    }

    #[test]
    fn spacing_is_the_length_of_the_steps_rows_first() {
        let picture = picture(
            image([2, 1, 1], 1, Samples::U8(vec![3, 4])),
            Window::Auto,
            2,
        );
        let picture = picture.unwrap();
        let found = picture.physical.unwrap().pixel_spacing_mm.unwrap();
        assert!((found[0] - 0.25).abs() < 1e-7 && (found[1] - 0.5).abs() < 1e-7);
        assert_eq!((picture.image.data(), picture.remark), (&[3, 4][..], None));
    }

    #[test]
    fn volumes_signed_colours_and_large_pictures_are_refused() {
        let refused = |image| picture(image, Window::Auto, 3).unwrap_err()[0].clone();
        let volume = image([1, 1, 2], 1, Samples::U8(vec![0; 2]));
        assert_eq!(refused(volume), "it is a volume of 2 slices");
        let large = image([4, 1, 1], 1, Samples::U8(vec![0; 4]));
        assert_eq!(refused(large), "it has 4 pixels");
        assert!(refused(image([1, 1, 1], 3, Samples::I16(vec![0; 3]))).contains("with sign"));
    }
}
