//! DICOM: every kind of pixel data, display, files and series, and what a hostile file can do.

mod bare;
mod cases;
mod codecs;
mod common;
mod display;
mod files;
mod hostile;
mod labels;
mod lengths;
mod native;
mod windows;
