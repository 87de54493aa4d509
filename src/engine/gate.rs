//! Keeps captures of graphs apart from the calls of this crate that invalidate a capture on another thread, though their streams are
//! different ones: those of a video decoder, and those that open a device (which wait for the whole context).

use std::{
    cell::Cell,
    sync::{PoisonError, RwLock},
};

/// Held for reading by calls that would invalidate a capture, for writing by a capture.
static GATE: RwLock<()> = RwLock::new(());

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Leaves the gate, also after a panic.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Runs `work`, which captures, while no other thread is in [`beside_captures`].
pub(super) fn capturing<T>(work: impl FnOnce() -> T) -> T {
    inside(
        || GATE.write().unwrap_or_else(PoisonError::into_inner),
        work,
    )
}

/// Runs `work`, which would invalidate a capture, while no other thread captures.
pub(super) fn beside_captures<T>(work: impl FnOnce() -> T) -> T {
    inside(|| GATE.read().unwrap_or_else(PoisonError::into_inner), work)
}

/// Runs `work` behind the gate; nested calls of the same thread are inside already.
fn inside<G, T>(enter: impl FnOnce() -> G, work: impl FnOnce() -> T) -> T {
    if INSIDE.get() {
        return work();
    }
    let _held = enter();
    INSIDE.set(true);
    let _leave = Leave;
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc::channel, thread, time::Duration};

    #[test]
    fn a_capture_waits_for_a_decoder_and_both_may_nest() {
        let (sender, order) = channel();
        beside_captures(|| {
            let other = sender.clone();
            let capture = thread::spawn(move || capturing(|| capturing(|| other.send("capture"))));
            thread::sleep(Duration::from_millis(20));
            beside_captures(|| sender.send("decoder").unwrap());
            capture
        })
        .join()
        .unwrap()
        .unwrap();
        assert_eq!(
            [order.recv().unwrap(), order.recv().unwrap()],
            ["decoder", "capture"]
        );
    }
}
