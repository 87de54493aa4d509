//! Figures against trackeval's (`tests/fixtures/track_eval/make.py`), forms of files, and what is refused.

mod equality;
mod files;
mod sets;
