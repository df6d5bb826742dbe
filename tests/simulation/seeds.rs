//! The kept seeds: every run repeats them first.

use unstale_engine::coherence::Bug;

/// A line of seeds.txt.
pub(crate) struct Kept {
    pub(crate) seed: u64,
    pub(crate) case: Option<Bug>,
    pub(crate) why: &'static str,
}

/// All of seeds.txt.
pub(crate) fn kept() -> Vec<Kept> {
    let lines = include_str!("seeds.txt").lines();
    lines.filter_map(parse).collect()
}

fn parse(line: &'static str) -> Option<Kept> {
    let (said, why) = line.split_once('#').unwrap_or((line, ""));
    let mut words = said.split_whitespace();
    let seed = words.next()?.parse().expect("a line begins with a seed");
    let case = words
        .next()
        .map(|name| crate::planted::named(name).expect("a planted bug or finding"));
    Some(Kept {
        seed,
        case,
        why: why.trim(),
    })
}
