//! Centroid and principal axes of a mask.

use super::scale::Spacing;
use crate::frame::Mask;

/// Share of the variances below which their difference is none: a disc or a square has no principal axis.
const NO_AXIS: f64 = 1e-9;
/// Variance of a pixel's own extent along a side of 1.
const PIXEL_VARIANCE: f64 = 1.0 / 12.0;

/// Sums over a mask's pixels, exact.
pub(super) struct Moments {
    /// Centroid in pixels.
    pub(super) centroid: [f64; 2],
    /// Variance of x and y and their covariance, in pixels, of the squares that the pixels are.
    variance: [f64; 2],
    covariance: f64,
}

impl Moments {
    /// Of a mask; none if it is empty.
    pub(super) fn of(mask: &Mask) -> Option<Self> {
        let bounds = mask.bounds()?;
        let (x0, y0) = (bounds.x0 as u32, bounds.y0 as u32);
        // From the corner of the tight box on: the products of these sums stay below 2^120 for any size in 32 bits.
        let (mut sx, mut sy, mut sxx, mut syy, mut sxy) = (0i128, 0i128, 0i128, 0i128, 0i128);
        mask.for_each_run(|x, top, bottom| {
            let x = i128::from(x - x0);
            let (first, end) = (i128::from(top - y0), i128::from(bottom - y0));
            let n = end - first;
            let ys = (first + end - 1) * n / 2;
            // Sum of y² below m: (m − 1) m (2m − 1) / 6.
            let squares = |m: i128| (m - 1) * m * (2 * m - 1) / 6;
            sx += n * x;
            sy += ys;
            sxx += n * x * x;
            syy += squares(end) - squares(first);
            sxy += x * ys;
        });
        let n = i128::from(mask.area());
        let over = |sum: i128| sum as f64 / n as f64;
        let about_mean = |ab: i128, a: i128, b: i128| (n * ab - a * b) as f64 / (n * n) as f64;
        Some(Self {
            centroid: [
                f64::from(x0) + 0.5 + over(sx),
                f64::from(y0) + 0.5 + over(sy),
            ],
            variance: [
                about_mean(sxx, sx, sx) + PIXEL_VARIANCE,
                about_mean(syy, sy, sy) + PIXEL_VARIANCE,
            ],
            covariance: about_mean(sxy, sx, sy),
        })
    }

    /// Unit vector of the axis of the greatest variance in millimetres; along the rows where no direction is.
    fn axis(&self, [dx, dy]: Spacing) -> [f64; 2] {
        let (xx, yy) = (self.variance[0] * dx * dx, self.variance[1] * dy * dy);
        // Twice the angle has this cosine and sine.
        let (c, s) = (xx - yy, 2.0 * self.covariance * dx * dy);
        let length = (c * c + s * s).sqrt();
        if length <= NO_AXIS * (xx + yy) {
            return [1.0, 0.0];
        }
        let half = |cosine: f64| ((1.0 + cosine).max(0.0) / 2.0).sqrt();
        [half(c / length), half(-c / length).copysign(s)]
    }

    /// Extent in millimetres along the axis of the greatest variance and across it: from the outermost midpoints of pixels'
    /// sides on one end to those on the other.
    pub(super) fn extents(&self, mask: &Mask, spacing: Spacing) -> [f64; 2] {
        let [ax, ay] = self.axis(spacing);
        [[ax, ay], [-ay, ax]].map(|[ux, uy]| {
            let (ux, uy) = (ux * spacing[0], uy * spacing[1]);
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            mask.for_each_run(|x, top, bottom| {
                let along = (f64::from(x) - self.centroid[0]) * ux;
                for y in [top, bottom - 1] {
                    let at = along + (f64::from(y) - self.centroid[1]) * uy;
                    (least, most) = (least.min(at), most.max(at));
                }
            });
            most - least + ux.abs().max(uy.abs())
        })
    }
}
