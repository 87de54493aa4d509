//! Probe geometry: the grid of beam samples in tissue, and the way from it to the pixels of the screen.
//!
//! Lengths are millimetres, x to the right and z into the tissue, (0, 0) on the skin under the middle of the probe.

use super::rng::Rng;
use crate::geometry::{BoxXyxy, Size};

/// Form of the array.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// Parallel beams over `width`.
    Linear { width: f32 },
    /// Beams from an arc of `radius`, up to `half_angle` radians to each side.
    Curved { radius: f32, half_angle: f32 },
}

/// Where the sector lies on the screen, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) width: f32,
    pub(super) height: f32,
    /// The sector fills the rectangle and is cut by it, instead of fitting inside.
    pub(super) bleed: bool,
}

/// What a draw decides about the probe: it stays for the whole sequence.
#[derive(Clone, Copy)]
pub(super) struct Probe {
    pub(super) shape: Shape,
    pub(super) depth: f32,
    /// Centre frequency in megahertz.
    pub(super) frequency: f32,
    pub(super) layout: Layout,
}

impl Probe {
    pub(super) fn draw(rng: &mut Rng, size: Size) -> Self {
        let (w, h) = (size.width as f32, size.height as f32);
        let bleed = rng.chance(0.5);
        let layout = if bleed {
            Layout {
                left: 0.0,
                top: 0.0,
                width: w,
                height: h,
                bleed,
            }
        } else {
            let (left, right) = (w * rng.range(0.01, 0.14), w * rng.range(0.03, 0.16));
            let (top, bottom) = (h * rng.range(0.01, 0.12), h * rng.range(0.01, 0.10));
            Layout {
                left,
                top,
                width: w - left - right,
                height: h - top - bottom,
                bleed,
            }
        };
        let kind = rng.unit();
        let (shape, depth, frequency) = if kind < 0.58 {
            let depth = rng.range(25.0, 70.0);
            let width = layout.width * depth / layout.height;
            let most = rng.range(45.0, 65.0);
            (
                Shape::Linear {
                    width: if bleed {
                        width.min(1.6 * most)
                    } else {
                        width.min(most)
                    },
                },
                depth,
                (17.0 - 0.14 * depth) * rng.range(0.8, 1.2),
            )
        } else if kind < 0.9 {
            (
                Shape::Curved {
                    radius: rng.range(40.0, 65.0),
                    half_angle: rng.range(0.45, 0.65),
                },
                rng.range(60.0, 150.0),
                rng.range(3.0, 6.0),
            )
        } else {
            (
                Shape::Curved {
                    radius: rng.range(8.0, 20.0),
                    half_angle: rng.range(0.55, 0.8),
                },
                rng.range(60.0, 120.0),
                rng.range(4.0, 8.0),
            )
        };
        Self {
            shape,
            depth,
            frequency,
            layout,
        }
    }
}

/// One pixel's place in the beam grid: the upper left of four samples and how far the pixel is towards the others.
#[derive(Clone, Copy)]
struct Tap {
    index: u32,
    fl: u16,
    fs: u16,
}

const OUTSIDE: u32 = u32::MAX;

/// The probe at one depth setting on a screen of one size.
pub(super) struct View {
    pub(super) size: Size,
    /// Beams.
    pub(super) lines: usize,
    /// Samples a beam.
    pub(super) samples: usize,
    pub(super) depth: f32,
    pub(super) shape: Shape,
    /// Millimetres a pixel, the same in x and y.
    pub(super) mm_per_px: f32,
    /// Millimetres between samples.
    pub(super) step: f32,
    /// Position of each sample, rows of samples over lines.
    pub(super) x: Vec<f32>,
    pub(super) z: Vec<f32>,
    /// Depth of each sample as the layers of tissue see it: they follow a curved probe near the skin.
    pub(super) layer_z: Vec<f32>,
    /// Unit direction of each beam.
    pub(super) direction: Vec<(f32, f32)>,
    /// Pixel of (0, 0).
    pub(super) origin: (f32, f32),
    taps: Vec<Tap>,
}

impl View {
    pub(super) fn new(probe: &Probe, depth: f32, size: Size) -> Self {
        let l = probe.layout;
        let (extent_w, extent_h, rise) = match probe.shape {
            Shape::Linear { width } => (width, depth, 0.0),
            Shape::Curved { radius, half_angle } => {
                let rise = radius * (1.0 - libm::cosf(half_angle));
                (
                    2.0 * (radius + depth) * libm::sinf(half_angle),
                    depth + rise,
                    rise,
                )
            }
        };
        // A wide sector on a narrow screen is cut at its sides rather than shown small.
        let mm_per_px = if l.bleed {
            extent_h / l.height
        } else {
            (0.75 * extent_w / l.width).max(extent_h / l.height)
        };
        let free = (l.height - extent_h / mm_per_px).max(0.0);
        let origin = (
            l.left + l.width * 0.5,
            l.top + rise / mm_per_px + free * 0.3,
        );
        let seen_w = extent_w.min(l.width * mm_per_px);
        let samples = ((depth / mm_per_px) as usize).clamp(48, 576);
        let lines = ((seen_w / mm_per_px * 0.45) as usize).clamp(40, 208);
        let mut view = Self {
            size,
            lines,
            samples,
            depth,
            shape: probe.shape,
            mm_per_px,
            step: depth / (samples - 1) as f32,
            x: Vec::new(),
            z: Vec::new(),
            layer_z: Vec::new(),
            direction: Vec::new(),
            origin,
            taps: Vec::new(),
        };
        view.place_samples();
        view.place_pixels(l);
        view
    }

    /// Distance between neighbouring beams at a depth: millimetres.
    pub(super) fn pitch(&self, depth: f32) -> f32 {
        let gaps = (self.lines - 1) as f32;
        match self.shape {
            Shape::Linear { width } => width / gaps,
            Shape::Curved { radius, half_angle } => 2.0 * half_angle * (radius + depth) / gaps,
        }
    }

    /// Line and sample of a point, as fractions of the grid; none above an arc's centre.
    pub(super) fn beam_of(&self, x: f32, z: f32) -> Option<(f32, f32)> {
        let middle = (self.lines - 1) as f32 * 0.5;
        match self.shape {
            Shape::Linear { width } => Some((x * (2.0 * middle / width) + middle, z / self.step)),
            Shape::Curved { radius, half_angle } => {
                let below = z + radius;
                if below <= 0.0 {
                    return None;
                }
                let r = (x * x + below * below).sqrt();
                Some((
                    libm::atan2f(x, below) * (middle / half_angle) + middle,
                    (r - radius) / self.step,
                ))
            }
        }
    }

    /// Half the width of the field at a depth, as far as the screen shows it.
    pub(super) fn half_width(&self, depth: f32) -> f32 {
        let half = match self.shape {
            Shape::Linear { width } => width * 0.5,
            Shape::Curved { radius, half_angle } => (radius + depth) * libm::sinf(half_angle),
        };
        half.min(self.size.width as f32 * 0.5 * self.mm_per_px)
    }

    /// The pixel of a point.
    pub(super) fn pixel(&self, x: f32, z: f32) -> (f32, f32) {
        (
            self.origin.0 + x / self.mm_per_px,
            self.origin.1 + z / self.mm_per_px,
        )
    }

    fn place_samples(&mut self) {
        let middle = (self.lines - 1) as f32 * 0.5;
        let starts: Vec<(f32, f32, f32, f32)> = (0..self.lines)
            .map(|l| {
                let t = (l as f32 - middle) / middle;
                match self.shape {
                    Shape::Linear { width } => (t * width * 0.5, 0.0, 0.0, 1.0),
                    Shape::Curved { radius, half_angle } => {
                        let (s, c) = libm::sincosf(t * half_angle);
                        (radius * s, radius * c - radius, s, c)
                    }
                }
            })
            .collect();
        self.direction = starts.iter().map(|s| (s.2, s.3)).collect();
        for s in 0..self.samples {
            let r = s as f32 * self.step;
            let follow = libm::expf(-r / 18.0);
            for &(x0, z0, dx, dz) in &starts {
                let z = z0 + r * dz;
                self.x.push(x0 + r * dx);
                self.z.push(z);
                self.layer_z.push(z + (r - z) * follow);
            }
        }
    }

    fn place_pixels(&mut self, l: Layout) {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        self.taps = Vec::with_capacity(w * h);
        for v in 0..h {
            for u in 0..w {
                let (px, py) = (u as f32 + 0.5, v as f32 + 0.5);
                let (x, z) = (
                    (px - self.origin.0) * self.mm_per_px,
                    (py - self.origin.1) * self.mm_per_px,
                );
                let inside =
                    px >= l.left && px <= l.left + l.width && py >= l.top && py <= l.top + l.height;
                let tap = self
                    .beam_of(x, z)
                    .filter(|_| inside)
                    .and_then(|(fl, fs)| self.tap(fl, fs));
                self.taps.push(tap.unwrap_or(Tap {
                    index: OUTSIDE,
                    fl: 0,
                    fs: 0,
                }));
            }
        }
    }

    fn tap(&self, fl: f32, fs: f32) -> Option<Tap> {
        if fl < 0.0 || fs < 0.0 || fl > (self.lines - 1) as f32 || fs > (self.samples - 1) as f32 {
            return None;
        }
        let (l, s) = (
            (fl as usize).min(self.lines - 2),
            (fs as usize).min(self.samples - 2),
        );
        let fraction = |f: f32, i: usize| ((f - i as f32) * 65535.0) as u16;
        Some(Tap {
            index: (s * self.lines + l) as u32,
            fl: fraction(fl, l),
            fs: fraction(fs, s),
        })
    }

    /// Interpolates a field over the beam grid at every pixel, row-major; `outside` where no beam passes.
    pub(super) fn scan_convert<T>(
        &self,
        field: &[f32],
        outside: T,
        mut convert: impl FnMut(f32) -> T,
    ) -> Vec<T>
    where
        T: Copy,
    {
        let scale = 1.0 / 65535.0;
        let pixel = |tap: &Tap| {
            if tap.index == OUTSIDE {
                return outside;
            }
            let i = tap.index as usize;
            let (fl, fs) = (f32::from(tap.fl) * scale, f32::from(tap.fs) * scale);
            let top = field[i] + (field[i + 1] - field[i]) * fl;
            let low = &field[i + self.lines..];
            let low = low[0] + (low[1] - low[0]) * fl;
            convert(top + (low - top) * fs)
        };
        self.taps.iter().map(pixel).collect()
    }

    /// Pixels that show tissue: the tight rectangle; none if the sector misses the screen.
    pub(super) fn bounds(&self) -> Option<BoxXyxy> {
        let w = self.size.width as usize;
        let mut found: Option<(usize, usize, usize, usize)> = None;
        for (i, _) in self
            .taps
            .iter()
            .enumerate()
            .filter(|(_, t)| t.index != OUTSIDE)
        {
            let (x, y) = (i % w, i / w);
            let (a, b, c, d) = found.unwrap_or((x, y, x, y));
            found = Some((a.min(x), b.min(y), c.max(x), d.max(y)));
        }
        found.map(|(a, b, c, d)| BoxXyxy::new(a as f32, b as f32, c as f32 + 1.0, d as f32 + 1.0))
    }
}
