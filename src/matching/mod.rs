//! Which of these belongs to which of those: exact one-to-one assignment.

mod assignment;

pub use assignment::assign;
