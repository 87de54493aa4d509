//! The paths of shards.

use std::path::{Path, PathBuf};

/// `shards/` in an output folder.
#[derive(Debug, Clone)]
pub(crate) struct ShardsFolder {
    root: PathBuf,
}

impl ShardsFolder {
    /// That of the output folder `output`.
    pub(crate) fn new(output: &Path) -> Self {
        Self {
            root: output.join("shards"),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What the first run fixed for all.
    pub(crate) fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// Names of all sources in order, a JSON string a line.
    pub(crate) fn sources(&self) -> PathBuf {
        self.root.join("sources.jsonl")
    }

    /// Folder of the owners' files.
    pub(crate) fn owners(&self) -> PathBuf {
        self.root.join("owners")
    }

    /// The name of shard `number`, from 1.
    pub(crate) fn name(number: u32, of: u32) -> String {
        let digits = of.to_string().len().max(4);
        format!("{number:0digits$}-of-{of:0digits$}")
    }

    /// The output folder of shard `number`, from 1.
    pub(crate) fn shard(&self, number: u32, of: u32) -> PathBuf {
        self.root.join(Self::name(number, of))
    }
}
