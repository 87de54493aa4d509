//! Masks in the forms that data sets have: polygons near enough to the mask, run lengths in row-major order, and back.

use super::writer::MaskForm;
use super::{
    item::{Annotation, Item, Outline},
    outline::{Part, parts},
    simplify::{Point, TOLERANCE},
};
use crate::{frame::Mask, geometry::Size};
use rayon::prelude::*;
use std::borrow::Cow;

/// Most pixels of a picture whose masks are read.
pub(crate) const MAX_PIXELS: u64 = 1 << 28;

/// Most runs of one mask that is read: a checkerboard has one for each pixel.
const MAX_RUNS: usize = 1 << 25;

/// Most runs of all masks of a data set that is read, 512 MB of them.
const MAX_ALL_RUNS: usize = 1 << 27;

/// Most crossings of a polygon's edges with columns that are worked out.
const MAX_CROSSINGS: usize = 1 << 26;

/// The overlap (IoU) of polygons with their mask below which more vertices are kept.
const ENOUGH: f64 = 0.99;

/// What is written of an annotation.
pub(crate) enum Shape<'a> {
    /// Its box, as it has no outline.
    Box,
    /// Closed lines whose union it is, without the closing point.
    Polygons(Cow<'a, [Vec<Point>]>),
    /// Its pixels, at least one.
    Mask(Cow<'a, Mask>),
}

impl<'a> Shape<'a> {
    /// The shapes of all annotations of a picture, in their order; on every core.
    ///
    /// # Errors
    /// In words: polygons have too many crossings to become a mask.
    pub(crate) fn all(item: &'a Item, form: MaskForm) -> Result<Vec<Self>, String> {
        let shape = |annotation| Self::of(annotation, item.size, form);
        match item.annotations.as_slice() {
            [] => Ok(Vec::new()),
            [one] => Ok(vec![shape(one)?]),
            several => several.par_iter().map(shape).collect(),
        }
    }

    /// The shape of `annotation` in a picture of `size`.
    ///
    /// # Errors
    /// In words: polygons have too many crossings to become a mask.
    fn of(annotation: &'a Annotation, size: Size, form: MaskForm) -> Result<Self, String> {
        Ok(match (&annotation.outline, form) {
            (None, _) => Self::Box,
            (Some(Outline::Mask(mask)), _) if mask.area() == 0 => Self::Box,
            (Some(Outline::Mask(mask)), MaskForm::Rle) => Self::Mask(Cow::Borrowed(mask)),
            (Some(Outline::Mask(mask)), MaskForm::Polygon) => {
                Self::Polygons(Cow::Owned(polygons(mask)))
            }
            (Some(Outline::Polygons(lines)), MaskForm::Polygon) if !lines.is_empty() => {
                Self::Polygons(Cow::Borrowed(lines))
            }
            (Some(Outline::Polygons(lines)), _) => match fill(lines, size)? {
                mask if mask.area() == 0 => Self::Box,
                mask => Self::Mask(Cow::Owned(mask)),
            },
        })
    }
}

/// One polygon a part of the mask, the largest first, holes joined to it by lines there and back. As few vertices as give an
/// overlap (IoU) of 0.99 or more with the mask.
pub(crate) fn polygons(mask: &Mask) -> Vec<Vec<Point>> {
    let exact = parts(mask, 0.0);
    for tolerance in [TOLERANCE, 0.4] {
        let simple = exact.iter().map(|part| part.simplified(tolerance));
        let lines: Vec<_> = simple.map(|part| part.joined()).collect();
        if fill(&lines, mask.size()).is_ok_and(|filled| overlap(&filled, mask) >= ENOUGH) {
            return lines;
        }
    }
    exact.iter().map(Part::joined).collect()
}

/// The pixels whose centres are inside one of the closed lines by the even-odd rule.
///
/// # Errors
/// In words: the picture is too large, or the lines cross too many columns.
pub(crate) fn fill(lines: &[Vec<Point>], size: Size) -> Result<Mask, String> {
    if size.pixels() > MAX_PIXELS {
        return Err(too_large(size));
    }
    let mut intervals: Vec<(u64, u64)> = Vec::new();
    for line in lines {
        let mut crossings = crossings(line, size)?;
        crossings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for pair in crossings.chunks_exact(2) {
            let column = u64::from(pair[0].0) * u64::from(size.height);
            let row = |y: f64| (y - 0.5).ceil().clamp(0.0, f64::from(size.height)) as u64;
            let (top, bottom) = (row(pair[0].1), row(pair[1].1));
            if top < bottom {
                intervals.push((column + top, column + bottom));
            }
        }
    }
    intervals.sort_unstable();
    let mut edges: Vec<u64> = Vec::with_capacity(2 * intervals.len());
    for (start, end) in intervals {
        match edges.last_mut() {
            Some(last) if *last >= start => *last = end.max(*last),
            _ => edges.extend([start, end]),
        }
    }
    mask_of(size, &edges).ok_or_else(|| too_large(size))
}

/// Where the edges of a closed line cross the centres of columns: column, y.
fn crossings(line: &[Point], size: Size) -> Result<Vec<(u32, f64)>, String> {
    let mut found = Vec::new();
    for (p, q) in line.iter().zip(line.iter().cycle().skip(1)) {
        let (left, right) = if p[0] <= q[0] { (p, q) } else { (q, p) };
        let column = |x: f64| (x - 0.5).ceil().clamp(0.0, f64::from(size.width)) as u32;
        let (first, end) = (column(left[0]), column(right[0]));
        if found.len() + (end - first.min(end)) as usize > MAX_CROSSINGS {
            return Err("its outline has too many vertices".to_owned());
        }
        let slope = (right[1] - left[1]) / (right[0] - left[0]);
        found.extend((first..end).map(|x| (x, left[1] + (f64::from(x) + 0.5 - left[0]) * slope)));
    }
    Ok(found)
}

/// Intersection over union of two masks of one size.
pub(crate) fn overlap(a: &Mask, b: &Mask) -> f64 {
    let (a_edges, b_edges) = (edges(a.counts()), edges(b.counts()));
    let (mut i, mut j, mut both) = (0, 0, 0u64);
    while i + 1 < a_edges.len() && j + 1 < b_edges.len() {
        let start = a_edges[i].max(b_edges[j]);
        let end = a_edges[i + 1].min(b_edges[j + 1]);
        both += end.saturating_sub(start);
        if a_edges[i + 1] <= b_edges[j + 1] {
            i += 2;
        } else {
            j += 2;
        }
    }
    let union = a.area() + b.area() - both;
    if union == 0 {
        1.0
    } else {
        both as f64 / union as f64
    }
}

/// Starts and ends of the runs inside, in turn, from alternating run lengths.
fn edges(counts: &[u32]) -> Vec<u64> {
    let mut at = 0u64;
    let mut found = Vec::with_capacity(counts.len() + 1);
    for (i, &count) in counts.iter().enumerate() {
        if i % 2 == 1 && count > 0 {
            found.extend([at, at + u64::from(count)]);
        }
        at += u64::from(count);
    }
    found
}

/// The mask whose runs inside start and end at `edges` in turn, which rise.
fn mask_of(size: Size, edges: &[u64]) -> Option<Mask> {
    let counts = lengths(edges, size.pixels())
        .map(u32::try_from)
        .collect::<Result<_, _>>()
        .ok()?;
    Mask::from_counts(size, counts)
}

/// Alternating run lengths, zeros first, of `total` cells whose runs inside start and end at `edges` in turn.
fn lengths(edges: &[u64], total: u64) -> impl Iterator<Item = u64> {
    let ends = edges.iter().copied().chain(
        edges
            .last()
            .is_none_or(|last| *last < total)
            .then_some(total),
    );
    ends.scan(0, |before, end| {
        let length = end - *before;
        *before = end;
        Some(length)
    })
}

/// A mask's pixels inside, in row-major order: starts and ends of runs in turn.
pub(crate) fn row_edges(mask: &Mask) -> Vec<u64> {
    let size = mask.size();
    let runs = edges(mask.counts());
    let mut sweep = Sweep::new(size.height.into(), size.width.into(), usize::MAX);
    runs.chunks_exact(2)
        .try_for_each(|run| sweep.add(run[0], run[1]));
    sweep.finish().unwrap_or_default()
}

/// A mask cut to its tight box.
pub(crate) struct Crop {
    /// Left column.
    pub(crate) left: u32,
    /// Upper row.
    pub(crate) top: u32,
    /// Columns and rows.
    pub(crate) size: Size,
    /// Alternating run lengths in row-major order, zeros first (the first may be 0).
    pub(crate) counts: Vec<u64>,
}

/// A mask cut to its tight box; none for an empty one.
pub(crate) fn crop(mask: &Mask) -> Option<Crop> {
    let bounds = mask.bounds()?;
    let (left, top) = (bounds.x0 as u32, bounds.y0 as u32);
    let size = Size::new(bounds.width() as u32, bounds.height() as u32);
    let mut sweep = Sweep::new(size.height.into(), size.width.into(), usize::MAX);
    mask.for_each_run(|x, y0, y1| {
        let column = u64::from(x - left) * u64::from(size.height);
        let (start, end) = (u64::from(y0 - top), u64::from(y1 - top));
        let _ = sweep.add(column + start, column + end);
    });
    let edges = sweep.finish()?;
    let counts = lengths(&edges, size.pixels()).collect();
    Some(Crop {
        left,
        top,
        size,
        counts,
    })
}

/// How many runs the masks of a data set may still have.
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_ALL_RUNS)
    }
}

impl Budget {
    /// The mask of `size` whose pixels inside are `runs` (start and end in row-major order, rising, apart or touching).
    ///
    /// # Errors
    /// In words: the picture is too large, runs are not in order or beyond the picture, or the masks have too many runs.
    pub(crate) fn mask(
        &mut self,
        size: Size,
        runs: impl IntoIterator<Item = (u64, u64)>,
    ) -> Result<Mask, String> {
        if size.pixels() > MAX_PIXELS {
            return Err(too_large(size));
        }
        let too_many = || "the masks have too many runs".to_owned();
        let limit = self.0.min(MAX_RUNS);
        let mut sweep = Sweep::new(size.width.into(), size.height.into(), limit);
        let mut before = 0;
        for (start, end) in runs {
            if start < before || end < start || end > size.pixels() {
                return Err(format!("the mask's runs do not fit a picture of {size}"));
            }
            before = end;
            if start < end {
                sweep.add(start, end).ok_or_else(too_many)?;
            }
        }
        let edges = sweep.finish().ok_or_else(too_many)?;
        self.0 = self.0.saturating_sub(edges.len() + 1);
        mask_of(size, &edges).ok_or_else(|| too_large(size))
    }
}

fn too_large(size: Size) -> String {
    format!("masks of a picture of {size} cannot be read: it has more than {MAX_PIXELS} pixels")
}

/// Turns runs of a grid in one order into runs in the other: from each line to the next, the cells that change are where
/// runs of the other order start or end. Work and memory grow with the runs, not with the cells.
struct Sweep {
    /// Cells of a line.
    line: u64,
    /// Lines of the grid.
    lines: u64,
    /// The line that is collected.
    at: u64,
    before: Vec<u64>,
    now: Vec<u64>,
    out: Vec<u64>,
    limit: usize,
}

impl Sweep {
    fn new(line: u64, lines: u64, limit: usize) -> Self {
        Self {
            line,
            lines,
            at: 0,
            before: Vec::new(),
            now: Vec::new(),
            out: Vec::new(),
            limit,
        }
    }

    /// Adds a run, at or after the end of the last; none if the result has too many runs.
    fn add(&mut self, start: u64, end: u64) -> Option<()> {
        let (first, last) = (start / self.line, (end - 1) / self.line);
        self.advance(first)?;
        if first == last {
            self.now
                .extend([start % self.line, end - first * self.line]);
            return Some(());
        }
        self.now.extend([start % self.line, self.line]);
        if last > first + 1 {
            self.advance(first + 1)?;
            self.now.extend([0, self.line]);
            self.emit()?;
            // All lines up to the last are as this one.
            self.before.clone_from(&self.now);
            self.at = last - 1;
        }
        self.advance(last)?;
        self.now.extend([0, end - last * self.line]);
        Some(())
    }

    fn advance(&mut self, to: u64) -> Option<()> {
        if to > self.at {
            self.emit()?;
            self.before = std::mem::take(&mut self.now);
            self.at += 1;
            if to > self.at {
                self.emit()?;
                self.before.clear();
                self.at = to;
            }
        }
        Some(())
    }

    /// Notes the cells of line `at` that are other than those of the line before.
    fn emit(&mut self) -> Option<()> {
        let mut changes: Vec<u64> = self.before.iter().chain(&self.now).copied().collect();
        changes.sort_unstable();
        for pair in odd(&changes).chunks_exact(2) {
            if self.limit.saturating_sub(self.out.len()) < (pair[1] - pair[0]) as usize {
                return None;
            }
            self.out
                .extend((pair[0]..pair[1]).map(|cell| cell * self.lines + self.at));
        }
        Some(())
    }

    fn finish(mut self) -> Option<Vec<u64>> {
        self.advance(self.at + 1)?;
        self.emit()?;
        self.out.sort_unstable();
        Some(odd(&self.out))
    }
}

/// The values of a sorted list that it holds an odd number of times, once each.
fn odd(sorted: &[u64]) -> Vec<u64> {
    sorted
        .chunk_by(|a, b| a == b)
        .filter(|same| same.len() % 2 == 1)
        .map(|same| same[0])
        .collect()
}
