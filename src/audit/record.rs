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
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
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

/// A record shorter than what is read of its kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a CUPTI record of kind {kind} has {found} bytes, at least {least} are needed; use the CUPTI of CUDA 12 or 13"
)]
#[non_exhaustive]
pub struct ShortRecord {
    /// Its kind.
    pub kind: u32,
    /// Its bytes.
    pub found: usize,
    /// The fewest bytes that hold what is read.
    pub least: usize,
}
