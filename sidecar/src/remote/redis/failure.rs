//! What an error of the servers means, by what the caller should do.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};
use std::error::Error;
use unstale_engine::remote::RemoteError;

/// A call that failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The script is not known to this server.
    NoScript,
    /// The server refused, and nothing was done.
    Refused(String),
    /// There is no connection to send it over.
    Away(String),
    /// Another server has to be asked: this connection is of no use.
    WrongServer(String),
    /// Another server has to be asked to change anything; this one is read.
    ReadOnly(String),
    /// Sent, perhaps, and no answer: the connection is of no use.
    NoAnswer(String),
    /// Nothing will work before somebody changes the configuration.
    Misconfigured(String),
    /// As above: the user may not do this.
    Denied(String),
    /// As above, and the server does not know this pod any more.
    LoggedOut(String),
}

impl Failure {
    /// Of an answer that belongs to another call.
    pub(super) fn out_of_step() -> Self {
        Self::NoAnswer("an answer that belongs to another call".to_owned())
    }

    /// Whether the connection can be used on.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::WrongServer(_) | Self::NoAnswer(_) | Self::LoggedOut(_) => true,
            Self::NoScript
            | Self::Refused(_)
            | Self::ReadOnly(_)
            | Self::Away(_)
            | Self::Misconfigured(_)
            | Self::Denied(_) => false,
        }
    }

    /// The error of a read.
    pub(super) fn of_read(self) -> RemoteError {
        match self {
            Self::Misconfigured(why) | Self::Denied(why) | Self::LoggedOut(why) => {
                RemoteError::Misconfigured(why)
            }
            Self::NoScript => RemoteError::Unavailable(NO_SCRIPT.to_owned()),
            Self::Refused(why) | Self::ReadOnly(why) => RemoteError::Refused(why),
            Self::Away(why) | Self::WrongServer(why) | Self::NoAnswer(why) => {
                RemoteError::Unavailable(why)
            }
        }
    }

    /// The error of a put or delete: without an answer it may have happened.
    pub(super) fn of_change(self) -> RemoteError {
        match self {
            Self::NoAnswer(why) => RemoteError::Unknown(why),
            other => other.of_read(),
        }
    }
}

const NO_SCRIPT: &str = "the server forgets scripts at once";

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        use ServerErrorKind as Server;
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Server(Server::NoScript) => Self::NoScript,
            ErrorKind::AuthenticationFailed => Self::LoggedOut(format!(
                "the server refuses the user or password, or takes no more clients ({text})"
            )),
            ErrorKind::Server(Server::NoPerm) => Self::Denied(format!(
                "the server denies a permission: ~unstale:* and +get +mget +eval +evalsha +ping +set +getrange +unlink are needed ({text})"
            )),
            ErrorKind::Server(Server::Moved | Server::Ask | Server::CrossSlot) => {
                Self::Misconfigured(format!(
                    "the server is part of a cluster: write redis+cluster:// instead of redis:// ({text})"
                ))
            }
            ErrorKind::Server(Server::ReadOnly) => Self::ReadOnly(format!(
                "the server is a read-only replica: give the address of the primary ({text})"
            )),
            ErrorKind::Server(Server::ResponseError) if text.contains("nknown command") => {
                Self::Misconfigured(format!("the server lacks a command ({text})"))
            }
            ErrorKind::Server(Server::ResponseError) if text.contains("max number of clients") => {
                Self::WrongServer(text)
            }
            ErrorKind::Server(_) => Self::Refused(text),
            ErrorKind::Extension => Self::extension(&error, text),
            ErrorKind::InvalidClientConfig => Self::Misconfigured(text),
            // So it is during a failover, too: tried again soon.
            ErrorKind::MasterNameNotFoundBySentinel => Self::WrongServer(format!(
                "no Sentinel that answers knows a primary of that name that can be reached ({text})"
            )),
            ErrorKind::ClusterConnectionNotFound => Self::Away(text),
            ErrorKind::Io if untrusted(&error) => {
                Self::Misconfigured(format!("TLS failed: {text}"))
            }
            _ => Self::NoAnswer(text),
        }
    }
}

impl Failure {
    /// An error by a code that the client does not know.
    fn extension(error: &RedisError, text: String) -> Self {
        match error.code() {
            Some("NOAUTH" | "WRONGPASS") => Self::LoggedOut(format!(
                "the server wants a user and password: give --remote-user and --remote-password-file ({text})"
            )),
            _ => Self::Refused(text),
        }
    }
}

/// Whether one side did not accept the other's certificate: that is an I/O
/// error of bytes that came but are not good.
fn untrusted(error: &RedisError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}
