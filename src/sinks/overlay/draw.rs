//! Boxes, masks and labels over a frame.

use crate::{
    frame::{Channels, Detections, Image, Object, Visibility},
    geometry::Size,
    sinks::{
        label_map::by_rising_score,
        overlay::{
            canvas::{Canvas, Rect},
            text::Text,
        },
        palette::{Colour, colour, track_colour},
    },
};

const BLACK: Colour = [0; 3];
const WHITE: Colour = [255; 3];

/// The frame in colour with its objects over it: masks tinted with a full edge, boxes, and labels with scores on dark
/// plates. Lines and letters grow with the frame. Higher scores lie above lower ones.
///
/// A tracked object has the colour of its track, which is the same in all frames, and the label `class #id score`; where it is not
/// plainly seen, its box is dashed and the label ends with its visibility. Other objects have the colour of their class.
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
            canvas.mask(mask, style.edge, colour_of(object), 90);
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

/// The colour of an object: of its track, where it has one, else of its class.
fn colour_of(object: &Object) -> Colour {
    match object.track {
        Some(track) => track_colour(track.id),
        None => colour(object.class),
    }
}

/// The visibility of a tracked object that is not plainly seen.
fn doubtful(object: &Object) -> Option<Visibility> {
    let visibility = object.track.map(|track| track.visibility);
    visibility.filter(|visibility| *visibility != Visibility::Visible)
}

/// What the label says behind the class.
fn tail_of(object: &Object) -> String {
    let score = format!("{:.2}", object.score);
    match (object.track, doubtful(object)) {
        (None, _) => score,
        (Some(track), None) => format!("#{} {score}", track.id),
        (Some(track), Some(state)) => format!("#{} {score} {}", track.id, state.name()),
    }
}

/// The box in the object's colour between thin dark lines, which set it off from bright images; dashed where the object is not
/// plainly seen.
fn draw_box(canvas: &mut Canvas, object: &Object, style: &Style) {
    let rect = rect_of(object);
    canvas.outline(rect.grown(1), 1, BLACK, 150);
    match doubtful(object) {
        None => canvas.outline(rect, style.line, colour_of(object), 255),
        Some(_) => canvas.dashed(rect, style.line, colour_of(object), 4 * style.line),
    }
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
        let Some(text) = Text::fitting(
            &object.label,
            &tail_of(object),
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
            colour: colour_of(object),
        });
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::ObjectTrack, geometry::BoxXyxy};

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

    fn tracked(id: u64, visibility: Visibility) -> Object {
        Object {
            track: Some(ObjectTrack {
                id,
                visibility,
                visibility_score: 0.5,
            }),
            ..object([20.0, 40.0, 60.0, 70.0], "bone")
        }
    }

    #[test]
    fn a_track_has_its_own_colour_and_label_and_is_dashed_where_it_is_not_seen() {
        let size = Size::new(100, 80);
        let on_edge = |drawn: &Image| -> Vec<[u8; 3]> {
            let pixel = |x: usize| (69 * 100 + x) * 3;
            let rows = (20..60).map(|x| &drawn.data()[pixel(x)..][..3]);
            rows.map(|p| [p[0], p[1], p[2]]).collect()
        };
        let visible = on_edge(&overlay(size, vec![tracked(2, Visibility::Visible)]));
        assert_eq!(visible, [track_colour(2); 40]);
        let lost = on_edge(&overlay(size, vec![tracked(2, Visibility::Relocalizing)]));
        let coloured = lost.iter().filter(|p| **p == track_colour(2)).count();
        assert!((15..=30).contains(&coloured), "{coloured} of 40 pixels");

        assert_eq!(tail_of(&tracked(7, Visibility::Visible)), "#7 0.50");
        assert_eq!(tail_of(&tracked(7, Visibility::Lost)), "#7 0.50 lost");
        assert_eq!(tail_of(&object([0.0; 4], "bone")), "0.50");
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
                    .chain(extremes.iter().map(|b| {
                        let [x0, y0, x1, y1] = *b;
                        Object {
                            bbox: BoxXyxy::new(x0, y0, x1, y1),
                            ..tracked(u64::MAX, Visibility::Lost)
                        }
                    }))
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
