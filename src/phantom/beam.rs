//! The pulse-echo response and the way from echoes to grey: point spread, noise, time-gain curve, log compression.

use super::{
    probe::{Probe, View},
    rng::{Rng, Sway, mix, sin_turns, smoothstep},
    scatterers::Field,
};

/// Settings of the machine, drawn once a sequence.
pub(super) struct Look {
    /// Grey of mean soft tissue, 0..1.
    mid: f32,
    /// Decibels from black to white.
    range: f32,
    /// Exponent of the grey curve.
    gamma: f32,
    gain: Sway,
    /// Change of gain in the middle of the sequence: decibels, and when as a share of it.
    gain_step: (f32, f32),
    /// Share of the absorption that the time-gain curve makes good.
    compensation: f32,
    most_compensation: f32,
    /// Sliders of the time-gain curve, decibels, evenly over depth.
    sliders: [f32; 8],
    /// Receiver noise before the time-gain curve, decibels.
    pub(super) noise: f32,
    /// Passes of smoothing over the power (compounding), the last in part.
    smoothing: f32,
    /// Uneven contact over the width: decibels, waves, phase.
    shading: (f32, f32, f32),
    /// Sharpening of the grey, 0..1.
    sharpening: f32,
    /// Wavelengths in half a pulse; lateral width over the wavelength at the focus.
    pulse: f32,
    f_number: f32,
    focus: f32,
    divergence: f32,
    /// Ring-down of the probe: amplitude, length and spacing in millimetres.
    ring: (f32, f32, f32),
    /// Lost contact at the left and right edge: greatest share of the width, and motion.
    contact: [(f32, Sway); 2],
    /// Chance of a dropout in a frame.
    dropouts: f32,
    pub(super) background: u8,
}

impl Look {
    pub(super) fn draw(rng: &mut Rng, depth: f32) -> Self {
        let contact = [0, 1].map(|_| {
            let share = if rng.chance(0.13) {
                rng.range(0.05, 0.4)
            } else {
                0.0
            };
            (share, Sway::new(rng, 0.15, 0.12))
        });
        let mut sliders = [0; 8].map(|_| rng.range(-3.0, 3.0));
        // The near field is often left too bright.
        let near = rng.range(0.0, 9.0);
        sliders[0] += near;
        sliders[1] += 0.5 * near;
        let compensation = rng.range(0.4, 1.0);
        Self {
            mid: rng.range(0.24, 0.52),
            range: rng.range(42.0, 72.0),
            gamma: rng.range(0.85, 1.35),
            gain: Sway::new(rng, 3.0, 0.15),
            gain_step: (
                if rng.chance(0.2) {
                    rng.range(-6.0, 6.0)
                } else {
                    0.0
                },
                rng.range(0.2, 0.8),
            ),
            compensation,
            most_compensation: rng.range(25.0, 60.0),
            sliders,
            noise: rng.range(-90.0, -58.0),
            smoothing: rng.range(0.0, 3.0),
            shading: (rng.range(0.0, 4.0), rng.range(0.7, 3.0), rng.unit()),
            sharpening: if rng.chance(0.6) {
                rng.range(0.0, 0.9)
            } else {
                0.0
            },
            pulse: rng.range(0.4, 0.85),
            f_number: rng.range(1.2, 2.6),
            focus: depth * rng.range(0.25, 0.6),
            divergence: rng.range(0.006, 0.02),
            ring: (
                rng.range(1.0, 6.0),
                rng.range(0.5, 1.5),
                rng.range(0.35, 0.9),
            ),
            contact,
            dropouts: if rng.chance(0.3) {
                rng.range(0.01, 0.06)
            } else {
                0.0
            },
            background: if rng.chance(0.2) {
                4 + rng.below(20) as u8
            } else {
                0
            },
        }
    }

    /// The same with contact lost again and again.
    pub(super) fn with_dropouts(mut self) -> Self {
        self.dropouts = self.dropouts.max(0.05);
        self
    }

    /// Decibels that the machine adds at one time; `part` is the time as a share of the sequence.
    pub(super) fn gain(&self, seconds: f32, part: f32) -> f32 {
        self.gain.at(seconds)
            + self.gain_step.0 * smoothstep(self.gain_step.1, self.gain_step.1 + 0.02, part)
    }

    /// Loss on each line before tissue begins: lost contact and dropouts, decibels.
    pub(super) fn entry_loss(&self, lines: usize, seconds: f32, frame: u64, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed, frame);
        let hit = rng.chance(self.dropouts);
        let (from, width, loss) = (rng.unit(), rng.range(0.05, 0.6), rng.range(15.0, 60.0));
        let edge = |(share, sway): &(f32, Sway), t: f32| {
            let border = share + sway.at(seconds) * share * 2.0;
            if *share > 0.0 {
                50.0 * (1.0 - smoothstep(border - 0.12, border + 0.05, t))
            } else {
                0.0
            }
        };
        (0..lines)
            .map(|l| {
                let t = l as f32 / (lines - 1) as f32;
                let dropped = if hit && t >= from && t < from + width {
                    loss
                } else {
                    0.0
                };
                let shade = self.shading.0
                    * (1.0 + sin_turns(t * self.shading.1 + self.shading.2 + 0.02 * seconds));
                dropped + shade + edge(&self.contact[0], t) + edge(&self.contact[1], 1.0 - t)
            })
            .collect()
    }
}

/// The response of one probe at one depth under one look.
pub(super) struct Beam {
    lines: usize,
    samples: usize,
    axial: Vec<f32>,
    lateral: Vec<Vec<f32>>,
    /// Factor on each row that gives speckle unit power after the point spread.
    pub(super) speckle: Vec<f32>,
    /// Time-gain curve in decibels.
    pub(super) curve: Vec<f32>,
    ring: Vec<f32>,
}

impl Beam {
    /// `attenuation` is the tissue's mean in decibels a centimetre and megahertz, one way; `density` in scatterers a square millimetre.
    pub(super) fn new(
        look: &Look,
        probe: &Probe,
        view: &View,
        attenuation: f32,
        density: f32,
    ) -> Self {
        let wavelength = 1.54 / probe.frequency;
        let axial = gaussian(wavelength * look.pulse / view.step, 0.0);
        let axial_power: f32 = axial.iter().map(|k| k * k).sum();
        let (mut lateral, mut speckle, mut curve, mut ring) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for s in 0..view.samples {
            let z = s as f32 * view.step;
            let pitch = view.pitch(z);
            let (narrow, spread) = (
                wavelength * look.f_number * 0.7,
                (z - look.focus) * look.divergence,
            );
            let kernel = gaussian((narrow * narrow + spread * spread).sqrt() / pitch, 0.02);
            let power: f32 = kernel.iter().map(|k| k * k).sum();
            speckle.push(1.0 / (power * axial_power * density * pitch * view.step * 0.45).sqrt());
            lateral.push(kernel);
            let lost = 2.0 * attenuation * probe.frequency * z * 0.1;
            let position = z / view.depth * 7.0;
            let i = (position as usize).min(6);
            let f = smoothstep(0.0, 1.0, position - i as f32);
            let slider = look.sliders[i] + (look.sliders[i + 1] - look.sliders[i]) * f;
            curve.push((lost * look.compensation).min(look.most_compensation) + slider);
            let (height, length, spacing) = look.ring;
            ring.push(height * libm::expf(-z / length) * (0.6 + 0.4 * sin_turns(z / spacing)));
        }
        Self {
            lines: view.lines,
            samples: view.samples,
            axial,
            lateral,
            speckle,
            curve,
            ring,
        }
    }

    /// Applies the point spread to rows `rows` of a field (others stay 0 in the result).
    pub(super) fn spread(
        &self,
        field: &[f32],
        rows: std::ops::Range<usize>,
        noise: Option<(f32, u64)>,
    ) -> Vec<f32> {
        let n = self.lines;
        let reach = self.axial.len() / 2;
        let wide = rows.start.saturating_sub(reach)..(rows.end + reach).min(self.samples);
        let mut across = vec![0.0f32; n * self.samples];
        for s in wide.clone() {
            let kernel = &self.lateral[s];
            let half = kernel.len() / 2;
            let mut padded = vec![0.0f32; n + 2 * half];
            padded[half..half + n].copy_from_slice(&field[s * n..(s + 1) * n]);
            let row = &mut across[s * n..(s + 1) * n];
            for (k, &weight) in kernel.iter().enumerate() {
                row.iter_mut()
                    .zip(&padded[k..])
                    .for_each(|(out, v)| *out += weight * v);
            }
            if let Some((level, seed)) = noise {
                let row_seed = mix(seed ^ s as u64);
                for (l, out) in row.iter_mut().enumerate() {
                    let h = mix(row_seed ^ l as u64);
                    let sum =
                        (h & 0xffff) + ((h >> 16) & 0xffff) + ((h >> 32) & 0xffff) + (h >> 48);
                    *out += level * (sum as f32 * (1.0 / 65536.0) - 2.0);
                }
            }
        }
        let mut out = vec![0.0f32; n * self.samples];
        for s in wide.clone() {
            let (first, last) = (
                s.saturating_sub(reach).max(wide.start),
                (s + reach + 1).min(wide.end),
            );
            for from in first..last {
                let weight = self.axial[from + reach - s];
                let (target, source) = (
                    &mut out[s * n..(s + 1) * n],
                    &across[from * n..(from + 1) * n],
                );
                target
                    .iter_mut()
                    .zip(source)
                    .for_each(|(out, v)| *out += weight * v);
            }
        }
        out
    }

    /// From the echoes, already weakened on their way, to grey in 0..1 over the beam grid.
    pub(super) fn grey(&self, look: &Look, echoes: &Field, gain: f32, seed: u64) -> Vec<f32> {
        let level = super::rng::amplitude(look.noise) * 1.7;
        let rows = 0..self.samples;
        let re = self.spread(&echoes.re, rows.clone(), Some((level, mix(seed))));
        let im = self.spread(&echoes.im, rows, Some((level, mix(seed ^ 1))));
        let mut power: Vec<f32> = re.iter().zip(&im).map(|(a, b)| a * a + b * b).collect();
        for (s, row) in power.chunks_exact_mut(self.lines).enumerate() {
            let ring = self.ring[s] * self.ring[s];
            row.iter_mut().for_each(|p| *p += ring);
        }
        let mut passes = look.smoothing;
        while passes > 0.0 {
            power = self.average(&power, passes.min(1.0));
            passes -= 1.0;
        }
        let mut grey = vec![0.0; power.len()];
        for (s, (out, row)) in grey
            .chunks_exact_mut(self.lines)
            .zip(power.chunks_exact(self.lines))
            .enumerate()
        {
            let added = self.curve[s] + gain;
            out.iter_mut()
                .zip(row)
                .for_each(|(g, &p)| *g = look.level(p, added));
        }
        if look.sharpening > 0.0 {
            grey = self.sharpen(&grey, look.sharpening);
        }
        grey.iter_mut().for_each(|g| *g = look.tone(*g));
        grey
    }

    /// Mixes each sample's power with the mean of its neighbourhood.
    fn average(&self, power: &[f32], share: f32) -> Vec<f32> {
        let n = self.lines;
        let mut out = power.to_vec();
        for s in 1..self.samples - 1 {
            for l in 1..n - 1 {
                let i = s * n + l;
                let around = power[i - 1] + power[i + 1] + power[i - n] + power[i + n];
                out[i] = power[i] * (1.0 - 0.8 * share) + around * (0.2 * share);
            }
        }
        out
    }

    /// Lifts thin bright rows over the rows beside them.
    fn sharpen(&self, grey: &[f32], amount: f32) -> Vec<f32> {
        let n = self.lines;
        let mut out = grey.to_vec();
        for i in 3 * n..grey.len() - 3 * n {
            let around =
                (grey[i - 3 * n] + grey[i - 2 * n] + grey[i + 2 * n] + grey[i + 3 * n]) * 0.25;
            out[i] = grey[i] + amount * (grey[i] - around);
        }
        out
    }
}

impl Look {
    /// Log compression: power to a share of the grey scale, not clipped.
    pub(super) fn level(&self, power: f32, added_db: f32) -> f32 {
        let db = 10.0 * libm::log10f(power + 1e-20) + added_db;
        self.mid + db / self.range
    }

    fn tone(&self, level: f32) -> f32 {
        let g = level.clamp(0.0, 1.0);
        // A power between two neighbouring whole exponents, by interpolation: no pow in the hot path.
        let bent = if self.gamma < 1.0 { g.sqrt() } else { g * g };
        let share = if self.gamma < 1.0 {
            (1.0 - self.gamma) * 2.0
        } else {
            self.gamma - 1.0
        };
        g + (bent - g) * share
    }
}

/// A Gaussian of `sigma` samples over a share `skirt` of a wide one (side lobes), summing to 1.
fn gaussian(sigma: f32, skirt: f32) -> Vec<f32> {
    let sigma = sigma.clamp(0.5, 9.0);
    let half = (sigma * if skirt > 0.0 { 4.0 } else { 2.8 }) as i32 + 1;
    let bell = |i: i32, sigma: f32| libm::expf(-0.5 * (i as f32 / sigma) * (i as f32 / sigma));
    let mut kernel: Vec<f32> = (-half..=half)
        .map(|i| bell(i, sigma) + skirt * bell(i, sigma * 3.0))
        .collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);
    kernel
}
