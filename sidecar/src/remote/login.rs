//! Who a tier's servers are told this is, and whom it believes.
//!
//! Files are read at every connection, so that rotated secrets are picked up.
//! No secret is in `Debug` output, in an error text or in a log line.

use std::fmt;
use std::path::{Path, PathBuf};

/// User and password, and the files of TLS.
#[derive(Clone, Default)]
pub struct Login {
    /// User name; with a password and none of it, the server's default user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// A file with the password; wins over `password`.
    pub password_file: Option<PathBuf>,
    /// Certificate authorities (PEM), instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM).
    pub cert_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub key_file: Option<PathBuf>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("password_file", &self.password_file)
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .finish()
    }
}

impl Login {
    /// The password, if there is one, or which file cannot be read.
    pub(super) async fn password(&self) -> Result<Option<String>, String> {
        let Some(file) = &self.password_file else {
            return Ok(self.password.clone());
        };
        let text = read(file, "--remote-password-file").await?;
        let text = String::from_utf8(text);
        let text = text.map_err(|_| format!("{} is not UTF-8 text", file.display()))?;
        // Files usually end with a line end that is not part of the password.
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// The content of a file, or which one cannot be read.
pub(super) async fn read(file: &Path, flag: &str) -> Result<Vec<u8>, String> {
    let read = tokio::fs::read(file).await;
    read.map_err(|e| format!("{flag} {}: {e}", file.display()))
}
