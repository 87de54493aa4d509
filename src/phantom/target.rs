//! Targets of a sequence: which, where, and when they leave and return.

use super::{
    bone::{Bone, BonePose},
    class::{Class, TargetSet},
    inclusion::{Inclusion, InclusionPose},
    itinerary::{Itinerary, Whereabouts},
    motion::Motion,
    needle::{Needle, NeedlePose},
    plane::Plane,
    probe::View,
    rng::{Rng, smoothstep},
};

/// What a target is made of.
pub(super) enum Body {
    Bone(Bone),
    Inclusion(Inclusion),
    Needle(Needle),
}

/// A target's place in one frame.
pub(super) enum Pose {
    Bone(BonePose),
    Inclusion(InclusionPose),
    Needle(NeedlePose),
}

impl Pose {
    /// Share of the target that is in plane, 0..1.
    pub(super) fn presence(&self) -> f32 {
        match self {
            Self::Bone(pose) => pose.presence,
            Self::Inclusion(pose) => pose.presence,
            Self::Needle(pose) => pose.presence,
        }
    }

    /// Whether it hides what was painted before it: fluid that shows well.
    pub(super) fn covers(&self) -> bool {
        matches!(self, Self::Inclusion(pose) if pose.contrast > 0.5)
    }
}

/// One target of a sequence.
pub(super) struct Target {
    pub(super) class: Class,
    pub(super) body: Body,
    pub(super) leave: Leave,
    /// −1 or 1 for the side it leaves to.
    pub(super) side: f32,
}

/// When a target is away.
pub(super) enum Leave {
    Never,
    /// Between two shares of the sequence.
    Once(f32, f32),
    Again(Itinerary),
}

impl Target {
    /// Its pose at `seconds`, which is `part` of the sequence; none while it is away.
    pub(super) fn pose(&self, seconds: f32, part: f32, plane: Plane, view: &View) -> Option<Pose> {
        let (excursion, mut at) = match &self.leave {
            Leave::Never => (0.0, Whereabouts::default()),
            Leave::Once(from, to) => {
                let ramp = 0.1;
                let excursion =
                    smoothstep(from - ramp, *from, part) * (1.0 - smoothstep(*to, to + ramp, part));
                (excursion, Whereabouts::default())
            }
            Leave::Again(itinerary) => (0.0, itinerary.at(seconds)),
        };
        let half = view.half_width(view.depth);
        match &self.body {
            Body::Bone(bone) => {
                let far = 4.5 * half * self.side;
                at.shift.0 += at.aside * (bone.extent() + 1.2 * half) * self.side;
                bone.pose(seconds, plane, excursion * far, at)
                    .map(Pose::Bone)
            }
            Body::Inclusion(inclusion) => {
                at.shift.0 += at.aside * 1.7 * half * self.side;
                inclusion
                    .pose(seconds, plane, excursion, at)
                    .map(Pose::Inclusion)
            }
            Body::Needle(needle) => needle
                .pose(seconds, plane, excursion + at.aside, at)
                .map(Pose::Needle),
        }
    }
}

/// Draws the targets of a sequence among `allowed`, bones first and needles last, as they are painted.
pub(super) fn draw(rng: &mut Rng, view: &View, allowed: TargetSet, motion: Motion) -> Vec<Target> {
    let in_tissue = motion != Motion::Calm;
    let classes: Vec<Class> = Class::ALL
        .into_iter()
        .filter(|&c| allowed.contains(c))
        .collect();
    let n = rng.unit();
    let count = [0.12, 0.5, 0.74, 0.88, 0.96]
        .iter()
        .filter(|&&limit| n >= limit)
        .count();
    if classes.is_empty() {
        return Vec::new();
    }
    let mut numbers = [0usize; 4];
    for _ in 0..count {
        let class = classes[rng.below(classes.len())];
        let most = [2, 3, 3, 1][class as usize];
        numbers[class as usize] = (numbers[class as usize] + 1).min(most);
    }
    let mut taken: Vec<(f32, f32, f32)> = Vec::new();
    let mut targets = Vec::new();
    for class in [Class::Bone, Class::Cyst, Class::Vessel, Class::Needle] {
        for i in 0..numbers[class as usize] {
            let body = match class {
                Class::Bone => Some(draw_bone(rng, view, (i, numbers[0]), &mut taken)),
                Class::Needle => Some(Body::Needle(Needle::draw(rng, view, in_tissue))),
                _ => draw_inclusion(rng, view, class, &mut taken),
            };
            let (leaves, from, length, side) = (
                rng.chance(0.45),
                rng.range(-0.15, 0.8),
                rng.range(0.1, 0.45),
                rng.sign(),
            );
            if let Some(body) = body {
                targets.push(Target {
                    class,
                    body,
                    leave: if leaves {
                        Leave::Once(from, from + length)
                    } else {
                        Leave::Never
                    },
                    side,
                });
            }
        }
    }
    targets
}

fn draw_bone(
    rng: &mut Rng,
    view: &View,
    (index, count): (usize, usize),
    taken: &mut Vec<(f32, f32, f32)>,
) -> Body {
    let side = if count == 1 {
        rng.range(-0.8, 0.8)
    } else {
        (index as f32 * 2.0 - 1.0) * rng.range(0.4, 0.75)
    };
    let bone = Bone::draw(rng, view, side);
    let (x, z) = bone.apex();
    // Its shadow is no place for anything else.
    taken.push((x, z + view.depth * 0.5, view.depth * 0.5 + 1.0));
    Body::Bone(bone)
}

fn draw_inclusion(
    rng: &mut Rng,
    view: &View,
    class: Class,
    taken: &mut Vec<(f32, f32, f32)>,
) -> Option<Body> {
    for _ in 0..24 {
        let z = view.depth * rng.range(0.14, 0.68);
        let x = view.half_width(z) * rng.range(-0.85, 0.85);
        let inclusion = match class {
            Class::Cyst => Inclusion::draw_cyst(rng, view, (x, z)),
            _ => Inclusion::draw_vessel(rng, view, (x, z)),
        };
        let cover = inclusion.cover(view.half_width(z));
        let apart = |&(x, z, r): &(f32, f32, f32), &(ox, oz, or): &(f32, f32, f32)| {
            let (dx, dz) = (x - ox, z - oz);
            (dx * dx + dz * dz).sqrt() > or + r + 1.0
        };
        if cover
            .iter()
            .all(|c| c.1 - c.2 > 1.5 && taken.iter().all(|t| apart(c, t)))
        {
            taken.extend(cover);
            return Some(Body::Inclusion(inclusion));
        }
    }
    None
}
