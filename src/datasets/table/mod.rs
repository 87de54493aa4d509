//! Tables of objects and of events.
//!
//! | file | what |
//! |---|---|
//! | `writer` | `objects.csv` and `events.csv` |
//! | `row` | rows and files |
//! | `speed` | how fast tracked objects move |

mod row;
mod speed;
#[cfg(test)]
mod tests;
mod writer;

pub use writer::TableWriter;
