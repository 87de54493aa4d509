//! DICOM: every kind of pixel data, display, files and series, and what a hostile file can do.

mod codecs;
mod common;
mod display;
mod files;
mod hostile;
mod native;
