//! TIFF: pages, and samples of every kind that can be shown. The `tiff` crate reads directories and decompresses; the
//! meaning of the samples is decided here.

mod check;
mod colour;
mod fault;
mod fax;
mod file;
mod layout;
mod pages;
mod plain;
mod raw;
mod samples;
mod tags;
mod view;
mod ycbcr;

pub(super) use pages::{Page, Pages, decode, list};
