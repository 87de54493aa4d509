//! Captures of graphs and the calls of a video decoder keep out of each other's way: what a decoder asks of the driver on one thread can
//! break a capture on another, though their streams are different ones.

use std::{
    cell::Cell,
    sync::{PoisonError, RwLock},
};

/// Decoders may work beside each other, a capture only alone.
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

/// Does `work`, which captures, while no decoder is at work.
pub(crate) fn capturing<T>(work: impl FnOnce() -> T) -> T {
    inside(
        || GATE.write().unwrap_or_else(PoisonError::into_inner),
        work,
    )
}

/// Does `work`, which decodes, while nothing is captured.
pub(crate) fn decoding<T>(work: impl FnOnce() -> T) -> T {
    inside(|| GATE.read().unwrap_or_else(PoisonError::into_inner), work)
}

/// Does `work` behind the gate; what it does of the kind again is inside already.
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
        let (tell, told) = channel();
        decoding(|| {
            let other = tell.clone();
            let capture = thread::spawn(move || capturing(|| capturing(|| other.send("capture"))));
            thread::sleep(Duration::from_millis(20));
            decoding(|| tell.send("decoder").unwrap());
            capture
        })
        .join()
        .unwrap()
        .unwrap();
        assert_eq!(
            [told.recv().unwrap(), told.recv().unwrap()],
            ["decoder", "capture"]
        );
    }
}
