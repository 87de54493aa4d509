//! Display colours as DICOM states them.

/// An sRGB colour as Recommended Display CIELab Value (0062,000D): L* of 0 to 100 and a*, b* of -128 to 127 under the white
/// D50, each on 0 to 65535 (PS3.3 C.10.7.1.1).
pub(super) fn cielab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 {
            c / 12.92
        } else {
            libm::pow((c + 0.055) / 1.055, 2.4)
        }
    });
    // sRGB to XYZ under D50, relative to its white (IEC 61966-2-1 with Bradford's adaptation).
    const TO_XYZ: [[f64; 3]; 3] = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ];
    const WHITE: [f64; 3] = [0.964_22, 1.0, 0.825_21];
    let mut f = [0.0; 3];
    for ((f, row), white) in f.iter_mut().zip(TO_XYZ).zip(WHITE) {
        let t = row.iter().zip(linear).map(|(m, c)| m * c).sum::<f64>() / white;
        *f = if t > 216.0 / 24389.0 {
            libm::cbrt(t)
        } else {
            (24389.0 / 27.0 * t + 16.0) / 116.0
        };
    }
    let lightness = 116.0 * f[1] - 16.0;
    let scaled = |v: f64, low: f64, range: f64| ((v - low) / range * 65535.0).round() as u16;
    [
        scaled(lightness, 0.0, 100.0),
        scaled(500.0 * (f[0] - f[1]), -128.0, 255.0),
        scaled(200.0 * (f[1] - f[2]), -128.0, 255.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_black_and_red_are_where_the_standard_puts_them() {
        let near = |a: [u16; 3], b: [u16; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 40);
        assert!(
            near(cielab([255; 3]), [65535, 32896, 32896]),
            "{:?}",
            cielab([255; 3])
        );
        assert!(
            near(cielab([0; 3]), [0, 32896, 32896]),
            "{:?}",
            cielab([0; 3])
        );
        // L* 54.29, a* 80.81, b* 69.89.
        assert!(
            near(cielab([255, 0, 0]), [35579, 53664, 50858]),
            "{:?}",
            cielab([255, 0, 0])
        );
    }
}
