//! Speckle: point scatterers fixed in tissue, seen by a coherent pulse.

use super::{
    plane::Plane,
    probe::View,
    rng::{Rng, mix, sin_turns},
};

const PHASES: usize = 1024;
/// Out-of-plane travel after which speckle repeats; it is uncorrelated after a quarter.
const ELEVATION_PERIOD: f32 = 7.0;

/// A complex field over the beam grid, real and imaginary parts apart.
pub(super) struct Field {
    pub(super) re: Vec<f32>,
    pub(super) im: Vec<f32>,
}

/// An endless field of scatterers on a jittered lattice, drawn from a hash of the cell.
pub(super) struct Scatterers {
    seed: u64,
    cell: (f32, f32),
    /// 2 / wavelength: turns of phase a millimetre of depth.
    turns_per_mm: f32,
    phases: Vec<(f32, f32)>,
}

impl Scatterers {
    /// A field fine enough for `view`: about two scatterers for three samples of the grid.
    pub(super) fn new(rng: &mut Rng, view: &View, frequency: f32) -> Self {
        let phases = (0..PHASES)
            .map(|i| i as f32 / PHASES as f32)
            .map(|t| (sin_turns(t + 0.25), sin_turns(t)))
            .collect();
        let cell = (view.pitch(view.depth * 0.35) * 1.2, view.step * 1.25);
        // 1.54 mm/µs is the speed of sound in soft tissue.
        Self {
            seed: rng.next_u64(),
            cell,
            turns_per_mm: 2.0 * frequency / 1.54,
            phases,
        }
    }

    /// Scatterers a square millimetre.
    pub(super) fn density(&self) -> f32 {
        1.0 / (self.cell.0 * self.cell.1)
    }

    /// Sums every visible scatterer, with unit variance each and the phase of its depth, into the beam grid.
    pub(super) fn splat(&self, view: &View, plane: Plane) -> Field {
        let n = view.lines * view.samples;
        let mut field = Field {
            re: vec![0.0; n],
            im: vec![0.0; n],
        };
        let even = mixture(plane.elevation);
        let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
        for (&x, &z) in view.x.iter().zip(&view.z) {
            let (x, z) = plane.tissue(x, z);
            low = (low.0.min(x), low.1.min(z));
            high = (high.0.max(x), high.1.max(z));
        }
        let cells = |a: f32, b: f32, size: f32| {
            ((a / size).floor() as i32 - 1, (b / size).floor() as i32 + 1)
        };
        let (i0, i1) = cells(low.0, high.0, self.cell.0);
        let (k0, k1) = cells(low.1, high.1, self.cell.1);
        for k in k0..=k1 {
            for i in i0..=i1 {
                self.add(view, plane, even, (i, k), &mut field);
            }
        }
        field
    }

    fn add(
        &self,
        view: &View,
        plane: Plane,
        even: (f32, f32),
        (i, k): (i32, i32),
        field: &mut Field,
    ) {
        let h = mix(self.seed ^ (u64::from(i as u32) << 32 | u64::from(k as u32)));
        let bits = |shift: u32| ((h >> shift) & 0xffff) as f32 * (1.0 / 65536.0);
        let (x, z) = plane.probe(
            (i as f32 + bits(0)) * self.cell.0,
            (k as f32 + bits(16)) * self.cell.1,
        );
        let Some((fl, fs)) = view.beam_of(x, z) else {
            return;
        };
        if fl < 0.0 || fs < 0.0 || fl >= (view.lines - 1) as f32 || fs >= (view.samples - 1) as f32
        {
            return;
        }
        let mixture = if plane.yaw.0 == 0.0 {
            even
        } else {
            mixture(plane.elevation_at(x))
        };
        // Uniform in ±√3 has unit variance.
        let strength = ((bits(32) - 0.5) * mixture.0 + (bits(48) - 0.5) * mixture.1) * 3.464_101_6;
        let turns = fs * view.step * self.turns_per_mm;
        let (c, s) = self.phases[((turns - turns.floor()) * PHASES as f32) as usize % PHASES];
        let (l, r) = (fl as usize, fs as usize);
        let (a, b) = (fl - l as f32, fs - r as f32);
        let at = r * view.lines + l;
        for (index, weight) in [
            (at, (1.0 - a) * (1.0 - b)),
            (at + 1, a * (1.0 - b)),
            (at + view.lines, (1.0 - a) * b),
            (at + view.lines + 1, a * b),
        ] {
            field.re[index] += strength * weight * c;
            field.im[index] += strength * weight * s;
        }
    }
}

/// How much each of a scatterer's two strengths counts after a travel out of plane.
fn mixture(elevation: f32) -> (f32, f32) {
    let turn = elevation / ELEVATION_PERIOD;
    (sin_turns(turn + 0.25), sin_turns(turn))
}
