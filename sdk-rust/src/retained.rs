//! A reference in a caller's hands: renewed for as long as it is held, released
//! when it is dropped. Best effort: when the sidecar cannot be told, the term ends
//! the reference.

use crate::renewing::{Renewing, Turn};
use crate::retain::{Reference, Released, RetainOptions, TERM};
use crate::{Cache, Error};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// What releasing a reference that was dropped may take.
const RELEASE: Duration = Duration::from_secs(2);

/// A reference to a key that is kept up. Dropping it releases the key in the
/// background; [`Retained::release`] waits for that.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// let model = cache.retain("model:7").await?;
/// // Work with the entry: no pod evicts it, while there is room.
/// model.release().await?;
/// # Ok(())
/// # }
/// ```
pub struct Retained {
    cache: Cache,
    key: String,
    owner: String,
    /// None once it was released.
    runtime: Option<Handle>,
    renewing: Option<Renewing>,
    newest: watch::Receiver<Option<Reference>>,
}

impl Retained {
    /// The owner's name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let model = cache.retain("model:7").await?;
    /// assert_eq!(model.owner().len(), 32, "drawn at random");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What the newest renewal told; none while the sidecar cannot be reached (it
    /// is tried on).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let model = cache.retain("model:7").await?;
    /// let others = model.newest().map(|told| told.references - 1);
    /// # let _ = others;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn newest(&self) -> Option<Reference> {
        self.newest.borrow().clone()
    }

    /// Ends the reference, and says what that came to.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let options = unstale::RetainOptions::default().drop_at_zero();
    /// let report = cache.retain_with("report:7", options).await?;
    /// report.release().await?; // whoever is the last drops the entry
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Cache::release`]; the reference then ends with its term.
    pub async fn release(mut self) -> Result<Released, Error> {
        // One that is under way must not come after it.
        if let Some(renewing) = self.renewing.take() {
            renewing.end().await;
        }
        let released = self.cache.release(&self.key, &self.owner).await;
        if released.is_ok() {
            self.runtime = None;
        }
        released
    }
}

/// Keys are nobody's business.
impl Debug for Retained {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retained").finish_non_exhaustive()
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let (cache, renewing) = (self.cache.clone(), self.renewing.take());
        let (key, owner) = (
            std::mem::take(&mut self.key),
            std::mem::take(&mut self.owner),
        );
        runtime.spawn(async move {
            let _ = timeout(RELEASE, async {
                if let Some(renewing) = renewing {
                    renewing.end().await;
                }
                cache.release(key, owner).await
            })
            .await;
        });
    }
}

impl Cache {
    /// Refers to a key for as long as the guard lives: while anybody refers to it,
    /// no pod evicts its entry, within a bounded share of L1. The entry's ttl and
    /// invalidations end it as ever.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let model = cache.retain("model:7").await?;
    /// drop(model); // released in the background
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Cache::retain_with`].
    pub async fn retain(&self, key: impl Into<String>) -> Result<Retained, Error> {
        self.retain_with(key, RetainOptions::default()).await
    }

    /// [`Cache::retain`] with options. Renewed in the background at a third of the
    /// term; an owner that dies is not counted any more when its term has passed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use std::time::Duration;
    /// use unstale::RetainOptions;
    ///
    /// let options = RetainOptions::default().term(Duration::from_secs(60));
    /// let model = cache.retain_with("model:7", options).await?;
    /// # let _ = model;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. Without a sidecar there is a guard that has not told anybody
    /// yet ([`Retained::newest`] is none) and tries on, unless
    /// [`crate::Builder::strict`]. Dropped, a reference may be left that ends with
    /// its term.
    pub async fn retain_with(
        &self,
        key: impl Into<String>,
        options: RetainOptions,
    ) -> Result<Retained, Error> {
        let key = key.into();
        let owner = options.owner.clone().unwrap_or_else(random_name);
        let first = self.first(&key, &owner, options.clone()).await?;
        let (told, newest) = watch::channel(first);
        let renewing = self.keep_up((&key, &owner), options, told);
        Ok(Retained {
            cache: self.clone(),
            key,
            owner,
            runtime: Handle::try_current().ok(),
            renewing: Some(renewing),
            newest,
        })
    }

    /// The first renewal; none when the sidecar is away and the policy is to go on.
    async fn first(
        &self,
        key: &str,
        owner: &str,
        options: RetainOptions,
    ) -> Result<Option<Reference>, Error> {
        let first = async move || self.retain_as(key, owner, options).await;
        if self.has_no_sidecar() {
            return first().await.map(Some);
        }
        match self.attempt(first).await {
            Ok(reference) => Ok(Some(reference)),
            Err(error) if self.goes_on(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keep_up(
        &self,
        (key, owner): (&str, &str),
        options: RetainOptions,
        told: watch::Sender<Option<Reference>>,
    ) -> Renewing {
        let known = told.borrow().as_ref().map(|first| first.term);
        let term = known.or(options.term).unwrap_or(TERM);
        let renewal = Renewal {
            cache: self.clone(),
            key: key.to_owned(),
            owner: owner.to_owned(),
            options,
            told,
        };
        let renewal = Arc::new(renewal);
        Renewing::every(term, move || renewal.clone().turn())
    }
}

/// What is said again and again.
struct Renewal {
    cache: Cache,
    key: String,
    owner: String,
    options: RetainOptions,
    told: watch::Sender<Option<Reference>>,
}

impl Renewal {
    async fn turn(self: Arc<Self>) -> Turn {
        let (key, owner) = (self.key.as_str(), self.owner.as_str());
        let renewed = self.cache.retain_as(key, owner, self.options.clone());
        let renewed = renewed.await;
        let turn = match &renewed {
            Ok(reference) => Turn::Lasts(reference.term),
            // What is wrong with it stays wrong.
            Err(Error::Invalid { .. }) => Turn::Over,
            Err(_) => Turn::Again,
        };
        self.told.send_replace(renewed.ok());
        turn
    }
}

/// A name that nobody else draws: 128 bits in hex.
fn random_name() -> String {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system gives random bits");
    format!("{:032x}", u128::from_be_bytes(bits))
}
