//! The gRPC contract of unstale: generated messages, clients and servers.
//!
//! Nothing is written by hand here. `tests/bootstrap.rs` regenerates
//! `src/gen` from `unstale/v1/*.proto` and fails when they differ; no protoc
//! is needed, neither to build nor to regenerate.

/// Messages and services of package `unstale.v1`.
#[allow(clippy::all, missing_docs, unreachable_pub)]
pub mod v1 {
    include!("gen/unstale.v1.rs");
}

/// The encoded descriptor set, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");
