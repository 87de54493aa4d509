//! What a target of a hard sequence does by itself: it travels, leaves and returns, fades out of plane and comes back.

use super::{
    class::Class,
    probe::View,
    rng::{Rng, Sway, smoothstep},
};

/// Where a target is against its place at rest.
#[derive(Clone, Copy, Default)]
pub(super) struct Whereabouts {
    /// Travel in tissue, millimetres.
    pub(super) shift: (f32, f32),
    /// 0 in the picture, 1 beside it; of a needle, drawn back.
    pub(super) aside: f32,
    /// 0 in plane, 1 out of it.
    pub(super) faded: f32,
}

/// A target's doings, cycle after cycle; no end is assumed, so that speed does not depend on the sequence's length.
pub(super) struct Itinerary {
    seed: u64,
    travel: (Sway, Sway),
    /// Seconds of a cycle, and its share at time 0.
    period: f32,
    phase: f32,
    /// Seconds from the beginning of a cycle until it goes, to be gone, and that it stays away.
    wait: f32,
    ramp: f32,
    away: f32,
    /// Of a cycle: chance that it leaves, and chance that it fades.
    chances: (f32, f32),
}

impl Itinerary {
    pub(super) fn draw(rng: &mut Rng, view: &View, class: Class) -> Self {
        let half = view.half_width(view.depth * 0.4);
        let (reach, rise, chances) = match class {
            Class::Bone => (0.25, 0.03, (0.35, 0.35)),
            Class::Needle => (0.0, 0.0, (0.75, 0.15)),
            _ => (0.5, 0.05, (0.3, 0.4)),
        };
        let frequency = rng.range(0.15, 0.3);
        let amplitude = half * reach * rng.range(0.6, 1.0);
        let travel = (
            Sway::new(rng, amplitude, frequency),
            Sway::new(rng, view.depth * rise, 0.17),
        );
        let fast = class == Class::Needle;
        let ramp = if fast {
            rng.range(0.15, 0.4)
        } else {
            rng.range(0.4, 0.8)
        };
        let away = rng.range(0.2, 0.9);
        let stay = if fast {
            rng.range(0.6, 1.4)
        } else {
            rng.range(1.0, 2.4)
        };
        Self {
            seed: rng.next_u64(),
            travel,
            period: stay + 2.0 * ramp + away,
            phase: rng.unit(),
            wait: stay * rng.range(0.2, 0.8),
            ramp,
            away,
            chances,
        }
    }

    /// Its travel to the side.
    pub(super) fn travel(&self) -> Sway {
        self.travel.0
    }

    /// Travels against another, which it meets at every turn of both.
    pub(super) fn travel_against(&mut self, other: Sway) {
        self.travel.0 = other.opposite();
    }

    pub(super) fn at(&self, seconds: f32) -> Whereabouts {
        let cycles = seconds / self.period + self.phase;
        let number = cycles.floor();
        let into = (cycles - number) * self.period - self.wait;
        let back = into - self.ramp - self.away;
        let gone = smoothstep(0.0, self.ramp, into) * (1.0 - smoothstep(0.0, self.ramp, back));
        let choice = Rng::new(self.seed, number as u64).unit();
        let (leaves, fades) = self.chances;
        Whereabouts {
            shift: (self.travel.0.at(seconds), self.travel.1.at(seconds)),
            aside: if choice < leaves { gone } else { 0.0 },
            faded: if choice >= leaves && choice < leaves + fades {
                gone
            } else {
                0.0
            },
        }
    }
}
