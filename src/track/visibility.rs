//! The state of an object's visibility, and the score that it follows.

use super::options::VisibilityOptions;
use crate::frame::{Visibility, VisibilityChange};
use std::{collections::BTreeMap, sync::Arc};

/// State and score of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sight {
    pub(super) state: Visibility,
    pub(super) score: f64,
}

/// A match of a track in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    /// Score of the object.
    pub(super) confidence: f64,
    /// IoU of the object and its prediction.
    pub(super) agreement: f64,
}

impl VisibilityOptions {
    /// What a match is worth, in 0..1.
    fn worth(&self, seen: &Match) -> f64 {
        let worth = self.confidence_weight * seen.confidence
            + self.agreement_weight * seen.agreement
            + self.continuity_weight;
        let sum = self.confidence_weight + self.agreement_weight + self.continuity_weight;
        (worth / sum).clamp(0.0, 1.0)
    }
}

impl Sight {
    /// Of a track at the match that confirms it.
    pub(super) fn new(seen: &Match, options: &VisibilityOptions) -> Self {
        let score = options.worth(seen);
        let state = if score >= options.visible_above {
            Visibility::Visible
        } else {
            Visibility::Relocalizing
        };
        Self { state, score }
    }

    /// The sight of a frame `dt` seconds later, where the track was matched or not.
    pub(super) fn next(&self, seen: Option<&Match>, dt: f64, options: &VisibilityOptions) -> Self {
        let kept = (-dt / options.half_life).exp2();
        let worth = seen.map_or(0.0, |seen| options.worth(seen));
        let mut score = worth + kept * (self.score - worth);
        if seen.is_some() && self.state == Visibility::Lost {
            score = score.max(options.found_score);
        }
        let state = match (self.state, seen) {
            (Visibility::Visible, _) if score >= options.relocalizing_below => Visibility::Visible,
            (_, Some(_)) if score >= options.visible_above => Visibility::Visible,
            (_, Some(_)) => Visibility::Relocalizing,
            (Visibility::Lost, None) => Visibility::Lost,
            (_, None) if score < options.lost_below => Visibility::Lost,
            (_, None) => Visibility::Relocalizing,
        };
        Self { state, score }
    }
}

/// Whether `a` is the better sight: by state, then by score.
fn is_better(a: &Sight, b: &Sight) -> bool {
    let rank = |state| match state {
        Visibility::Visible => 2,
        Visibility::Relocalizing => 1,
        Visibility::Lost => 0,
    };
    (rank(a.state), a.score) > (rank(b.state), b.score)
}

/// For each class that had a track the sight of its best track; lost where it has none any more.
#[derive(Debug, Clone, Default)]
pub(super) struct ClassSights(BTreeMap<u32, (Arc<str>, Visibility)>);

impl ClassSights {
    /// Takes the class, its name and the sight of each track of this frame, and adds what changed to `changes`.
    pub(super) fn follow<'a>(
        &mut self,
        tracks: impl Iterator<Item = (u32, &'a Arc<str>, Sight)>,
        changes: &mut Vec<VisibilityChange>,
    ) {
        let mut best: BTreeMap<u32, (&Arc<str>, Sight)> = BTreeMap::new();
        for (class, label, sight) in tracks {
            let known = best.entry(class).or_insert((label, sight));
            if is_better(&sight, &known.1) {
                *known = (label, sight);
            }
        }
        let gone: Vec<u32> = self
            .0
            .keys()
            .filter(|c| !best.contains_key(c))
            .copied()
            .collect();
        for class in gone {
            self.change(class, None, Visibility::Lost, 0.0, changes);
        }
        for (class, (label, sight)) in best {
            self.change(class, Some(label), sight.state, sight.score, changes);
        }
    }

    fn change(
        &mut self,
        class: u32,
        label: Option<&Arc<str>>,
        to: Visibility,
        score: f64,
        changes: &mut Vec<VisibilityChange>,
    ) {
        let from = self.0.get(&class).map(|(_, state)| *state);
        let known = self.0.get(&class).map(|(label, _)| label.clone());
        let Some(label) = label.cloned().or(known) else {
            return;
        };
        if from == Some(to) {
            return;
        }
        self.0.insert(class, (label.clone(), to));
        changes.push(VisibilityChange {
            track_id: None,
            class,
            label,
            from,
            to,
            score: score as f32,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Match = Match {
        confidence: 0.9,
        agreement: 0.9,
    };
    const POOR: Match = Match {
        confidence: 0.15,
        agreement: 0.2,
    };

    /// Each transition there is, by the frames that lead to it.
    #[test]
    fn every_state_and_every_transition_is_reached() {
        let options = VisibilityOptions::default();
        let mut reached = Vec::new();
        let mut follow = |first: &Match, frames: &[(Option<Match>, f64)]| {
            let mut sight = Sight::new(first, &options);
            for (seen, dt) in frames {
                let next = sight.next(seen.as_ref(), *dt, &options);
                if next.state != sight.state {
                    reached.push((sight.state.name(), next.state.name()));
                }
                sight = next;
            }
            sight
        };
        let missed = |count| vec![(None, 0.1); count];
        let seen = |seen, count| vec![(Some(seen), 0.1); count];
        // Seen, missed until lost, found again.
        follow(&GOOD, &[missed(12), seen(GOOD, 12)].concat());
        // Seen with too little evidence at first; then a long gap in the source, and another.
        follow(
            &POOR,
            &[seen(GOOD, 12), vec![(None, 9.0), (Some(GOOD), 9.0)]].concat(),
        );
        for expected in [
            ("visible", "relocalizing"),
            ("relocalizing", "visible"),
            ("relocalizing", "lost"),
            ("lost", "relocalizing"),
            ("visible", "lost"),
            ("lost", "visible"),
        ] {
            assert!(reached.contains(&expected), "{expected:?} of {reached:?}");
        }
        assert_eq!(Sight::new(&POOR, &options).state, Visibility::Relocalizing);
        assert_eq!(Sight::new(&GOOD, &options).state, Visibility::Visible);
    }

    #[test]
    fn evidence_that_fades_is_enough_to_relocalize() {
        let options = VisibilityOptions::default();
        let mut sight = Sight::new(&GOOD, &options);
        for _ in 0..30 {
            sight = sight.next(Some(&POOR), 0.1, &options);
        }
        assert_eq!(sight.state, Visibility::Relocalizing);
        assert!(
            (sight.score - (0.075 + 0.06 + 0.2)).abs() < 1e-3,
            "{sight:?}"
        );
    }

    #[test]
    fn between_the_thresholds_the_state_stays() {
        let options = VisibilityOptions::default();
        let between = (options.visible_above + options.relocalizing_below) / 2.0;
        let fair = Match {
            confidence: (between - 0.2 - 0.15) / 0.5,
            agreement: 0.5,
        };
        for state in [Visibility::Visible, Visibility::Relocalizing] {
            let sight = Sight {
                state,
                score: between,
            };
            assert_eq!(sight.next(Some(&fair), 0.1, &options).state, state);
        }
    }

    /// A lost object that is matched once is searched for again for a while: its state does not flicker.
    #[test]
    fn a_single_match_of_a_lost_object_lasts() {
        let options = VisibilityOptions::default();
        let lost = Sight {
            state: Visibility::Lost,
            score: 0.0,
        };
        let found = lost.next(Some(&GOOD), 1.0 / 30.0, &options);
        assert_eq!(found.state, Visibility::Relocalizing);
        let missed = found.next(None, 1.0 / 30.0, &options);
        assert_eq!(missed.state, Visibility::Relocalizing);
    }
}
