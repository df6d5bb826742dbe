//! What `unstale check` finds.

/// Lines for people, in three lists.
#[derive(Debug, Default)]
pub struct Findings {
    /// As it should be.
    pub good: Vec<String>,
    /// Works, but is unsafe.
    pub warnings: Vec<String>,
    /// Does not work.
    pub errors: Vec<String>,
}
