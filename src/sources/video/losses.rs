//! Frames that a decoder owes.

use std::{collections::BTreeSet, mem};

/// Packets whose frames are still to come that are remembered.
const MAX_IN_FLIGHT: usize = 1024;

/// Account of packets whose frames have not come out of the decoder, and of frames that are lost.
#[derive(Default)]
pub(super) struct Losses {
    /// Timestamps of packets given to the decoder whose frames have not come out.
    in_flight: BTreeSet<i64>,
    /// Timestamps of packets that arrived damaged.
    damaged: BTreeSet<i64>,
    /// Errors of the decoder that no frame has been found missing for yet.
    unplaced: u64,
    /// Frames known to be lost before the one that waits.
    due: u64,
}

impl Losses {
    /// Notes the timestamp of a packet that is sent to the decoder.
    pub(super) fn add_in_flight(&mut self, pts: Option<i64>) {
        self.in_flight.extend(pts);
        self.forget_oldest();
    }

    /// Notes the timestamp of a packet that arrived damaged, before it is sent.
    pub(super) fn add_damaged(&mut self, pts: Option<i64>) {
        self.damaged.extend(pts);
    }

    /// Notes an error of the decoder.
    pub(super) fn add_error(&mut self) {
        self.unplaced += 1;
    }

    /// Whether the packet of a frame arrived damaged.
    pub(super) fn is_damaged(&self, pts: i64) -> bool {
        self.damaged.contains(&pts)
    }

    /// Whether a lost frame is still to be reported; if so it counts as reported.
    pub(super) fn take_due(&mut self) -> bool {
        let has_due = self.has_due();
        self.due = self.due.saturating_sub(1);
        has_due
    }

    /// Whether a lost frame is still to be reported.
    pub(super) fn has_due(&self) -> bool {
        self.due > 0
    }

    /// No frame follows: errors that no frame was found missing for are lost frames if they `count`.
    pub(super) fn end(&mut self, count: bool) {
        let unplaced = mem::take(&mut self.unplaced);
        if count {
            self.due += unplaced;
        }
    }

    /// A frame with this timestamp came out: of the packets with earlier ones that gave none, as many are lost as the
    /// decoder reported errors. (Packets that give no frame without an error are the codec's affair.)
    pub(super) fn find_before(&mut self, pts: Option<i64>) {
        let Some(pts) = pts else {
            self.due += mem::take(&mut self.unplaced);
            return;
        };
        let later = self.in_flight.split_off(&pts);
        let missing = mem::replace(&mut self.in_flight, later).len() as u64;
        self.in_flight.remove(&pts);
        let lost = missing.min(self.unplaced);
        self.unplaced -= lost;
        self.due += lost;
        self.damaged = self.damaged.split_off(&pts);
    }

    fn forget_oldest(&mut self) {
        while self.in_flight.len() > MAX_IN_FLIGHT {
            self.in_flight.pop_first();
        }
        while self.damaged.len() > MAX_IN_FLIGHT {
            self.damaged.pop_first();
        }
    }
}
