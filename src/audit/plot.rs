//! Line plots as SVG, to stand in a page.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// A plot of `points` (seconds, value), the axis from the least to the greatest value; none for fewer than two points.
/// `title` must be text that needs no escaping in XML.
pub(super) fn line(title: &str, unit: &str, points: &[(f64, f64)]) -> Option<String> {
    let finite: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let (first, last) = (finite.first()?, finite.last()?);
    if finite.len() < 2 || last.0 <= first.0 {
        return None;
    }
    let least = finite.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let greatest = finite.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    // A flat line stands in the middle.
    let margin = ((greatest - least) * 0.05)
        .max(greatest.abs() * 1e-3)
        .max(1e-3);
    let (low, high) = (least - margin, greatest + margin);
    let x = |seconds: f64| LEFT + (seconds - first.0) / (last.0 - first.0) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>"
    );
    for value in [low, (low + high) / 2.0, high] {
        let at = y(value);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(value)
        );
    }
    // The outer ones stay within the picture.
    for (seconds, anchor) in [
        (first.0, "start"),
        (f64::midpoint(first.0, last.0), "middle"),
        (last.0, "end"),
    ] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{} s</text>",
            x(seconds),
            HEIGHT - 8.0,
            number(seconds)
        );
    }
    let path: Vec<String> = finite
        .iter()
        .map(|(seconds, value)| format!("{:.1},{:.1}", x(*seconds), y(*value)))
        .collect();
    let _ = write!(
        svg,
        "<polyline class=\"curve\" points=\"{}\"/></svg>",
        path.join(" ")
    );
    Some(format!(
        "<figure><figcaption>{title}, {unit}</figcaption>{svg}</figure>"
    ))
}

/// Three significant digits.
fn number(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_within_the_picture_and_odd_series_give_none_or_a_flat_line() {
        let plot = line(
            "memory",
            "MiB",
            &[(0.0, 5.0), (1.0, f64::NAN), (2.0, 9.0), (4.0, 7.0)],
        )
        .unwrap();
        let points = plot
            .split("points=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(points.split(' ').count(), 3, "{plot}");
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            assert!(
                (LEFT..=WIDTH).contains(&x.parse::<f64>().unwrap())
                    && (0.0..=HEIGHT).contains(&y.parse::<f64>().unwrap())
            );
        }
        assert!(line("one", "ms", &[(0.0, 5.0)]).is_none());
        assert!(
            line("flat", "ms", &[(0.0, 5.0), (1.0, 5.0)])
                .is_some_and(|plot| !plot.contains("NaN") && !plot.contains("inf"))
        );
    }
}
