//! Models and arithmetic against reference implementations of others.

mod dfine;
mod matching;
mod mobile_sam;
