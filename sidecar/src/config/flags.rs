//! The flags of `serve` and `check`. They stay text here: values are judged
//! together with those of the file and the environment, all at once.

use clap::Args;
use std::path::PathBuf;

/// Settings of the sidecar. Each is also a key of the file and a variable:
/// `--l1-bytes`, `l1_bytes`, `UNSTALE_L1_BYTES`.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where gRPC listens on TCP [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where gRPC listens on a Unix socket; "off" for none
    #[arg(long, value_name = "PATH")]
    pub uds: Option<String>,
    /// Where HTTP serves /healthz, /readyz, /metrics [default: 127.0.0.1:7071]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// The fleet's NATS servers, separated by commas
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// The fleet's name; required with --nats
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
    /// The remote tier: memory, nats, redis://HOST, memcached://HOST
    /// [default: nats with --nats]
    #[arg(long, value_name = "TIER")]
    pub remote: Option<String>,
    /// User name at the remote tier's servers
    #[arg(long, value_name = "NAME")]
    pub remote_user: Option<String>,
    /// Password there; better in a file or UNSTALE_REMOTE_PASSWORD
    #[arg(long, value_name = "PASSWORD")]
    pub remote_password: Option<String>,
    /// File with the password there
    #[arg(long, value_name = "FILE")]
    pub remote_password_file: Option<String>,
    /// Certificate authorities of the remote tier's servers (PEM)
    #[arg(long, value_name = "FILE")]
    pub remote_ca: Option<String>,
    /// Client certificate for the remote tier (PEM)
    #[arg(long, value_name = "FILE")]
    pub remote_cert: Option<String>,
    /// Private key of that certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub remote_key: Option<String>,
    /// How long one call to the remote tier may take [default: 500ms]
    #[arg(long, value_name = "DURATION")]
    pub remote_timeout: Option<String>,
    /// How many calls to it are under way at once [default: 1024]
    #[arg(long, value_name = "COUNT")]
    pub remote_concurrency: Option<String>,
    /// When a read of it is asked a second time [default: off]
    #[arg(long, value_name = "DURATION")]
    pub remote_hedge: Option<String>,
    /// From what size on records in it are compressed [default: off]
    #[arg(long, value_name = "SIZE")]
    pub compress_from: Option<String>,
    /// File with the keys that encrypt records in it
    #[arg(long, value_name = "FILE")]
    pub encryption_key_file: Option<String>,
    /// Bound of L1 [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub l1_bytes: Option<String>,
    /// What L1 keeps beside it of what is referred to [default: 25%]
    #[arg(long, value_name = "SHARE")]
    pub l1_pinned_share: Option<String>,
    /// Bound of the memory tier [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub memory_bytes: Option<String>,
    /// How long one beat keeps a session fresh [default: 15s]
    #[arg(long, value_name = "DURATION")]
    pub session_ttl: Option<String>,
    /// ttl of an entry whose writer gives none [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub default_ttl: Option<String>,
    /// Where a prefix may end to cost no more than a tag [default: :/.]
    #[arg(long, value_name = "CHARACTERS")]
    pub prefix_delimiters: Option<String>,
    /// Size of the table of what was invalidated [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub floor_bytes: Option<String>,
    /// How long a drain may take [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub drain: Option<String>,
    /// The name this pod gives itself [default: host name and process id]
    #[arg(long, value_name = "NAME")]
    pub pod: Option<String>,
    /// Logs as text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Which events are logged: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// NATS credentials file
    #[arg(long, value_name = "FILE")]
    pub nats_credentials: Option<String>,
    /// File with the seed of a NATS nkey
    #[arg(long, value_name = "FILE")]
    pub nats_nkey: Option<String>,
    /// NATS user name
    #[arg(long, value_name = "NAME")]
    pub nats_user: Option<String>,
    /// NATS password; better in a file or UNSTALE_NATS_PASSWORD
    #[arg(long, value_name = "PASSWORD")]
    pub nats_password: Option<String>,
    /// File with the NATS password
    #[arg(long, value_name = "FILE")]
    pub nats_password_file: Option<String>,
    /// Certificate authorities of the NATS servers (PEM)
    #[arg(long, value_name = "FILE")]
    pub nats_ca: Option<String>,
    /// Client certificate for NATS (PEM)
    #[arg(long, value_name = "FILE")]
    pub nats_cert: Option<String>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub nats_key: Option<String>,
    /// Replicas of the streams this pod makes: 1, 3 or 5 [default: 1]
    #[arg(long, value_name = "COUNT")]
    pub nats_replicas: Option<String>,
}

impl Flags {
    /// What was given for the setting `name`.
    pub fn given(&self, name: &str) -> Option<&str> {
        let field = match name {
            "listen" => &self.listen,
            "uds" => &self.uds,
            "admin" => &self.admin,
            "nats" => &self.nats,
            "fleet" => &self.fleet,
            "remote" => &self.remote,
            "remote_user" => &self.remote_user,
            "remote_password" => &self.remote_password,
            "remote_password_file" => &self.remote_password_file,
            "remote_ca" => &self.remote_ca,
            "remote_cert" => &self.remote_cert,
            "remote_key" => &self.remote_key,
            "remote_timeout" => &self.remote_timeout,
            "remote_concurrency" => &self.remote_concurrency,
            "remote_hedge" => &self.remote_hedge,
            "compress_from" => &self.compress_from,
            "encryption_key_file" => &self.encryption_key_file,
            "l1_bytes" => &self.l1_bytes,
            "l1_pinned_share" => &self.l1_pinned_share,
            "memory_bytes" => &self.memory_bytes,
            "session_ttl" => &self.session_ttl,
            "default_ttl" => &self.default_ttl,
            "prefix_delimiters" => &self.prefix_delimiters,
            "floor_bytes" => &self.floor_bytes,
            "drain" => &self.drain,
            "pod" => &self.pod,
            "log_format" => &self.log_format,
            "log_level" => &self.log_level,
            "nats_credentials" => &self.nats_credentials,
            "nats_nkey" => &self.nats_nkey,
            "nats_user" => &self.nats_user,
            "nats_password" => &self.nats_password,
            "nats_password_file" => &self.nats_password_file,
            "nats_ca" => &self.nats_ca,
            "nats_cert" => &self.nats_cert,
            "nats_key" => &self.nats_key,
            "nats_replicas" => &self.nats_replicas,
            _ => &None,
        };
        field.as_deref()
    }
}
