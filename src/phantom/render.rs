//! One frame from the state of the sequence at its time.

use super::{
    CLASS_NAMES, GroundTruth, LEAST_VISIBILITY, Motion, Phantom, PhantomFrame,
    beam::Beam,
    plane::Plane,
    probe::View,
    rng::{amplitude, mix},
    scatterers::Field,
    target::{Body, Pose, Target},
    tissue::Maps,
    truth,
};
use crate::frame::{Channels, Image};

/// How much greyer than noise the border of fluid, its wall included, must be on average to show.
const LEAST_TISSUE: f32 = 0.065;
/// Loss, beyond that of the tissue alone, that hides what lies there.
const HIDDEN_DB: f32 = 16.0;
/// Grey that a cortex or shaft must reach to be outlined, how far it must exceed tissue, and the share of its beam's
/// brightest sample.
const LEAST_BRIGHT: f32 = 0.22;
const OVER_TISSUE: f32 = 0.03;
const BRIGHT_SHARE: f32 = 0.64;

/// A target in this frame with what it wrote over the beam grid.
struct Painted<'a> {
    target: &'a Target,
    track_id: u32,
    pose: Pose,
    /// Mirror amplitude of a bone or needle; distance inwards in millimetres of an inclusion.
    own: Vec<f32>,
}

impl Phantom {
    /// Renders frame `index`, alone and without regard to any other; none from [`super::PhantomOptions::frames`] on.
    pub fn frame(&self, index: u32) -> Option<PhantomFrame> {
        if index >= self.options.frames {
            return None;
        }
        let seconds = self.seconds(index) as f32;
        let part = index as f32 / self.options.frames as f32;
        let (view, beam) = &self.views[self.view_index(index)];
        let plane = self.sweep.plane(seconds);
        let mut maps = self
            .tissue
            .maps(view, plane, &self.noise, self.probe.frequency);
        let plain = accumulate(&maps.loss, vec![0.0; view.lines]);
        let (painted, struck) = self.paint_targets(view, plane, seconds, part, &mut maps);

        let entry = self.look.entry_loss(
            view.lines,
            seconds,
            u64::from(index),
            mix(self.options.seed),
        );
        let lost = accumulate(&maps.loss, entry);
        let flicker = self.flicker.as_ref().map_or(0.0, |f| f.at(index));
        let gain = self.look.gain(seconds, part) + flicker;
        let hidden: Vec<f32> = lost
            .iter()
            .zip(&plain)
            .map(|(lost, plain)| lost - plain)
            .collect();
        let sent: Vec<f32> = lost.iter().map(|&db| amplitude(-db)).collect();
        let echoes = self.echoes(view, beam, plane, &maps, &painted, &sent, &struck);
        let grey = beam.grey(
            &self.look,
            &echoes,
            gain,
            mix(self.options.seed ^ mix(u64::from(index))),
        );

        let size = self.options.size;
        let mut pixels =
            view.scan_convert(&grey, self.look.background, |g| (g * 255.0 + 0.5) as u8);
        self.furniture.paint(view, &mut pixels);
        let outlines: Vec<Option<Vec<u8>>> = painted
            .iter()
            .map(|p| {
                let field = match p.pose {
                    Pose::Inclusion(_) => {
                        self.fluid_field(view, beam, &maps, (&lost, &hidden), gain, p)
                    }
                    _ => self.bright_field(beam, &maps, (&lost, &sent), gain, p),
                };
                truth::outline(view, &field)
            })
            .collect();
        let (labels, objects) = self.truth(view, &painted, outlines);
        let image = |data| Image::new(size, Channels::Gray, data);
        Some(PhantomFrame {
            index,
            image: image(pixels)?,
            objects,
            label_map: image(labels)?,
        })
    }

    /// The label map, and the objects by track.
    fn truth(
        &self,
        view: &View,
        painted: &[Painted],
        mut outlines: Vec<Option<Vec<u8>>>,
    ) -> (Vec<u8>, Vec<GroundTruth>) {
        let calm = self.options.motion == Motion::Calm;
        if !calm {
            hide_covered(painted, &mut outlines);
        }
        let least = if calm { 0.0 } else { LEAST_VISIBILITY };
        let mut labels = vec![0u8; view.size.pixels() as usize];
        let objects = painted
            .iter()
            .zip(outlines)
            .filter_map(|(p, pixels)| {
                let pixels = pixels?;
                let object = truth_of(view, p, &pixels).filter(|o| o.visibility >= least)?;
                labels
                    .iter_mut()
                    .zip(&pixels)
                    .filter(|(_, inside)| **inside != 0)
                    .for_each(|(label, _)| *label = object.class as u8 + 1);
                Some(object)
            })
            .collect();
        (labels, objects)
    }

    fn paint_targets(
        &self,
        view: &View,
        plane: Plane,
        seconds: f32,
        part: f32,
        maps: &mut Maps,
    ) -> (Vec<Painted<'_>>, Vec<Struck>) {
        let (mut painted, mut struck) = (Vec::new(), Vec::new());
        for (target, track_id) in self.targets.iter().zip(1..) {
            let Some(pose) = target.pose(seconds, part, plane, view) else {
                continue;
            };
            let mut own = vec![0.0; view.x.len()];
            match (&target.body, &pose) {
                (Body::Bone(bone), Pose::Bone(pose)) => {
                    struck.push(bone.paint(pose, view, &self.noise, maps, &mut own))
                }
                (Body::Inclusion(fluid), Pose::Inclusion(pose)) => {
                    fluid.paint(pose, view, &self.noise, seconds, maps, &mut own)
                }
                (Body::Needle(needle), Pose::Needle(pose)) => {
                    needle.paint(pose, view, &self.noise, maps, &mut own)
                }
                _ => {}
            }
            painted.push(Painted {
                target,
                track_id,
                pose,
                own,
            });
        }
        (painted, struck)
    }

    /// Echoes that reach the probe before the point spread: speckle, mirrors, and echoes of both that bounced off bone.
    #[allow(clippy::too_many_arguments)]
    fn echoes(
        &self,
        view: &View,
        beam: &Beam,
        plane: Plane,
        maps: &Maps,
        painted: &[Painted],
        sent: &[f32],
        struck: &[Struck],
    ) -> Field {
        let mut field = self.scatterers.splat(view, plane);
        let mut mirror = maps.mirror.clone();
        for p in painted
            .iter()
            .filter(|p| !matches!(p.pose, Pose::Inclusion(_)))
        {
            mirror.iter_mut().zip(&p.own).for_each(|(m, own)| *m += own);
        }
        for i in 0..mirror.len() {
            // A mirror is never wholly smooth: a part of it scatters.
            let scattered = (maps.echo[i] + 0.4 * mirror[i]) * beam.speckle[i / view.lines];
            field.re[i] = (field.re[i] * scattered + mirror[i]) * sent[i];
            field.im[i] *= scattered * sent[i];
        }
        for (l, &(from, strength)) in struck.iter().flat_map(|s| {
            s.iter()
                .enumerate()
                .filter_map(|(l, hit)| hit.as_ref().map(|h| (l, h)))
        }) {
            // Bone, probe face and a layer above: the layer appears again, as deep under the bone as it lies under the probe.
            let strength = strength * sent[from * view.lines + l];
            for s in from + 1..view.samples {
                let (to, source) = (s * view.lines + l, (s - from) * view.lines + l);
                field.re[to] += strength * field.re[source];
                field.im[to] += strength * field.im[source];
            }
        }
        field
    }

    /// Above 0 where a cortex or shaft shows bright: its own echo through the same response, against a share of its peak.
    fn bright_field(
        &self,
        beam: &Beam,
        maps: &Maps,
        (lost, sent): (&[f32], &[f32]),
        gain: f32,
        p: &Painted,
    ) -> Vec<f32> {
        let n = p.own.len();
        let lines = n / beam.curve.len();
        let Some(first) = p.own.iter().position(|&v| v > 0.0) else {
            return vec![-1.0; n];
        };
        let last = p.own.iter().rposition(|&v| v > 0.0).unwrap_or(first);
        let echo: Vec<f32> = p
            .own
            .iter()
            .zip(sent)
            .map(|(own, sent)| own * sent)
            .collect();
        let spread = beam.spread(&echo, first / lines..last / lines + 1, None);
        let mut peak = vec![0.0f32; lines];
        let mut field = vec![-1.0f32; n];
        for (i, &echo) in spread.iter().enumerate().filter(|(_, e)| **e > 0.0) {
            let level = self.look.level(echo * echo, beam.curve[i / lines] + gain);
            field[i] = level;
            peak[i % lines] = peak[i % lines].max(level);
        }
        for (i, level) in field.iter_mut().enumerate() {
            if *level > LEAST_BRIGHT {
                let tissue = self
                    .look
                    .level(1.0, maps.level[i] - lost[i] + beam.curve[i / lines] + gain);
                let least = (BRIGHT_SHARE * peak[i % lines])
                    .max(LEAST_BRIGHT)
                    .max(tissue + OVER_TISSUE);
                *level -= least;
            } else {
                *level = (*level - LEAST_BRIGHT).max(-0.5);
            }
        }
        field
    }

    /// Above 0 inside the border of a cyst or vessel that stands out from the tissue around it, save where bone, lost contact
    /// or a dropout hides it.
    fn fluid_field(
        &self,
        view: &View,
        beam: &Beam,
        maps: &Maps,
        (lost, hidden): (&[f32], &[f32]),
        gain: f32,
        p: &Painted,
    ) -> Vec<f32> {
        let (mut grey, mut count) = (0.0, 0.0f32);
        for (i, _) in p
            .own
            .iter()
            .enumerate()
            .filter(|(i, d)| **d < 0.6 && **d > -1.0 && hidden[*i] < HIDDEN_DB)
        {
            let shown = |power: f32, db: f32| {
                self.look
                    .level(power, db + beam.curve[i / view.lines] + gain)
                    .clamp(0.0, 1.0)
            };
            let tissue = maps.echo[i] * maps.echo[i] + maps.mirror[i] * maps.mirror[i];
            grey += (shown(tissue, -lost[i]) - shown(1.0, self.look.noise)).max(0.0);
            count += 1.0;
        }
        if grey < LEAST_TISSUE * count.max(1.0) {
            return vec![-1.0; p.own.len()];
        }
        let inside =
            |(&d, &hidden): (&f32, &f32)| (d / view.mm_per_px).min(0.3 * (HIDDEN_DB - hidden));
        p.own.iter().zip(hidden).map(inside).collect()
    }
}

/// For each line the first sample in bone and the strength of its reverberation.
type Struck = Vec<Option<(usize, f32)>>;

/// Loss from the probe to each sample.
fn accumulate(loss: &[f32], mut running: Vec<f32>) -> Vec<f32> {
    let mut out = Vec::with_capacity(loss.len());
    for row in loss.chunks_exact(running.len()) {
        out.extend_from_slice(&running);
        running
            .iter_mut()
            .zip(row)
            .for_each(|(sum, step)| *sum += step);
    }
    out
}

/// Takes from each cyst and vessel what a later one covers.
fn hide_covered(painted: &[Painted], outlines: &mut [Option<Vec<u8>>]) {
    for (i, _) in painted.iter().enumerate().filter(|(_, p)| p.pose.covers()) {
        let (below, from) = outlines.split_at_mut(i);
        let Some(Some(cover)) = from.first() else {
            continue;
        };
        for (p, pixels) in painted.iter().zip(below) {
            let (Pose::Inclusion(_), Some(pixels)) = (&p.pose, pixels) else {
                continue;
            };
            pixels
                .iter_mut()
                .zip(cover)
                .for_each(|(pixel, cover)| *pixel &= 1 - cover);
        }
    }
}

fn truth_of(view: &View, p: &Painted, pixels: &[u8]) -> Option<GroundTruth> {
    let points = match &p.pose {
        Pose::Bone(pose) => pose.points(),
        Pose::Inclusion(pose) => pose.points(view),
        Pose::Needle(pose) => pose.points(),
    };
    let mask = truth::mask(view.size, pixels)?;
    let visible_fraction = truth::visible_fraction(view, pixels, &points);
    if visible_fraction < truth::LEAST_VISIBLE {
        return None;
    }
    let class = p.target.class;
    Some(GroundTruth {
        class,
        label: CLASS_NAMES[class as usize],
        track_id: p.track_id,
        bbox: mask.bounds()?,
        visible_fraction,
        visibility: visible_fraction * p.pose.presence(),
        mask,
    })
}
