//! The coherence protocol as a state machine: events in, actions out.

pub mod record;
