//! Connections to the sidecar: TCP in clear text, or a Unix socket.
//!
//! No TLS: the sidecar is on the same host.

use crate::Error;
use crate::status::chain;
use hyper_util::rt::TokioIo;
use std::io;
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
/// What is longer is as good as never, and would not fit the clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The authority that every gRPC server accepts on a Unix socket.
const AUTHORITY: &str = "http://localhost";

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

/// How long things may take; the defaults where nothing was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) timeout: Option<Duration>,
    pub(crate) keep_alive: Option<Duration>,
}

impl Pace {
    fn of(self, endpoint: Endpoint) -> Endpoint {
        let keep_alive = self.keep_alive.unwrap_or(KEEP_ALIVE).min(LONGEST);
        // Idle connections, too: the next call should not be the one that
        // finds out.
        endpoint
            .connect_timeout(self.timeout.unwrap_or(CONNECT).min(LONGEST))
            .http2_keep_alive_interval(keep_alive)
            .keep_alive_timeout(keep_alive)
            .keep_alive_while_idle(true)
    }
}

/// Connects; the channel reconnects by itself afterwards.
pub(crate) async fn connect(place: Place, pace: Pace) -> Result<Channel, Error> {
    let connected = match place {
        Place::Tcp(uri) => pace.of(Endpoint::from(uri)).connect().await,
        Place::Unix(path) => {
            let connector = tower::service_fn(move |_: Uri| dial(path.clone()));
            let endpoint = pace.of(Endpoint::from_static(AUTHORITY));
            endpoint.connect_with_connector(connector).await
        }
    };
    connected.map_err(|error| Error::Unreachable(chain(&error)))
}

/// Connects with the first call, and again with each that follows a failure.
pub(crate) fn lazily(place: Place, pace: Pace) -> Channel {
    match place {
        Place::Tcp(uri) => pace.of(Endpoint::from(uri)).connect_lazy(),
        Place::Unix(path) => {
            let connector = tower::service_fn(move |_: Uri| dial(path.clone()));
            let endpoint = pace.of(Endpoint::from_static(AUTHORITY));
            endpoint.connect_with_connector_lazy(connector)
        }
    }
}

/// A channel on which no call gets anywhere.
pub(crate) fn nowhere() -> Channel {
    let refuse = |_: Uri| async { Err::<TokioIo<UnixStream>, _>(io::Error::other("no sidecar")) };
    Endpoint::from_static(AUTHORITY).connect_with_connector_lazy(tower::service_fn(refuse))
}

async fn dial(path: PathBuf) -> io::Result<TokioIo<UnixStream>> {
    UnixStream::connect(path).await.map(TokioIo::new)
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
        let refused = connect(place, Pace::default()).await;
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
            let builder = crate::Cache::builder().endpoint(endpoint).strict();
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
