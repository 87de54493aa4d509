//! What runs write: files and their layout, the record, overlay videos.

mod files;
mod record;
mod run;
mod video;
