//! Layered tissue: skin, fat, fascia, muscle with its striations, parenchyma. What echoes, what mirrors, what absorbs.

use super::{
    plane::Plane,
    probe::View,
    rng::{Noise, Rng, amplitude, smoothstep},
};

/// One layer; levels in decibels about the mean of soft tissue, lengths in millimetres.
struct Layer {
    /// Mean depth of its upper border.
    top: f32,
    /// How far the border rises and falls.
    relief: f32,
    level: f32,
    /// Slow variation of the level.
    patches: f32,
    /// Height of bright threads (septa, perimysium) over the level.
    threads: f32,
    /// Amplitude of the threads as mirrors.
    sheen: f32,
    /// Length and spacing of the threads.
    grain: (f32, f32),
    /// Slope of the threads against the skin.
    slope: f32,
    /// How much the threads wind.
    warp: f32,
    /// Amplitude of short mirrors parallel to the skin.
    glints: f32,
    /// Decibels a centimetre and megahertz, one way.
    attenuation: f32,
    /// Amplitude of the fascia on its upper border.
    fascia: f32,
    fascia_width: f32,
}

/// What a beam meets at each sample of the grid.
pub(super) struct Maps {
    /// Amplitude of diffuse scattering, 1 for mean soft tissue.
    pub(super) echo: Vec<f32>,
    /// Amplitude of coherent reflection.
    pub(super) mirror: Vec<f32>,
    /// Loss from one sample to the next, both ways, in decibels.
    pub(super) loss: Vec<f32>,
    /// Level of the plain layer in decibels.
    pub(super) level: Vec<f32>,
}

/// The anatomy of a sequence without its targets.
pub(super) struct Tissue {
    layers: Vec<Layer>,
    /// Factor on thread sizes: deep views show coarser structure.
    scale: f32,
}

impl Tissue {
    pub(super) fn draw(rng: &mut Rng, depth: f32) -> Self {
        let scale = (depth / 55.0).clamp(0.7, 1.8);
        let mut layers = vec![skin(rng)];
        let mut top = rng.range(1.0, 2.5);
        layers.push(fat(rng, top));
        top += depth * rng.range(0.04, 0.22);
        let organ = rng.chance(if depth > 75.0 { 0.6 } else { 0.2 });
        let count = if organ { 1 } else { 2 + rng.below(3) };
        for i in 0..count {
            layers.push(if organ {
                parenchyma(rng, top)
            } else {
                muscle(rng, top, i)
            });
            top += depth * rng.range(0.14, 0.4);
        }
        Self { layers, scale }
    }

    /// Absorption of the mean layer: decibels a centimetre and megahertz, one way.
    pub(super) fn mean_attenuation(&self) -> f32 {
        self.layers.iter().map(|l| l.attenuation).sum::<f32>() / self.layers.len() as f32
    }

    /// Evaluates the anatomy on the grid of `view` in `plane`, for a pulse of `frequency` megahertz.
    pub(super) fn maps(&self, view: &View, plane: Plane, noise: &Noise, frequency: f32) -> Maps {
        let n = view.x.len();
        let mut maps = Maps {
            echo: vec![0.0; n],
            mirror: vec![0.0; n],
            loss: vec![0.0; n],
            level: vec![0.0; n],
        };
        let borders = Borders::new(self, view, plane, noise);
        let per_sample = 2.0 * frequency * view.step * 0.1;
        for i in 0..n {
            let (across, z) = plane.turned(view.x[i], view.layer_z[i]);
            let (x, elevation) = (across + plane.x, plane.elevation_at(view.x[i]));
            let place = borders.place(across, z);
            let layer = &self.layers[place.layer];
            let (level, glint) = layer.texture(x, z, elevation, self.scale, noise);
            maps.level[i] = layer.level;
            maps.echo[i] = amplitude(level);
            maps.loss[i] = layer.attenuation * per_sample;
            maps.mirror[i] = glint;
            for (index, distance) in [(place.layer, place.above), (place.layer + 1, place.below)] {
                let Some(next) = self
                    .layers
                    .get(index)
                    .filter(|l| distance < 2.5 * l.fascia_width)
                else {
                    continue;
                };
                let q = distance / next.fascia_width;
                let broken = 0.55 + 0.75 * noise.at(x * 0.12, index as f32 * 7.3, elevation * 0.1);
                let band = next.fascia * broken.max(0.03) * libm::expf(-q * q);
                maps.mirror[i] += band;
                maps.echo[i] += 0.5 * band;
            }
        }
        maps
    }
}

impl Layer {
    /// Level in decibels and amplitude of glints at a point of tissue.
    fn texture(&self, x: f32, z: f32, e: f32, scale: f32, noise: &Noise) -> (f32, f32) {
        let slow = noise.at(
            x * 0.11 / scale + 3.0,
            z * 0.13 / scale + self.top,
            e * 0.07,
        );
        let bend = self.warp * noise.at(x * 0.21 / scale + 17.0, z * 0.21 / scale + 5.0, e * 0.12);
        let along = (x + self.slope * z + bend) / (self.grain.0 * scale);
        let across = (z - self.slope * x + bend * 1.4) / (self.grain.1 * scale);
        let first = noise.at(along, across + 2.0 * self.top, e * 0.2);
        let second = noise.at(along * 1.9 + 31.0, across * 2.1 + 11.0, e * 0.3);
        let ridge = |n: f32| (1.0 - 4.5 * n.abs()).max(0.0);
        let thread = ridge(first) * (0.75 + 0.5 * slow) + 0.45 * ridge(second);
        let glint = if self.glints > 0.0 {
            let n = noise.at(x * 0.33 / scale + 41.0, z * 1.3 / scale + 23.0, e * 0.25);
            self.glints * smoothstep(0.62, 0.95, n)
        } else {
            0.0
        };
        let level = self.level + self.patches * slow + self.threads * (thread - 0.3);
        // The brightest threads face the beam: they mirror, and look like lines rather than rows of grains.
        let sheen = self.sheen * smoothstep(0.35, 0.95, thread) * (0.6 + 0.6 * slow).max(0.0);
        (level, glint + sheen)
    }
}

fn skin(rng: &mut Rng) -> Layer {
    Layer {
        top: 0.0,
        relief: 0.0,
        level: rng.range(6.0, 14.0),
        patches: 2.0,
        threads: 3.0,
        sheen: 0.0,
        grain: (9.0, 0.6),
        slope: 0.0,
        warp: 0.2,
        glints: 0.0,
        attenuation: 0.6,
        fascia: 0.0,
        fascia_width: 0.3,
    }
}

fn fat(rng: &mut Rng, top: f32) -> Layer {
    Layer {
        top,
        relief: 0.3,
        level: rng.range(-5.0, 9.0),
        patches: rng.range(2.0, 6.0),
        threads: rng.range(6.0, 15.0),
        sheen: rng.range(0.5, 5.0),
        grain: (rng.range(7.0, 16.0), rng.range(0.9, 2.2)),
        slope: rng.range(-0.06, 0.06),
        warp: rng.range(0.3, 1.2),
        glints: rng.range(0.0, 4.0),
        attenuation: rng.range(0.4, 0.6),
        fascia: rng.range(2.0, 8.0),
        fascia_width: rng.range(0.12, 0.3),
    }
}

fn muscle(rng: &mut Rng, top: f32, order: usize) -> Layer {
    let winding = rng.chance(0.4);
    Layer {
        top,
        relief: rng.range(0.8, 3.5) * (1.0 + 0.4 * order as f32),
        level: rng.range(-15.0, -1.0),
        patches: rng.range(3.0, 15.0),
        threads: rng.range(7.0, 18.0),
        sheen: rng.range(0.4, 5.0),
        grain: if winding {
            (rng.range(2.0, 4.0), rng.range(1.5, 3.0))
        } else {
            (rng.range(5.0, 12.0), rng.range(0.8, 1.8))
        },
        slope: rng.range(-0.4, 0.4),
        warp: if winding {
            rng.range(1.5, 4.0)
        } else {
            rng.range(0.4, 1.6)
        },
        glints: rng.range(0.0, 12.0),
        attenuation: rng.range(0.45, 0.85),
        fascia: rng.range(2.0, 22.0),
        fascia_width: rng.range(0.12, 0.4),
    }
}

fn parenchyma(rng: &mut Rng, top: f32) -> Layer {
    Layer {
        top,
        relief: rng.range(1.0, 4.0),
        level: rng.range(-6.0, 3.0),
        patches: rng.range(1.5, 7.0),
        threads: rng.range(0.0, 5.0),
        sheen: rng.range(0.0, 0.6),
        grain: (rng.range(4.0, 9.0), rng.range(3.0, 7.0)),
        slope: rng.range(-0.3, 0.3),
        warp: rng.range(0.5, 3.0),
        glints: rng.range(0.0, 4.0),
        attenuation: rng.range(0.35, 0.6),
        fascia: rng.range(2.0, 14.0),
        fascia_width: rng.range(0.2, 0.5),
    }
}

/// Depth of every border over x, tabulated for one plane.
struct Borders {
    first_x: f32,
    columns: usize,
    layers: usize,
    depths: Vec<f32>,
}

struct Place {
    layer: usize,
    /// Distance to the border above and to the one below.
    above: f32,
    below: f32,
}

const BORDER_STEP: f32 = 0.5;

impl Borders {
    fn new(tissue: &Tissue, view: &View, plane: Plane, noise: &Noise) -> Self {
        // Rocking moves what is deep sideways.
        let moved = plane.rock.0.abs() * view.z.iter().fold(0.0f32, |m, &z| m.max(z));
        let half = view.x.iter().fold(1.0f32, |m, x| m.max(x.abs())) + 1.0 + moved;
        let columns = (2.0 * half / BORDER_STEP) as usize + 2;
        let mut depths = Vec::with_capacity(columns * tissue.layers.len());
        for c in 0..columns {
            let across = c as f32 * BORDER_STEP - half;
            let (x, elevation) = (across + plane.x, plane.elevation_at(across));
            let mut last = 0.0f32;
            for (i, layer) in tissue.layers.iter().enumerate() {
                let wave = noise.at(x * 0.045, i as f32 * 3.7 + 0.5, elevation * 0.05);
                let ripple = noise.at(x * 0.16 + 9.0, i as f32 * 5.1 + 0.5, elevation * 0.09);
                last = (layer.top + layer.relief * tissue.scale * (1.6 * wave + 0.4 * ripple))
                    .max(last);
                depths.push(last);
            }
        }
        Self {
            first_x: -half,
            columns,
            layers: tissue.layers.len(),
            depths,
        }
    }

    fn place(&self, x: f32, z: f32) -> Place {
        let at = ((x - self.first_x) / BORDER_STEP).max(0.0);
        let column = (at as usize).min(self.columns - 2);
        let f = at - column as f32;
        let (a, b) = self.depths[column * self.layers..].split_at(self.layers);
        let mut place = Place {
            layer: 0,
            above: f32::MAX,
            below: f32::MAX,
        };
        for i in 0..self.layers {
            let border = a[i] + (b[i] - a[i]) * f;
            if border > z {
                place.below = border - z;
                break;
            }
            place.layer = i;
            place.above = z - border;
        }
        place
    }
}
