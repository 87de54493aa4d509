//! Samples of more than 8 bits to 8: by the range of their type, or by a window.

use super::picture::Remark;
use crate::dicom::Window;

/// v/257, rounded.
pub(super) fn narrow(samples: &[u16]) -> Vec<u8> {
    samples
        .iter()
        .map(|&v| ((u32::from(v) + 128) / 257) as u8)
        .collect()
}

/// From `low`, black, to `high`, white; rounded, what is outside is black or white.
pub(super) fn ramp(value: f64, low: f64, high: f64) -> u8 {
    ((value - low) / (high - low) * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// As DICOM's LINEAR; of a width of 1 and less as its LINEAR_EXACT, which LINEAR does not reach.
fn windowed(value: f64, center: f64, width: f64) -> u8 {
    if width > 1.0 {
        let half = (width - 1.0) / 2.0;
        ramp(value, center - 0.5 - half, center - 0.5 + half)
    } else {
        ramp(value, center - width / 2.0, center + width / 2.0)
    }
}

/// Grey of up to 16 bits of which `max` is the greatest, above 255.
pub(super) fn grey_16(samples: &[u16], max: u16, window: Window) -> (Vec<u8>, Option<Remark>) {
    if let Window::Fixed { center, width } = window {
        let table: Vec<u8> = (0..=u16::MAX)
            .map(|v| windowed(f64::from(v), center, width))
            .collect();
        return (
            samples.iter().map(|&v| table[usize::from(v)]).collect(),
            None,
        );
    }
    let shown = if max == u16::MAX {
        narrow(samples)
    } else {
        let (max, half) = (u32::from(max), u32::from(max) / 2);
        samples
            .iter()
            .map(|&v| ((u32::from(v).min(max) * 255 + half) / max) as u8)
            .collect()
    };
    let range = samples
        .iter()
        .fold((u16::MAX, 0), |(low, high), &v| (low.min(v), high.max(v)));
    (
        shown,
        remark(
            (f64::from(range.0), f64::from(range.1)),
            (0.0, f64::from(max)),
        ),
    )
}

/// Grey values between `low` and `high`, which their type can hold; none where only a window can show them.
pub(super) fn grey_real(
    samples: &[f64],
    range: Option<(f64, f64)>,
    window: Window,
) -> Option<(Vec<u8>, Option<Remark>)> {
    if let Window::Fixed { center, width } = window {
        // What is not a number is black.
        return Some((
            samples
                .iter()
                .map(|&v| windowed(v, center, width))
                .collect(),
            None,
        ));
    }
    let (low, high) = range?;
    let shown = samples.iter().map(|&v| ramp(v, low, high)).collect();
    let used = samples
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &v| {
            (least.min(v), most.max(v))
        });
    Some((shown, remark(used, (low, high))))
}

/// Grey values of 16 bits that come from elsewhere than a file, by the rules of files; with what a user should know about them: what
/// was found, and what would change it.
pub(crate) fn display_grey_16(samples: &[u16], window: Window) -> (Vec<u8>, Option<[String; 2]>) {
    let (shown, remark) = grey_16(samples, u16::MAX, window);
    (shown, remark.map(|remark| [remark.problem, remark.remedy]))
}

/// The same of values with sign.
pub(crate) fn display_grey_i16(samples: &[i16], window: Window) -> (Vec<u8>, Option<[String; 2]>) {
    let samples: Vec<f64> = samples.iter().map(|&v| f64::from(v)).collect();
    let range = Some((f64::from(i16::MIN), f64::from(i16::MAX)));
    // With a range there is always a picture.
    let (shown, remark) = grey_real(&samples, range, window).unwrap_or_default();
    (shown, remark.map(|remark| [remark.problem, remark.remedy]))
}

/// Colour values of 16 bits: each divided by 257 and rounded.
pub(crate) fn display_colour_16(samples: &[u16]) -> Vec<u8> {
    narrow(samples)
}

/// Whether the values of a picture use so little of the range of their type that it looks like nothing.
fn remark(used: (f64, f64), (low, high): (f64, f64)) -> Option<Remark> {
    let sixteenth = (high - low + 1.0) / 16.0;
    let dark = low == 0.0 && used.1 < sixteenth;
    let flat = low < 0.0 && used.1 - used.0 < sixteenth;
    // A picture of one value looks like that with any window.
    if used.0 >= used.1 || !(dark || flat) {
        return None;
    }
    let looks = if dark {
        "nearly black"
    } else {
        "nearly uniform"
    };
    let bits = (high - low + 1.0).log2().round();
    let (center, width) = (((used.0 + used.1 + 1.0) / 2.0), used.1 - used.0 + 1.0);
    Some(Remark {
        problem: format!(
            "its {bits}-bit grey values use less than a sixteenth of their range, so that the picture is {looks}"
        ),
        remedy: format!(
            "give a window: 2048,4096 (center, width) scales values of 12 bits, {center},{width} those of this picture"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_round_to_the_nearest_of_eight() {
        assert_eq!(
            narrow(&[0, 128, 129, 257, 385, 386, 65_406, 65_407, 65_535]),
            [0, 0, 1, 1, 1, 2, 254, 255, 255]
        );
        for v in 0..=u16::MAX {
            assert_eq!(narrow(&[v])[0], (f64::from(v) / 257.0).round() as u8);
        }
    }

    #[test]
    fn a_window_scales_twelve_bits_to_the_whole_range() {
        let window = Window::Fixed {
            center: 2048.0,
            width: 4096.0,
        };
        let (shown, remark) = grey_16(&[0, 2047, 2048, 4095, 9000], u16::MAX, window);
        assert_eq!((shown, remark), (vec![0, 127, 128, 255, 255], None));
        let narrow = Window::Fixed {
            center: 0.2,
            width: 0.4,
        };
        assert_eq!(
            grey_real(&[-1.0, 0.0, 0.2, 0.4, f64::NAN], None, narrow)
                .unwrap()
                .0,
            [0, 0, 128, 255, 0]
        );
    }

    #[test]
    fn pictures_that_look_like_nothing_are_remarked() {
        let dark = |samples: &[u16], max| {
            grey_16(samples, max, Window::Auto)
                .1
                .map(|remark| remark.to_string())
        };
        assert_eq!(dark(&[7, 4096], u16::MAX), None);
        assert_eq!(dark(&[0, 0, 0], u16::MAX), None);
        let text = dark(&[7, 4095], u16::MAX).unwrap();
        assert!(
            text.contains("16-bit")
                && text.contains("nearly black")
                && text.contains(" 2051.5,4089 those"),
            "{text}"
        );
        let signed = Some((-32_768.0, 32_767.0));
        let flat = grey_real(&[-1000.0, 900.0], signed, Window::Auto)
            .unwrap()
            .1
            .unwrap()
            .to_string();
        assert!(
            flat.contains("16-bit") && flat.contains("nearly uniform"),
            "{flat}"
        );
        assert_eq!(
            grey_real(&[-30_000.0, 30_000.0], signed, Window::Auto)
                .unwrap()
                .1,
            None
        );
        assert!(grey_real(&[0.5], None, Window::Auto).is_none());
    }
}
