//! The kept seeds: every run repeats them first.

use crate::less::Less;
use unstale_engine::coherence::Bug;

/// A line of seeds.txt.
pub(crate) struct Kept {
    pub(crate) seed: u64,
    pub(crate) case: Option<Bug>,
    /// Set if the shrunk schedule is kept.
    pub(crate) less: Less,
    pub(crate) why: &'static str,
}

/// All of seeds.txt.
pub(crate) fn kept() -> Vec<Kept> {
    let lines = include_str!("seeds.txt").lines();
    lines.filter_map(parse).collect()
}

fn parse(line: &'static str) -> Option<Kept> {
    let (said, why) = line.split_once('#').unwrap_or((line, ""));
    let mut words = said.split_whitespace().peekable();
    let seed = words.next()?.parse().expect("a line begins with a seed");
    let case = words
        .next_if(|word| !word.contains('='))
        .map(|name| crate::planted::named(name).expect("a planted bug"));
    let less: Vec<_> = words.collect();
    let less = less.join(" ").parse().expect("what a report says");
    Some(Kept {
        seed,
        case,
        less,
        why: why.trim(),
    })
}
