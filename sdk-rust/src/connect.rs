//! Where the sidecar is, and a socket to it: TCP in clear text, or Unix.
//!
//! No TLS: the sidecar is on the same host.

use crate::Error;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::either::Either;
use tonic::codegen::http::Uri;

/// How long a connection may take when no timeout was asked for.
const CONNECT: Duration = Duration::from_secs(5);
/// How often the sidecar is asked whether it is there, when nothing else was
/// asked for.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// What is longer is as good as never, and would not fit the clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The port of an endpoint that names none.
const HTTP_PORT: u16 = 80;

/// The origin that every gRPC server accepts on a Unix socket.
const ORIGIN: &str = "http://localhost";

/// A connected socket.
pub(crate) type Socket = Either<TcpStream, UnixStream>;

/// A parsed endpoint.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(Uri),
    Unix(PathBuf),
}

impl Place {
    /// What the calls name as their origin.
    pub(crate) fn origin(place: Option<&Self>) -> Uri {
        match place {
            Some(Self::Tcp(uri)) => uri.clone(),
            Some(Self::Unix(_)) | None => Uri::from_static(ORIGIN),
        }
    }
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
    pub(crate) fn keep_alive(self) -> Duration {
        self.keep_alive.unwrap_or(KEEP_ALIVE).min(LONGEST)
    }
}

/// Dials; without a place nobody ever answers.
pub(crate) async fn dial(place: Option<&Place>, pace: Pace) -> io::Result<Socket> {
    let bound = pace.timeout.unwrap_or(CONNECT).min(LONGEST);
    let dialing = async {
        match place {
            None => Err(io::Error::other("no sidecar")),
            Some(Place::Unix(path)) => Ok(Either::Right(UnixStream::connect(path).await?)),
            Some(Place::Tcp(uri)) => Ok(Either::Left(tcp(uri).await?)),
        }
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "nobody accepted the connection");
    timeout(bound, dialing).await.map_err(late)?
}

async fn tcp(uri: &Uri) -> io::Result<TcpStream> {
    // An address of IPv6 is in brackets in a URI only.
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(HTTP_PORT))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
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
        let refused = dial(Some(&place), Pace::default()).await;
        let why = refused.err().map(|error| error.to_string());
        let why = why.unwrap_or_default();
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
