//! Whether the sidecar has fallen silent: there, but not answering.
//!
//! The call that finds out waits for its deadline; those after it must not
//! each wait as long. From then on a question in the background waits for the
//! sidecar, and nobody else does. A sidecar that refuses connections is no
//! such case: that costs a call nothing.

use crate::outage::Shared;
use crate::wire::Wire;
use crate::{Cache, Error};
use std::sync::Weak;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Request;
use unstale_proto::v1::StatusRequest;
use unstale_proto::v1::admin_service_client::AdminServiceClient;

/// The pause after a question that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What the last calls showed.
pub(crate) struct Health {
    silent: watch::Sender<bool>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            silent: watch::Sender::new(false),
        }
    }
}

impl Health {
    /// Returns when the sidecar is known to be silent.
    pub(crate) async fn is_silent(&self) {
        let mut silent = self.silent.subscribe();
        // The sender is here, so that this cannot fail.
        let _ = silent.wait_for(|silent| *silent).await;
    }
}

impl Cache {
    /// From now on nobody waits for the sidecar, until it answers.
    pub(crate) fn fell_silent(&self) {
        let turned = |silent: &mut bool| !std::mem::replace(silent, true);
        if self.shared.health.silent.send_if_modified(turned) {
            let asked = Asked(std::sync::Arc::downgrade(&self.shared));
            tokio::spawn(asked.until_it_answers(self.admin()));
        }
    }
}

/// The question in the background; whatever ends it ends the silence.
struct Asked(Weak<Shared>);

impl Asked {
    async fn until_it_answers(self, mut admin: AdminServiceClient<Wire>) {
        // Without a deadline: the connection's keep-alive ends it.
        while let Err(status) = admin.status(Request::new(StatusRequest {})).await {
            if !Error::from(status).is_silence() || self.0.strong_count() == 0 {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.health.silent.send_replace(false);
        }
    }
}
