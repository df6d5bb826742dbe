//! Planted bugs: each switch removes one safeguard, so that a checker can show
//! that it would notice. Without the cargo feature `planted-bugs` every switch
//! is constant false and the safeguards cannot be removed.

/// Declares the bugs, each with what it takes away: none can be left out of
/// [`Bug::ALL`].
macro_rules! bugs {
    ($($(#[doc = $line:literal])+ $name:ident,)+) => {
        /// One removed safeguard (coherence.md, planted bugs).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Bug {
            $($(#[doc = $line])+ $name,)+
        }

        #[cfg(feature = "planted-bugs")]
        impl Bug {
            /// Every bug.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it does, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($line,)+).trim_ascii(),)+
                }
            }
        }
    };
}

bugs! {
    /// A pod says its word before it has processed the record.
    WordBeforeProcessed,
    /// The session is fresh as soon as the Beat was acknowledged.
    BeatWithoutEcho,
    /// The session is counted from the echo, not from before the append.
    SessionFromEcho,
    /// No drift margin in D.
    NoDriftMargin,
    /// The log's first retained sequence is not checked after an echo.
    FirstNotChecked,
    /// An expelled session counts as ended at once.
    ExpelledAtOnce,
    /// The hit rule skips floors in L1.
    NoFloorsInL1,
    /// The hit rule skips floors in the remote tier.
    NoFloorsInRemote,
    /// `as_of` is taken when the fill arrives, after the source was read.
    AsOfAfterRead,
    /// A joiner does not set its horizon.
    NoHorizon,
    /// A gap in the consumer's numbers is accepted.
    DroppingChannel,
    /// The anchor is not compared.
    AnchorNotVerified,
    /// The epoch is not compared in the hit rule.
    EpochIgnored,
    /// FLEET does not wait for silent pods.
    FleetIgnoresSilent,
    /// FLEET waits only for the sessions whose word was heard before.
    FleetStaleList,
    /// No pending cover while an own invalidation is under way.
    NoPending,
    /// A fill does not look at the floors.
    FillIgnoresFloor,
    /// Tags are not looked at in the hit rule.
    NoTagFloor,
    /// What an entry depends on is not looked at in the hit rule.
    NoDependencyFloor,
    /// A put replaces a value of higher `as_of`.
    PutOverHigher,
    /// A Beat counts before the own Join was processed.
    BeatBeforeJoin,
    /// CompareAndSet appends without its condition, and is not refused at its
    /// own echo.
    UnconditionalCas,
    /// Leave is said while the session still calls entries fresh.
    LeaveBeforeSilence,
    /// A Set with a position below the horizon is accepted.
    PositionBelowHorizon,
    /// Prefixes are not looked at in the hit rule.
    NoPrefixFloor,
    /// A soft invalidation hides the hard floor below it.
    SoftOverridesHard,
    /// A stale entry is answered as if it were fresh.
    StaleUnflagged,
    /// The stale entry inside a marker is judged by the marker's `as_of`.
    StaleByMarker,
    /// A negative entry is answered without being judged.
    NegativeNotJudged,
    /// A source version below the highest known one is accepted.
    OlderSourceVersion,
    /// STRONG reads without its barrier.
    StrongWithoutBarrier,
    /// A Set of equal content revives an entry without judging it.
    RefreshNotJudged,
    /// An entry's ttl is not judged.
    ExpiryNotJudged,
    /// All keys of a batch get one token.
    OneTokenForABatch,
    /// `if_none_match` is compared before the entry is judged.
    NotModifiedNotJudged,
    /// A Watch's filter on tags drops invalidations of keys it did not name.
    FilterDropsKeys,
    /// A session is fresh from its Join on, before its first echo.
    FreshBeforeEcho,
    /// The session is counted from the ack of its Beat.
    SessionFromAck,
    /// The hit rule skips floors for what a joined flight brought.
    NoFloorsInFlight,
    /// A fill's `as_of` is the revision of its marker in the remote tier.
    AsOfFromAnotherCounter,
    /// A prefix that makes room in the full table leaves no floor behind.
    PrefixFloorsForgotten,
    /// A namespace that makes room in the full table leaves no floor behind.
    NamespaceFloorsForgotten,
    /// A new incarnation skips the record after the last processed one.
    ResumeOffByOne,
    /// An incarnation goes on across a reconnect.
    AcrossReconnect,
    /// An incarnation is never replaced for its age.
    OldIncarnation,
    /// A log whose server's clock went back is read on without a new epoch.
    SetBackIgnored,
    /// How long ago an epoch began is the difference of two stamps.
    AgeByStamps,
    /// A log that went backwards is read on without a new epoch.
    BackwardIgnored,
    /// Each pod stamps and judges ends by its own clock.
    ExpiryByOwnClock,
    /// A marker of equal or higher `as_of` outranks a Set.
    MarkerOutranksSet,
    /// A session lives on whose newest Join is overdue.
    OverdueJoinIgnored,
    /// FLEET is early after an interrupted reading or a new epoch.
    FleetEarly,
    /// FLEET of a joiner is early before it has replayed the log.
    FleetBeforeReplay,
    /// A CompareAndSet without an answer is appended anew, compared no more.
    CasRetried,
    /// The source version of what an invalidation deleted is forgotten.
    OlderVersionAfterDeletion,
    /// Tokens are numbers that begin again when the pod does.
    TokenReused,
    /// The identity in a stored record is not compared.
    KeyNotChecked,
    /// A Set without an answer is repeated as one of now.
    SetReplayed,
    /// A write stands though a cover may have been discarded unread.
    WriteNotConfirmed,
    /// The end of a consumer is not taken note of.
    ConsumerErrorSwallowed,
    /// An append that the log only calls under way keeps its id for as long.
    HeldForEver,
}

/// Which bug is planted, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs(#[cfg(feature = "planted-bugs")] Option<Bug>);

impl Bugs {
    /// No bug: the only value there is outside tests.
    #[cfg(not(feature = "planted-bugs"))]
    pub const NONE: Self = Self();
    /// No bug.
    #[cfg(feature = "planted-bugs")]
    pub const NONE: Self = Self(None);

    /// Plants a bug.
    #[cfg(feature = "planted-bugs")]
    pub const fn plant(bug: Bug) -> Self {
        Self(Some(bug))
    }

    /// Whether this bug is planted.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    /// Whether this bug is planted: never.
    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) const fn has(self, _bug: Bug) -> bool {
        false
    }
}
