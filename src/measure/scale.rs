//! Millimetres a pixel at the place of an object.

use crate::{
    frame::{Physical, UltrasoundRegion},
    geometry::BoxXyxy,
};
use std::fmt;

/// Why an object has no figures in millimetres though its picture states physical facts, or no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// It lies across the border of an ultrasound region with a scale.
    AcrossRegions,
    /// It lies in ultrasound regions whose scales differ.
    UnequalRegions,
    /// It lies outside of all ultrasound regions.
    OutsideRegions,
    /// Its ultrasound region is not of two dimensions in centimetres: M-mode, a spectrum, a wave form.
    NoScale,
    /// Its mask has no pixel.
    EmptyMask,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AcrossRegions => "across regions",
            Self::UnequalRegions => "regions of unequal scale",
            Self::OutsideRegions => "outside regions",
            Self::NoScale => "region without scale",
            Self::EmptyMask => "empty mask",
        })
    }
}

/// Millimetres a pixel: x, y.
pub(super) type Spacing = [f64; 2];

/// Region Spatial Format of two dimensions, Physical Units of centimetres.
const TWO_D: u16 = 1;
const CENTIMETRES: u16 = 3;
/// Pixels by which an object may reach over the border of its region.
const SLACK: f32 = 1.0;
/// Millimetres that a pixel can have, from a picometre to a kilometre: more or less is a mistake in the file.
const SENSIBLE: std::ops::Range<f64> = 1e-9..1e6;
/// Relative difference up to which two scales are the same.
const SAME: f64 = 1e-6;

/// The spacing at `place`; none where the picture states none. Where it has ultrasound regions with a scale, the one that
/// holds the object decides, as DICOM wants it (PS3.3 C.8.5.5), else Pixel Spacing.
pub(super) fn spacing_at(
    place: BoxXyxy,
    physical: Option<&Physical>,
) -> Result<Option<Spacing>, Note> {
    let Some(physical) = physical else {
        return Ok(None);
    };
    let regions = &physical.ultrasound_regions;
    let touched = || regions.iter().filter(|r| touches(&r.bounds, &place));
    if !regions.iter().any(|r| scale(r).is_some()) {
        return match touched().any(|r| r.spatial_format != TWO_D) {
            true => Err(Note::NoScale),
            false => Ok(overall(physical)),
        };
    }
    let within = |r: &&UltrasoundRegion| holds(&r.bounds, &place);
    let mut held = touched().filter(within).filter_map(scale);
    let Some(spacing) = held.next() else {
        return Err(if touched().any(|r| scale(r).is_some()) {
            Note::AcrossRegions
        } else if touched().next().is_some() {
            Note::NoScale
        } else {
            Note::OutsideRegions
        });
    };
    if !held.all(|other| same(other, spacing)) {
        return Err(Note::UnequalRegions);
    }
    let partly = touched().filter(|r| !within(r)).filter_map(scale);
    if partly.into_iter().any(|other| !same(other, spacing)) {
        return Err(Note::AcrossRegions);
    }
    Ok(Some(spacing))
}

/// The spacing of the whole picture.
fn overall(physical: &Physical) -> Option<Spacing> {
    physical
        .pixel_spacing_mm
        .map(|[rows, columns]| [columns, rows])
        .filter(usable)
}

/// A region's millimetres a pixel; none unless it is of two dimensions in centimetres.
fn scale(region: &UltrasoundRegion) -> Option<Spacing> {
    let geometric =
        region.spatial_format == TWO_D && region.physical_units == Some([CENTIMETRES; 2]);
    region
        .physical_delta
        .filter(|_| geometric)
        .map(|delta| delta.map(|cm| cm.abs() * 10.0))
        .filter(usable)
}

fn usable(spacing: &Spacing) -> bool {
    spacing.iter().all(|s| SENSIBLE.contains(s))
}

fn same(a: Spacing, b: Spacing) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| (a - b).abs() <= SAME * a.max(b))
}

fn holds(region: &BoxXyxy, place: &BoxXyxy) -> bool {
    place.x0 >= region.x0 - SLACK
        && place.y0 >= region.y0 - SLACK
        && place.x1 <= region.x1 + SLACK
        && place.y1 <= region.y1 + SLACK
}

/// Whether more than the slack of the object is in the region, or all of an object as small.
fn touches(region: &BoxXyxy, place: &BoxXyxy) -> bool {
    let width = region.x1.min(place.x1) - region.x0.max(place.x0);
    let height = region.y1.min(place.y1) - region.y0.max(place.y0);
    let enough = |shared: f32, extent: f32| shared > SLACK || (shared > 0.0 && shared >= extent);
    enough(width, place.width()) && enough(height, place.height())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(bounds: [f32; 4], delta: [f64; 2]) -> UltrasoundRegion {
        let [x0, y0, x1, y1] = bounds;
        UltrasoundRegion {
            bounds: BoxXyxy::new(x0, y0, x1, y1),
            spatial_format: TWO_D,
            data_type: 1,
            physical_delta: Some(delta),
            physical_units: Some([CENTIMETRES; 2]),
        }
    }

    fn at(place: [f32; 4], regions: &[UltrasoundRegion]) -> Result<Option<Spacing>, Note> {
        let [x0, y0, x1, y1] = place;
        let physical = Physical {
            pixel_spacing_mm: Some([7.0, 9.0]),
            ultrasound_regions: regions.to_vec(),
            ..Physical::default()
        };
        spacing_at(BoxXyxy::new(x0, y0, x1, y1), Some(&physical))
    }

    #[test]
    fn pixel_spacing_holds_where_there_is_no_region() {
        assert_eq!(at([0., 0., 5., 5.], &[]), Ok(Some([9.0, 7.0])));
        let place = BoxXyxy::new(0., 0., 5., 5.);
        assert_eq!(spacing_at(place, None), Ok(None));
        for spacing in [[0.0, 1.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
            let physical = Physical {
                pixel_spacing_mm: Some(spacing),
                ..Physical::default()
            };
            assert_eq!(spacing_at(place, Some(&physical)), Ok(None));
        }
    }

    #[test]
    fn the_region_that_holds_the_object_decides() {
        let left = region([0., 0., 100., 100.], [0.02, -0.01]);
        let right = region([100., 0., 200., 100.], [0.05, 0.05]);
        let both = [left.clone(), right.clone()];
        assert_eq!(at([10., 10., 50., 50.], &both), Ok(Some([0.2, 0.1])));
        assert_eq!(at([99., 10., 150., 50.], &both), Ok(Some([0.5, 0.5])));
        assert_eq!(at([60., 10., 150., 50.], &both), Err(Note::AcrossRegions));
        assert_eq!(at([10., 10., 50., 140.], &both), Err(Note::AcrossRegions));
        assert_eq!(at([10., 150., 50., 180.], &both), Err(Note::OutsideRegions));
        // Two pictures side by side are two planes, of one scale or not.
        let twin = region([100., 0., 200., 100.], [0.02, 0.01]);
        assert_eq!(
            at([60., 10., 150., 50.], &[left.clone(), twin]),
            Err(Note::AcrossRegions)
        );
        // A colour box within the grey picture.
        let colour = |delta| UltrasoundRegion {
            data_type: 2,
            ..region([20., 20., 60., 60.], delta)
        };
        let inside = [30., 30., 40., 40.];
        let same = [left.clone(), colour([0.02, 0.01])];
        assert_eq!(at(inside, &same), Ok(Some([0.2, 0.1])));
        assert_eq!(at([10., 30., 40., 40.], &same), Ok(Some([0.2, 0.1])));
        let other = [left, colour([0.04, 0.04])];
        assert_eq!(at(inside, &other), Err(Note::UnequalRegions));
        assert_eq!(at([10., 30., 40., 40.], &other), Err(Note::AcrossRegions));
    }

    #[test]
    fn regions_of_time_have_no_scale() {
        let picture = region([0., 0., 100., 50.], [0.02, 0.02]);
        let m_mode = UltrasoundRegion {
            spatial_format: 2,
            physical_units: Some([4, 3]),
            ..region([0., 50., 100., 100.], [0.01, 0.02])
        };
        let both = [picture, m_mode.clone()];
        assert_eq!(at([10., 60., 20., 70.], &both), Err(Note::NoScale));
        assert_eq!(at([10., 40., 20., 70.], &both), Err(Note::AcrossRegions));
        assert_eq!(at([10., 60., 20., 70.], &[m_mode]), Err(Note::NoScale));
        // Regions that state nothing leave the spacing to the attribute.
        let silent = UltrasoundRegion {
            physical_delta: None,
            physical_units: None,
            ..region([0., 0., 100., 100.], [0.0, 0.0])
        };
        assert_eq!(at([10., 10., 20., 20.], &[silent]), Ok(Some([9.0, 7.0])));
    }
}
