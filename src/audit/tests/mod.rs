//! Recorded activities, read, attributed, judged and reported.

mod judging;
mod overlap;
mod recorded;
mod records;
mod reports;

use super::{
    attribute::{Attributed, attribute},
    classify::{Finding, classify},
    record::{Activity, CopyWay, MemoryKind, Names, WaitKind, What, kind},
    report::{announced, graphs, observed},
    verdict::kpis,
    work_log::{ClockAlone, WorkLog},
    *,
};
use crate::{
    engine::{Direction, Engine, GraphContents, Move, Span},
    session::{Mode, Stage},
};
use std::{collections::BTreeMap, ops::Range, panic::Location, sync::Arc};

const CLEAN: &[u8] = include_bytes!("../../../tests/fixtures/cupti/clean.cupti");
const PLANTED: &[u8] = include_bytes!("../../../tests/fixtures/cupti/planted.cupti");
/// Frame 1 is warm-up.
const STEADY: Range<u64> = 2..4;

/// The works that the fixtures' ids mean: five a frame, frames 0 to 3.
fn works() -> Works {
    let mut works = Vec::new();
    for frame in 0..4u64 {
        let t = frame * 10_000;
        let mut work = |stage, moved: Option<(Direction, u64)>, start, end| {
            let moved = moved.map(|(direction, bytes)| Move {
                span: stage,
                frame: Some(frame),
                direction,
                bytes,
                place: Location::caller(),
            });
            works.push(LoggedWork {
                span: stage,
                frame: Some(frame),
                moved,
                decodes: false,
                start: t + start,
                end: t + end,
            });
        };
        work(Stage::Preprocess.span(), None, 90, 190);
        work(
            Stage::Decode.span(),
            Some((Direction::HostToDevice, 100)),
            100,
            120,
        );
        work(Stage::Detect.span(), None, 195, 2490);
        work(Stage::Encode.span(), None, 2500, 2700);
        work(
            Stage::Pack.span(),
            Some((Direction::DeviceToHost, 40)),
            3000,
            3100,
        );
    }
    Works {
        works,
        ..Works::default()
    }
}

fn node_spans() -> BTreeMap<u64, Span> {
    [
        (0x100, Stage::Detect.span()),
        (0x200, Stage::Encode.span()),
        (0x300, Stage::Encode.span()),
    ]
    .into()
}

fn attributed(bytes: &[u8]) -> Vec<Attributed> {
    let recording = Recording::from_bytes(bytes).unwrap();
    attribute(recording.activities().unwrap(), &works(), &node_spans())
}
