//! Physical size of pixels and the regions of an ultrasound image.

use super::frame_attributes::FrameAttributes;
use super::{attributes::Attributes, file::DicomFile};
use crate::geometry::BoxXyxy;
use dicom_dictionary_std::tags;

/// An item of Sequence of Ultrasound Regions (0018,6011).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Region {
    /// Its place in pixels, right and lower edge exclusive.
    pub bounds: BoxXyxy,
    /// Region Spatial Format: 1 is 2D.
    pub spatial_format: u16,
    /// Region Data Type: 1 is tissue.
    pub data_type: u16,
    /// Physical Delta X and Y, as given.
    pub physical_delta: Option<[f64; 2]>,
    /// Physical Units X and Y Direction: 3 is centimetres.
    pub physical_units: Option<[u16; 2]>,
}

const CENTIMETRES: u16 = 3;
const TWO_D: u16 = 1;

impl DicomFile {
    /// The regions of an ultrasound image; those without a place are left out.
    pub fn regions(&self) -> Vec<Region> {
        self.attributes()
            .items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS)
            .filter_map(region)
            .collect()
    }
}

fn region(item: Attributes<'_>) -> Option<Region> {
    let at = |tag| item.int(tag).map(|v| v as f32);
    let code = |tag| item.int(tag).and_then(|v| u16::try_from(v).ok());
    let pair = |x: Option<f64>, y: Option<f64>| Some([x?, y?]);
    let bounds = BoxXyxy::new(
        at(tags::REGION_LOCATION_MIN_X0)?,
        at(tags::REGION_LOCATION_MIN_Y0)?,
        // The standard's maxima are the last pixels inside.
        at(tags::REGION_LOCATION_MAX_X1)? + 1.0,
        at(tags::REGION_LOCATION_MAX_Y1)? + 1.0,
    );
    Some(Region {
        bounds,
        spatial_format: code(tags::REGION_SPATIAL_FORMAT).unwrap_or_default(),
        data_type: code(tags::REGION_DATA_TYPE).unwrap_or_default(),
        physical_delta: pair(
            item.float(tags::PHYSICAL_DELTA_X),
            item.float(tags::PHYSICAL_DELTA_Y),
        ),
        physical_units: code(tags::PHYSICAL_UNITS_X_DIRECTION)
            .zip(code(tags::PHYSICAL_UNITS_Y_DIRECTION))
            .map(|(x, y)| [x, y]),
    })
}

impl DicomFile {
    /// Row and column spacing of a frame's pixels in millimetres (between rows first): Pixel Spacing (of the frame's
    /// functional groups or the data set), else Imager Pixel Spacing (likewise), else Nominal Scanned Pixel Spacing, else what
    /// all 2D ultrasound regions in centimetres agree on. Pixel Spacing of a projection may be calibrated to the object (PS3.3
    /// 10.7); Imager Pixel Spacing is that at the detector, which magnifies what lies before it.
    pub fn pixel_spacing_mm(&self, frame: u64) -> Option<[f64; 2]> {
        spacing(&self.frame_attributes(frame)).or_else(|| region_spacing(&self.regions()))
    }
}

fn spacing(a: &FrameAttributes<'_>) -> Option<[f64; 2]> {
    let measures = a
        .place(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)
        .floats(tags::PIXEL_SPACING);
    let imager = a
        .place(
            tags::FRAME_PIXEL_DATA_PROPERTIES_SEQUENCE,
            tags::IMAGER_PIXEL_SPACING,
        )
        .floats(tags::IMAGER_PIXEL_SPACING);
    let other = |tag| a.data_set.floats(tag);
    let candidates = [measures, imager, other(tags::NOMINAL_SCANNED_PIXEL_SPACING)];
    candidates
        .into_iter()
        .flatten()
        .find_map(|v| match v.as_slice() {
            &[y, x] if y > 0.0 && x > 0.0 => Some([y, x]),
            _ => None,
        })
}

fn region_spacing(regions: &[Region]) -> Option<[f64; 2]> {
    let of = |r: &Region| {
        let [x, y] = r
            .physical_delta
            .filter(|_| r.physical_units == Some([CENTIMETRES; 2]))?;
        let (x, y) = (x.abs() * 10.0, y.abs() * 10.0);
        (x > 0.0 && y > 0.0).then_some([y, x])
    };
    let mut found = regions.iter().filter(|r| r.spatial_format == TWO_D).map(of);
    let first = found.next()??;
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.max(b);
    found
        .all(|s| s.is_some_and(|s| near(s[0], first[0]) && near(s[1], first[1])))
        .then_some(first)
}
