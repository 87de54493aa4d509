//! Activity records of CUPTI as typed activities.
//!
//! Records are C structures that grow at their end from version to version; what is read here lies at the same place in all
//! versions of CUDA 12 and 13 (a test compares sizes). Numbers are read unaligned, in the machine's byte order.

use serde::{Deserialize, Serialize};

/// Kinds of records (`CUpti_ActivityKind`).
pub mod kind {
    /// A copy.
    pub const MEMCPY: u32 = 1;
    /// A fill of memory.
    pub const MEMSET: u32 = 2;
    /// A call of the driver.
    pub const DRIVER: u32 = 4;
    /// A call of the runtime.
    pub const RUNTIME: u32 = 5;
    /// A kernel.
    pub const CONCURRENT_KERNEL: u32 = 10;
    /// A copy between devices.
    pub const MEMCPY2: u32 = 22;
    /// A wait.
    pub const SYNCHRONIZATION: u32 = 38;
    /// The id that a call was made under.
    pub const EXTERNAL_CORRELATION: u32 = 39;
    /// Memory taken or given back.
    pub const MEMORY2: u32 = 49;
}

/// `CUpti_ExternalCorrelationKind` of the ids that the audit pushes.
pub const CUSTOM0: u32 = 3;

/// From where to where a copy went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyWay {
    /// Host to device (or to an array).
    HostToDevice,
    /// Device (or an array) to host.
    DeviceToHost,
    /// Within a device.
    DeviceToDevice,
    /// Between devices.
    PeerToPeer,
    /// Within the host.
    HostToHost,
    /// CUPTI did not say.
    Unknown,
}

/// What memory one end of a copy is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Host memory that the operating system may move: the driver copies through a buffer of its own, and may wait.
    Pageable,
    /// Page-locked host memory.
    Pinned,
    /// Device memory.
    Device,
    /// A texture's array.
    Array,
    /// Memory that moves by itself.
    Managed,
    /// CUPTI did not say.
    Unknown,
}

/// What a wait waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitKind {
    /// The host, for an event.
    Event,
    /// The host, for a stream.
    Stream,
    /// The host, for everything on a device.
    Context,
    /// A stream, for an event: the host goes on.
    StreamForEvent,
    /// The host, for a copy to pageable memory, which returns when it is done although it is called asynchronous. CUPTI has no
    /// record of such a wait; it follows from the copy's.
    PageableCopy,
    /// CUPTI did not say.
    Unknown,
}

/// What an activity was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "activity")]
pub enum What {
    /// A copy.
    Copy {
        /// From where to where.
        way: CopyWay,
        /// Memory it was read from.
        from: MemoryKind,
        /// Memory it was written to.
        to: MemoryKind,
        /// Bytes.
        bytes: u64,
    },
    /// A fill of memory.
    Memset {
        /// Bytes.
        bytes: u64,
    },
    /// A kernel.
    Kernel {
        /// Its (mangled) name, where CUPTI gave one.
        name: String,
    },
    /// A wait.
    Wait {
        /// For what.
        kind: WaitKind,
    },
    /// Memory taken or given back.
    Memory {
        /// Taken, not given back.
        allocation: bool,
        /// Of which kind.
        memory: MemoryKind,
        /// Bytes.
        bytes: u64,
    },
    /// A call of the driver or the runtime.
    Call {
        /// Its name, as `cuGraphLaunch`; with `cbid` and a number where CUPTI gave none.
        name: String,
        /// The thread that made it.
        thread: u32,
    },
    /// Calls with this correlation id were made under an id of the audit.
    External {
        /// The audit's id.
        id: u64,
    },
}

/// One record. Times are CUPTI's, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// What it was.
    pub what: What,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Shared by a call and what it caused; 0 where there is none.
    pub correlation: u32,
    /// Stream; none where it has none.
    pub stream: Option<u32>,
    /// Node of the graph it was launched by; 0 outside of graphs.
    pub graph_node: u64,
}

/// Names that records only point to, resolved while the records are fresh.
pub trait Names {
    /// The text at an address in a record.
    fn text(&self, address: u64) -> Option<String>;
    /// The name of a driver (or runtime) call by its number.
    fn call(&self, runtime: bool, number: u32) -> Option<String>;
}

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

/// A record shorter than what is read of its kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a CUPTI record of kind {kind} has {found} bytes, at least {least} are needed; use the CUPTI of CUDA 12 or 13"
)]
pub struct ShortRecord {
    /// Its kind.
    pub kind: u32,
    /// Its bytes.
    pub found: usize,
    /// The fewest bytes that hold what is read.
    pub least: usize,
}

/// Fewest bytes of a record of each kind that is read: the end of the last field.
const LEAST: [(u32, usize); 9] = [
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
        let Some((_, least)) = LEAST.iter().find(|(known, _)| *known == kind) else {
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
        if record.len() < *least {
            return Err(ShortRecord {
                kind,
                found: record.len(),
                least: *least,
            });
        }
        Ok(match kind {
            kind::MEMCPY => Some(copy(&f, 44, 64)),
            kind::MEMCPY2 => Some(copy(&f, 60, 72)),
            kind::MEMSET => {
                let what = What::Memset { bytes: f.u64(8) };
                Some(Self {
                    what,
                    start: f.u64(16),
                    end: f.u64(24),
                    correlation: f.u32(44),
                    stream: Some(f.u32(40)),
                    graph_node: f.u64(64),
                })
            }
            kind::CONCURRENT_KERNEL => {
                let what = What::Kernel {
                    name: names.text(f.u64(104)).unwrap_or_default(),
                };
                Some(Self {
                    what,
                    start: f.u64(16),
                    end: f.u64(24),
                    correlation: f.u32(92),
                    stream: Some(f.u32(48)),
                    graph_node: f.u64(144),
                })
            }
            kind::SYNCHRONIZATION => {
                let what = What::Wait {
                    kind: wait_kind(f.u32(4)),
                };
                // All ones: no stream, as for a wait for a whole device.
                let stream = Some(f.u32(32)).filter(|stream| *stream != u32::MAX);
                Some(Self {
                    what,
                    start: f.u64(8),
                    end: f.u64(16),
                    correlation: f.u32(24),
                    stream,
                    graph_node: 0,
                })
            }
            kind::MEMORY2 => memory(&f),
            kind::DRIVER | kind::RUNTIME => {
                let number = f.u32(4);
                let name = names
                    .call(kind == kind::RUNTIME, number)
                    .unwrap_or_else(|| format!("cbid {number}"));
                let what = What::Call {
                    name,
                    thread: f.u32(28),
                };
                Some(Self {
                    what,
                    start: f.u64(8),
                    end: f.u64(16),
                    correlation: f.u32(32),
                    stream: None,
                    graph_node: 0,
                })
            }
            _ if f.u32(4) == CUSTOM0 => {
                let what = What::External { id: f.u64(8) };
                Some(Self {
                    what,
                    start: 0,
                    end: 0,
                    correlation: f.u32(16),
                    stream: None,
                    graph_node: 0,
                })
            }
            _ => None,
        })
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
