//! What a run did not judge, in words: a run that saw nothing break has shown
//! nothing of what it did not see.
//!
//! A gap is something that was to be judged and never was: the run has no
//! success to report. A caveat is what some of the answers were not judged by.

use super::figures::Figures;
use unstale_checker::linear::Tally;

/// What was not judged of one sidecar's own promises.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    /// How often it was, or may have been, another process.
    pub(super) restarts: u64,
    /// Answers older than it had promised, if it was the same process.
    pub(super) doubts: u64,
}

/// What was never judged.
pub(super) fn gaps(urls: &[String], figures: &Figures, linear: Tally) -> Vec<String> {
    let silent = urls.iter().zip(&figures.endpoints);
    let silent = silent.filter(|(_, figures)| figures.judged == 0);
    let mut gaps: Vec<_> = silent
        .map(|(url, _)| format!("nothing of {url}: it answered no read with a value"))
        .collect();
    let [_, _, fleet] = figures.invalidations;
    if fleet == 0 {
        gaps.push("what FLEET promises: no invalidation with FLEET was answered OK".to_owned());
    }
    if linear.unknown == linear.histories {
        gaps.push(match linear.histories {
            0 => "the order of writes and STRONG reads: no history was searched".to_owned(),
            all => format!("the order of writes and STRONG reads: {all} searches were given up"),
        });
    }
    gaps
}

/// What was not judged of some answers.
pub(super) fn caveats(urls: &[String], own: &[Own]) -> Vec<String> {
    let of = urls
        .iter()
        .zip(own)
        .filter(|(_, own)| own.restarts > 0 || own.doubts > 0);
    of.map(|(url, Own { restarts, doubts })| {
        format!(
            "what {url} had promised of itself before it had another session ({restarts} times; \
             it was started again, expelled, or could not be asked): {doubts} answers were older"
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Vec<String> {
        ["http://a", "http://b"].map(str::to_owned).to_vec()
    }

    fn complete() -> (Figures, Tally) {
        let mut figures = Figures::of(2);
        for endpoint in &mut figures.endpoints {
            endpoint.judged = 1;
        }
        figures.invalidations = [0, 0, 1];
        let linear = Tally {
            histories: 2,
            calls: 9,
            unknown: 1,
        };
        (figures, linear)
    }

    #[test]
    fn a_run_that_judged_some_of_everything_has_no_gap() {
        let (figures, linear) = complete();
        assert_eq!(gaps(&urls(), &figures, linear), [""; 0]);
        assert_eq!(caveats(&urls(), &[Own::default(); 2]), [""; 0]);
    }

    #[test]
    fn an_endpoint_that_never_answered_is_a_gap() {
        let (mut figures, linear) = complete();
        figures.endpoints[1].judged = 0;
        let gaps = gaps(&urls(), &figures, linear);
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].contains("http://b"), "{gaps:?}");
    }

    #[test]
    fn so_are_no_fleet_and_no_search_that_ended() {
        let (mut figures, mut linear) = complete();
        figures.invalidations = [5, 5, 0];
        linear.unknown = 2;
        let found = gaps(&urls(), &figures, linear);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("FLEET") && found[1].contains("2 searches"));
        let none = gaps(&urls(), &figures, Tally::default());
        assert!(none[1].contains("no history"), "{none:?}");
    }

    #[test]
    fn an_answer_that_another_process_may_have_given_is_told() {
        let other = Own {
            restarts: 1,
            doubts: 3,
        };
        let told = caveats(&urls(), &[Own::default(), other]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("http://b") && told[0].contains("3 answers"));
    }
}
