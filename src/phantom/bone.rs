//! Bone: a cortex that mirrors the beam, with an acoustic shadow and reverberation beneath.

use super::{
    itinerary::Whereabouts,
    plane::Plane,
    probe::View,
    rng::{Noise, Rng, Sway, amplitude, smoothstep},
    tissue::Maps,
};

/// Cross-section of a cortex about its apex, u sideways and v downwards before tilting.
#[derive(Clone, Copy)]
enum Profile {
    /// Two flanks from a rounded apex: v = slope · (√(u² + r²) − r).
    Ridge { radius: f32, left: f32, right: f32 },
    /// A circle: the near half of a round bone.
    Round { radius: f32 },
}

const SHADOW_DB_PER_MM: f32 = 13.0;

/// A bone as drawn.
pub(super) struct Bone {
    profile: Profile,
    apex: (f32, f32),
    /// Reach to the left and right of the apex.
    reach: (f32, f32),
    tilt: f32,
    drift: [Sway; 3],
    flare: Sway,
    roughness: f32,
    thickness: f32,
    brightness: f32,
    /// Share of the brightness that does not depend on the angle, and exponent of the rest.
    diffuse: f32,
    focus: u32,
    reverberation: f32,
    /// Diffuse glow under the surface: amplitude and length in millimetres.
    haze: (f32, f32),
}

/// A bone at one time, in the probe's coordinates.
pub(super) struct BonePose {
    profile: Profile,
    apex: (f32, f32),
    reach: (f32, f32),
    turn: (f32, f32),
    /// Where along the bone the plane cuts, for texture.
    along: f32,
    /// 1 in plane, 0 out of it.
    pub(super) presence: f32,
}

impl Bone {
    pub(super) fn draw(rng: &mut Rng, view: &View, side: f32) -> Self {
        let scale = (view.depth / 55.0).clamp(0.6, 2.0);
        let kind = rng.unit();
        let half = view.half_width(view.depth * 0.4);
        let (profile, reach, tilt) = if kind < 0.5 {
            let (steep, gentle) = (rng.range(1.0, 7.0), rng.range(0.3, 2.0));
            let (left, right) = if rng.chance(0.5) {
                (steep, gentle)
            } else {
                (gentle, steep)
            };
            let reach = (rng.range(10.0, 45.0) * scale, rng.range(10.0, 45.0) * scale);
            (
                Profile::Ridge {
                    radius: rng.range(2.0, 8.0) * scale,
                    left,
                    right,
                },
                reach,
                rng.range(-0.15, 0.15),
            )
        } else if kind < 0.75 {
            let slopes = (rng.range(-0.05, 0.25), rng.range(-0.05, 0.25));
            let reach = (half * rng.range(0.4, 2.2), half * rng.range(0.4, 2.2));
            (
                Profile::Ridge {
                    radius: rng.range(5.0, 20.0) * scale,
                    left: slopes.0,
                    right: slopes.1,
                },
                reach,
                rng.range(-0.25, 0.25),
            )
        } else {
            let radius = rng.range(4.0, 15.0) * scale;
            (
                Profile::Round { radius },
                (0.97 * radius, 0.97 * radius),
                0.0,
            )
        };
        let z = view.depth * rng.range(0.16, 0.55);
        Self {
            profile,
            apex: (half * side, z),
            reach,
            tilt,
            drift: [(2.5, 0.13), (2.0, 0.1), (0.05, 0.08)].map(|(a, f)| Sway::new(rng, a, f)),
            flare: Sway::new(rng, 0.25, 0.07),
            roughness: rng.range(0.0, 0.6) * scale,
            thickness: rng.range(0.35, 1.15) * scale,
            brightness: rng.range(22.0, 90.0),
            diffuse: rng.range(0.06, 0.5),
            focus: 1 + rng.below(6) as u32,
            reverberation: {
                let r = rng.unit();
                0.06 * r * r
            },
            haze: (rng.range(0.01, 0.9), rng.range(1.5, 7.0) * scale),
        }
    }

    /// How far it may reach from the middle of the field at rest.
    pub(super) fn extent(&self) -> f32 {
        self.apex.0.abs() + self.reach.0.max(self.reach.1)
    }

    /// Where its apex lies at rest.
    pub(super) fn apex(&self) -> (f32, f32) {
        self.apex
    }

    /// The bone at a time, moved sideways by `excursion` millimetres; none once it is out of plane.
    pub(super) fn pose(
        &self,
        seconds: f32,
        plane: Plane,
        excursion: f32,
        at: Whereabouts,
    ) -> Option<BonePose> {
        let (s, c) = libm::sincosf(self.tilt + self.drift[2].at(seconds));
        let (rock_s, rock_c) = plane.rock;
        let (s, c) = (s * rock_c + c * rock_s, c * rock_c - s * rock_s);
        let flare = 1.0 + self.flare.at(seconds);
        let profile = match self.profile {
            Profile::Ridge {
                radius,
                left,
                right,
            } => Profile::Ridge {
                radius,
                left: left * flare,
                right: right / flare,
            },
            round => round,
        };
        let x = self.apex.0 + self.drift[0].at(seconds) + excursion + at.shift.0;
        let z = (self.apex.1 + self.drift[1].at(seconds) + at.shift.1).max(2.0);
        let presence = 1.0 - at.faded;
        (presence > 0.02).then(|| BonePose {
            profile,
            apex: plane.probe(x, z),
            reach: self.reach,
            turn: (c, s),
            along: plane.elevation,
            presence,
        })
    }

    /// Writes the cortex into `own`, shadow into `maps`; returns for each line the first sample in bone and the strength of
    /// its reverberation.
    pub(super) fn paint(
        &self,
        pose: &BonePose,
        view: &View,
        noise: &Noise,
        maps: &mut Maps,
        own: &mut [f32],
    ) -> Vec<Option<(usize, f32)>> {
        let w = self.thickness;
        let absent = 1.0 - pose.presence;
        let bright = pose.presence * pose.presence;
        let (mut struck, mut lost) = (vec![None; view.lines], vec![0.0f32; view.lines]);
        for s in 0..view.samples {
            for l in 0..view.lines {
                let i = s * view.lines + l;
                let shadowed = struck[l].is_some();
                let Some(surface) = pose
                    .surface(view.x[i], view.z[i], self.roughness, noise)
                    .filter(|p| p.distance > -2.0 * w)
                else {
                    continue;
                };
                let d = surface.distance;
                let (bx, bz) = view.direction[l];
                let facing = (surface.normal.0 * bx + surface.normal.1 * bz).max(0.0);
                let specular = (1..self.focus).fold(facing, |p, _| p * facing);
                let gaps =
                    (0.6 + 0.65 * noise.at(surface.u * 0.35, pose.along * 0.2, 3.5)).max(0.08);
                let strength =
                    (self.diffuse + (1.0 - self.diffuse) * specular) * gaps * surface.end * bright;
                let depth = if d < 0.0 { d / (0.5 * w) } else { d / w };
                if d < 5.0 * w {
                    own[i] = own[i].max(self.brightness * strength * libm::expf(-depth * depth));
                }
                if d >= 0.0 {
                    maps.echo[i] *= 0.05 + 0.95 * absent;
                    maps.mirror[i] *= 0.02 + 0.98 * absent;
                    if !shadowed {
                        struck[l] = Some((s, self.reverberation * strength));
                    }
                    // Scattered within bone and between its surface and the pulse: the shadow's own loss does not apply.
                    maps.echo[i] +=
                        self.haze.0 * strength * libm::expf(-d / self.haze.1) * amplitude(lost[l]);
                }
                if d > 1.3 * w && d < 1.3 * w + 4.0 {
                    let step = SHADOW_DB_PER_MM * view.step * surface.end * pose.presence;
                    maps.loss[i] += step;
                    lost[l] += step;
                }
            }
        }
        struck
    }
}

/// A point against the cortex.
struct Surface {
    /// Below the surface, at right angles to it.
    distance: f32,
    /// Inward unit normal.
    normal: (f32, f32),
    u: f32,
    /// 1 on the bone, falling to 0 at its ends.
    end: f32,
}

impl BonePose {
    fn surface(&self, x: f32, z: f32, roughness: f32, noise: &Noise) -> Option<Surface> {
        let (dx, dz) = (x - self.apex.0, z - self.apex.1);
        let (c, s) = self.turn;
        let (u, v) = (c * dx + s * dz, c * dz - s * dx);
        let end = smoothstep(-self.reach.0, -0.85 * self.reach.0, u)
            * smoothstep(-self.reach.1, -0.85 * self.reach.1, -u);
        if end <= 0.0 {
            return None;
        }
        let (height, slope) = self.profile.at(u);
        let rough = if roughness > 0.0 {
            roughness * noise.at(u * 0.4 + 7.0, self.along * 0.15, 1.5)
        } else {
            0.0
        };
        let length = (1.0 + slope * slope).sqrt();
        let (nu, nv) = (-slope / length, 1.0 / length);
        Some(Surface {
            distance: (v - height - rough) / length,
            normal: (c * nu - s * nv, s * nu + c * nv),
            u,
            end,
        })
    }

    /// Points along the cortex, evenly over its reach.
    pub(super) fn points(&self) -> Vec<(f32, f32)> {
        let (c, s) = self.turn;
        (0..96)
            .map(|i| {
                let u = -self.reach.0 + (self.reach.0 + self.reach.1) * (i as f32 + 0.5) / 96.0;
                let v = self.profile.at(u).0 + 0.3;
                (self.apex.0 + c * u - s * v, self.apex.1 + s * u + c * v)
            })
            .collect()
    }
}

impl Profile {
    /// Depth under the apex and slope at `u`.
    fn at(&self, u: f32) -> (f32, f32) {
        match *self {
            Self::Ridge {
                radius,
                left,
                right,
            } => {
                let slope = if u < 0.0 { left } else { right };
                let root = (u * u + radius * radius).sqrt();
                (slope * (root - radius), slope * u / root)
            }
            Self::Round { radius } => {
                let root = (radius * radius - u * u).max(1e-3 * radius * radius).sqrt();
                (radius - root, u / root)
            }
        }
    }
}
