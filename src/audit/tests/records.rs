//! Records as CUPTI gives them, and files of them.

use super::*;

#[test]
fn records_of_both_cuda_versions_are_read_alike() {
    let clean = Recording::from_bytes(CLEAN).unwrap().activities().unwrap();
    let kernels: Vec<&Activity> = clean
        .iter()
        .filter(|a| matches!(a.what, What::Kernel { .. }))
        .collect();
    assert_eq!(kernels.len(), 6);
    assert!(kernels.iter().all(|k| k.what
        == What::Kernel {
            name: "depthwise_3x3".into()
        }
        && k.stream == Some(7)));
    assert_eq!(
        (kernels[1].start, kernels[1].end, kernels[1].graph_node),
        (11_300, 12_300, 0x200)
    );
    let upload = What::Copy {
        way: CopyWay::HostToDevice,
        from: MemoryKind::Pinned,
        to: MemoryKind::Device,
        bytes: 100,
    };
    for bytes in [CLEAN, PLANTED] {
        let activities = Recording::from_bytes(bytes).unwrap().activities().unwrap();
        assert_eq!(activities.iter().filter(|a| a.what == upload).count(), 3);
        assert!(
            activities
                .iter()
                .any(|a| a.what == What::Memset { bytes: 32 })
        );
        let launches = |a: &&Activity| matches!(&a.what, What::Call { name, thread: 4242 } if name == "cuGraphLaunch");
        assert_eq!(activities.iter().filter(launches).count(), 3);
        assert!(
            activities
                .iter()
                .all(|a| a.what != What::External { id: 77 }),
            "the id of another tool"
        );
    }
    let planted = Recording::from_bytes(PLANTED)
        .unwrap()
        .activities()
        .unwrap();
    let taken = What::Memory {
        allocation: true,
        memory: MemoryKind::Device,
        bytes: 4096,
    };
    assert_eq!(planted.iter().filter(|a| a.what == taken).count(), 1);
}

#[test]
fn records_that_are_cut_are_errors_and_unknown_kinds_are_left_out() {
    let names = Recording::default();
    for (kind, size) in [
        (kind::MEMCPY, 71),
        (kind::CONCURRENT_KERNEL, 151),
        (kind::SYNCHRONIZATION, 35),
        (kind::MEMORY2, 63),
    ] {
        let mut record = vec![0u8; size];
        record[..4].copy_from_slice(&kind.to_ne_bytes());
        assert_eq!(Activity::parse(&record, &names).unwrap_err().found, size);
        record.push(0);
        assert!(
            Activity::parse(&record, &names).is_ok(),
            "kind {kind} of {} bytes",
            size + 1
        );
    }
    assert_eq!(Activity::parse(&[9, 0, 0, 0], &names), Ok(None));
    assert!(Activity::parse(&[1, 0], &names).is_err());
    assert!(Activity::parse(&[], &names).is_err());
}

#[test]
fn calls_without_a_name_keep_their_number_and_odd_numbers_are_unknown() {
    let names = Recording::default();
    assert_eq!(names.call(false, 5), None);
    let record = |kind: u32, fields: &[(usize, u32)]| {
        let mut record = vec![0u8; 96];
        record[..4].copy_from_slice(&kind.to_ne_bytes());
        fields
            .iter()
            .for_each(|(at, value)| record[*at..at + 4].copy_from_slice(&value.to_ne_bytes()));
        Activity::parse(&record, &names).unwrap().unwrap().what
    };
    assert_eq!(
        record(kind::RUNTIME, &[(4, 9), (28, 3)]),
        What::Call {
            name: "cbid 9".into(),
            thread: 3
        }
    );
    assert_eq!(
        record(kind::SYNCHRONIZATION, &[(4, 99)]),
        What::Wait {
            kind: WaitKind::Unknown
        }
    );
    let unknown = What::Copy {
        way: CopyWay::Unknown,
        from: MemoryKind::Unknown,
        to: MemoryKind::Unknown,
        bytes: 0,
    };
    assert_eq!(record(kind::MEMCPY, &[(4, 0x00ff_ffff)]), unknown);
}

#[test]
fn a_recording_survives_its_file_and_damage_is_found() {
    let recording = Recording::from_bytes(PLANTED).unwrap();
    assert!(!recording.is_empty());
    assert_eq!(
        Recording::from_bytes(&recording.to_bytes()).unwrap(),
        recording
    );
    assert_eq!(
        Recording::from_bytes(b"RIFF").unwrap_err(),
        RecordingError::Magic
    );
    for cut in [CLEAN.len() - 1, 9, 12] {
        assert!(
            matches!(
                Recording::from_bytes(&CLEAN[..cut]),
                Err(RecordingError::Damaged(_))
            ),
            "{cut}"
        );
    }
    let mut odd = CLEAN[..8].to_vec();
    odd.extend(b"X\0\0\0\0");
    assert_eq!(
        Recording::from_bytes(&odd).unwrap_err(),
        RecordingError::Damaged(8)
    );
}
