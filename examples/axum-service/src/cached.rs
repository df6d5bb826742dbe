//! Users as the fleet sees them: the row of a user is cached once for every
//! service and pod that reads it.
//!
//! After [`Users::changed`] returns, no read that begins later, in any service,
//! gives the older row as fresh. Does not write: that is the database's.

use crate::database::{Database, User};
use std::time::Duration;
use unstale::{
    Ack, Cache, Codec, EntryOptions, Error, Invalidate, LoadError, LoadOptions, Typed, TypedLoad,
};

/// A bound for a row that changed behind the services' back.
const TTL: Duration = Duration::from_secs(300);
/// The same for "there is no such user".
const NEGATIVE_TTL: Duration = Duration::from_secs(30);

/// The users, and their cached pages.
pub(crate) struct Users {
    pub(crate) database: Database,
    rows: Typed<User>,
    pub(crate) pages: Cache,
}

impl Users {
    pub(crate) fn new(database: Database, rows: Cache, pages: Cache) -> Self {
        // JSON, for every language reads it.
        let rows = rows.typed(Codec::Json);
        Self {
            database,
            rows,
            pages,
        }
    }

    /// The user from the cache; the first of the fleet to ask reads the row.
    pub(crate) async fn find(
        &self,
        id: i32,
    ) -> Result<Option<User>, LoadError<tokio_postgres::Error>> {
        let options = LoadOptions {
            negative_ttl: Some(NEGATIVE_TTL),
            ..LoadOptions::default()
        };
        let load = || async move { self.database.user(id).await.map(stored) };
        let answer = self.rows.get_or_load(key(id), options, load).await?;
        Ok(answer.result.value)
    }

    /// To be called after the commit; returns when every live pod obeys.
    pub(crate) async fn changed(&self, user: &User) -> Result<(), Error> {
        let row = Invalidate::default()
            .key(key(user.id))
            // Nobody stores an older row than this, such as a replica's.
            .min_source_version(user.source_version())
            .ack(Ack::Fleet);
        let pages = Invalidate::default().tag("users").ack(Ack::Fleet);
        let row = self.rows.cache().invalidate(row);
        tokio::try_join!(row, self.pages.invalidate(pages))?;
        Ok(())
    }
}

/// The FastAPI service has the same.
fn key(id: i32) -> String {
    format!("user:{id}")
}

fn stored(row: Option<User>) -> TypedLoad<User> {
    let Some(user) = row else {
        return TypedLoad::NotFound;
    };
    let version = user.source_version();
    let entry = EntryOptions::default().ttl(TTL).source_version(version);
    TypedLoad::With(Some(user), entry)
}
