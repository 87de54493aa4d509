//! Fluid in tissue: cysts, and vessels cut across or along.

use super::{
    itinerary::Whereabouts,
    plane::Plane,
    probe::View,
    rng::{Noise, Rng, Sway, amplitude, smoothstep},
    tissue::Maps,
};

/// Outline of a lumen with its wall.
#[derive(Clone, Copy)]
enum Outline {
    /// An ellipse with two harmonics: semi-axes, and cosine and sine parts of the second and third.
    Closed { a: f32, b: f32, wobble: [f32; 4] },
    /// A tube along the plane: half its width, slope, curvature.
    Tube { half: f32, slope: f32, bend: f32 },
}

/// A cyst or vessel as drawn.
pub(super) struct Inclusion {
    outline: Outline,
    centre: (f32, f32),
    drift: [Sway; 2],
    /// Half its extent out of plane, and that travel.
    elevation: (f32, Sway),
    /// Wall: thickness in millimetres (0 for none) and amplitude.
    wall: (f32, f32),
    /// Amplitude of the mirror where the outline faces the beam.
    facing: f32,
    /// Level of the lumen against tissue, decibels.
    lumen: f32,
    attenuation: f32,
    /// Share of the radius that the pulse adds, and beats a second.
    pulse: (f32, f32),
    edge_shadow: f32,
}

/// A cyst or vessel at one time, in the probe's coordinates.
pub(super) struct InclusionPose {
    outline: Outline,
    centre: (f32, f32),
    /// Sine and cosine of its angle.
    turn: (f32, f32),
    /// How well it shows: 1 in plane, less where the slice holds tissue, too.
    pub(super) contrast: f32,
    /// Share of it that is in plane, 0..1.
    pub(super) presence: f32,
}

impl Inclusion {
    /// Whether it is a tube along the plane.
    pub(super) fn is_tube(&self) -> bool {
        matches!(self.outline, Outline::Tube { .. })
    }

    pub(super) fn draw_cyst(rng: &mut Rng, view: &View, centre: (f32, f32)) -> Self {
        let size = view.depth * rng.range(0.05, 0.16);
        let wobble = [0; 4].map(|_| rng.range(-0.08, 0.08));
        Self {
            outline: Outline::Closed {
                a: size * rng.range(0.85, 1.6),
                b: size * rng.range(0.6, 1.0),
                wobble,
            },
            centre,
            drift: [(1.2, 0.2), (0.8, 0.17)].map(|(a, f)| Sway::new(rng, a, f)),
            elevation: (rng.range(9.0, 25.0), Sway::new(rng, 5.0, 0.08)),
            wall: (
                if rng.chance(0.5) {
                    rng.range(0.2, 0.5)
                } else {
                    0.0
                },
                rng.range(0.3, 1.2),
            ),
            facing: rng.range(2.5, 12.0),
            lumen: rng.range(-45.0, -20.0),
            attenuation: 0.0,
            pulse: (0.0, 0.0),
            edge_shadow: rng.range(0.0, 8.0),
        }
    }

    pub(super) fn draw_vessel(rng: &mut Rng, view: &View, centre: (f32, f32)) -> Self {
        let size = view.depth * rng.range(0.03, 0.075);
        let outline = if rng.chance(0.7) {
            Outline::Closed {
                a: size * rng.range(0.95, 1.35),
                b: size * rng.range(0.75, 1.0),
                wobble: [0; 4].map(|_| rng.range(-0.03, 0.03)),
            }
        } else {
            let half_width = view.half_width(centre.1);
            Outline::Tube {
                half: size * 0.9,
                slope: rng.range(-0.3, 0.3),
                bend: rng.range(-0.25, 0.25) / half_width,
            }
        };
        Self {
            outline,
            centre,
            drift: [(1.0, 0.18), (0.7, 0.21)].map(|(a, f)| Sway::new(rng, a, f)),
            elevation: (rng.range(9.0, 25.0), Sway::new(rng, 3.0, 0.06)),
            wall: (size * rng.range(0.12, 0.26), rng.range(1.4, 3.5)),
            facing: rng.range(4.0, 20.0),
            lumen: rng.range(-32.0, -15.0),
            attenuation: 0.16,
            pulse: (rng.range(0.03, 0.16), rng.range(0.9, 1.7)),
            edge_shadow: rng.range(0.0, 3.0),
        }
    }

    /// Circles (x, z, radius) that cover it within `reach` millimetres to each side.
    pub(super) fn cover(&self, reach: f32) -> Vec<(f32, f32, f32)> {
        let (x, z) = self.centre;
        match self.outline {
            Outline::Closed { a, b, .. } => vec![(x, z, a.max(b) * 1.1 + self.wall.0)],
            Outline::Tube { half, slope, bend } => {
                let steps = (-12..=12).map(|i| i as f32 / 12.0 * reach - x);
                steps
                    .map(|dx| (x + dx, z + slope * dx + bend * dx * dx, half + self.wall.0))
                    .collect()
            }
        }
    }

    /// The inclusion at a time; `excursion` in 0..1 carries the plane out of it. None where the plane misses it.
    pub(super) fn pose(
        &self,
        seconds: f32,
        plane: Plane,
        excursion: f32,
        at: Whereabouts,
    ) -> Option<InclusionPose> {
        let centre = plane.probe(
            self.centre.0 + self.drift[0].at(seconds) + at.shift.0,
            self.centre.1 + self.drift[1].at(seconds) + at.shift.1,
        );
        let across = self.elevation.1.at(seconds) + plane.across_at(centre.0);
        let away = (across / self.elevation.0).abs() + excursion + at.faded;
        let cut = (1.0 - away * away).max(0.0).sqrt();
        if cut < 0.3 {
            return None;
        }
        let beat = seconds * self.pulse.1;
        let phase = beat - beat.floor();
        // A quick rise and a slow fall, as an artery's wall moves.
        let swell = cut
            * (1.0 + self.pulse.0 * (smoothstep(0.0, 0.16, phase) - smoothstep(0.16, 0.9, phase)));
        let outline = match self.outline {
            Outline::Closed { a, b, wobble } => Outline::Closed {
                a: a * swell,
                b: b * swell,
                wobble,
            },
            Outline::Tube { half, slope, bend } => Outline::Tube {
                half: half * swell,
                slope,
                bend,
            },
        };
        let contrast = 1.0 - smoothstep(0.3, 0.95, at.faded);
        Some(InclusionPose {
            outline,
            centre,
            turn: plane.rock,
            contrast,
            presence: cut * contrast,
        })
    }

    /// Writes lumen and wall into `maps`, and into `inside` the distance inwards from the outer border in millimetres.
    pub(super) fn paint(
        &self,
        pose: &InclusionPose,
        view: &View,
        noise: &Noise,
        seconds: f32,
        maps: &mut Maps,
        inside: &mut [f32],
    ) {
        let (wall, wall_echo) = self.wall;
        let quiet = amplitude(self.lumen);
        let shown = pose.contrast;
        for (i, inside) in inside.iter_mut().enumerate() {
            let (x, z) = (view.x[i], view.z[i]);
            let (d, normal) = pose.inward(x, z, wall);
            *inside = d;
            if d < -2.0 {
                continue;
            }
            let (bx, bz) = view.direction[i % view.lines];
            let facing = normal.0 * bx + normal.1 * bz;
            let lumen = smoothstep(wall - 0.15, wall + 0.15, d) * shown;
            if lumen > 0.0 {
                let stream = 1.0 + 0.5 * noise.at(x * 0.5 + seconds * 4.0, z * 0.9, seconds * 2.0);
                maps.echo[i] *= 1.0 - lumen + lumen * quiet * stream;
                maps.mirror[i] *= 1.0 - lumen;
                let absorbed = 2.0 * 0.1 * view.step * self.attenuation;
                maps.loss[i] += lumen * (absorbed - maps.loss[i]);
            }
            if wall > 0.0 {
                let q = (d - 0.5 * wall) / (0.5 * wall);
                maps.echo[i] += shown * wall_echo * libm::expf(-q * q);
            }
            let rim = (d - 0.6 * wall) / 0.22;
            if rim.abs() < 3.0 {
                let square = facing * facing;
                maps.mirror[i] += shown * self.facing * square * square * libm::expf(-rim * rim);
                maps.loss[i] += shown
                    * self.edge_shadow
                    * view.step
                    * (1.0 - smoothstep(0.0, 0.22, facing.abs()));
            }
        }
    }
}

impl InclusionPose {
    /// Distance inwards from the outer border (wall included) and the unit normal of the outline.
    fn inward(&self, x: f32, z: f32, wall: f32) -> (f32, (f32, f32)) {
        let (dx, dz) = (x - self.centre.0, z - self.centre.1);
        let (s, c) = self.turn;
        let (d, (nx, nz)) = self.inward_along_axes(c * dx + s * dz, c * dz - s * dx, wall);
        (d, (c * nx - s * nz, s * nx + c * nz))
    }

    /// The same for a point against the centre, along the axes of the outline.
    fn inward_along_axes(&self, dx: f32, dz: f32, wall: f32) -> (f32, (f32, f32)) {
        match self.outline {
            Outline::Closed { a, b, wobble } => {
                let (u, v) = (dx / a, dz / b);
                let rho = (u * u + v * v).sqrt().max(1e-4);
                let (c, s) = (u / rho, v / rho);
                let (c2, s2) = (c * c - s * s, 2.0 * c * s);
                let (c3, s3) = (c2 * c - s2 * s, s2 * c + c2 * s);
                let rim = 1.0 + wobble[0] * c2 + wobble[1] * s2 + wobble[2] * c3 + wobble[3] * s3;
                let (gx, gz) = (u / a, v / b);
                let length = (gx * gx + gz * gz).sqrt().max(1e-6);
                // First-order distance: the level over its gradient.
                (
                    (rim - rho) * rho / length + wall,
                    (gx / length, gz / length),
                )
            }
            Outline::Tube { half, slope, bend } => {
                let offset = dz - slope * dx - bend * dx * dx;
                let tangent = slope + 2.0 * bend * dx;
                let length = (1.0 + tangent * tangent).sqrt();
                let side = if offset < 0.0 { -1.0 } else { 1.0 };
                (
                    half - offset.abs() / length + wall,
                    (-tangent / length * side, side / length),
                )
            }
        }
    }

    /// Points spread evenly over the cross-section.
    pub(super) fn points(&self, view: &View) -> Vec<(f32, f32)> {
        let ring = |i: usize| (i as f32 + 0.5) / 12.0 * 2.0 - 1.0;
        let grid = (0..144).map(|i| (ring(i % 12), ring(i / 12)));
        let (sin, cos) = self.turn;
        match self.outline {
            Outline::Closed { a, b, .. } => grid
                .filter(|(u, v)| u * u + v * v < 0.9)
                .map(|(u, v)| {
                    let (dx, dz) = (u * a, v * b);
                    (
                        self.centre.0 + cos * dx - sin * dz,
                        self.centre.1 + sin * dx + cos * dz,
                    )
                })
                .collect(),
            Outline::Tube { half, slope, bend } => {
                let reach = view.half_width(self.centre.1);
                let place = |(u, v): (f32, f32)| {
                    let dx = u * reach - self.centre.0;
                    let dz = slope * dx + bend * dx * dx + v * half;
                    (
                        u * reach + (cos - 1.0) * dx - sin * dz,
                        self.centre.1 + sin * dx + cos * dz,
                    )
                };
                grid.map(place).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        options::PhantomOptions,
        sequence::Phantom,
        target::{Body, Pose},
    };
    use super::*;
    use crate::{
        frame::{Mask, Physical},
        geometry::Size,
        measure::{Millimetres, measure},
        phantom::{Class, TargetSet},
    };

    /// How many times finer than the screen the drawn outline is digitised.
    const FINER: u32 = 4;

    /// The drawn outline on a screen of finer pixels, in millimetres; none if a part of it lies beside the sector.
    fn drawn(pose: &InclusionPose, wall: f32, view: &View) -> Option<Millimetres> {
        let sector = view.scan_convert(&vec![1.0; view.x.len()], 0u8, |v| u8::from(v > 0.0));
        let size = Size::new(view.size.width * FINER, view.size.height * FINER);
        let mm = view.mm_per_px / FINER as f32;
        let place = |x: u32, origin: f32| (x as f32 + 0.5) * mm - origin * view.mm_per_px;
        let mut pixels = vec![0u8; size.pixels() as usize];
        for (i, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = (i as u32 % size.width, i as u32 / size.width);
            let at = (y / FINER * view.size.width + x / FINER) as usize;
            let (x, z) = (place(x, view.origin.0), place(y, view.origin.1));
            *pixel = u8::from(pose.inward(x, z, wall).0 > 0.0);
            if *pixel == 1 && sector[at] == 0 {
                return None;
            }
        }
        let mask = Mask::from_row_major(size, &pixels).unwrap();
        let physical = Physical {
            pixel_spacing_mm: Some([f64::from(mm); 2]),
            ..Physical::default()
        };
        let bounds = mask.bounds().unwrap();
        measure(Some(&mask), bounds, Some(&physical)).mm
    }

    #[test]
    fn the_truth_of_a_cyst_measures_as_the_cyst_was_drawn() {
        let mut measured = 0;
        for seed in 0..20 {
            let phantom = Phantom::new(PhantomOptions {
                seed,
                frames: 1,
                size: Size::new(256, 256),
                targets: TargetSet::NONE.with(Class::Cyst),
                ..PhantomOptions::default()
            })
            .unwrap();
            let physical = phantom.physical(0);
            let frame = phantom.frame(0).unwrap();
            let view = &phantom.views[phantom.view_index(0)].0;
            for object in frame.objects.iter().filter(|o| o.visible_fraction == 1.0) {
                let target = &phantom.targets[object.track_id as usize - 1];
                let pose = target.pose(0.0, 0.0, phantom.sweep.plane(0.0), view);
                let (Body::Inclusion(cyst), Some(Pose::Inclusion(pose))) = (&target.body, pose)
                else {
                    panic!("a cyst is an inclusion")
                };
                let found = measure(Some(&object.mask), object.bbox, Some(&physical)).mm;
                let Some(drawn) = drawn(&pose, cyst.wall.0, view) else {
                    continue;
                };
                let (found, pixel) = (found.unwrap(), f64::from(view.mm_per_px));
                // A pixel's worth of the area is half a pixel all around.
                let around = drawn.perimeter_mm * pixel / 2.0;
                for (found, drawn, within) in [
                    (found.length_mm, drawn.length_mm, pixel),
                    (found.width_mm, drawn.width_mm, pixel),
                    (found.area_mm2, drawn.area_mm2, around),
                    (found.perimeter_mm, drawn.perimeter_mm, pixel),
                    (found.centroid_mm[0], drawn.centroid_mm[0], pixel / 4.0),
                    (found.centroid_mm[1], drawn.centroid_mm[1], pixel / 4.0),
                ] {
                    assert!(
                        (found - drawn).abs() <= within,
                        "seed {seed}: {found} mm, drawn {drawn}, a pixel has {pixel}"
                    );
                }
                measured += 1;
            }
        }
        assert!(measured >= 12, "{measured}");
    }
}
