//! Order, lanes that are taken over, and the bound of what waits.

use super::*;
use crate::{
    frame::{Channels, Detections, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
};
use proptest::prelude::*;
use std::{sync::Arc, thread, time::Instant};

fn frame(lane: usize, index: u64) -> Item<FinishedFrame> {
    let info = SourceInfo {
        ordinal: lane,
        path: "clip".into(),
        name: "clip".to_owned(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    };
    let size = Size::new(1, 1);
    let pixel = Image::new(size, Channels::Gray, vec![0]).unwrap();
    Item::Frame(FinishedFrame {
        frame: Frame::new(Arc::new(info), index, pixel),
        found: Detections::new(size, Vec::new()),
        times: None,
        bytes: 10,
    })
}

fn place(item: &Item<FinishedFrame>) -> (usize, u64) {
    match item {
        Item::Frame(done) => (done.frame.source.ordinal, done.frame.index),
        _ => panic!("not a frame"),
    }
}

proptest! {
    /// Lanes of some lengths, whose items come mixed: `turns` says whose is next.
    #[test]
    fn items_come_out_lane_by_lane(
        lengths in proptest::collection::vec(0..6u64, 1..6),
        turns in proptest::collection::vec(0..6usize, 0..60),
        taken_over in proptest::option::of(0..6usize),
    ) {
        // The items of each lane; one lane may take the others after it over.
        let by = taken_over.filter(|&lane| lane < lengths.len());
        let mut queues: Vec<VecDeque<Item<FinishedFrame>>> = lengths
            .iter()
            .enumerate()
            .map(|(lane, &length)| {
                let mut items: VecDeque<_> = (0..length).map(|n| frame(lane, n)).collect();
                if by == Some(lane) {
                    items.push_back(Item::Voids(lane + 1..lengths.len()));
                    items.push_back(frame(lane, length));
                }
                items.push_back(Item::LaneEnded);
                items
            })
            .collect();
        let ahead = Ahead::default();
        let mut lanes = Lanes::new(&ahead);
        let mut found = Vec::new();
        let all = turns.into_iter().chain((0..lengths.len()).flat_map(|lane| [lane; 10]));
        for turn in all {
            let lane = turn % lengths.len();
            if let Some(item) = queues[lane].pop_front() {
                if let Item::Frame(done) = &item {
                    ahead.state().held += done.bytes;
                }
                lanes.push(lane, item);
            }
            while let Some(item) = lanes.pop() {
                found.push(place(&item));
                lanes.written(10);
            }
        }
        let last = by.unwrap_or(lengths.len() - 1);
        let expected: Vec<_> = (0..=last)
            .flat_map(|lane| (0..lengths[lane] + u64::from(by == Some(lane))).map(move |n| (lane, n)))
            .collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(ahead.state().held, 0);
        prop_assert_eq!(ahead.state().current, lengths.len());
    }
}

#[test]
fn later_lanes_wait_for_room_and_the_first_never_does() {
    let ahead = Ahead::with_budget(25);
    let cancel = Cancel::default();
    assert!(ahead.admit(1, 10, &cancel) && ahead.admit(2, 10, &cancel));
    assert!((0..5).all(|_| ahead.admit(0, 10, &cancel)));
    assert_eq!(ahead.most(), 70);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ahead.admit(1, 10, &cancel));
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        ahead.advance_to(1);
        assert!(waiting.join().unwrap(), "its turn has come");
        let waiting = scope.spawn(|| ahead.admit(2, 10, &cancel));
        thread::sleep(Duration::from_millis(20));
        (0..7).for_each(|_| ahead.release(10));
        assert!(waiting.join().unwrap(), "there is room");
    });
}

#[test]
fn who_waits_is_let_go_when_the_run_ends() {
    let ahead = Ahead::with_budget(5);
    let cancel = Cancel::default();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ahead.admit(3, 10, &cancel));
        let start = Instant::now();
        cancel.request();
        assert!(!waiting.join().unwrap());
        assert!(start.elapsed() < Duration::from_secs(5));
        let other = Cancel::default();
        let waiting = scope.spawn(move || other.is_requested());
        assert!(!waiting.join().unwrap());
        ahead.close();
        assert!(!ahead.admit(0, 1, &Cancel::default()));
    });
}
