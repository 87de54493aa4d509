//! A page to look at results with: `report.html`, complete but for the pictures, which it loads from their folder.
//!
//! | file | what |
//! |---|---|
//! | `options` | what the page says about the run |
//! | `writer` | items to lines of the page |
//! | `line` | the lines that the page's script reads |
//! | `doubt` | why a frame should be looked at, as a number and in words |
//! | `page` | the page around the lines, and the escaping of what is not ours |
//! | `page.html`, `*.css`, `*.js` | what runs in the browser |

mod doubt;
mod line;
mod options;
mod page;
mod writer;

pub use options::ReportOptions;
pub use writer::ReportWriter;
