//! The Kalman filter of a box: centre and size, each with its rate of change.
//!
//! With the noise of the four numbers taken as independent, as SORT and its successors do, the filter of eight states
//! is four filters of two, which are written out here. The model is that of constant rates disturbed by white noise,
//! integrated over the time between frames, so that frames may come at any distance.

use super::{camera_motion::CameraMotion, rect::Rect};

/// Standard deviation of a measured centre, as a part of the object's size (the geometric mean of its sides).
const CENTRE_NOISE: f64 = 0.04;
/// Standard deviation of a measured side, as a part of that side.
const SIDE_NOISE: f64 = 0.1;
/// How fast the centre's speed wanders: standard deviation, in sizes per second, of the change over one second.
const CENTRE_WANDER: f64 = 4.5;
/// The same of a side's rate of change, in sides per second.
const SIDE_WANDER: f64 = 0.08;
/// Standard deviation of the unknown first speed, in sizes per second.
const FIRST_SPEED: f64 = 2.0;
/// How much a match that is further from its prediction than expected, or nearer, changes the wander: the change of its
/// logarithm for each mean squared distance, and at most.
const ADAPT: f64 = 0.045;
const ADAPT_MOST: f64 = 0.5;
/// Bounds of what is learnt of the wander.
const LEAST_RESTLESS: f64 = 0.1;
const MOST_RESTLESS: f64 = 25.0;
/// Smallest side that noise is scaled by, in pixels.
const LEAST_SIDE: f64 = 2.0;

/// One number and its rate of change per second, with their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    value: f64,
    rate: f64,
    /// Variances of value and rate, and their covariance.
    value_variance: f64,
    rate_variance: f64,
    covariance: f64,
}

impl Axis {
    fn new(value: f64, noise: f64, first_rate: f64) -> Self {
        Self {
            value,
            rate: 0.0,
            value_variance: noise * noise,
            rate_variance: first_rate * first_rate,
            covariance: 0.0,
        }
    }

    /// On by `dt` seconds; `wander` is the standard deviation of the rate's change over one second.
    fn predict(&mut self, dt: f64, wander: f64) {
        let density = wander * wander;
        self.value += self.rate * dt;
        self.value_variance +=
            dt * (2.0 * self.covariance + dt * self.rate_variance) + density * dt * dt * dt / 3.0;
        self.covariance += dt * self.rate_variance + density * dt * dt / 2.0;
        self.rate_variance += density * dt;
    }

    fn correct(&mut self, measured: f64, noise: f64) {
        let total = self.value_variance + noise * noise;
        let (gain, rate_gain) = (self.value_variance / total, self.covariance / total);
        let residual = measured - self.value;
        self.value += gain * residual;
        self.rate += rate_gain * residual;
        self.rate_variance -= rate_gain * self.covariance;
        self.covariance *= 1.0 - gain;
        self.value_variance *= 1.0 - gain;
    }
}

/// State of a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BoxFilter {
    x: Axis,
    y: Axis,
    w: Axis,
    h: Axis,
    /// By how much the centre wanders more than expected, learnt from how far it was from its predictions.
    restless: f64,
}

/// What noise is scaled by: the size (for the centre), width and height.
fn scales(rect: &Rect) -> [f64; 3] {
    let (w, h) = (rect.w.max(LEAST_SIDE), rect.h.max(LEAST_SIDE));
    [(w * h).sqrt(), w, h]
}

impl BoxFilter {
    /// A box seen for the first time: its rates are unknown.
    pub(super) fn new(seen: &Rect) -> Self {
        let [size, w, h] = scales(seen);
        Self {
            x: Axis::new(seen.cx, CENTRE_NOISE * size, FIRST_SPEED * size),
            y: Axis::new(seen.cy, CENTRE_NOISE * size, FIRST_SPEED * size),
            w: Axis::new(seen.w, SIDE_NOISE * w, SIDE_WANDER * w),
            h: Axis::new(seen.h, SIDE_NOISE * h, SIDE_WANDER * h),
            restless: 1.0,
        }
    }

    /// The box as it is believed to be.
    pub(super) fn rect(&self) -> Rect {
        Rect {
            cx: self.x.value,
            cy: self.y.value,
            w: self.w.value.max(1.0),
            h: self.h.value.max(1.0),
        }
    }

    /// On by `dt` seconds.
    pub(super) fn predict(&mut self, dt: f64) {
        let [size, w, h] = scales(&self.rect());
        let wander = self.restless * CENTRE_WANDER * size;
        self.x.predict(dt, wander);
        self.y.predict(dt, wander);
        self.w.predict(dt, SIDE_WANDER * w);
        self.h.predict(dt, SIDE_WANDER * h);
    }

    /// Takes a measured box into account.
    pub(super) fn correct(&mut self, seen: &Rect) {
        let [size, w, h] = scales(&self.rect());
        let distance = self.distance(seen) / 2.0;
        let factor = (ADAPT * (distance - 1.0))
            .clamp(-ADAPT_MOST, ADAPT_MOST)
            .exp();
        self.restless = (self.restless * factor).clamp(LEAST_RESTLESS, MOST_RESTLESS);
        self.x.correct(seen.cx, CENTRE_NOISE * size);
        self.y.correct(seen.cy, CENTRE_NOISE * size);
        self.w.correct(seen.w, SIDE_NOISE * w);
        self.h.correct(seen.h, SIDE_NOISE * h);
    }

    /// Lets the box keep its size while it is not seen.
    pub(super) fn hold_size(&mut self) {
        (self.w.rate, self.h.rate) = (0.0, 0.0);
    }

    /// Moves the state with the camera. The covariance of the turned centre is taken as if its axes stayed
    /// independent, which holds for small angles.
    pub(super) fn follow(&mut self, motion: &CameraMotion) {
        let scale = motion.scale();
        (self.x.value, self.y.value) = motion.apply(self.x.value, self.y.value);
        (self.x.rate, self.y.rate) = motion.turn(self.x.rate, self.y.rate);
        for side in [&mut self.w, &mut self.h] {
            side.value *= scale;
            side.rate *= scale;
        }
        for axis in [&mut self.x, &mut self.y, &mut self.w, &mut self.h] {
            axis.value_variance *= scale * scale;
            axis.rate_variance *= scale * scale;
            axis.covariance *= scale * scale;
        }
    }

    /// Squared distance of a measured centre from the expected one, in standard deviations: 2 in the mean.
    pub(super) fn distance(&self, seen: &Rect) -> f64 {
        let noise = CENTRE_NOISE * scales(&self.rect())[0];
        let along = |axis: &Axis, measured: f64| {
            let residual = measured - axis.value;
            residual * residual / (axis.value_variance + noise * noise)
        };
        along(&self.x, seen.cx) + along(&self.y, seen.cy)
    }
}
