//! Work cut into tasks for the threads of the current pool.

use rayon::prelude::*;
use std::ops::Range;

/// Elementary steps (a multiplication and addition) that are worth a task of their own.
const TASK: usize = 200_000;

/// The `index`th of `parts` nearly equal parts of `0..total`.
pub(super) fn part(total: usize, parts: usize, index: usize) -> Range<usize> {
    let (size, longer) = (total / parts, total % parts);
    let start = index * size + index.min(longer);
    start..start + size + usize::from(index < longer)
}

/// Tasks that `work` steps are worth: at least 1, at most a few for each thread.
pub(super) fn tasks(work: usize) -> usize {
    let threads = rayon::current_num_threads();
    if threads == 1 {
        1
    } else {
        (work / TASK).clamp(1, 4 * threads)
    }
}

/// Tasks for the rows of each of `images` maps that are made in bands; none where there are more threads than tasks. Tasks compute the rows
/// again that they share with their neighbours: few and large ones are best.
pub(super) fn tasks_of_bands(images: usize, rows: usize) -> Option<usize> {
    let threads = rayon::current_num_threads();
    let tasks = match threads {
        1 => 1,
        _ => (2 * threads).min(rows.div_ceil(8)),
    };
    (images * tasks >= threads).then_some(tasks)
}

/// Calls `task` for each index below `count`: here if there is one, else on the pool.
pub(super) fn each(count: usize, task: impl Fn(usize) + Sync + Send) {
    match count {
        0 => {}
        1 => task(0),
        _ => (0..count).into_par_iter().with_max_len(1).for_each(task),
    }
}

/// Calls `task` with parts of `0..items`, which together take `work` steps.
pub(super) fn over(items: usize, work: usize, task: impl Fn(Range<usize>) + Sync + Send) {
    let count = tasks(work).min(items);
    each(count, |index| task(part(items, count, index)));
}

/// Does `work` on a thread of the pool. Operations then share out their tasks from there; from a thread outside, each of them would
/// wake the pool and sleep until it is done.
pub(crate) fn on_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}
