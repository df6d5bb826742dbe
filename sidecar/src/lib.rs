//! The sidecar: the shell around [`unstale_engine`]. The engine decides and
//! knows no network; the shell talks and knows no policy.
//!
//! ```text
//! application ── gRPC ──► grpc ─► engine ─► L1
//!                                  │  ▲ └──► remote (memory | NATS | Redis | memcached)
//!                                  ▼  │
//!                                  log, references (local | NATS) ◄──► the other pods
//! people, Kubernetes ── HTTP ──► admin
//! ```
//!
//! One line for a request: grpc → engine → (L1 | remote). One line for
//! coherence: log → engine → L1. [`app`] is the only part that sees all others;
//! [`grpc`], [`remote`], [`log`], [`references`] and [`admin`] never import each other (a test
//! reads the sources); what two of them need has a home of its own ([`keyring`], [`nats`],
//! [`telemetry`]). Every
//! task is spawned in [`shutdown`], every mistake in the settings is found in
//! [`config`], every metric is named in [`telemetry`].

pub mod admin;
pub mod app;
pub mod boottime;
pub mod cli;
pub mod config;
pub mod descriptors;
pub mod entropy;
pub mod findings;
pub mod grpc;
pub mod keyring;
pub mod log;
pub mod nats;
pub mod references;
pub mod remote;
pub mod shutdown;
pub mod telemetry;
pub mod tiers;
