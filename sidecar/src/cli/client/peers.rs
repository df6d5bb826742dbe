//! `unstale peers`: who is in the fleet.

use super::exit::{Ended, Failure};
use super::output;
use super::target::Target;
use clap::Args;
use serde_json::{Value as Json, json};
use unstale::Peer;

/// Show who is in the fleet.
#[derive(Debug, Args)]
pub struct Peers {
    #[command(flatten)]
    target: Target,
}

impl Peers {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let peers = self.target.connect().await?.peers().await?;
        if self.target.json {
            let peers: Vec<_> = peers.iter().map(json_of).collect();
            output::object(&json!({ "peers": peers }))?;
        } else {
            for peer in &peers {
                output::line(&text_of(peer))?;
            }
        }
        Ok(Ended::Done)
    }
}

fn text_of(peer: &Peer) -> String {
    let mut line = format!("{} {}", peer.session.id, peer.session.pod);
    line.extend(peer.own.then_some(" (this sidecar)"));
    line.extend(peer.expelled.then_some(" (expelled)"));
    line
}

fn json_of(peer: &Peer) -> Json {
    json!({
        "session": output::session(&peer.session),
        "own": peer.own,
        "expelled": peer.expelled,
        "joined_sequence": peer.joined_sequence,
        "processed_sequence": peer.processed_sequence,
    })
}
