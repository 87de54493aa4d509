//! Targets of a hard sequence: several of one class, in pairs that cross.

use super::{
    bone::Bone,
    class::{Class, TargetSet},
    inclusion::Inclusion,
    itinerary::Itinerary,
    needle::Needle,
    probe::View,
    rng::Rng,
    target::{Body, Leave, Target},
};

/// The most targets of a class, by class id: more bones would leave nothing but shadow, more needles are not held at once.
const MOST: [usize; 4] = [2, 5, 5, 2];

/// Draws 2 to 6 targets among `allowed`, in the order in which they are painted; none where no class is allowed.
pub(super) fn draw(rng: &mut Rng, view: &View, allowed: TargetSet) -> Vec<Target> {
    let numbers = numbers(rng, allowed);
    let mut targets = Vec::new();
    // Bones after fluid: it may come to lie in their shadow, and must not lift that.
    for class in [Class::Cyst, Class::Vessel, Class::Bone, Class::Needle] {
        let count = numbers[class as usize];
        let (mut place, mut other) = ((0.0, 0.0), None);
        for i in 0..count {
            // The second of a pair is drawn near the first and travels against it.
            let partner = other.take().filter(|_| class != Class::Needle);
            let body = match class {
                Class::Bone => {
                    let side = (2.0 * i as f32 + 1.0) / count as f32 - 1.0 + rng.range(-0.3, 0.3);
                    Body::Bone(Bone::draw(rng, view, side))
                }
                Class::Needle => Body::Needle(Needle::draw(rng, view, true)),
                _ => {
                    place = match partner {
                        Some(_) => (place.0, place.1 + view.depth * rng.range(0.0, 0.08)),
                        None => {
                            let z = view.depth * rng.range(0.2, 0.5);
                            (view.half_width(z) * rng.range(-0.4, 0.4), z)
                        }
                    };
                    Body::Inclusion(inclusion(rng, view, class, place))
                }
            };
            let mut itinerary = Itinerary::draw(rng, view, class);
            match partner {
                Some(travel) => itinerary.travel_against(travel),
                None => other = Some(itinerary.travel()),
            }
            let side = match class {
                Class::Bone | Class::Needle => rng.sign(),
                _ if place.0 < 0.0 => -1.0,
                _ => 1.0,
            };
            targets.push(Target {
                class,
                body,
                leave: Leave::Again(itinerary),
                side,
            });
        }
    }
    targets
}

/// How many of each class: one class has about half of all, the others share the rest.
fn numbers(rng: &mut Rng, allowed: TargetSet) -> [usize; 4] {
    let mut numbers = [0usize; 4];
    let classes: Vec<Class> = allowed.classes().collect();
    if classes.is_empty() {
        return numbers;
    }
    let count = 2 + rng.below(5).max(rng.below(5));
    let main = classes[rng.below(classes.len())] as usize;
    numbers[main] = (2 + rng.below(count - 1)).min(MOST[main]);
    while numbers.iter().sum::<usize>() < count {
        let open: Vec<usize> = classes
            .iter()
            .map(|&class| class as usize)
            .filter(|&class| numbers[class] < MOST[class])
            .collect();
        if open.is_empty() {
            break;
        }
        numbers[open[rng.below(open.len())]] += 1;
    }
    numbers
}

/// A cyst or a vessel that is cut across, with room above it.
fn inclusion(rng: &mut Rng, view: &View, class: Class, (x, z): (f32, f32)) -> Inclusion {
    let mut draw = || match class {
        Class::Cyst => Inclusion::draw_cyst(rng, view, (x, z)),
        _ => Inclusion::draw_vessel(rng, view, (x, z)),
    };
    let fits = |inclusion: &Inclusion| {
        let cover = inclusion.cover(0.0);
        !inclusion.is_tube() && cover.iter().all(|c| c.1 - c.2 > 1.5)
    };
    let mut drawn = draw();
    for _ in 0..24 {
        if fits(&drawn) {
            break;
        }
        drawn = draw();
    }
    drawn
}
