//! The users in PostgreSQL, over one connection, which pipelines.
//!
//! Says in the log how often it was asked to read. Knows nothing of the cache.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_postgres::{Client, Error, NoTls, Row};

/// A row, and what is cached of it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct User {
    pub(crate) id: i32,
    name: String,
    version: i64,
}

impl User {
    pub(crate) fn source_version(&self) -> u64 {
        self.version.cast_unsigned()
    }
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            version: row.get("version"),
        }
    }
}

pub(crate) struct Database {
    client: Client,
    reads: AtomicU64,
}

impl Database {
    /// `url` as PostgreSQL writes it.
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("PostgreSQL is gone: {error}");
            }
        });
        let reads = AtomicU64::new(0);
        Ok(Self { client, reads })
    }

    pub(crate) async fn user(&self, id: i32) -> Result<Option<User>, Error> {
        self.counts(&format!("user {id}"));
        let sql = "SELECT id, name, version FROM users WHERE id = $1";
        let row = self.client.query_opt(sql, &[&id]).await?;
        Ok(row.map(User::from))
    }

    pub(crate) async fn all(&self) -> Result<Vec<User>, Error> {
        self.counts("all users");
        let sql = "SELECT id, name, version FROM users ORDER BY id";
        let rows = self.client.query(sql, &[]).await?;
        Ok(rows.into_iter().map(User::from).collect())
    }

    /// Committed when it returns: a statement is a transaction.
    pub(crate) async fn save(&self, id: i32, name: &str) -> Result<User, Error> {
        let sql = "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (id) \
                   DO UPDATE SET name = excluded.name, version = users.version + 1 \
                   RETURNING id, name, version";
        let row = self.client.query_one(sql, &[&id, &name]).await?;
        Ok(row.into())
    }

    fn counts(&self, what: &str) {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        println!("asked PostgreSQL for {what} (read {reads} of this service)");
    }
}
