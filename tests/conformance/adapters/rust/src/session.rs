//! What the adapter holds between calls: clients, streams, loaders.

use crate::args::Lane;
use crate::gates::Gates;
use crate::{Answered, Refused, args, calls, load, say};
use futures::StreamExt as _;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as Turn;
use unstale::{Cache, Watch, WatchEvent};

type Map<T> = Mutex<HashMap<String, T>>;

/// One runner's session.
#[derive(Default)]
pub(crate) struct Session {
    clients: Map<Cache>,
    streams: Map<Arc<Turn<Watch>>>,
    gates: Gates,
    lane: Lane,
}

fn with<T, R>(map: &Map<T>, does: impl FnOnce(&mut HashMap<String, T>) -> R) -> R {
    does(&mut map.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Session {
    /// One whose clients use this lane.
    pub(crate) fn over(lane: Lane) -> Self {
        Self {
            lane,
            ..Self::default()
        }
    }

    /// Makes the call.
    pub(crate) async fn answer(&self, request: &Json) -> Answered {
        let args = &request["args"];
        let client = request["client"].as_str().unwrap_or_default();
        match request["call"].as_str().unwrap_or_default() {
            "hello" => Ok(json!({
                "sdk": "rust", "version": env!("CARGO_PKG_VERSION"),
                "has": ["tokens", "renew", "whole_batches", "repeated_keys"],
            })),
            "open" => {
                let cache = args::client(args, self.lane).await?;
                with(&self.clients, |map| map.insert(client.to_owned(), cache));
                Ok(json!({}))
            }
            "forget" => Ok(self.forget(args::text(args, "prefix"))),
            "loads" => Ok(json!({"begun": self.gates.begun(args::text(args, "loader"))})),
            "release" => {
                self.gates.release(args::text(args, "gate"));
                Ok(json!({}))
            }
            "next" => self.next(args::text(args, "stream")).await,
            "close" => {
                with(&self.streams, |map| map.remove(args::text(args, "stream")));
                Ok(json!({}))
            }
            "watch" => self.watch(&self.client(client), args).await,
            "get_or_load" => load::get_or_load(&self.client(client), &self.gates, args).await,
            call => calls::call(&self.client(client), call, args).await,
        }
    }

    fn client(&self, name: &str) -> Cache {
        let known = with(&self.clients, |map| map.get(name).cloned());
        known.expect("the runner opens a client before it uses it")
    }

    async fn watch(&self, cache: &Cache, args: &Json) -> Answered {
        let watch = cache.watch(args::watch(args)).await;
        let mut watch = watch.map_err(|e| say::refused(&e))?;
        match watch.next().await {
            Some(Ok(WatchEvent::Started { .. })) => {}
            Some(Err(error)) => return Err(say::refused(&error)),
            other => return Err(Refused::Unsupported(format!("a first event {other:?}"))),
        }
        let name = args::text(args, "stream").to_owned();
        let watch = Arc::new(Turn::new(watch));
        with(&self.streams, |map| map.insert(name, watch));
        Ok(json!({}))
    }

    async fn next(&self, name: &str) -> Answered {
        let known = with(&self.streams, |map| map.get(name).cloned());
        let stream = known.expect("the runner watches before it asks for events");
        let mut stream = stream.lock().await;
        loop {
            match stream.next().await {
                Some(Ok(WatchEvent::Heartbeat { .. })) => {}
                Some(Ok(event)) => return Ok(say::event(&event)),
                Some(Err(error)) => return Err(say::refused(&error)),
                None => return Err(Refused::Error(json!({"kind": "unreachable"}))),
            }
        }
    }

    fn forget(&self, prefix: &str) -> Json {
        self.gates.forget(prefix);
        with(&self.streams, |map| {
            map.retain(|name, _| !name.starts_with(prefix))
        });
        with(&self.clients, |map| {
            map.retain(|name, _| !name.starts_with(prefix))
        });
        json!({})
    }
}
