//! Random numbers and smooth noise that are the same on every machine: SplitMix64 and a lattice of its draws.

/// SplitMix64's output function: a bijective mix of 64 bits (Steele, Lea and Flood, OOPSLA 2014).
pub(super) const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of SplitMix64; streams of one seed are independent, so that a new draw in one leaves the others alone.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream)))
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        let out = mix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        out
    }

    /// Uniform in 0..1, 24 bits.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `low..high`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// −1 or 1.
    pub(super) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// Uniform in `0..n`; 0 for `n` = 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.next_u64() >> 32).wrapping_mul(n as u64) >> 32) as usize
    }
}

const NX: usize = 64;
const NE: usize = 16;

/// Value noise over three dimensions with smooth interpolation, in −1..1, periodic with 64, 64 and 16.
pub(super) struct Noise(Vec<f32>);

impl Noise {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self((0..NX * NX * NE).map(|_| rng.range(-1.0, 1.0)).collect())
    }

    /// Noise at a point; one unit is one lattice cell.
    pub(super) fn at(&self, x: f32, z: f32, e: f32) -> f32 {
        let (x0, z0, e0) = (x.floor(), z.floor(), e.floor());
        let fade = |f: f32| f * f * (3.0 - 2.0 * f);
        let (fx, fz, fe) = (fade(x - x0), fade(z - z0), fade(e - e0));
        let (ix, iz, ie) = (x0 as i32 as usize, z0 as i32 as usize, e0 as i32 as usize);
        let plane = |ie: usize| {
            let row = |iz: usize| {
                let base = ((ie % NE) * NX + iz % NX) * NX;
                let (a, b) = (
                    self.0[base + ix % NX],
                    self.0[base + ix.wrapping_add(1) % NX],
                );
                a + (b - a) * fx
            };
            let (a, b) = (row(iz), row(iz.wrapping_add(1)));
            a + (b - a) * fz
        };
        let (a, b) = (plane(ie), plane(ie.wrapping_add(1)));
        a + (b - a) * fe
    }
}

/// A smooth quasi-periodic motion: two sines whose periods have no common multiple.
#[derive(Clone, Copy)]
pub(super) struct Sway {
    amplitude: f32,
    frequency: f32,
    phase: f32,
}

impl Sway {
    /// Within ±`amplitude`, with `frequency` in hertz.
    pub(super) fn new(rng: &mut Rng, amplitude: f32, frequency: f32) -> Self {
        Self {
            amplitude,
            frequency,
            phase: rng.unit(),
        }
    }

    /// The same motion to the other side.
    pub(super) fn opposite(self) -> Self {
        Self {
            amplitude: -self.amplitude,
            ..self
        }
    }

    pub(super) fn at(&self, seconds: f32) -> f32 {
        let cycles = seconds * self.frequency + self.phase;
        self.amplitude
            * (0.7 * sin_turns(cycles) + 0.3 * sin_turns(cycles * 2.37 + self.phase * 5.0))
    }
}

/// sin(2π · `turns`).
pub(super) fn sin_turns(turns: f32) -> f32 {
    libm::sinf((turns - turns.floor()) * std::f32::consts::TAU)
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, v: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Amplitude of a level in decibels: 10^(db/20).
pub(super) fn amplitude(db: f32) -> f32 {
    libm::expf(db * (std::f32::consts::LN_10 / 20.0))
}
