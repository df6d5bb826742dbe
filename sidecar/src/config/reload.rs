//! Reads the configuration file again while the sidecar runs: when it is told
//! to (SIGHUP), and when what the file's name leads to has changed, which is
//! how Kubernetes swaps a ConfigMap.
//!
//! Only policies come into force; what else has changed is named. A file with a
//! mistake changes nothing, and says so until it is mended. Decides nothing
//! about requests: who reads a policy has the old one or the new one, whole.

use super::{Config, File, Mistake};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use unstale_engine::Engine;

/// How often the file is looked at. A change counts when it is seen twice, so
/// that a file that is being written is not read halfway: an empty file, say,
/// has no mistakes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is in force, for Status and metrics.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The configuration, without secrets.
    config: Config,
    /// Why the newest file is not in force, or not all of it; empty when it is.
    pub error: String,
    /// Whether the newest file has no mistakes.
    pub is_valid: bool,
    /// Files that came into force since the start.
    pub reloads: u64,
    /// Files that had a mistake.
    pub refusals: u64,
}

impl InForce {
    /// The configuration as TOML. The session ttl that the log says wins over
    /// ours.
    pub fn as_toml(&self, session_ttl: Option<Duration>) -> String {
        let mut shown = self.config.clone();
        shown.session_ttl = session_ttl.unwrap_or(shown.session_ttl);
        shown.as_toml()
    }
}

/// Keeps the policies of an engine those of a file.
pub struct Reload {
    engine: Arc<Engine>,
    config: Config,
    path: Option<PathBuf>,
    /// As of the last look.
    seen: Option<File>,
    /// As of the last judgement.
    judged: Option<File>,
    in_force: watch::Sender<InForce>,
}

impl Reload {
    /// Of the file that `config` was read from.
    pub fn new(engine: Arc<Engine>, config: Config) -> (Self, watch::Receiver<InForce>) {
        let file = config.source.file.clone();
        let (in_force, receiver) = watch::channel(InForce {
            config: config.without_secrets(),
            error: String::new(),
            is_valid: true,
            reloads: 0,
            refusals: 0,
        });
        let reload = Self {
            engine,
            config,
            path: file.as_ref().map(|file| file.path.clone()),
            seen: file.clone(),
            judged: file,
            in_force,
        };
        (reload, receiver)
    }

    /// Runs until `cancel`. `asked` is notified when somebody wants the file to
    /// be read now.
    pub async fn run(mut self, asked: Arc<Notify>, cancel: CancellationToken) {
        loop {
            let is_asked = tokio::select! {
                () = cancel.cancelled() => return,
                () = asked.notified() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            match self.path.clone() {
                Some(path) => self.look(path, is_asked).await,
                None if is_asked => tracing::warn!("there is no configuration file to read again"),
                None => {}
            }
        }
    }

    async fn look(&mut self, path: PathBuf, is_asked: bool) {
        let text = tokio::fs::read_to_string(&path).await;
        let text = text.map_err(|e| e.to_string());
        let file = Some(File { path, text });
        let is_settled = file == self.seen;
        self.seen = file;
        if is_asked || (is_settled && self.seen != self.judged) {
            self.judged = self.seen.clone();
            self.judge();
        }
    }

    fn judge(&mut self) {
        let Some(file) = self.judged.clone() else {
            return;
        };
        match self.config.again(file) {
            Ok(new) => self.accept(new),
            Err(mistakes) => self.refuse(&mistakes),
        }
    }

    fn accept(&mut self, new: Config) {
        let fixed = self.config.differs(&new);
        self.config.policies = new.policies;
        self.engine.set_policies(self.config.policies.clone());
        tracing::info!("the configuration file is in force");
        let mut error = String::new();
        if !fixed.is_empty() {
            error = format!("needs a restart: {}", fixed.join(", "));
            tracing::warn!("the configuration file has changes that {error}");
        }
        self.in_force.send_modify(|in_force| {
            in_force.config = self.config.without_secrets();
            in_force.error = error;
            in_force.is_valid = true;
            in_force.reloads += 1;
        });
    }

    fn refuse(&self, mistakes: &[Mistake]) {
        let each: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
        let mistakes = each.join("; ");
        tracing::error!(
            mistakes,
            "the configuration file is not in force, the old one is"
        );
        self.in_force.send_modify(|in_force| {
            in_force.error = mistakes;
            in_force.is_valid = false;
            in_force.refusals += 1;
        });
    }
}
