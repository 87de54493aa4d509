//! The hand that holds the probe.

use super::{
    motion::Motion,
    plane::Plane,
    rng::{Rng, Sway},
};

/// How the hand moves the probe.
pub(super) struct Sweep {
    x: Sway,
    elevation: Sway,
    drift: f32,
    pressure: Sway,
    search: Option<Search>,
}

/// What a searching hand adds.
struct Search {
    slide: Sway,
    fan: Sway,
    rock: Sway,
    yaw: Sway,
}

impl Sweep {
    /// `half` is half the width of the field in millimetres.
    pub(super) fn draw(rng: &mut Rng, motion: Motion, depth: f32, half: f32) -> Self {
        let reach = if rng.chance(0.6) {
            rng.range(0.3, 2.0)
        } else {
            depth * rng.range(0.05, 0.16)
        };
        let out_of_plane = rng.range(0.5, 9.0);
        let steady = Self {
            x: Sway::new(rng, reach, 0.11),
            elevation: Sway::new(rng, out_of_plane, 0.09),
            drift: rng.range(-2.0, 2.0),
            pressure: Sway::new(rng, 0.035, 0.13),
            search: None,
        };
        // With targets that move by themselves the hand moves less: together both would leave nothing in the picture.
        let share = match motion {
            Motion::Calm => return steady,
            Motion::Probe => 1.0,
            Motion::Hard => 0.5,
        };
        let mut sway = |low: f32, high: f32, slowest: f32, fastest: f32| {
            let amplitude = share * rng.range(low, high);
            let frequency = rng.range(slowest, fastest);
            Sway::new(rng, amplitude, frequency)
        };
        let search = Search {
            slide: sway(0.2 * half, 0.5 * half, 0.1, 0.25),
            fan: sway(2.0, 7.0, 0.12, 0.3),
            rock: sway(0.05, 0.16, 0.15, 0.35),
            yaw: sway(0.05, 0.25, 0.1, 0.25),
        };
        Self {
            search: Some(search),
            ..steady
        }
    }

    pub(super) fn plane(&self, seconds: f32) -> Plane {
        let elevation = self.elevation.at(seconds) + self.drift * seconds;
        let steady = Plane {
            x: self.x.at(seconds),
            elevation,
            across: 0.0,
            stretch: 1.0 + self.pressure.at(seconds),
            rock: (0.0, 1.0),
            yaw: (0.0, 1.0),
        };
        let Some(search) = &self.search else {
            return steady;
        };
        let across = search.fan.at(seconds);
        Plane {
            x: steady.x + search.slide.at(seconds),
            elevation: elevation + across,
            across,
            rock: libm::sincosf(search.rock.at(seconds)),
            yaw: libm::sincosf(search.yaw.at(seconds)),
            ..steady
        }
    }
}
