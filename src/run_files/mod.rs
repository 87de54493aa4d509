//! How the files of a run are known again: its folder, and the names that files give to frames.

mod folder;
mod names;
mod numbers;

pub(crate) use folder::{images_beside, is_run_folder};
pub(crate) use names::{Unmatched, folders_differ, match_names, normalised};
pub(crate) use numbers::last_number;
