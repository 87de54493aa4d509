//! What the machine draws over the image: rulers, a grey bar, lines of text, markers.

use super::{
    probe::{Layout, View},
    rng::Rng,
};

/// Furniture of a sequence.
pub(super) struct Furniture {
    /// Rulers along the right, left and lower side: grey and length of a mark in pixels, if drawn.
    rulers: [Option<(u8, i32)>; 3],
    /// Millimetres between marks.
    every: f32,
    focus: Option<f32>,
    /// Seed of the text lines and their grey.
    text: Option<(u64, u8)>,
    grey_bar: bool,
    centre_mark: bool,
    layout: Layout,
}

impl Furniture {
    pub(super) fn draw(rng: &mut Rng, layout: Layout, depth: f32) -> Self {
        let share = if layout.bleed { 0.15 } else { 0.5 };
        let rulers = [0; 3].map(|_| {
            rng.chance(share)
                .then(|| (rng.range(90.0, 255.0) as u8, 3 + rng.below(4) as i32))
        });
        Self {
            rulers,
            every: if depth > 80.0 || rng.chance(0.4) {
                10.0
            } else {
                5.0
            },
            focus: (rng.chance(share)).then(|| rng.range(0.2, 0.7)),
            text: (!layout.bleed && rng.chance(0.6))
                .then(|| (rng.next_u64(), rng.range(100.0, 255.0) as u8)),
            grey_bar: !layout.bleed && rng.chance(0.4),
            centre_mark: rng.chance(0.3),
            layout,
        }
    }

    /// Draws it over grey pixels of the view's size.
    pub(super) fn paint(&self, view: &View, pixels: &mut [u8]) {
        let mut screen = Screen {
            width: view.size.width as i32,
            height: view.size.height as i32,
            pixels,
        };
        let l = self.layout;
        let (left, right) = (l.left as i32, (l.left + l.width) as i32 - 1);
        let (top, bottom) = (l.top as i32, (l.top + l.height) as i32 - 1);
        let gap = self.every / view.mm_per_px;
        let marks = (view.depth / self.every) as i32;
        for i in 0..=marks {
            let y = (view.origin.1 + i as f32 * gap) as i32;
            let long = if i % 5 == 0 { 2 } else { 1 };
            if let Some((grey, length)) = self.rulers[0] {
                screen.bar(right - length * long, y, length * long, 1, grey);
            }
            if let Some((grey, length)) = self.rulers[1] {
                screen.bar(left + 1, y, length * long, 1, grey);
            }
        }
        if let Some((grey, length)) = self.rulers[2] {
            let count = (l.width * 0.5 / gap.max(2.0)) as i32;
            for i in -count..=count {
                screen.bar(
                    (view.origin.0 + i as f32 * gap) as i32,
                    bottom - length,
                    1,
                    length,
                    grey,
                );
            }
        }
        if let Some(at) = self.focus {
            let y = top + (l.height * at) as i32;
            (0..4).for_each(|i| screen.bar(right - i, y - i, 1, 2 * i + 1, 200));
        }
        if self.centre_mark {
            screen.bar(view.origin.0 as i32, bottom - 4, 1, 5, 220);
        }
        if self.grey_bar && left >= 10 {
            let length = (l.height * 0.4) as i32;
            (0..length)
                .for_each(|i| screen.bar(2, top + i, 5, 1, (255 - i * 255 / length.max(1)) as u8));
        }
        if let Some((seed, grey)) = self.text {
            screen.text(seed, grey, (4, 3), top - 3);
            screen.text(seed ^ 7, grey, (4, bottom + 3), view.size.height as i32 - 2);
        }
    }
}

struct Screen<'a> {
    width: i32,
    height: i32,
    pixels: &'a mut [u8],
}

impl Screen<'_> {
    fn bar(&mut self, x: i32, y: i32, width: i32, height: i32, grey: u8) {
        for v in y.max(0)..(y + height).min(self.height) {
            for u in x.max(0)..(x + width).min(self.width) {
                self.pixels[(v * self.width + u) as usize] = grey;
            }
        }
    }

    /// Lines of unreadable glyphs of 4×6 pixels from `at` down to row `end`: the look of annotations without a meaning.
    fn text(&mut self, seed: u64, grey: u8, at: (i32, i32), end: i32) {
        let mut rng = Rng::new(seed, 0);
        let mut y = at.1;
        while y + 6 <= end {
            let letters = rng.below(self.width.max(1) as usize / 6) as i32;
            for i in 0..letters {
                let glyph = rng.next_u64() | 0x11_1110;
                let blank = rng.chance(0.15);
                for bit in (0..24).filter(|b| !blank && glyph >> b & 1 == 1) {
                    self.bar(at.0 + i * 5 + bit % 4, y + bit / 4, 1, 1, grey);
                }
            }
            y += 9;
        }
    }
}
