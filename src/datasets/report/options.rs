//! What the page says about the run.

/// What a report tells beside its items.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReportOptions {
    /// Heading of the page.
    pub title: String,
    /// Score from which on the run counted objects, in 0..1: scores close above it are doubtful, and timelines show it.
    pub threshold: f64,
    /// Facts of the run in the order in which they are shown, each a name and a value: version, models, device.
    pub facts: Vec<(String, String)>,
}

impl ReportOptions {
    /// A report without facts.
    pub fn new(title: impl Into<String>, threshold: f64) -> Self {
        Self {
            title: title.into(),
            threshold,
            facts: Vec::new(),
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }
}
