//! The `redis` crate's multiplexed connection.

use super::Swapped;
use crate::Result;
use bytes::Bytes;
use redis::Script;
use redis::aio::MultiplexedConnection;
use std::sync::LazyLock;

/// Compare and set by value, the usual script.
static SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then \
         redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0",
    )
});

/// One connection, however many share it.
#[derive(Clone)]
pub(super) struct Redis(MultiplexedConnection);

impl Redis {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let client = redis::Client::open(url)?;
        Ok(Self(client.get_multiplexed_async_connection().await?))
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let mut get = redis::cmd("GET");
        Ok(get.arg(key).query_async(&mut self.0.clone()).await?)
    }

    pub(super) async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("EX").arg(300);
        Ok(set.exec_async(&mut self.0.clone()).await?)
    }

    pub(super) async fn many(&self, keys: &[String], bytes: usize) -> Result<()> {
        let mut get = redis::cmd("MGET");
        get.arg(keys);
        let values: Vec<Vec<u8>> = get.query_async(&mut self.0.clone()).await?;
        match values.iter().all(|value| value.len() == bytes) && values.len() == keys.len() {
            true => Ok(()),
            false => Err("MGET: not all values".into()),
        }
    }

    pub(super) async fn swap(&self, key: &str, last: Swapped, value: Bytes) -> Result<Swapped> {
        if last.value.is_empty() {
            self.set(key, &value).await?;
        } else {
            let mut swap = SWAP.key(key);
            let swap = swap.arg(&last.value[..]).arg(&value[..]);
            let swapped: u8 = swap.invoke_async(&mut self.0.clone()).await?;
            if swapped == 0 {
                return Err("not swapped".into());
            }
        }
        Ok(Swapped { value, version: 0 })
    }

    pub(super) async fn lock(&self, key: &str) -> Result<bool> {
        let mut lock = redis::cmd("SET");
        lock.arg(lock_of(key))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(10_000);
        let locked: Option<String> = lock.query_async(&mut self.0.clone()).await?;
        Ok(locked.is_some())
    }

    pub(super) async fn load(&self, key: &str, value: &[u8]) -> Result<()> {
        if self.get(key).await?.is_some() || !self.lock(key).await? {
            return Err(format!("{key} is there already").into());
        }
        let mut store = redis::pipe();
        store.cmd("SET").arg(key).arg(value).arg("EX").arg(300);
        store.cmd("DEL").arg(lock_of(key));
        Ok(store.exec_async(&mut self.0.clone()).await?)
    }
}

fn lock_of(key: &str) -> String {
    format!("lock:{key}")
}
