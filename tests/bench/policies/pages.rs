//! An origin of pages that are made of three users each, read by Zipf; the same
//! draws each time.

use fastrand::Rng;

/// Users, and pages made of them.
pub(super) const USERS: usize = 1_000;
const PAGES: usize = 2_000;
/// Exponent of Zipf.
const ALPHA: f64 = 0.9;

pub(super) struct Pages {
    rng: Rng,
    /// Of all reads, those up to each page.
    up_to: Vec<f64>,
    made_of: Vec<[usize; 3]>,
    /// Of users.
    versions: Vec<u32>,
}

impl Pages {
    pub(super) const PREFIX: &str = "page:";

    pub(super) fn new() -> Self {
        let mut rng = Rng::with_seed(3);
        let mut sum = 0.0;
        let weights = (1..=PAGES).map(|rank| (rank as f64).powf(-ALPHA));
        let up_to = weights.map(|weight| {
            sum += weight;
            sum
        });
        let up_to = up_to.collect();
        let made_of = (0..PAGES).map(|_| three(&mut rng)).collect();
        Self {
            rng,
            up_to,
            made_of,
            versions: vec![0; USERS],
        }
    }

    pub(super) fn user(user: usize) -> String {
        format!("user:{user}")
    }

    pub(super) fn page(page: usize) -> String {
        format!("{}{page}", Self::PREFIX)
    }

    pub(super) fn made_of(&self, page: usize) -> [usize; 3] {
        self.made_of[page]
    }

    /// The page as it is now.
    pub(super) fn content(&self, page: usize) -> Vec<u8> {
        let versions = self.made_of(page).map(|user| self.versions[user]);
        versions.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// A user changes.
    pub(super) fn change(&mut self) -> usize {
        let user = self.rng.usize(..USERS);
        self.versions[user] += 1;
        user
    }

    /// The page that is read next.
    pub(super) fn next(&mut self) -> usize {
        let most = self.up_to[PAGES - 1];
        let at = self.rng.f64() * most;
        self.up_to
            .partition_point(|up_to| *up_to < at)
            .min(PAGES - 1)
    }

    /// Loads that no cache can do without.
    pub(super) fn least(mut self, reads: usize, between: usize) -> u64 {
        let (mut held, mut loads) = (vec![None; PAGES], 0);
        for read in 0..reads {
            if read % between == between - 1 {
                self.change();
            }
            let page = self.next();
            let content = Some(self.content(page));
            if held[page] != content {
                held[page] = content;
                loads += 1;
            }
        }
        loads
    }
}

fn three(rng: &mut Rng) -> [usize; 3] {
    loop {
        let drawn = [0; 3].map(|_: usize| rng.usize(..USERS));
        if drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2] {
            return drawn;
        }
    }
}
