//! Annotations of a task's regions.

use super::brush;
use crate::{
    datasets::{
        item::{Annotation, Outline},
        masks::Budget,
        names::{Ignored, Labels, bounds_of, ellipse, joined, turn},
    },
    geometry::{BoxXyxy, Size},
};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// A region as it is exported; other fields are passed over.
#[derive(Deserialize)]
pub(crate) struct Region {
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "parentID")]
    parent: Option<String>,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    original_width: Option<u32>,
    #[serde(default)]
    original_height: Option<u32>,
    #[serde(default)]
    image_rotation: Option<f64>,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    track_id: Option<u64>,
    mask_score: Option<f32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Value {
    x: Option<f64>,
    y: Option<f64>,
    width: Option<f64>,
    height: Option<f64>,
    rotation: Option<f64>,
    #[serde(rename = "radiusX")]
    radius_x: Option<f64>,
    #[serde(rename = "radiusY")]
    radius_y: Option<f64>,
    points: Option<Vec<[f64; 2]>>,
    rle: Option<Vec<u8>>,
    rectanglelabels: Option<Vec<String>>,
    polygonlabels: Option<Vec<String>>,
    ellipselabels: Option<Vec<String>>,
    brushlabels: Option<Vec<String>>,
    labels: Option<Vec<String>>,
}

impl Value {
    fn label(&self) -> Option<&str> {
        let lists = [
            &self.rectanglelabels,
            &self.polygonlabels,
            &self.ellipselabels,
            &self.brushlabels,
            &self.labels,
        ];
        let mut lists = lists.into_iter().flatten();
        lists.find_map(|list| list.first()).map(String::as_str)
    }
}

/// What all files are read with.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) labels: Labels,
    pub(crate) ignored: Ignored,
    pub(crate) budget: Budget,
}

/// The size of the picture that regions state.
pub(crate) fn size_of(regions: &[Region]) -> Option<Size> {
    regions.iter().find_map(Region::size)
}

/// The annotations of the regions of one picture.
///
/// # Errors
/// In words: a region is broken.
pub(crate) fn annotations(
    regions: &[Region],
    reading: &mut Reading,
) -> Result<Vec<Annotation>, String> {
    // A label of its own region, of the tag <Labels>, belongs to the shape of the same id.
    let labels: HashMap<&str, &str> = regions
        .iter()
        .filter_map(|region| Some((region.id.as_deref()?, region.value.label()?)))
        .collect();
    let polygons: HashSet<&str> = regions
        .iter()
        .filter(|region| region.r#type.starts_with("polygon"))
        .filter_map(|region| region.id.as_deref())
        .collect();
    let picture = size_of(regions);
    let mut found = Vec::new();
    for (i, region) in regions.iter().enumerate() {
        let failed = |problem| format!("region {i} ({}): {problem}", region.r#type);
        let Some((bbox, outline)) = region.shape(picture, reading).map_err(failed)? else {
            continue;
        };
        let id = region.id.as_deref();
        let label = region.value.label().or_else(|| labels.get(id?).copied());
        let Some(label) = label else {
            reading.ignored.add("region without label");
            continue;
        };
        let parent = region.parent.as_deref().filter(|p| polygons.contains(p));
        let meta = region.meta.as_ref();
        let annotation = Annotation {
            class: 0,
            label: reading.labels.of(label),
            bbox,
            outline,
            score: region
                .score
                .map(|score| score as f32)
                .filter(|score| score.is_finite()),
            mask_score: meta.and_then(|meta| meta.mask_score),
            track_id: meta.and_then(|meta| meta.track_id),
            visibility: None,
            visibility_score: None,
        };
        found.push((parent.or(id), annotation));
    }
    Ok(joined(found))
}

type Outlined = (BoxXyxy, Option<Outline>);

impl Region {
    fn size(&self) -> Option<Size> {
        Some(Size::new(self.original_width?, self.original_height?))
            .filter(|size| size.width > 0 && size.height > 0)
    }

    /// Box and outline; none for what is no shape that encloses something, which is counted.
    fn shape(
        &self,
        picture: Option<Size>,
        reading: &mut Reading,
    ) -> Result<Option<Outlined>, String> {
        let kind = self.r#type.as_str();
        let kind = kind.strip_suffix("labels").unwrap_or(kind);
        if !matches!(kind, "rectangle" | "polygon" | "ellipse" | "brush") {
            // "labels" alone is the label of another region.
            if !kind.is_empty() {
                reading.ignored.add(kind);
            }
            return Ok(None);
        }
        if self.image_rotation.is_some_and(|turned| turned != 0.0) {
            reading.ignored.add("region on a picture that was turned");
            return Ok(None);
        }
        let size = self
            .size()
            .ok_or("original_width or original_height is missing")?;
        if let Some(picture) = picture.filter(|picture| *picture != size) {
            return Err(format!(
                "it is of a picture of {size}, regions before of one of {picture}"
            ));
        }
        Ok(match kind {
            "rectangle" => Some(self.value.rectangle(size)?),
            "ellipse" => Some(self.value.ellipse(size)?),
            "polygon" => self.value.polygon(size, reading)?,
            _ => self.value.brush(size, reading)?,
        })
    }
}

impl Value {
    /// A point of percents in pixels.
    fn point(size: Size, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            x / 100.0 * f64::from(size.width),
            y / 100.0 * f64::from(size.height),
        ]
    }

    /// In radians; Label Studio has degrees.
    fn turned(&self) -> f64 {
        self.rotation.unwrap_or(0.0).to_radians()
    }

    fn rectangle(&self, size: Size) -> Result<Outlined, String> {
        let [x, y] = [need(self.x, "x")?, need(self.y, "y")?];
        let [width, height] = [need(self.width, "width")?, need(self.height, "height")?];
        let [left, upper] = Self::point(size, [x, y]);
        let [right, lower] = Self::point(size, [x + width, y + height]);
        let corners = [[left, upper], [right, upper], [right, lower], [left, lower]];
        // Label Studio turns about the upper left corner.
        let line = corners.map(|corner| turn(corner, [left, upper], self.turned()));
        let lines = vec![line.to_vec()];
        let outline = (self.turned() != 0.0).then(|| Outline::Polygons(lines.clone()));
        Ok((bounded(&lines)?, outline))
    }

    fn ellipse(&self, size: Size) -> Result<Outlined, String> {
        let centre = [need(self.x, "x")?, need(self.y, "y")?];
        let radii = [
            need(self.radius_x, "radiusX")?,
            need(self.radius_y, "radiusY")?,
        ];
        let (centre, radii) = (Self::point(size, centre), Self::point(size, radii));
        lined(ellipse(centre, radii, self.turned()))
    }

    fn polygon(&self, size: Size, reading: &mut Reading) -> Result<Option<Outlined>, String> {
        let points = self.points.as_ref().ok_or("points are missing")?;
        if points.len() < 3 {
            reading.ignored.add("polygon of less than three points");
            return Ok(None);
        }
        lined(points.iter().map(|p| Self::point(size, *p)).collect()).map(Some)
    }

    fn brush(&self, size: Size, reading: &mut Reading) -> Result<Option<Outlined>, String> {
        let bytes = self.rle.as_deref().ok_or("rle is missing")?;
        let mask = brush::decode(bytes, size, &mut reading.budget)?;
        let Some(bounds) = mask.bounds() else {
            reading.ignored.add("brush stroke without pixels");
            return Ok(None);
        };
        Ok(Some((bounds, Some(Outline::Mask(mask)))))
    }
}

fn need(value: Option<f64>, name: &str) -> Result<f64, String> {
    value.ok_or_else(|| format!("{name} is missing"))
}

fn bounded(lines: &[Vec<[f64; 2]>]) -> Result<BoxXyxy, String> {
    bounds_of(lines).ok_or_else(|| "a coordinate is beyond all numbers".to_owned())
}

fn lined(line: Vec<[f64; 2]>) -> Result<Outlined, String> {
    let lines = vec![line];
    Ok((bounded(&lines)?, Some(Outline::Polygons(lines))))
}
