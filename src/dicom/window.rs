//! The window that the user gives.

/// Window of grey values that a picture of 8 bits shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Window {
    /// That of the file; without one, the range of its values.
    #[default]
    Auto,
    /// A centre and a positive width, in units after rescale: LINEAR for values that are whole numbers and a width of at
    /// least 1, else LINEAR_EXACT (PS3.3 C.11.2.1.2 and C.11.2.1.3).
    Fixed {
        /// Window Center.
        center: f64,
        /// Window Width.
        width: f64,
    },
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        if s == "auto" {
            return Ok(Self::Auto);
        }
        let wrong = || {
            format!(
                "{s:?} is no window; give auto or CENTER,WIDTH with a width above 0, such as 40,400"
            )
        };
        let (center, width) = s.split_once(',').ok_or_else(wrong)?;
        let (center, width): (f64, f64) = (
            center.trim().parse().map_err(|_| wrong())?,
            width.trim().parse().map_err(|_| wrong())?,
        );
        if center.is_finite() && width.is_finite() && width > 0.0 {
            Ok(Self::Fixed { center, width })
        } else {
            Err(wrong())
        }
    }
}
