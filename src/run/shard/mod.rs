//! Several runs that share the inputs, on as many machines: what is dealt to which, and what keeps them apart.
//!
//! | file | what |
//! |---|---|
//! | `number` | which of how many a run is, as it is typed and as schedulers say it |
//! | `folder` | the paths in `shards/` |
//! | `publish` | files that one of many makes |
//! | `fixed` | `plan.json`: what the first run fixes for all |
//! | `settings` | what the data sets of the merged run are made with |
//! | `list` | digests and order of the sources |
//! | `owner` | who works on a shard, also on network file systems |
//! | `sharing` | what a run has of all this while it runs |
//! | `join` | how a run joins the others |

mod fixed;
mod folder;
mod join;
mod list;
mod number;
mod owner;
mod publish;
mod settings;
mod sharing;

pub use fixed::fixed_shards;
pub use number::{Environment, Shard, ShardBy, ShardError};
pub(crate) use {fixed::Fixed, folder::ShardsFolder, owner::Owner, sharing::Sharing};
