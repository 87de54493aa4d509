//! Text on pictures.
//!
//! The font is DejaVu Sans Condensed Bold (its licence lies beside it): Latin, Greek, Cyrillic and more. Characters that
//! it lacks appear as a box; text runs from left to right without shaping.

use crate::sinks::{overlay::canvas::Canvas, palette::Colour};
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use std::sync::LazyLock;

static FONT: LazyLock<Option<FontRef<'static>>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!(
        "../../../assets/fonts/DejaVuSansCondensed-Bold.ttf"
    ))
    .ok()
});

/// A line of text as coverage, with room for its outline.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) width: i32,
    pub(super) height: i32,
    coverage: Vec<u8>,
}

/// Pixels left free around the glyphs, for the outline.
const MARGIN: i32 = 1;

impl Text {
    /// Draws `text` with lines `pixels` high.
    pub(super) fn new(text: &str, pixels: f32) -> Option<Self> {
        let font = FONT.as_ref()?.as_scaled(PxScale::from(pixels));
        let mut glyphs = Vec::new();
        let (mut x, mut last) = (MARGIN as f32, None);
        for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            let id = font.glyph_id(c);
            x += last.map_or(0.0, |last| font.kern(last, id));
            glyphs
                .push(id.with_scale_and_position(pixels, point(x, MARGIN as f32 + font.ascent())));
            x += font.h_advance(id);
            last = Some(id);
        }
        let (width, height) = (
            x.ceil() as i32 + MARGIN,
            font.height().ceil() as i32 + 2 * MARGIN,
        );
        let mut drawn = Self {
            width,
            height,
            coverage: vec![0; width as usize * height as usize],
        };
        for glyph in glyphs.into_iter().filter_map(|g| font.outline_glyph(g)) {
            let (left, top) = (
                glyph.px_bounds().min.x as i32,
                glyph.px_bounds().min.y as i32,
            );
            glyph.draw(|x, y, c| {
                drawn.cover(
                    left + x as i32,
                    top + y as i32,
                    (c.clamp(0.0, 1.0) * 255.0).round() as u8,
                )
            });
        }
        Some(drawn)
    }

    /// The longest beginning of `text` that is `most` pixels wide at most with `tail` behind it, and both as one line; an
    /// ellipsis tells that some is missing. None if not even the tail fits.
    pub(super) fn fitting(text: &str, tail: &str, pixels: f32, most: i32) -> Option<Self> {
        let line = |kept: &str, dots: &str| {
            let all = format!("{kept}{dots} {tail}");
            Self::new(all.trim(), pixels).filter(|t| t.width <= most)
        };
        if let Some(whole) = line(text, "") {
            return Some(whole);
        }
        let ends: Vec<usize> = text.char_indices().map(|(i, _)| i).skip(1).collect();
        // Wider with every character: the longest that fits is found by halving.
        let fits = ends.partition_point(|&end| line(&text[..end], "…").is_some());
        fits.checked_sub(1)
            .and_then(|i| line(&text[..ends[i]], "…"))
            .or_else(|| line("", ""))
    }

    fn cover(&mut self, x: i32, y: i32, coverage: u8) {
        if (0..self.width).contains(&x) && (0..self.height).contains(&y) {
            let at = &mut self.coverage[y as usize * self.width as usize + x as usize];
            *at = coverage.max(*at);
        }
    }

    fn at(&self, x: i32, y: i32) -> u8 {
        if (0..self.width).contains(&x) && (0..self.height).contains(&y) {
            self.coverage[y as usize * self.width as usize + x as usize]
        } else {
            0
        }
    }

    /// Draws it with its upper left corner at (x, y), in `colour` with an outline of `around`.
    pub(super) fn draw(&self, canvas: &mut Canvas, x: i32, y: i32, colour: Colour, around: Colour) {
        for row in 0..self.height {
            for column in 0..self.width {
                let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
                let halo = near
                    .map(|(dx, dy)| self.at(column + dx, row + dy))
                    .max()
                    .unwrap_or(0);
                if halo > 0 {
                    canvas.blend(x + column, y + row, around, halo);
                    canvas.blend(x + column, y + row, colour, self.at(column, row));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_is_there_and_text_grows_with_its_size() {
        let (small, large) = (
            Text::new("Knochen 0.93", 12.0).unwrap(),
            Text::new("Knochen 0.93", 24.0).unwrap(),
        );
        assert!(small.coverage.iter().any(|c| *c > 128));
        assert!(
            (large.width - 2 * small.width).abs() <= 6 && large.height > small.height,
            "{small:?}"
        );
    }

    #[test]
    fn glyphs_beyond_ascii_differ_and_odd_ones_do_no_harm() {
        let of = |text| Text::new(text, 16.0).unwrap().coverage;
        assert_ne!(of("Ω"), of("é"));
        assert!(of("骨").iter().any(|c| *c > 0), "a missing glyph is a box");
        of("");
        of("a\u{301}\n\u{202e}\u{1f600}");
    }

    #[test]
    fn long_labels_are_cut_to_fit() {
        let whole = Text::fitting("bone", "0.93", 14.0, 500).unwrap();
        let cut = Text::fitting("a very long label that does not fit", "0.93", 14.0, 100).unwrap();
        assert!(cut.width <= 100 && cut.width > 70, "{}", cut.width);
        assert!(whole.width < 100);
        assert!(Text::fitting("bone", "0.93", 14.0, 40).is_some());
        assert!(Text::fitting("bone", "0.93", 14.0, 5).is_none());
    }
}
