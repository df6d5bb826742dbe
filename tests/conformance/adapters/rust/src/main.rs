//! The conformance adapter of the Rust client: JSON lines in on stdin, JSON
//! lines out on stdout (tests/conformance/PROTOCOL.md).
//!
//! With the word `unary`, each call goes by itself and none on a stream.
//! Uses the public API of `unstale` and nothing else. Each request is a task of
//! its own; answers come in the order in which they are ready.

mod args;
mod calls;
mod explain;
mod gates;
mod load;
mod say;
mod session;

use args::Lane;
use serde_json::{Value as Json, json};
use session::Session;
use std::io::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// What a call comes to when it is no result.
#[derive(Debug)]
enum Refused {
    /// An error of the client or of a loader.
    Error(Json),
    /// The client has no such call or option.
    Unsupported(String),
}

type Answered = Result<Json, Refused>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let lane = match std::env::args().nth(1).as_deref() {
        Some("unary") => Lane::Unary,
        _ => Lane::Stream,
    };
    let session = Arc::new(Session::over(lane));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let request: Json = serde_json::from_str(&line)?;
        let session = Arc::clone(&session);
        // Ends with the process, which ends with stdin.
        tokio::spawn(async move {
            let answered = session.answer(&request).await;
            say_line(&request["id"], answered);
        });
    }
    Ok(())
}

fn say_line(id: &Json, answered: Answered) {
    let line = match answered {
        Ok(result) => json!({"id": id, "result": result}),
        Err(Refused::Error(error)) => json!({"id": id, "error": error}),
        Err(Refused::Unsupported(why)) => json!({"id": id, "unsupported": why}),
    };
    let mut out = std::io::stdout().lock();
    let told = writeln!(out, "{line}").and_then(|()| out.flush());
    told.expect("the runner reads until this process ends");
}
