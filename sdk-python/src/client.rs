//! The connection, and one method per call of the contract.
//!
//! It connects at the first call, and anew in a forked child: what belonged to
//! the parent is left untouched there, not even closed.

use crate::asking::{Asked, ask, asking, held_many};
use crate::call::Call;
use crate::entry::{Fetched, fetched};
use crate::error::raised;
use crate::link::Link;
use crate::options::{Store, ack, content, expected, level, mode, seconds, stored};
use crate::reply::Reply;
use crate::retained::Held;
use crate::runtime;
use pyo3::prelude::*;
use std::pin::pin;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unstale::{
    Builder, Cache, Error, Invalidate, ReadOptions, RetainOptions, SetItem, SetOptions,
    WatchOptions,
};

/// A client of one sidecar and namespace.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Client {
    builder: Builder,
    timeout: Option<Duration>,
    /// Whether callers would rather wait than go on without the sidecar.
    strict: bool,
    link: Mutex<Option<Arc<Link>>>,
}

impl Client {
    /// This process's connection. Taken with the GIL held and never across its
    /// release, so that no fork finds the lock locked.
    fn link(&self, py: Python<'_>) -> PyResult<Arc<Link>> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = link.as_ref().filter(|link| link.pid == process::id()) {
            return Ok(link.clone());
        }
        let driver = runtime::current(py)?;
        // The parent's is not dropped: that would touch its event queue.
        std::mem::forget(link.take());
        let fresh = Link::new(driver, self.builder.clone(), self.timeout);
        Ok(link.insert(fresh).clone())
    }

    /// A call whose failure is always told.
    fn call<W, F>(&self, py: Python<'_>, work: F) -> PyResult<Call>
    where
        W: Future<Output = Result<Reply, Error>> + Send,
        F: FnOnce(Cache) -> W + Send + 'static,
    {
        let link = self.link(py)?;
        let driver = link.driver;
        Ok(Call::of(driver, async move {
            work(link.cache().await?.clone()).await
        }))
    }

    /// A call that its caller can go on without, unless strict.
    fn attempt<W, F>(&self, py: Python<'_>, work: F) -> PyResult<Call>
    where
        W: Future<Output = Result<Reply, Error>> + Send,
        F: FnOnce(Cache) -> W + Send + 'static,
    {
        if self.strict {
            return self.call(py, work);
        }
        let link = self.link(py)?;
        let driver = link.driver;
        Ok(Call::of(driver, async move {
            let call = async { work(link.cache().await?.clone()).await };
            link.attempt(call).await
        }))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let link = self.link.get_mut().unwrap_or_else(PoisonError::into_inner);
        if link.as_ref().is_some_and(|link| link.pid != process::id()) {
            std::mem::forget(link.take());
        }
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (endpoint, namespace, timeout, keep_alive, strict, sidecar=true))]
    fn new(
        endpoint: Option<String>,
        namespace: &str,
        timeout: Option<f64>,
        keep_alive: Option<f64>,
        strict: bool,
        sidecar: bool,
    ) -> PyResult<Self> {
        // What to do about failures is decided in Python.
        let mut builder = Cache::builder().namespace(namespace).strict();
        if !sidecar {
            builder = builder.no_sidecar();
        }
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint(endpoint);
        }
        let timeout = seconds(timeout)?;
        if let Some(timeout) = timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(keep_alive) = seconds(keep_alive)? {
            builder = builder.keep_alive(keep_alive);
        }
        let link = Mutex::default();
        Ok(Self {
            builder,
            timeout,
            strict,
            link,
        })
    }

    /// A call that connects, if no other call did.
    fn connect(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(py, |_| async { Ok(Reply::Nothing) })
    }

    /// A call that tells what the sidecar is doing.
    fn status(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(py, |cache| async move {
            Ok(Reply::Status(Box::new(cache.status().await?)))
        })
    }

    /// A call that tells who is in the fleet.
    fn peers(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(
            py,
            |cache| async move { Ok(Reply::Peers(cache.peers().await?)) },
        )
    }

    /// A call that tells why the entry under a key is served, or is not.
    fn explain(&self, py: Python<'_>, key: String) -> PyResult<Call> {
        self.call(py, move |cache| async move {
            let told = cache.explain(key).await?;
            Ok(Reply::Explanation(Box::new(told)))
        })
    }

    /// A call that reads one key.
    #[pyo3(signature = (key, level="BOUNDED", max_staleness=None, min_position=None, if_none_match=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: String,
        level: &str,
        max_staleness: Option<f64>,
        min_position: Option<String>,
        if_none_match: Option<String>,
    ) -> PyResult<Call> {
        let mut options = reading(level, max_staleness, min_position)?;
        options.if_none_match = if_none_match;
        self.attempt(py, move |cache| async move {
            Ok(Reply::Lookup(cache.get_with(key, options).await?))
        })
    }

    /// Reads one key at once, as the call that `get` gives and its `wait`: the
    /// data and content type, none when nothing is cached. The shortest way there
    /// is, for what threads do most.
    fn fetch<'py>(
        &self,
        py: Python<'py>,
        key: String,
        level: &str,
        max_staleness: Option<f64>,
        min_position: Option<String>,
    ) -> PyResult<Option<Fetched<'py>>> {
        let options = reading(level, max_staleness, min_position)?;
        let link = self.link(py)?;
        let reading = async {
            let call = async { link.cache().await?.get_with(key, options).await };
            match self.strict {
                true => call.await,
                false => link.attempt(call).await,
            }
        };
        let told = link.driver.wait(py, pin!(reading))?;
        let told = told.map_err(|error| raised(py, error))?;
        Ok(fetched(py, told.result))
    }

    /// A call that reads up to 256 keys.
    #[pyo3(signature = (keys, level="BOUNDED", max_staleness=None, min_position=None))]
    fn get_many(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
        level: &str,
        max_staleness: Option<f64>,
        min_position: Option<String>,
    ) -> PyResult<Call> {
        let options = reading(level, max_staleness, min_position)?;
        self.attempt(py, move |cache| async move {
            Ok(Reply::Lookups(cache.get_many_with(keys, options).await?))
        })
    }

    /// A call that writes one key.
    #[pyo3(signature = (key, data, store, position=None, if_absent=false, ack="LOG"))]
    #[allow(
        clippy::too_many_arguments,
        reason = "a call of Python, with names there"
    )]
    fn set(
        &self,
        py: Python<'_>,
        key: String,
        data: Option<Bound<'_, PyAny>>,
        store: Store,
        position: Option<String>,
        if_absent: bool,
        ack: &str,
    ) -> PyResult<Call> {
        let content = content(data)?;
        let options = SetOptions {
            entry: stored(store)?,
            position,
            if_absent,
            ack: self::ack(ack)?,
        };
        self.attempt(py, move |cache| async move {
            Ok(Reply::Set(cache.set_with(key, content, options).await?))
        })
    }

    /// A call that writes up to 256 keys.
    #[pyo3(signature = (items, ack="LOG"))]
    fn set_many(&self, py: Python<'_>, items: Vec<Item<'_>>, ack: &str) -> PyResult<Call> {
        let ack = self::ack(ack)?;
        let items = items.into_iter().map(item).collect::<PyResult<Vec<_>>>()?;
        self.attempt(py, move |cache| async move {
            Ok(Reply::SetMany(cache.set_many(items, ack).await?))
        })
    }

    /// A call that writes one key if what is cached is what is expected:
    /// ("version", V), ("etag", E) or ("absent", "").
    #[pyo3(signature = (key, expect, data, store, ack="LOG"))]
    fn compare_and_set(
        &self,
        py: Python<'_>,
        key: String,
        expect: (String, String),
        data: Option<Bound<'_, PyAny>>,
        store: Store,
        ack: &str,
    ) -> PyResult<Call> {
        let (content, entry, ack) = (content(data)?, stored(store)?, self::ack(ack)?);
        let expected = expected(&expect.0, expect.1)?;
        self.call(py, move |cache| async move {
            let swap = cache.compare_and_set(key, expected, content, entry, ack);
            Ok(Reply::Cas(swap.await?))
        })
    }

    /// A call that reads one key, or obtains the right to load it, waiting up
    /// to `wait` seconds for another loader. With `attempt`, its caller can go
    /// on without, and is told to ("alone") when others will have nothing to
    /// share.
    #[pyo3(signature = (key, term=None, wait=0.0, min_position=None, allow_stale=true, attempt=false))]
    #[allow(
        clippy::too_many_arguments,
        reason = "a call of Python, with names there"
    )]
    fn lease(
        &self,
        py: Python<'_>,
        key: String,
        term: Option<f64>,
        wait: f64,
        min_position: Option<String>,
        allow_stale: bool,
        attempt: bool,
    ) -> PyResult<Call> {
        let asked = Asked {
            options: asking(term, wait, min_position)?,
            allow_stale,
            apart: attempt,
            attempt: attempt && !self.strict,
        };
        let link = self.link(py)?;
        Ok(Call::of(link.driver, ask(link, key, asked)))
    }

    /// Asks for one key at once, as the call that `lease` gives with `attempt`,
    /// and its `wait`: of what is cached the data and content type, an answer in
    /// every other case. The shortest way there is, as `fetch`.
    fn obtain(
        &self,
        py: Python<'_>,
        key: String,
        term: Option<f64>,
        wait: f64,
        min_position: Option<String>,
        allow_stale: bool,
    ) -> PyResult<Py<PyAny>> {
        let asked = Asked {
            options: asking(term, wait, min_position)?,
            allow_stale,
            apart: true,
            attempt: !self.strict,
        };
        let link = self.link(py)?;
        let driver = link.driver;
        let reply = driver.wait(py, pin!(ask(link, key, asked)))?;
        reply.map_err(|error| raised(py, error))?.brief(py)
    }

    /// A call that reads up to 256 keys, or obtains the right to load them,
    /// waiting up to `wait` seconds for other loaders.
    #[pyo3(signature = (keys, term=None, wait=0.0, min_position=None))]
    fn lease_many(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
        term: Option<f64>,
        wait: f64,
        min_position: Option<String>,
    ) -> PyResult<Call> {
        let options = asking(term, wait, min_position)?;
        let driver = runtime::current(py)?;
        self.call(py, move |cache| async move {
            let leased = cache.lease_many(keys.clone(), options).await?;
            Ok(held_many(driver, &cache, &keys, leased))
        })
    }

    /// A call that makes entries unreadable, or softly stale, everywhere.
    #[pyo3(signature = (keys, tags, prefixes, all, mode, ack, id, reason, min_source_version, traceparent))]
    #[allow(
        clippy::too_many_arguments,
        reason = "a call of Python, with names there"
    )]
    fn invalidate(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
        tags: Vec<String>,
        prefixes: Vec<String>,
        all: bool,
        mode: &str,
        ack: &str,
        id: Option<String>,
        reason: String,
        min_source_version: Option<u64>,
        traceparent: String,
    ) -> PyResult<Call> {
        let what = Invalidate {
            keys,
            tags,
            prefixes,
            all,
            mode: self::mode(mode)?,
            min_source_version,
            ack: self::ack(ack)?,
            id,
            reason,
            traceparent,
        };
        self.call(py, move |cache| async move {
            Ok(Reply::Invalidated(cache.invalidate(what).await?))
        })
    }

    /// A call that refers to a key once, as this owner, or renews that.
    #[pyo3(signature = (key, owner, term=None, drop_at_zero=false))]
    fn retain(
        &self,
        py: Python<'_>,
        key: String,
        owner: String,
        term: Option<f64>,
        drop_at_zero: bool,
    ) -> PyResult<Call> {
        let options = referring(None, term, drop_at_zero)?;
        self.call(py, move |cache| async move {
            let told = cache.retain_as(key, owner, options).await?;
            Ok(Reply::Reference(told))
        })
    }

    /// A call that ends an owner's reference to a key.
    fn release(&self, py: Python<'_>, key: String, owner: String) -> PyResult<Call> {
        self.call(py, move |cache| async move {
            Ok(Reply::Released(cache.release(key, owner).await?))
        })
    }

    /// A call that refers to a key until that is released.
    #[pyo3(signature = (key, owner=None, term=None, drop_at_zero=false))]
    fn retained(
        &self,
        py: Python<'_>,
        key: String,
        owner: Option<String>,
        term: Option<f64>,
        drop_at_zero: bool,
    ) -> PyResult<Call> {
        let options = referring(owner, term, drop_at_zero)?;
        let driver = runtime::current(py)?;
        self.attempt(py, move |cache| async move {
            let guard = cache.retain_with(key, options).await?;
            Ok(Reply::Retained(Box::new(Held::new(driver, guard))))
        })
    }

    /// A call that starts a watch.
    #[pyo3(signature = (position, keys, prefixes, tags))]
    fn watch(
        &self,
        py: Python<'_>,
        position: Option<String>,
        keys: Vec<String>,
        prefixes: Vec<String>,
        tags: Vec<String>,
    ) -> PyResult<Call> {
        let options = WatchOptions {
            position,
            keys,
            prefixes,
            tags,
        };
        self.call(py, move |cache| async move {
            Ok(Reply::Watch(cache.watch(options).await?))
        })
    }
}

/// A write of a batch: key, data, how it is stored, position, if_absent.
type Item<'py> = (
    String,
    Option<Bound<'py, PyAny>>,
    Store,
    Option<String>,
    bool,
);

fn item((key, data, store, position, if_absent): Item<'_>) -> PyResult<SetItem> {
    let mut item = SetItem::new(key, content(data)?).entry(stored(store)?);
    item.position = position;
    item.if_absent = if_absent;
    Ok(item)
}

fn reading(
    name: &str,
    max_staleness: Option<f64>,
    min_position: Option<String>,
) -> PyResult<ReadOptions> {
    Ok(ReadOptions {
        level: level(name)?,
        max_staleness: seconds(max_staleness)?,
        min_position,
        if_none_match: None,
    })
}

fn referring(
    owner: Option<String>,
    term: Option<f64>,
    drop_at_zero: bool,
) -> PyResult<RetainOptions> {
    Ok(RetainOptions {
        owner,
        term: seconds(term)?,
        drop_at_zero,
    })
}
