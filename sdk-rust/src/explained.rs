//! The words of an explanation.

use std::fmt;
use unstale_proto::v1;

/// An enum of the contract, with its words; what this client does not know yet
/// is `Other`.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// The word of the contract.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How a pod judges an entry.
    ///
    /// ```
    /// assert_eq!(unstale::Judgement::Stale.to_string(), "STALE");
    /// ```
    Judgement {
        /// It is answered as fresh.
        Fresh = "FRESH",
        /// It is answered, flagged, to who takes stale values.
        Stale = "STALE",
        /// It is never answered again.
        Dead = "DEAD",
        /// The pod has begun a change of it that is not decided.
        Pending = "PENDING",
        /// It is newer than what the pod has processed.
        Ahead = "AHEAD",
        /// The pod does not know enough yet.
        Unjudged = "UNJUDGED",
        /// What this client does not know yet.
        Other = "OTHER",
    }
}

words! {
    /// What decides a judgement.
    ///
    /// ```
    /// assert_eq!(unstale::Decider::Ttl.to_string(), "TTL");
    /// ```
    Decider {
        /// Nothing speaks against it.
        Nothing = "NOTHING",
        /// A floor above its `as_of`.
        Floor = "FLOOR",
        /// It was stored in another epoch of the log.
        Epoch = "EPOCH",
        /// Its ttl has passed.
        Ttl = "TTL",
        /// All that it may be served for has passed.
        End = "END",
        /// The pod's session is not fresh.
        Session = "SESSION",
        /// A change that the pod has begun is under way.
        UnderWay = "UNDER_WAY",
        /// Its `as_of` is above the pod's position.
        Position = "POSITION",
        /// The pod still replays the log, or has not opened it.
        Replay = "REPLAY",
        /// The pod does not know the log's time yet.
        LogTime = "LOG_TIME",
    }
}

words! {
    /// What a floor is one of.
    ///
    /// ```
    /// assert_eq!(unstale::FloorKind::Tag.to_string(), "TAG");
    /// ```
    FloorKind {
        /// The key.
        Key = "KEY",
        /// A tag.
        Tag = "TAG",
        /// A prefix of the key.
        Prefix = "PREFIX",
        /// The namespace.
        Namespace = "NAMESPACE",
        /// Everything.
        Everything = "EVERYTHING",
        /// The part of the log below it was not read.
        Horizon = "HORIZON",
        /// The origin's version of the key.
        SourceVersion = "SOURCE_VERSION",
        /// A key that the entry depends on.
        DependencyKey = "DEPENDENCY_KEY",
        /// A tag of what the entry depends on.
        DependencyTag = "DEPENDENCY_TAG",
        /// A prefix of a key that the entry depends on.
        DependencyPrefix = "DEPENDENCY_PREFIX",
        /// What this client does not know yet.
        Other = "OTHER",
    }
}

words! {
    /// Who gave a duration.
    ///
    /// ```
    /// assert_eq!(unstale::Giver::Namespace.to_string(), "NAMESPACE");
    /// ```
    Giver {
        /// It was not stored.
        Unknown = "UNKNOWN",
        /// The call that wrote the entry.
        Writer = "WRITER",
        /// The namespace.
        Namespace = "NAMESPACE",
        /// The namespace's `negative_ttl`.
        NegativeTtl = "NEGATIVE_TTL",
        /// An abandoned load that lets the entry be served for longer.
        FailSafe = "FAIL_SAFE",
        /// The namespace's `adaptive_ttl`.
        Adaptive = "ADAPTIVE",
    }
}

words! {
    /// What cut a learned ttl.
    ///
    /// ```
    /// assert_eq!(unstale::TtlBound::FamilyShare.to_string(), "FAMILY_SHARE");
    /// ```
    TtlBound {
        /// Nothing.
        Nothing = "NOTHING",
        /// The namespace's shortest ttl.
        Min = "MIN",
        /// The namespace's longest ttl.
        Max = "MAX",
        /// What a single family may have stale.
        FamilyShare = "FAMILY_SHARE",
    }
}

impl From<v1::TtlBound> for TtlBound {
    fn from(told: v1::TtlBound) -> Self {
        match told {
            v1::TtlBound::Unspecified => Self::Nothing,
            v1::TtlBound::Min => Self::Min,
            v1::TtlBound::Max => Self::Max,
            v1::TtlBound::FamilyShare => Self::FamilyShare,
        }
    }
}

impl From<v1::Judgement> for Judgement {
    fn from(told: v1::Judgement) -> Self {
        match told {
            v1::Judgement::Unspecified => Self::Other,
            v1::Judgement::Fresh => Self::Fresh,
            v1::Judgement::Stale => Self::Stale,
            v1::Judgement::Dead => Self::Dead,
            v1::Judgement::Pending => Self::Pending,
            v1::Judgement::Ahead => Self::Ahead,
            v1::Judgement::Unjudged => Self::Unjudged,
        }
    }
}

impl From<v1::Decider> for Decider {
    fn from(told: v1::Decider) -> Self {
        match told {
            v1::Decider::Unspecified => Self::Nothing,
            v1::Decider::Floor => Self::Floor,
            v1::Decider::Epoch => Self::Epoch,
            v1::Decider::Ttl => Self::Ttl,
            v1::Decider::End => Self::End,
            v1::Decider::Session => Self::Session,
            v1::Decider::UnderWay => Self::UnderWay,
            v1::Decider::Position => Self::Position,
            v1::Decider::Replay => Self::Replay,
            v1::Decider::LogTime => Self::LogTime,
        }
    }
}

impl From<v1::FloorKind> for FloorKind {
    fn from(told: v1::FloorKind) -> Self {
        match told {
            v1::FloorKind::Unspecified => Self::Other,
            v1::FloorKind::Key => Self::Key,
            v1::FloorKind::Tag => Self::Tag,
            v1::FloorKind::Prefix => Self::Prefix,
            v1::FloorKind::Namespace => Self::Namespace,
            v1::FloorKind::Everything => Self::Everything,
            v1::FloorKind::Horizon => Self::Horizon,
            v1::FloorKind::SourceVersion => Self::SourceVersion,
            v1::FloorKind::DependencyKey => Self::DependencyKey,
            v1::FloorKind::DependencyTag => Self::DependencyTag,
            v1::FloorKind::DependencyPrefix => Self::DependencyPrefix,
        }
    }
}

impl From<v1::Giver> for Giver {
    fn from(told: v1::Giver) -> Self {
        match told {
            v1::Giver::Unspecified => Self::Unknown,
            v1::Giver::Writer => Self::Writer,
            v1::Giver::Namespace => Self::Namespace,
            v1::Giver::NegativeTtl => Self::NegativeTtl,
            v1::Giver::FailSafe => Self::FailSafe,
            v1::Giver::Adaptive => Self::Adaptive,
        }
    }
}
