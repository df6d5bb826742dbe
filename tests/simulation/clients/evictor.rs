//! L1 makes room now and then.

use super::{Client, key};
use crate::timeline::Scope;
use crate::world::KEYS;

impl Client {
    pub(super) async fn evict(self) {
        let longest = self.shared.with(|w| w.mix.eviction);
        loop {
            self.shared.delay(50_000, longest).await;
            if self.shared.with(|w| w.quiet) {
                return;
            }
            let number = self.shared.draw(KEYS + 1);
            let pod = self.pod;
            self.shared
                .note(Scope::Key(number), || format!("pod {pod} evicts it"));
            self.engine.evict(&key(number));
        }
    }
}
