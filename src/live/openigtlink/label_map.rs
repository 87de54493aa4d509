//! Masks of a frame as one picture of numbers.

use crate::{
    frame::{Detections, Mask},
    igtl::Samples,
};

/// Paints masks with their values over each other, the higher score last; of equal scores, the first of them. Rows top to bottom, 0
/// for background; in 16 bits where `wide`, else values are below 256. Masks of another size than the frame are left out.
pub(super) fn label_map(found: &Detections, values: &[Option<u16>], wide: bool) -> Samples {
    let valued = found.objects.iter().zip(values);
    let mut order: Vec<(f32, u16, &Mask)> = valued
        .rev()
        .filter_map(|(object, value)| Some((object.score, (*value)?, object.mask.as_ref()?)))
        .filter(|(_, _, mask)| mask.size() == found.size)
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (width, pixels) = (found.size.width as usize, found.size.pixels() as usize);
    match wide {
        false => Samples::U8(paint(&order, width, vec![0; pixels], |value| value as u8)),
        true => Samples::U16(paint(&order, width, vec![0; pixels], |value| value)),
    }
}

fn paint<T: Copy>(
    order: &[(f32, u16, &Mask)],
    width: usize,
    mut values: Vec<T>,
    of: impl Fn(u16) -> T,
) -> Vec<T> {
    for (_, value, mask) in order {
        let value = of(*value);
        mask.for_each_run(|x, top, bottom| {
            let first = top as usize * width + x as usize;
            let run = values[first..].iter_mut().step_by(width);
            run.take((bottom - top) as usize).for_each(|v| *v = value);
        });
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::Object,
        geometry::{BoxXyxy, Size},
    };
    use std::time::{Duration, Instant};

    fn object(score: f32, size: Size, inside: impl Fn(u32, u32) -> bool) -> Object {
        let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let pixels: Vec<u8> = pixels.map(|(x, y)| inside(x, y).into()).collect();
        Object {
            bbox: BoxXyxy::new(0.0, 0.0, 1.0, 1.0),
            score,
            class: 0,
            label: "bone".into(),
            mask: Mask::from_row_major(size, &pixels),
            mask_score: None,
            track: None,
        }
    }

    #[test]
    fn the_higher_score_lies_above() {
        let size = Size::new(4, 2);
        let objects = vec![
            object(0.9, size, |x, _| x == 1),
            object(0.5, size, |x, y| x < 3 && y == 0),
            object(0.5, size, |x, y| x > 1 && y == 0),
            object(0.4, size, |_, y| y == 1),
        ];
        let found = Detections::new(size, objects);
        let values = [Some(1), Some(2), Some(300), None];
        let wide = label_map(&found, &values, true);
        assert_eq!(wide, Samples::U16(vec![2, 1, 2, 300, 0, 1, 0, 0]));
        let narrow = label_map(&found, &[Some(7); 4], false);
        assert_eq!(narrow, Samples::U8(vec![7; 8]));
        let other = Detections::new(Size::new(2, 4), found.objects);
        assert_eq!(label_map(&other, &values, false), Samples::U8(vec![0; 8]));
    }

    /// Of a few objects at 1080p, by runs: not one look at each pixel for each object.
    #[test]
    fn a_large_frame_is_painted_by_runs() {
        let size = Size::new(1920, 1080);
        let inside = |cx: f32, cy: f32| {
            move |x: u32, y: u32| (x as f32 - cx).powi(2) + (y as f32 - cy).powi(2) < 150f32.powi(2)
        };
        let objects = [300.0, 800.0, 1300.0].map(|x| object(0.5, size, inside(x, 500.0)));
        let found = Detections::new(size, objects.to_vec());
        let painted = |_| {
            let begun = Instant::now();
            let map = label_map(&found, &[Some(1); 3], false);
            (begun.elapsed(), map)
        };
        let least = (0..10).map(painted).min_by_key(|(time, _)| *time).unwrap();
        let Samples::U8(values) = least.1 else {
            panic!("wide");
        };
        let area: u64 = found
            .objects
            .iter()
            .map(|o| o.mask.as_ref().unwrap().area())
            .sum();
        assert_eq!(values.iter().filter(|v| **v == 1).count() as u64, area);
        // Unoptimised on a busy machine; optimised it is well below a millisecond.
        assert!(least.0 < Duration::from_millis(100), "{:?}", least.0);
    }
}
