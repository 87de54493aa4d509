//! The shapes of a file.

use crate::{
    datasets::{
        item::{Annotation, Outline},
        masks::Budget,
        names::{Labels, bounds_of, ellipse, turn},
        xml::Element,
    },
    frame::Visibility,
    geometry::{BoxXyxy, Size},
};
use std::str::FromStr;

/// An annotation that is read, with its group, where it has one.
pub(crate) type Grouped = (Option<u64>, Annotation);

/// What an element stands for.
pub(crate) enum Parsed {
    /// An annotation.
    Annotation(Box<Grouped>),
    /// A shape that is none: its name.
    Other,
}

/// Shapes that are not read, as they enclose nothing or are not flat.
const OTHERS: [&str; 5] = ["polyline", "points", "cuboid", "skeleton", "tag"];

/// The annotation of a shape's element: its label is `track`'s, in a track; none if it is no shape.
///
/// # Errors
/// In words: an attribute is missing or wrong.
pub(crate) fn shape(
    element: &Element,
    track: Option<&Element>,
    size: Size,
    labels: &mut Labels,
    budget: &mut Budget,
) -> Result<Option<Parsed>, String> {
    let (bbox, outline) = match element.name.as_str() {
        "box" => boxed(element)?,
        "polygon" => polygon(points(need(element, "points")?)?)?,
        "ellipse" => {
            let [cx, cy, rx, ry] = numbers(element, ["cx", "cy", "rx", "ry"])?;
            polygon(ellipse([cx, cy], [rx, ry], rotation(element)?))?
        }
        "mask" => mask(element, size, budget)?,
        name if OTHERS.contains(&name) => return Ok(Some(Parsed::Other)),
        _ => return Ok(None),
    };
    let label = track
        .and_then(|track| track.get("label"))
        .or(element.get("label"))
        .ok_or("a shape without label")?;
    let group = track
        .and_then(|track| track.get("group_id"))
        .or(element.get("group_id"));
    let group = group.and_then(|group| group.parse().ok());
    let annotation = Annotation {
        class: 0,
        label: labels.of(label),
        bbox,
        outline,
        score: None,
        mask_score: None,
        track_id: None,
        visibility: None,
        visibility_score: None,
    };
    let group = group.filter(|group| *group != 0);
    Ok(Some(Parsed::Annotation(Box::new((group, annotation)))))
}

/// Takes over an `<attribute>` that this crate writes.
pub(crate) fn attribute(annotation: &mut Annotation, name: &str, value: &str) {
    let figure = || value.parse().ok().filter(|v: &f32| v.is_finite());
    match name {
        "score" => annotation.score = figure(),
        "mask_score" => annotation.mask_score = figure(),
        "track_id" => annotation.track_id = value.parse().ok(),
        "visibility" => {
            annotation.visibility = Visibility::ALL.into_iter().find(|v| v.name() == value);
        }
        _ => {}
    }
}

type Outlined = (BoxXyxy, Option<Outline>);

fn boxed(element: &Element) -> Result<Outlined, String> {
    let [x0, y0, x1, y1] = numbers(element, ["xtl", "ytl", "xbr", "ybr"])?;
    let angle = rotation(element)?;
    if angle != 0.0 {
        let centre = [(x0 + x1) / 2.0, (y0 + y1) / 2.0];
        let corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
        return polygon(corners.map(|corner| turn(corner, centre, angle)).to_vec());
    }
    let bbox = bounds_of(&[vec![[x0, y0], [x1, y1]]]).ok_or("a corner is beyond all numbers")?;
    Ok((bbox, None))
}

fn polygon(line: Vec<[f64; 2]>) -> Result<Outlined, String> {
    if line.len() < 3 {
        return Err("a polygon of less than three points".to_owned());
    }
    let lines = vec![line];
    let bbox = bounds_of(&lines).ok_or("a point that is no number")?;
    Ok((bbox, Some(Outline::Polygons(lines))))
}

fn mask(element: &Element, size: Size, budget: &mut Budget) -> Result<Outlined, String> {
    let [left, top, width, height] = ["left", "top", "width", "height"].map(|name| {
        let value: u32 = parsed(need(element, name)?)?;
        Ok::<u64, String>(value.into())
    });
    let (left, top, width, height) = (left?, top?, width?, height?);
    if left + width > size.width.into() || top + height > size.height.into() {
        return Err(format!(
            "a mask of {width}×{height} pixels at {left}, {top} does not fit a picture of {size}"
        ));
    }
    let mut at = 0u64;
    let mut runs = Vec::new();
    for (i, count) in need(element, "rle")?.split(',').enumerate() {
        let count: u32 = parsed(count)?;
        let end = at + u64::from(count);
        if end > width * height {
            return Err("a mask's rle is longer than its width × height".to_owned());
        }
        if i % 2 == 1 {
            // Lines of the crop become pieces of lines of the picture.
            while at < end {
                let stop = end.min((at / width + 1) * width);
                let start = (top + at / width) * u64::from(size.width) + left + at % width;
                runs.push((start, start + stop - at));
                at = stop;
            }
        }
        at = end;
    }
    if at != width * height {
        return Err("a mask's rle is shorter than its width × height".to_owned());
    }
    let mask = budget.mask(size, runs)?;
    let bbox = mask.bounds().ok_or("a mask without pixels")?;
    Ok((bbox, Some(Outline::Mask(mask))))
}

/// The points of an attribute, `x,y;x,y…`.
fn points(text: &str) -> Result<Vec<[f64; 2]>, String> {
    text.split(';')
        .map(|point| {
            let (x, y) = point.split_once(',').ok_or("a point without comma")?;
            Ok([parsed(x)?, parsed(y)?])
        })
        .collect()
}

/// In radians; CVAT has degrees.
fn rotation(element: &Element) -> Result<f64, String> {
    let degrees: f64 = element.get("rotation").map_or(Ok(0.0), parsed)?;
    Ok(degrees.to_radians())
}

fn numbers<const N: usize>(element: &Element, names: [&str; N]) -> Result<[f64; N], String> {
    let mut found = [0.0f64; N];
    for (value, name) in found.iter_mut().zip(names) {
        *value = parsed(need(element, name)?)?;
        if !value.is_finite() {
            return Err(format!("{name} is no number"));
        }
    }
    Ok(found)
}

fn need<'a>(element: &'a Element, name: &str) -> Result<&'a str, String> {
    element
        .get(name)
        .ok_or_else(|| format!("a {} without {name}", element.name))
}

/// A number of an attribute.
///
/// # Errors
/// In words, with the first characters.
pub(crate) fn parsed<T: FromStr>(text: &str) -> Result<T, String> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?} is no number that is meant here")
    })
}
