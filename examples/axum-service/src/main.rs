//! An axum service whose users are cached: reads ask the cache, writes go to
//! PostgreSQL and are then invalidated in the whole fleet.
//!
//! It shares its entries with the FastAPI service beside it: the same
//! namespace, keys and JSON. Without a sidecar it still reads and writes.
//!
//! Does not: pool connections to PostgreSQL, use TLS, know who asks.

mod cached;
mod database;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cached::Users;
use database::Database;
use serde::Deserialize;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use unstale::http::CacheLayer;
use unstale::{Cache, EntryOptions, LoadOptions};

/// Anything that ends a request; told to the log, and to the caller as 500.
struct Failure(Box<dyn Error>);

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
}

async fn read(State(users): State<Arc<Users>>, Path(id): Path<i32>) -> Result<Response, Failure> {
    Ok(match users.find(id).await? {
        Some(user) => Json(user).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

async fn write(
    State(users): State<Arc<Users>>,
    Path(id): Path<i32>,
    Json(new): Json<NewUser>,
) -> Result<Response, Failure> {
    let user = users.database.save(id, &new.name).await?;
    // Committed: from here on the old row must not be read as fresh.
    if let Err(error) = users.changed(&user).await {
        eprintln!("user {id} is saved, but may be seen as it was until its ttl: {error}");
        // PUT may be repeated, and that invalidates again.
        return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
    }
    Ok(Json(user).into_response())
}

/// Runs only when the layer has no page to give.
async fn list(State(users): State<Arc<Users>>) -> Result<Response, Failure> {
    let all = users.database.all().await?;
    // The layer's tags: whoever changes a user invalidates "users".
    Ok(([("surrogate-key", "users")], Json(all)).into_response())
}

fn service(users: Users) -> Router {
    // Whole responses: one load in the fleet, ETag, and 304 to who holds it.
    let page = EntryOptions::default().ttl(Duration::from_secs(60));
    let layer = CacheLayer::new(users.pages.clone()).load(LoadOptions::from(page));
    Router::new()
        .route("/users", get(list).layer(layer))
        .route("/users/{id}", get(read).put(write))
        .with_state(Arc::new(users))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The sidecar of this pod, at UNSTALE_ENDPOINT.
    let outage = |error: &unstale::Error| eprintln!("going on without the cache: {error}");
    let cache = Cache::builder().on_outage(outage);
    let users = Users::new(
        Database::connect(&std::env::var("DATABASE_URL")?).await?,
        cache.clone().namespace("shop").connect().await?,
        cache.namespace("pages").connect().await?,
    );
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    println!("serves on http://{}", listener.local_addr()?);
    axum::serve(listener, service(users)).await?;
    Ok(())
}
