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

struct Inside;

impl Inside {
    fn new() -> Self {
        INSIDE.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Does `work`, which captures, while no decoder is at work.
pub(crate) fn capturing<T>(work: impl FnOnce() -> T) -> T {
    if INSIDE.get() {
        return work();
    }
    let _alone = GATE.write().unwrap_or_else(PoisonError::into_inner);
    let _inside = Inside::new();
    work()
}

/// Does `work`, which decodes, while nothing is captured.
pub(crate) fn decoding<T>(work: impl FnOnce() -> T) -> T {
    if INSIDE.get() {
        return work();
    }
    let _beside = GATE.read().unwrap_or_else(PoisonError::into_inner);
    let _inside = Inside::new();
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
        assert_eq!([told.recv().unwrap(), told.recv().unwrap()], ["decoder", "capture"]);
    }
}
