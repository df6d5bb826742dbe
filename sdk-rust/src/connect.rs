//! Connections to the sidecar: TCP in clear text, or a Unix socket.
//!
//! No TLS: the sidecar is on the same host.

use crate::Error;
use crate::error::chain;
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// How long a connection may take when no timeout was asked for.
const CONNECT: Duration = Duration::from_secs(5);
/// How often the sidecar is asked whether it is there, when nothing else was
/// asked for.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A parsed endpoint.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(Uri),
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Endpoint(format!("{text:?} {why}"));
        if let Some(path) = text.strip_prefix("unix:") {
            // Both unix:/path and unix:///path are in use.
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(wrong("names no socket; write unix:/path")),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| wrong("is neither http://HOST:PORT nor unix:/path"))?;
        match uri.scheme_str() {
            Some("http") => Ok(Self::Tcp(uri)),
            _ => Err(wrong("is neither http://HOST:PORT nor unix:/path")),
        }
    }
}

/// Connects; the channel reconnects by itself afterwards.
pub(crate) async fn connect(
    place: Place,
    timeout: Option<Duration>,
    keep_alive: Option<Duration>,
) -> Result<Channel, Error> {
    let within = timeout.unwrap_or(CONNECT);
    let keep_alive = keep_alive.unwrap_or(KEEP_ALIVE);
    // Idle connections, too: the next call should not be the one that finds out.
    let with = |endpoint: Endpoint| {
        endpoint
            .connect_timeout(within)
            .http2_keep_alive_interval(keep_alive)
            .keep_alive_timeout(keep_alive)
            .keep_alive_while_idle(true)
    };
    let connected = match place {
        Place::Tcp(uri) => with(Endpoint::from(uri)).connect().await,
        Place::Unix(path) => {
            // The authority that every gRPC server accepts on a Unix socket.
            let endpoint = with(Endpoint::from_static("http://localhost"));
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            endpoint.connect_with_connector(connector).await
        }
    };
    connected.map_err(|error| Error::Unreachable(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_tcp_or_a_socket_and_anything_else_is_refused() {
        for text in ["http://127.0.0.1:7070", "http://[::1]:1", "http://pod"] {
            assert!(matches!(text.parse(), Ok(Place::Tcp(_))), "{text}");
        }
        for text in ["unix:/run/u.sock", "unix:///run/u.sock"] {
            let Ok(Place::Unix(path)) = text.parse() else {
                panic!("{text}");
            };
            assert_eq!(path, PathBuf::from("/run/u.sock"));
        }
        for text in ["", "unix:", "127.0.0.1:7070", "https://x:1", "a b"] {
            let refused = text.parse::<Place>();
            assert!(matches!(refused, Err(Error::Endpoint(_))), "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_unreachable_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Unix(folder.path().join("none.sock"));
        let refused = connect(place, None, None).await;
        let Err(Error::Unreachable(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(why.contains("No such file"), "{why}");
    }

    #[tokio::test]
    async fn a_sidecar_that_has_stopped_costs_a_call_its_timeout_and_no_more() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let silent = async move {
            let _held = listener.accept().await;
            std::future::pending::<()>().await;
        };
        let asking = async {
            let builder = crate::Cache::builder().endpoint(endpoint);
            let cache = builder.timeout(Duration::from_millis(50)).connect().await?;
            cache.get("k").await
        };
        let answer = tokio::select! {
            answer = asking => answer,
            () = silent => unreachable!(),
        };
        assert!(
            matches!(answer, Err(Error::DeadlineExceeded { .. })),
            "{answer:?}"
        );
    }
}
