//! Reads activity records of CUPTI by the offsets of their fields.

use super::record::{
    Activity, CUSTOM0, CopyWay, MemoryKind, Names, ShortRecord, WaitKind, What, kind,
};

/// Bytes of one record, read by offset; all that lies beyond the record's end reads as 0.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0
            .get(at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .unwrap_or([0; N])
    }
    fn u8(&self, at: usize) -> u8 {
        u8::from_ne_bytes(self.bytes(at))
    }
    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(at))
    }
    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(at))
    }
}

/// Fewest bytes of a record of each kind that is read: the end of the last field.
const MIN_BYTES: [(u32, usize); 9] = [
    (kind::MEMCPY, 72),
    (kind::MEMSET, 72),
    (kind::DRIVER, 36),
    (kind::RUNTIME, 36),
    (kind::CONCURRENT_KERNEL, 152),
    (kind::MEMCPY2, 80),
    (kind::SYNCHRONIZATION, 36),
    (kind::EXTERNAL_CORRELATION, 20),
    (kind::MEMORY2, 64),
];

impl Activity {
    /// Reads one record; none for kinds (and external ids of others) that the audit does not use.
    ///
    /// # Errors
    /// [`ShortRecord`].
    pub fn parse(record: &[u8], names: &dyn Names) -> Result<Option<Self>, ShortRecord> {
        let f = Fields(record);
        let kind = f.u32(0);
        let Some((_, min)) = MIN_BYTES.iter().find(|(known, _)| *known == kind) else {
            return if record.len() < 4 {
                Err(ShortRecord {
                    kind,
                    found: record.len(),
                    least: 4,
                })
            } else {
                Ok(None)
            };
        };
        if record.len() < *min {
            return Err(ShortRecord {
                kind,
                found: record.len(),
                least: *min,
            });
        }
        Ok(match kind {
            kind::MEMCPY => Some(copy(&f, 44, 64)),
            kind::MEMCPY2 => Some(copy(&f, 60, 72)),
            kind::MEMSET => Some(memset(&f)),
            kind::CONCURRENT_KERNEL => Some(kernel(&f, names)),
            kind::SYNCHRONIZATION => Some(wait(&f)),
            kind::MEMORY2 => memory(&f),
            kind::DRIVER | kind::RUNTIME => Some(call(&f, kind == kind::RUNTIME, names)),
            _ if f.u32(4) == CUSTOM0 => Some(external(&f)),
            _ => None,
        })
    }
}

fn memset(f: &Fields<'_>) -> Activity {
    Activity {
        what: What::Memset { bytes: f.u64(8) },
        start: f.u64(16),
        end: f.u64(24),
        correlation: f.u32(44),
        stream: Some(f.u32(40)),
        graph_node: f.u64(64),
    }
}

fn kernel(f: &Fields<'_>, names: &dyn Names) -> Activity {
    let what = What::Kernel {
        name: names.text(f.u64(104)).unwrap_or_default(),
    };
    Activity {
        what,
        start: f.u64(16),
        end: f.u64(24),
        correlation: f.u32(92),
        stream: Some(f.u32(48)),
        graph_node: f.u64(144),
    }
}

fn wait(f: &Fields<'_>) -> Activity {
    let what = What::Wait {
        kind: wait_kind(f.u32(4)),
    };
    // All ones: no stream, as for a wait for a whole device.
    let stream = Some(f.u32(32)).filter(|stream| *stream != u32::MAX);
    Activity {
        what,
        start: f.u64(8),
        end: f.u64(16),
        correlation: f.u32(24),
        stream,
        graph_node: 0,
    }
}

fn call(f: &Fields<'_>, runtime: bool, names: &dyn Names) -> Activity {
    let number = f.u32(4);
    let name = names
        .call(runtime, number)
        .unwrap_or_else(|| format!("cbid {number}"));
    let what = What::Call {
        name,
        thread: f.u32(28),
    };
    Activity {
        what,
        start: f.u64(8),
        end: f.u64(16),
        correlation: f.u32(32),
        stream: None,
        graph_node: 0,
    }
}

fn external(f: &Fields<'_>) -> Activity {
    Activity {
        what: What::External { id: f.u64(8) },
        start: 0,
        end: 0,
        correlation: f.u32(16),
        stream: None,
        graph_node: 0,
    }
}

fn copy(f: &Fields<'_>, correlation: usize, node: usize) -> Activity {
    let what = What::Copy {
        way: copy_way(f.u8(4)),
        from: memory_kind(f.u8(5).into()),
        to: memory_kind(f.u8(6).into()),
        bytes: f.u64(8),
    };
    let (correlation, graph_node) = (f.u32(correlation), f.u64(node));
    Activity {
        what,
        start: f.u64(16),
        end: f.u64(24),
        correlation,
        stream: Some(f.u32(40)),
        graph_node,
    }
}

fn memory(f: &Fields<'_>) -> Option<Activity> {
    let allocation = match f.u32(4) {
        1 => true,
        2 => false,
        _ => return None,
    };
    let what = What::Memory {
        allocation,
        memory: memory_kind(f.u32(8)),
        bytes: f.u64(24),
    };
    let stream = Some(f.u32(60)).filter(|stream| *stream != u32::MAX);
    Some(Activity {
        what,
        start: f.u64(32),
        end: f.u64(32),
        correlation: f.u32(12),
        stream,
        graph_node: 0,
    })
}

/// `CUpti_ActivityMemcpyKind`.
fn copy_way(number: u8) -> CopyWay {
    match number {
        1 | 3 => CopyWay::HostToDevice,
        2 | 4 => CopyWay::DeviceToHost,
        5..=8 => CopyWay::DeviceToDevice,
        9 => CopyWay::HostToHost,
        10 => CopyWay::PeerToPeer,
        _ => CopyWay::Unknown,
    }
}

/// `CUpti_ActivityMemoryKind`.
fn memory_kind(number: u32) -> MemoryKind {
    match number {
        1 => MemoryKind::Pageable,
        2 => MemoryKind::Pinned,
        3 | 6 => MemoryKind::Device,
        4 => MemoryKind::Array,
        5 | 7 => MemoryKind::Managed,
        _ => MemoryKind::Unknown,
    }
}

/// `CUpti_ActivitySynchronizationType`.
fn wait_kind(number: u32) -> WaitKind {
    match number {
        1 => WaitKind::Event,
        2 => WaitKind::StreamForEvent,
        3 => WaitKind::Stream,
        4 => WaitKind::Context,
        _ => WaitKind::Unknown,
    }
}
