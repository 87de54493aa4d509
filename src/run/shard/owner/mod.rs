//! Who works on a shard: one process at a time, on any machine, without locks.
//!
//! Each owner has a file, `NAME.000000`, `NAME.000001` and so on; the highest is the present one. A file is made once, by `publish`,
//! so that of many who want to follow an owner one does. The owner writes its file anew every few seconds with a higher count, and a last
//! time when it is done. Who finds an owner
//!
//! - of the same machine checks with the system whether its process is there;
//! - of another machine watches its file: an owner whose file does not change for the patience of the pace (90 s) is dead. Only the watcher's own time is
//!   used: clocks of machines need not agree.
//!
//! An owner that was only held up and finds that it was followed stops before it writes more (`Owner::check`).

mod claim;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use claim::Owner;
