//! Tests of the tracker as a whole.
