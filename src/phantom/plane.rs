//! Where the scanned plane lies in tissue.

/// How the scanned plane lies in tissue at one time.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// Sideways travel of the probe, millimetres.
    pub(super) x: f32,
    /// Travel out of plane, millimetres: what speckle and layers see of it.
    pub(super) elevation: f32,
    /// The part of that travel that carries the plane through targets.
    pub(super) across: f32,
    /// Depth in tissue = depth under the probe × this (pressure of the hand).
    pub(super) stretch: f32,
    /// Sine and cosine of the rocking angle, in the plane about the middle of the probe.
    pub(super) rock: (f32, f32),
    /// Sine and cosine of the turn about the middle beam.
    pub(super) yaw: (f32, f32),
}

impl Plane {
    /// A point under the probe along the axes of tissue, before the probe's own travel.
    pub(super) fn turned(&self, x: f32, z: f32) -> (f32, f32) {
        let (s, c) = self.rock;
        ((c * x + s * z) * self.yaw.1, (c * z - s * x) * self.stretch)
    }

    /// A point under the probe in tissue.
    pub(super) fn tissue(&self, x: f32, z: f32) -> (f32, f32) {
        let (u, w) = self.turned(x, z);
        (u + self.x, w)
    }

    /// A point of tissue under the probe.
    pub(super) fn probe(&self, x: f32, z: f32) -> (f32, f32) {
        let (s, c) = self.rock;
        let (u, w) = ((x - self.x) / self.yaw.1, z / self.stretch);
        (c * u - s * w, s * u + c * w)
    }

    /// Travel out of plane at a point `x` millimetres beside the middle beam, for speckle and layers.
    pub(super) fn elevation_at(&self, x: f32) -> f32 {
        self.elevation + self.yaw.0 * x
    }

    /// The same for targets.
    pub(super) fn across_at(&self, x: f32) -> f32 {
        self.across + self.yaw.0 * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_of_tissue_is_found_where_the_probe_sees_it() {
        let plane = Plane {
            x: 4.0,
            elevation: 3.0,
            across: 1.0,
            stretch: 1.04,
            rock: libm::sincosf(0.15),
            yaw: libm::sincosf(-0.2),
        };
        for (x, z) in [(0.0, 0.0), (-20.0, 35.0), (12.5, 80.0)] {
            let (u, w) = plane.tissue(x, z);
            let (back_x, back_z) = plane.probe(u, w);
            assert!(
                (back_x - x).abs() < 1e-3 && (back_z - z).abs() < 1e-3,
                "({x}, {z}) became ({back_x}, {back_z})"
            );
        }
        // Rocked to the right, the probe sees deep tissue further to the left.
        assert!(plane.probe(4.0, 50.0).0 < 0.0);
        assert_eq!(plane.across_at(0.0), 1.0);
        assert!(plane.elevation_at(10.0) < plane.elevation_at(0.0));
    }
}
