//! The motion of the camera (or the ultrasound probe) from one frame to the next.

use serde::{Deserialize, Serialize};

/// A similarity transform of pixel coordinates, from the previous frame to this: a point that stands still in the scene
/// and was at (x, y) is now at (a·x − b·y + x shift, b·x + a·y + y shift). Coordinates are those of
/// [`crate::geometry`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CameraMotion {
    a: f64,
    b: f64,
    shift: [f64; 2],
}

impl CameraMotion {
    /// The camera stands still.
    pub const IDENTITY: Self = Self {
        a: 1.0,
        b: 0.0,
        shift: [0.0; 2],
    };

    /// Turned by `angle` (radians, from the x axis to the y axis, which is clockwise on the screen) and scaled by
    /// `scale` about the corner (0, 0), then shifted by `shift` pixels. [`CameraMotion::IDENTITY`] if a number is not
    /// finite or the scale is not above 0.
    pub fn new(scale: f64, angle: f64, shift: [f64; 2]) -> Self {
        let numbers = [scale, angle, shift[0], shift[1]];
        if numbers.iter().all(|v| v.is_finite()) && scale > 0.0 {
            let (a, b) = (scale * angle.cos(), scale * angle.sin());
            Self { a, b, shift }
        } else {
            Self::IDENTITY
        }
    }

    /// Where the point (x, y) of the previous frame is in this one.
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = self.turn(x, y);
        (x + self.shift[0], y + self.shift[1])
    }

    /// How much larger things have become, 1 being no change.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The angle in radians, from the x axis to the y axis.
    pub fn angle(&self) -> f64 {
        self.b.atan2(self.a)
    }

    /// The shift in pixels.
    pub fn shift(&self) -> [f64; 2] {
        self.shift
    }

    /// The difference (x, y) of two points, turned and scaled.
    pub(super) fn turn(&self, x: f64, y: f64) -> (f64, f64) {
        (self.a * x - self.b * y, self.b * x + self.a * y)
    }
}

impl Default for CameraMotion {
    fn default() -> Self {
        Self::IDENTITY
    }
}
