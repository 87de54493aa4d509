//! Which work, span and frame activities belong to where frames overlap and where no work is open.

use super::*;

/// Records of frames that overlap: the device runs each launch when the host is frames further on.
#[derive(Default)]
struct Recorder {
    works: Vec<LoggedWork>,
    activities: Vec<Activity>,
}

impl Recorder {
    /// A work from `start` on, and what it `made`: the call, what it caused, when that began after `start`, and its node in a graph.
    fn work(
        &mut self,
        (stage, frame): (Stage, u64),
        moved: Option<(Direction, u64)>,
        start: u64,
        made: Vec<(&str, What, u64, u64)>,
    ) {
        let (span, frame) = (stage.span(), Some(frame));
        let moved = moved.map(|(direction, bytes)| Move {
            span,
            frame,
            direction,
            bytes,
            place: Location::caller(),
        });
        self.works.push(LoggedWork {
            span,
            frame,
            moved,
            decodes: false,
            start,
            end: start + 9,
        });
        let id = self.works.len() as u64;
        for (call, what, delay, graph_node) in made {
            let correlation = self.activities.len() as u32 + 1;
            let at = |what, start: u64| Activity {
                what,
                start,
                end: start + 1,
                correlation,
                stream: None,
                graph_node: 0,
            };
            let call = What::Call {
                name: call.to_owned(),
                thread: 1,
            };
            self.activities.push(at(What::External { id }, 0));
            self.activities.push(at(call, start + 1));
            self.activities.push(Activity {
                graph_node,
                ..at(what, start + delay)
            });
        }
    }
}

/// Four frames, of which each is asked for before the result of the one before is there.
fn overlapping() -> (Works, Vec<Activity>) {
    let mut recorder = Recorder::default();
    let copy = |way, from, to| What::Copy {
        way,
        from,
        to,
        bytes: 64,
    };
    let wait = |kind| What::Wait { kind };
    let (pinned, device) = (MemoryKind::Pinned, MemoryKind::Device);
    for frame in 0..4u64 {
        let t = frame * 100;
        let up = copy(CopyWay::HostToDevice, pinned, device);
        let up = vec![("cuMemcpyHtoDAsync_v2", up, 250, 0)];
        let moved = Some((Direction::HostToDevice, 64));
        recorder.work((Stage::Decode, frame), moved, t + 10, up);
        let kernel = What::Kernel {
            name: "k".to_owned(),
        };
        let launch = vec![
            ("cuStreamWaitEvent", wait(WaitKind::StreamForEvent), 2, 0),
            ("cuGraphLaunch", kernel, 260, 7),
        ];
        recorder.work((Stage::Detect, frame), None, t + 20, launch);
        let down = copy(CopyWay::DeviceToHost, device, pinned);
        let down = vec![("cuMemcpyDtoHAsync_v2", down, 280, 0)];
        let moved = Some((Direction::DeviceToHost, 64));
        recorder.work((Stage::Pack, frame), moved, t + 30, down);
        if let Some(before) = frame.checked_sub(1) {
            let requested = vec![
                ("cuEventQuery", wait(WaitKind::Event), 2, 0),
                ("cuEventSynchronize", wait(WaitKind::Event), 4, 0),
            ];
            recorder.work((Stage::Pack, before), None, t + 50, requested);
        }
    }
    let works = Works {
        works: recorder.works,
        ..Works::default()
    };
    (works, recorder.activities)
}

#[test]
fn overlapping_frames_are_distinguished_by_correlation_not_by_time() {
    let (works, activities) = overlapping();
    let all = attribute(activities, &works, &[(7, Stage::Detect.span())].into());
    let findings = classify(&all, &(1..3));
    assert!(
        findings.iter().all(|f| f.class == Class::Legitimate),
        "{findings:#?}"
    );
    for frame in 1..3 {
        let of_frame: Vec<Kind> = findings
            .iter()
            .filter(|f| f.frame == frame)
            .map(|f| f.kind)
            .collect();
        let (up, down) = (
            Kind::Copy(CopyWay::HostToDevice),
            Kind::Copy(CopyWay::DeviceToHost),
        );
        assert_eq!(
            of_frame,
            [Kind::HostWait, up, down],
            "frame {frame}: the wait was made before the device did the work"
        );
        let kernels = all
            .iter()
            .filter(|a| {
                a.in_graph() && a.frame == Some(frame) && a.span == Some(Stage::Detect.span())
            })
            .count();
        assert_eq!(kernels, 1);
    }
}

#[test]
fn what_is_done_outside_of_works_belongs_to_the_frame_that_began_last_until_the_log_ends() {
    let copy = |at: u64, correlation| {
        let what = What::Copy {
            way: CopyWay::HostToDevice,
            from: MemoryKind::Pageable,
            to: MemoryKind::Device,
            bytes: 8,
        };
        Activity {
            what,
            start: at,
            end: at + 1,
            correlation,
            stream: None,
            graph_node: 0,
        }
    };
    let frames = |works: &Works| {
        let all = attribute(
            vec![copy(25_000, 1), copy(39_000, 2), copy(45_000, 3)],
            works,
            &BTreeMap::new(),
        );
        all.iter().map(|a| a.frame).collect::<Vec<_>>()
    };
    assert_eq!(
        frames(&works()),
        [Some(2), None, None],
        "after the last work of all"
    );
    assert_eq!(
        frames(&Works {
            beyond: Some(40_000),
            ..works()
        }),
        [Some(2), Some(3), None]
    );
}

#[test]
fn work_of_no_frame_is_judged_once_frames_have_begun() {
    let judge = |start: u64| {
        let mut works = works();
        works.works.push(LoggedWork {
            span: Stage::Load.span(),
            frame: None,
            moved: None,
            decodes: false,
            start,
            end: start + 9,
        });
        let id = works.works.len() as u64;
        let what = What::Copy {
            way: CopyWay::HostToDevice,
            from: MemoryKind::Pinned,
            to: MemoryKind::Device,
            bytes: 8,
        };
        let external = Activity {
            what: What::External { id },
            start: 0,
            end: 0,
            correlation: 1,
            stream: None,
            graph_node: 0,
        };
        let copy = Activity {
            what,
            start: start + 1,
            end: start + 2,
            ..external.clone()
        };
        classify(
            &attribute(vec![external, copy], &works, &BTreeMap::new()),
            &STEADY,
        )
    };
    assert_eq!(judge(50), [], "before the first frame");
    let late = judge(25_000);
    assert_eq!(
        late.iter()
            .map(|f| (f.class, f.frame, f.span))
            .collect::<Vec<_>>(),
        [(Class::Critical, 2, Some(Stage::Load.span()))]
    );
}
