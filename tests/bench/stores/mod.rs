//! What users would pick instead: Redis, Valkey and memcached, each with a client
//! that does the same work as a sidecar's.

mod memcached;
mod redis;

use self::memcached::Memcached;
use self::redis::Redis;
use crate::Result;
use bytes::Bytes;
use tempfile::TempDir;

/// The servers; dropping them ends them.
pub(crate) struct Stores {
    redis: unstale_tests::Redis,
    valkey: unstale_tests::Redis,
    memcached: unstale_tests::Memcached,
    dir: TempDir,
}

impl Stores {
    /// Starts one of each.
    pub(crate) fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("unstale-bench-")?;
        let socket = |name: &str| dir.path().join(name).display().to_string();
        // Room for every value of every row.
        let memcached = ["-I", "2m", "-m", "1024"];
        Ok(Self {
            redis: unstale_tests::Redis::with(&["--unixsocket", &socket("redis.sock")]),
            valkey: unstale_tests::Redis::valkey_with(&["--unixsocket", &socket("valkey.sock")]),
            memcached: unstale_tests::Memcached::with(&memcached),
            dir,
        })
    }

    /// Redis' and Valkey's sockets.
    pub(crate) fn sockets(&self) -> [(&'static str, String); 2] {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        [
            ("Redis", path("redis.sock")),
            ("Valkey", path("valkey.sock")),
        ]
    }

    /// A client of each, over the transports that it has.
    pub(crate) async fn clients(&self) -> Result<Vec<Store>> {
        let mut all = self.clients_over_sockets().await?;
        for (name, server) in [("Redis", &self.redis), ("Valkey", &self.valkey)] {
            let client = Redis::open(&server.url()).await?;
            all.push(Store::new(
                &format!("{name}, TCP"),
                server.pid(),
                Kind::Redis(client),
            ));
        }
        Ok(all)
    }

    /// The same with one client each: over a Unix socket where it has one.
    pub(crate) async fn clients_over_sockets(&self) -> Result<Vec<Store>> {
        let mut all = Vec::new();
        let servers = [&self.redis, &self.valkey];
        for ((name, socket), server) in self.sockets().iter().zip(servers) {
            let client = Redis::open(&format!("unix://{socket}")).await?;
            let name = format!("{name}, Unix socket");
            all.push(Store::new(&name, server.pid(), Kind::Redis(client)));
        }
        let memcached = Kind::Memcached(Memcached::of(self.memcached.port()));
        all.push(Store::new(
            "memcached, TCP",
            self.memcached.pid(),
            memcached,
        ));
        Ok(all)
    }
}

/// A client of one of them; clones share what it shares.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) name: String,
    pub(crate) pid: u32,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Redis(Redis),
    Memcached(Memcached),
}

impl Store {
    fn new(name: &str, pid: u32, kind: Kind) -> Self {
        let name = name.to_owned();
        Self { name, pid, kind }
    }

    /// Reads a key, whose value must be this one.
    pub(crate) async fn get(&self, key: &str, expected: &[u8]) -> Result<()> {
        match self.read(key).await? {
            Some(value) if value == expected => Ok(()),
            Some(other) => Err(format!("{} bytes of another value", other.len()).into()),
            None => Err(format!("nothing under {key}").into()),
        }
    }

    /// Reads a key.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match &self.kind {
            Kind::Redis(redis) => redis.get(key).await,
            Kind::Memcached(memcached) => memcached.get(key).await,
        }
    }

    /// Writes a key.
    pub(crate) async fn set(&self, key: &str, value: Bytes) -> Result<()> {
        match &self.kind {
            Kind::Redis(redis) => redis.set(key, &value).await,
            Kind::Memcached(memcached) => memcached.set(key, &value).await,
        }
    }

    /// Reads all keys with one request, where the protocol has it; each has a value
    /// of this size.
    pub(crate) async fn many(&self, keys: &[String], bytes: usize) -> Result<()> {
        match &self.kind {
            Kind::Redis(redis) => redis.many(keys, bytes).await,
            Kind::Memcached(memcached) => memcached.many(keys, bytes).await,
        }
    }

    /// Replaces a value if it is the expected one, in one step of the server. The
    /// version is memcached's; Redis compares the value.
    pub(crate) async fn swap(&self, key: &str, last: Swapped, value: Bytes) -> Result<Swapped> {
        match &self.kind {
            Kind::Redis(redis) => redis.swap(key, last, value).await,
            Kind::Memcached(memcached) => memcached.swap(key, last, value).await,
        }
    }

    /// Loads a missing key under a lock, as applications do: look, lock, look at
    /// the origin, store, unlock.
    pub(crate) async fn load(&self, key: &str, value: Bytes) -> Result<()> {
        match &self.kind {
            Kind::Redis(redis) => redis.load(key, &value).await,
            Kind::Memcached(memcached) => memcached.load(key, &value).await,
        }
    }

    /// Takes the lock of a key; whether nobody had it.
    pub(crate) async fn lock(&self, key: &str) -> Result<bool> {
        match &self.kind {
            Kind::Redis(redis) => redis.lock(key).await,
            Kind::Memcached(memcached) => memcached.lock(key).await,
        }
    }
}

/// What the next swap expects.
#[derive(Clone, Default)]
pub(crate) struct Swapped {
    value: Bytes,
    version: u64,
}
