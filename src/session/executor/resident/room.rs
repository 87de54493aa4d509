//! How much a batch has room for, which follows what the last batches needed.

use std::collections::VecDeque;

/// Batches that are remembered.
const REMEMBERED: usize = 256;

/// What the last batches needed.
#[derive(Debug, Default)]
struct Needed(VecDeque<usize>);

impl Needed {
    fn note(&mut self, needed: usize) {
        self.0.push_back(needed);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    fn most(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }
}

/// Numbers of masks' bits: a half more than those of the last batches had at most.
#[derive(Debug, Default)]
pub(crate) struct BitRoom(Needed);

impl BitRoom {
    /// Room for the next batch, whose frames' masks have `whole` numbers of bits each: at least a quarter of a mask a frame.
    pub(super) fn now(&self, whole: impl Iterator<Item = usize>) -> usize {
        let least: usize = whole.map(|words| words / 4).sum();
        let usual = self.0.most();
        (usual + usual / 2).max(least).next_multiple_of(1024)
    }

    /// Takes note of what a batch with that `room` needed; says whether it was more.
    pub(super) fn note(&mut self, needed: usize, room: usize) -> bool {
        self.0.note(needed);
        needed > room
    }
}

/// How many objects the frames of a batch have room for together: as many as those of the last batches had at most.
#[derive(Debug)]
pub(crate) struct Slots {
    last: Needed,
    min: usize,
}

impl Slots {
    /// Room that every batch has: the decoder takes hardly longer for it than for one object.
    const MIN: usize = 4;

    /// For batches of that many frames, of which each has an object.
    pub(crate) fn new(batch: usize) -> Self {
        Self {
            last: Needed::default(),
            min: batch.max(Self::MIN),
        }
    }

    /// Room for that many objects: 1, 2, 4, 6, 8, 12, 16 and multiples of 8, from 64 on of 16, so that few sizes are captured.
    pub(crate) fn for_objects(objects: usize) -> usize {
        match objects {
            0..=1 => 1,
            2 => 2,
            3..=8 => objects.next_multiple_of(2),
            9..=16 => objects.next_multiple_of(4),
            17..=64 => objects.next_multiple_of(8),
            _ => objects.next_multiple_of(16),
        }
    }

    /// Room for the next batch.
    pub(crate) fn now(&self) -> usize {
        Self::for_objects(self.last.most().max(self.min))
    }

    /// Takes note of the number of objects of a batch with `room` for so many; says whether it had more.
    pub(crate) fn note(&mut self, objects: usize, room: usize) -> bool {
        self.last.note(objects);
        objects > room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_what_was_found_lately() {
        let mut slots = Slots::new(1);
        assert_eq!(slots.now(), 4);
        assert!(!slots.note(4, 4));
        assert!(slots.note(5, 4), "five objects in four slots");
        assert_eq!(slots.now(), 6);
        for _ in 0..REMEMBERED {
            assert_eq!(slots.now(), 6);
            assert!(!slots.note(0, 6));
        }
        assert_eq!(slots.now(), 4);
        assert_eq!(Slots::new(8).now(), 8, "an object for each frame");
        assert_eq!(
            [0, 1, 3, 5, 8, 9, 16, 17, 65, 300].map(Slots::for_objects),
            [1, 1, 4, 6, 8, 12, 16, 24, 80, 304]
        );
        assert!(
            (0..400).all(|n| Slots::for_objects(Slots::for_objects(n)) == Slots::for_objects(n))
        );
    }

    #[test]
    fn room_for_bits_follows_what_was_needed() {
        let mut room = BitRoom::default();
        let whole = || [40_000, 8_000].into_iter();
        assert_eq!(room.now(whole()), 12_288, "a quarter of each");
        assert!(room.note(20_000, 12_288));
        assert_eq!(room.now(whole()), 30_720);
        assert!(!room.note(20_000, 30_720));
        for _ in 0..REMEMBERED {
            assert!(!room.note(0, 30_720));
        }
        assert_eq!(room.now(whole()), 12_288);
    }
}
