//! Values as their VR allows them: what a source wrote wrongly is not copied.

use dicom_core::VR;

/// `text` cut to what one value of `vr` may hold; empty where no such value can be made of it. Text is in UTF-8
/// (Specific Character Set ISO_IR 192), whose lengths count characters.
pub(super) fn clean(vr: VR, text: &str) -> String {
    let text = text.trim_matches(['\0', ' ', '\n', '\r', '\t']);
    let plain = |longest: usize| -> String {
        let kept: String = text
            .chars()
            .map(|c| if c == '\\' { '/' } else { c })
            .filter(|c| !c.is_control())
            .take(longest)
            .collect();
        kept.trim_end().to_owned()
    };
    match vr {
        VR::LO => plain(64),
        VR::SH => plain(16),
        VR::ST => plain(1024),
        VR::LT => plain(10_240),
        VR::UT => plain(usize::MAX),
        VR::PN => name(&plain(3 * 64 + 2)),
        VR::CS => valid(text, 16, |c| {
            c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ' || c == '_'
        }),
        VR::DA if text.len() == 8 => valid(text, 8, |c| c.is_ascii_digit()),
        VR::TM => time(text),
        VR::IS => text
            .parse::<i32>()
            .map_or_else(|_| String::new(), |n| n.to_string()),
        VR::AS => age(text),
        VR::DS => text
            .parse::<f64>()
            .ok()
            .filter(|v| v.is_finite())
            .map_or_else(String::new, decimal),
        _ => String::new(),
    }
}

/// A number as a Decimal String, in 16 characters at most, to the precision that they leave.
pub(super) fn decimal(value: f64) -> String {
    const LONGEST: usize = 16;
    let value = if value == 0.0 { 0.0 } else { value };
    let plain = value.to_string();
    if plain.len() <= LONGEST {
        return plain;
    }
    let small = value.abs() < 1e-3 || value.abs() >= 1e10;
    (0..LONGEST)
        .rev()
        .map(|digits| match small {
            true => format!("{value:.digits$e}"),
            false => format!("{value:.digits$}"),
        })
        .find(|text| text.len() <= LONGEST)
        .unwrap_or_default()
}

fn valid(text: &str, longest: usize, allowed: impl Fn(char) -> bool) -> String {
    let fits = text.len() <= longest && text.chars().all(allowed);
    if fits { text.to_owned() } else { String::new() }
}

/// Up to three groups (alphabetic, ideographic, phonetic), each of up to five parts and 64 characters.
fn name(text: &str) -> String {
    let group = |group: &str| -> String {
        let parts: Vec<&str> = group.split('^').take(5).collect();
        parts.join("^").chars().take(64).collect()
    };
    let groups: Vec<String> = text.split('=').take(3).map(group).collect();
    groups.join("=")
}

/// HH, HHMM, HHMMSS or HHMMSS.F of up to six digits.
fn time(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let below = |at: usize, limit: u32| {
        whole
            .get(at..at + 2)
            .is_none_or(|t| t.parse::<u32>().is_ok_and(|v| v < limit))
    };
    let sound = matches!(whole.len(), 2 | 4 | 6)
        && digits(whole)
        && digits(fraction)
        && fraction.len() <= 6
        && (fraction.is_empty() || whole.len() == 6)
        && below(0, 24)
        && below(2, 60)
        && below(4, 61);
    let text = text.trim_end_matches('.');
    if sound {
        text.to_owned()
    } else {
        String::new()
    }
}

/// nnnD, nnnW, nnnM or nnnY.
fn age(text: &str) -> String {
    let sound = match text.as_bytes() {
        [digits @ .., unit] if digits.len() == 3 => {
            digits.iter().all(u8::is_ascii_digit) && b"DWMY".contains(unit)
        }
        _ => false,
    };
    if sound {
        text.to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vr_does_not_allow_is_cut_or_left_out() {
        let cases = [
            (VR::LO, "a\\b\u{1b}c ", "a/bc"),
            (VR::SH, "0123456789abcdefgh", "0123456789abcdef"),
            (VR::CS, "male", ""),
            (VR::CS, "M", "M"),
            (VR::DA, "2026-11-28", ""),
            (VR::DA, "20261128", "20261128"),
            (VR::TM, "10:11:12", ""),
            (VR::TM, "101112.5", "101112.5"),
            (VR::TM, "256000", ""),
            (VR::AS, "045Y", "045Y"),
            (VR::AS, "45é", ""),
            (VR::IS, " 12", "12"),
            (VR::DS, "1,5", ""),
            (VR::PN, "Ünal^Ayşe^^^^more", "Ünal^Ayşe^^^"),
        ];
        for (vr, text, expected) in cases {
            assert_eq!(clean(vr, text), expected, "{vr:?} {text:?}");
        }
    }

    #[test]
    fn numbers_fit_16_characters() {
        assert_eq!(decimal(0.2), "0.2");
        assert_eq!(decimal(-0.0), "0");
        assert_eq!(decimal(1.0 / 3.0), "0.33333333333333");
        for value in [
            -1.0 / 3.0,
            -1.234_567_890_123e-17,
            1e300 / 3.0,
            -123_456.789_012_345_6,
        ] {
            let text = decimal(value);
            let back: f64 = text.parse().unwrap();
            assert!(text.len() <= 16, "{text}");
            assert!((back / value - 1.0).abs() < 1e-8, "{text} {value}");
        }
    }
}
