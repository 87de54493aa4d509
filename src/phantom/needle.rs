//! A needle in the plane: a bright shaft with a comet tail.

use super::{
    itinerary::Whereabouts,
    plane::Plane,
    probe::View,
    rng::{Noise, Rng, Sway},
    tissue::Maps,
};

/// A needle as drawn.
pub(super) struct Needle {
    /// It stays in tissue while the probe moves, else it keeps its place under the probe.
    in_tissue: bool,
    entry: (f32, f32),
    /// Angle to the horizontal in radians, positive downwards, and −1 or 1 for the side it points to.
    angle: f32,
    side: f32,
    length: f32,
    advance: Sway,
    swing: Sway,
    radius: f32,
    brightness: f32,
    diffuse: f32,
    /// Comet tail: amplitude against the shaft, length and spacing in millimetres.
    tail: (f32, f32, f32),
}

/// A needle at one time.
pub(super) struct NeedlePose {
    entry: (f32, f32),
    direction: (f32, f32),
    length: f32,
    /// 1 in plane, 0 out of it.
    pub(super) presence: f32,
}

impl Needle {
    pub(super) fn draw(rng: &mut Rng, view: &View, in_tissue: bool) -> Self {
        let side = rng.sign();
        let half = view.half_width(view.depth * 0.1);
        let scale = (view.depth / 50.0).clamp(0.7, 1.8);
        Self {
            in_tissue,
            entry: (
                -side * half * rng.range(0.5, 1.05),
                rng.range(0.0, 0.1) * view.depth,
            ),
            angle: rng.range(0.2, 0.95),
            side,
            length: view.depth * rng.range(0.45, 0.9),
            advance: Sway::new(rng, 0.25, 0.2),
            swing: Sway::new(rng, 0.05, 0.13),
            radius: rng.range(0.12, 0.32) * scale,
            brightness: rng.range(18.0, 70.0),
            diffuse: rng.range(0.2, 0.6),
            tail: (
                rng.range(0.015, 0.12),
                rng.range(1.2, 4.0) * scale,
                rng.range(0.8, 1.8) * scale,
            ),
        }
    }

    /// The needle at a time; `excursion` in 0..1 draws it back. None once it is out.
    pub(super) fn pose(
        &self,
        seconds: f32,
        plane: Plane,
        excursion: f32,
        at: Whereabouts,
    ) -> Option<NeedlePose> {
        let (s, c) = libm::sincosf(self.angle + self.swing.at(seconds));
        let (mut entry, mut direction) = (self.entry, (c * self.side, s));
        if self.in_tissue {
            let (sin, cos) = plane.rock;
            entry = plane.probe(entry.0, entry.1);
            direction = (
                cos * direction.0 - sin * direction.1,
                sin * direction.0 + cos * direction.1,
            );
        }
        let presence = 1.0 - at.faded;
        let length = self.length * (1.0 + self.advance.at(seconds)) * (1.0 - excursion);
        (length > 0.06 * self.length && presence > 0.02).then_some(NeedlePose {
            entry,
            direction,
            length,
            presence,
        })
    }

    /// Writes the shaft into `own`, tail and shading into `maps`.
    pub(super) fn paint(
        &self,
        pose: &NeedlePose,
        view: &View,
        noise: &Noise,
        maps: &mut Maps,
        own: &mut [f32],
    ) {
        let (dx, dz) = pose.direction;
        let (tail, fade, spacing) = self.tail;
        let side = if dx < 0.0 { -1.0 } else { 1.0 };
        for (i, own) in own.iter_mut().enumerate() {
            let (x, z) = (view.x[i] - pose.entry.0, view.z[i] - pose.entry.1);
            let (along, below) = (x * dx + z * dz, (z * dx - x * dz) * side);
            if along < -1.0
                || along > pose.length + 0.5 * self.radius
                || below < -3.0 * self.radius
                || below > 4.0 * fade
            {
                continue;
            }
            let end = (along / 1.0).clamp(0.0, 1.0)
                * ((pose.length - along) / (0.5 * self.radius) + 1.0).clamp(0.0, 1.0);
            let (bx, bz) = view.direction[i % view.lines];
            let facing = ((dx * bz - dz * bx) * side).max(0.0);
            let square = facing * facing;
            let texture = 0.75 + 0.35 * noise.at(along * 0.7, 2.5, 9.5);
            let bright = self.brightness
                * (self.diffuse + (1.0 - self.diffuse) * square * square)
                * texture
                * end
                * (pose.presence * pose.presence);
            let q = below / self.radius;
            if q.abs() < 3.0 {
                *own = own.max(bright * libm::expf(-q * q));
            }
            if below > self.radius {
                let turns = below / spacing;
                let phase = (turns - turns.floor() - 0.5) / 0.22;
                maps.mirror[i] +=
                    bright * tail * libm::expf(-below / fade) * (0.06 + libm::expf(-phase * phase));
                if below < 3.0 * self.radius {
                    maps.loss[i] += 3.0 * view.step / self.radius * end * pose.presence;
                }
            }
        }
    }
}

impl NeedlePose {
    /// Points along the shaft.
    pub(super) fn points(&self) -> Vec<(f32, f32)> {
        let at = |i: usize| self.length * (i as f32 + 0.5) / 64.0;
        (0..64)
            .map(|i| {
                (
                    self.entry.0 + at(i) * self.direction.0,
                    self.entry.1 + at(i) * self.direction.1,
                )
            })
            .collect()
    }
}
