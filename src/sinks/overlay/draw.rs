//! Boxes, masks and labels over a frame.

use crate::{
    frame::{Channels, Detections, Image, Object},
    geometry::Size,
    sinks::{
        label_map::by_rising_score,
        overlay::{
            canvas::{Canvas, Rect},
            text::Text,
        },
        palette::{Colour, colour},
    },
};

const BLACK: Colour = [0; 3];
const WHITE: Colour = [255; 3];

/// The frame in colour with its objects over it: masks tinted with a full edge, boxes, and labels with scores on dark
/// plates. Lines and letters grow with the frame. Higher scores lie above lower ones.
pub fn draw_overlay(image: &Image, found: &Detections) -> Image {
    let canvas = draw(image, found);
    let rgb = Image::new(image.size(), Channels::Rgb, canvas.samples().to_vec());
    // The canvas has the image's own size, so the samples always fit; a copy of the image is the answer to a defect.
    rgb.unwrap_or_else(|| image.clone())
}

/// As [`draw_overlay`], without the copy into an image.
pub(super) fn draw(image: &Image, found: &Detections) -> Canvas {
    let mut canvas = Canvas::new(image);
    let style = Style::new(image.size());
    let order = by_rising_score(&found.objects);
    for (_, object) in &order {
        if let Some(mask) = &object.mask {
            canvas.mask(mask, style.edge, colour(object.class), 90);
        }
    }
    for (_, object) in &order {
        draw_box(&mut canvas, object, &style);
    }
    let plates = place_labels(&canvas, &order, &style);
    for label in plates.iter().rev() {
        label.draw(&mut canvas);
    }
    canvas
}

/// Sizes that follow from the frame's.
struct Style {
    /// Thickness of boxes.
    line: i32,
    /// Thickness of the edges of masks.
    edge: i32,
    /// Height of letters.
    letters: f32,
}

impl Style {
    fn new(size: Size) -> Self {
        let side = (size.pixels() as f64).sqrt();
        let line = (1.0 + side / 500.0).round().clamp(1.0, 40.0) as i32;
        Self {
            line,
            edge: ((line + 1) / 2).max(1),
            letters: (10.0 + 0.012 * side).clamp(10.0, 400.0) as f32,
        }
    }
}

fn rect_of(object: &Object) -> Rect {
    let b = object.bbox;
    let pixel = |v: f32| v.round().clamp(-1e6, 1e7) as i32;
    let (x0, y0) = (pixel(b.x0), pixel(b.y0));
    // A box thinner than a pixel still shows.
    Rect {
        x0,
        y0,
        x1: pixel(b.x1).max(x0 + 1),
        y1: pixel(b.y1).max(y0 + 1),
    }
}

/// The box in its class's colour between thin dark lines, which set it off from bright images.
fn draw_box(canvas: &mut Canvas, object: &Object, style: &Style) {
    let rect = rect_of(object);
    canvas.outline(rect.grown(1), 1, BLACK, 150);
    canvas.outline(rect, style.line, colour(object.class), 255);
    let inner = rect.grown(-style.line);
    if inner.x1 > inner.x0 && inner.y1 > inner.y0 {
        canvas.outline(inner, 1, BLACK, 150);
    }
}

/// A label in its place.
struct Label {
    plate: Rect,
    text: Text,
    colour: Colour,
}

impl Label {
    fn draw(&self, canvas: &mut Canvas) {
        canvas.fill(self.plate, BLACK, 185);
        canvas.outline(self.plate, 1, self.colour, 255);
        self.text.draw(
            canvas,
            self.plate.x0 + PADDING,
            self.plate.y0 + 1,
            WHITE,
            BLACK,
        );
    }
}

const PADDING: i32 = 2;

/// Places the labels, the highest score first: above the box if there is room, else below it, else inside, wherever no
/// label lies yet. The first is always there; after it, those that would cover more than a quarter of the frame together
/// are left out, so that small frames and crowded ones can still be seen.
fn place_labels(canvas: &Canvas, order: &[(usize, &Object)], style: &Style) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    let mut room = i64::from(canvas.width()) * i64::from(canvas.height()) / 4;
    for (_, object) in order.iter().rev() {
        let score = format!("{:.2}", object.score);
        let Some(text) = Text::fitting(
            &object.label,
            &score,
            style.letters,
            canvas.width() - 2 * PADDING,
        ) else {
            continue;
        };
        let (width, height) = (text.width + 2 * PADDING, text.height + 2);
        room -= i64::from(width) * i64::from(height);
        if room < 0 && !labels.is_empty() {
            break;
        }
        let rect = rect_of(object);
        let at = |x: i32, y: i32| {
            let x = x.clamp(0, (canvas.width() - width).max(0));
            Rect {
                x0: x,
                y0: y,
                x1: x + width,
                y1: y + height,
            }
        };
        let candidates = [
            at(rect.x0, rect.y0 - height),
            at(rect.x0, rect.y1),
            at(rect.x1 - width, rect.y0 - height),
            at(rect.x1 - width, rect.y1),
            at(rect.x0 + style.line, rect.y0 + style.line),
            at(rect.x0 + style.line, rect.y1 - style.line - height),
        ];
        let fits = |plate: &Rect| plate.y0 >= 0 && plate.y1 <= canvas.height();
        let free = |plate: &Rect| fits(plate) && !labels.iter().any(|l| l.plate.meets(*plate));
        let inside = at(rect.x0, rect.y0.clamp(0, (canvas.height() - height).max(0)));
        let plate = candidates
            .into_iter()
            .find(free)
            .or_else(|| candidates.into_iter().find(fits))
            .unwrap_or(inside);
        labels.push(Label {
            plate,
            text,
            colour: colour(object.class),
        });
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BoxXyxy;

    fn object(bbox: [f32; 4], label: &str) -> Object {
        let [x0, y0, x1, y1] = bbox;
        Object {
            bbox: BoxXyxy::new(x0, y0, x1, y1),
            score: 0.5,
            class: 0,
            label: label.into(),
            mask: None,
            mask_score: None,
            track: None,
        }
    }

    fn overlay(size: Size, objects: Vec<Object>) -> Image {
        let image = Image::new(size, Channels::Gray, vec![30; size.pixels() as usize]).unwrap();
        draw_overlay(&image, &Detections::new(size, objects))
    }

    #[test]
    fn without_objects_the_frame_is_left_as_it_is() {
        assert_eq!(overlay(Size::new(5, 4), vec![]).data(), [30; 60]);
    }

    #[test]
    fn a_box_lies_on_its_edges_in_its_colour() {
        let drawn = overlay(
            Size::new(100, 80),
            vec![object([20.0, 40.0, 60.0, 70.0], "bone")],
        );
        let pixel = |x: usize, y: usize| &drawn.data()[(y * 100 + x) * 3..][..3];
        let expected = colour(0);
        assert_eq!(
            [pixel(20, 55), pixel(59, 55), pixel(40, 69)],
            [expected.as_slice(); 3]
        );
        assert_eq!(pixel(40, 55), [30; 3]);
        assert_ne!(pixel(24, 32), [30; 3], "the label lies above the box");
    }

    #[test]
    fn any_size_and_any_box_can_be_drawn() {
        for (width, height) in [(1, 1), (3, 200), (64, 64), (700, 2)] {
            let extremes = [
                [0.0, 0.0, 0.0, 0.0],
                [-1e9, -1e9, 1e9, 1e9],
                [f32::NAN, 0.0, f32::INFINITY, 1.0],
                [0.2, 0.2, 0.4, 0.4],
            ];
            overlay(
                Size::new(width, height),
                extremes
                    .iter()
                    .map(|b| object(*b, "étiquette très longue"))
                    .collect(),
            );
        }
    }

    #[test]
    fn labels_of_neighbours_do_not_cover_each_other() {
        let size = Size::new(400, 300);
        let image = Image::new(size, Channels::Gray, vec![0; size.pixels() as usize]).unwrap();
        let objects = [
            object([100., 100., 200., 200.], "bone"),
            object([104., 102., 204., 202.], "shadow"),
        ];
        let order: Vec<(usize, &Object)> = objects.iter().enumerate().collect();
        let labels = place_labels(&Canvas::new(&image), &order, &Style::new(size));
        assert_eq!(labels.len(), 2);
        assert!(!labels[0].plate.meets(labels[1].plate));
    }
}
