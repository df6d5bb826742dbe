//! Ready: from serving until the drain begins. A log or remote tier that is
//! away makes a sidecar slower, not unready: taking the pod out of service
//! would be worse. What is degraded is said in the body.

use axum::http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use unstale_engine::Engine;
use unstale_engine::request::SessionState;

/// Whether this sidecar takes work.
pub struct Readiness {
    engine: Arc<Engine>,
    ready: AtomicBool,
}

impl Readiness {
    /// Not ready yet.
    pub fn new(engine: Arc<Engine>) -> Self {
        let ready = AtomicBool::new(false);
        Self { engine, ready }
    }

    /// Says whether work is taken from now on.
    pub fn set(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    /// 200 while work is taken, else 503.
    pub fn code(&self) -> StatusCode {
        if self.ready.load(Relaxed) {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }

    /// What is degraded, one line each; "ok" when nothing is.
    pub fn body(&self) -> String {
        let status = self.engine.status();
        let mut lines = Vec::new();
        if !self.ready.load(Relaxed) {
            lines.push("not ready: starting or draining".to_owned());
        }
        if let Some(why) = status.log_error {
            lines.push(format!("degraded: log: {why}"));
        }
        if let Some(why) = status.remote_error {
            lines.push(format!("degraded: remote: {why}"));
        }
        if status.state != SessionState::Fresh {
            let state = format!("{:?}", status.state).to_lowercase();
            lines.push(format!(
                "degraded: session: {state}, nothing is called fresh"
            ));
        }
        if lines.is_empty() {
            lines.push("ok".into());
        }
        lines.join("\n") + "\n"
    }
}
