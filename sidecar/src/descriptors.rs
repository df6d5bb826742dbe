//! How many file descriptors there are, and who may have how many.
//!
//! Connections of one listener must not take those of another, nor those of
//! the files and servers the sidecar itself needs: without a share of its own,
//! a flood of one port would silence all.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Most connections of one gRPC listener, however many descriptors there are.
const CONNECTIONS: u64 = 4096;
/// For the admin port, NATS, logs and files that are open for a moment.
const RESERVE: u64 = 96;
/// Listeners that share the rest: TCP and the Unix socket.
const LISTENERS: u64 = 2;
/// Fewer connections than this are worth a warning.
const FEW: u64 = 1024;

/// Raises the soft limit as far as the hard one allows, and returns how many
/// connections each listener of gRPC may have.
pub fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(wanted.min(RESERVE + LISTENERS * CONNECTIONS)),
        maximum: limit.maximum,
    };
    let enough = limit.current.is_none_or(|now| Some(now) >= raised.current);
    // Refused only if the hard limit shrank meanwhile: what is in force counts.
    let _ = if enough {
        Ok(())
    } else {
        setrlimit(Resource::Nofile, raised)
    };
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = share(current);
    if share < FEW {
        tracing::warn!(
            "{current} file descriptors allow {share} connections of each listener; raise the limit (ulimit -n) to {} for {CONNECTIONS}",
            RESERVE + LISTENERS * CONNECTIONS
        );
    }
    usize::try_from(share).unwrap_or(usize::MAX)
}

fn share(descriptors: u64) -> u64 {
    let left = descriptors.saturating_sub(RESERVE) / LISTENERS;
    left.clamp(8, CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_has_a_share_and_the_rest_is_kept() {
        assert_eq!(share(u64::MAX), CONNECTIONS);
        assert_eq!(share(1024), 464);
        assert_eq!(share(256), 80);
        assert_eq!(share(0), 8);
    }
}
