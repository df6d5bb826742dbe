//! The randomness port: ids, tokens and jitter come from here, so that a
//! simulation can draw them from its seed.

/// Where the engine gets random numbers from.
pub trait Random: Send + Sync + 'static {
    /// 128 unpredictable bits.
    fn bits(&self) -> u128;
}
