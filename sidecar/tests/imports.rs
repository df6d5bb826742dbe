//! Who may import whom, read from the sources. Cargo keeps the crates apart;
//! this keeps the modules of the shell apart, and each client library at home.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file under a folder of the workspace: its path from there, and
/// its lines without comments.
fn sources(folder: &str) -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                found.push((name, code.map(str::to_owned).collect()));
            }
        }
    }
    assert!(found.len() > 3, "{folder} has moved");
    found
}

/// The lines of `folder` that name `word`, except in files that may.
fn naming(folder: &str, word: &str, may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut all = Vec::new();
    for (file, lines) in sources(folder) {
        let bad = lines
            .iter()
            .filter(|line| line.contains(word) && !may(&file));
        all.extend(bad.map(|line| format!("{file}: {}", line.trim())));
    }
    all
}

/// Whether a file of the sidecar belongs to a module.
fn of(file: &str, module: &str) -> bool {
    file == format!("{module}.rs") || file.starts_with(&format!("{module}/"))
}

#[test]
fn the_parts_of_the_shell_do_not_import_each_other() {
    let parts = ["grpc", "remote", "log", "references", "admin"];
    let below = ["nats", "telemetry", "config", "shutdown"];
    for part in parts {
        let others = parts.iter().filter(|other| **other != part).chain(&below);
        for other in others {
            let bad = naming("sidecar/src", &format!("crate::{part}"), |file| {
                !of(file, other)
            });
            assert!(bad.is_empty(), "{other} imports {part}: {bad:#?}");
        }
    }
}

#[test]
fn nobody_imports_the_whole_but_the_program() {
    let above = |file: &str| ["app.rs", "main.rs"].contains(&file) || of(file, "cli");
    assert_eq!(naming("sidecar/src", "crate::app", above), [""; 0]);
    assert_eq!(naming("sidecar/src", "crate::cli", above), [""; 0]);
}

#[test]
fn every_client_library_is_at_home() {
    let nats = |file: &str| {
        of(file, "nats")
            || of(file, "log/nats")
            || of(file, "references/nats")
            || file == "remote/nats_kv.rs"
    };
    assert_eq!(naming("sidecar/src", "async_nats", nats), [""; 0]);
    // The crate, told from the module by what stands before it.
    let redis = |file: &str| of(file, "remote/redis");
    assert_eq!(naming("sidecar/src", " ::redis", redis), [""; 0]);
    assert_eq!(naming("sidecar/src", "(::redis", redis), [""; 0]);
    assert_eq!(
        naming("sidecar/engine/src", "moka", |file| of(file, "l1")),
        [""; 0]
    );
    let status = |file: &str| of(file, "grpc");
    assert_eq!(naming("sidecar/src", "tonic::Status", status), [""; 0]);
}

#[test]
fn the_engine_and_the_clients_know_no_more_than_they_may() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dependencies = |manifest: &str| {
        let text = fs::read_to_string(folder.join(manifest)).unwrap();
        let from = text.find("[dependencies]").unwrap();
        let rest = &text[from + 1..];
        rest[..rest.find("\n[").unwrap_or(rest.len())].to_owned()
    };
    let engine = dependencies("engine/Cargo.toml");
    for network in [
        "tonic",
        "prost",
        "redis",
        "nats",
        "hyper",
        "opentelemetry",
        "unstale",
    ] {
        assert!(!engine.contains(network), "the engine knows {network}");
    }
    let checker = dependencies("checker/Cargo.toml");
    let mut checker = checker.lines().filter(|line| line.contains('='));
    assert!(
        checker.all(|line| line.contains("optional = true")),
        "the checker is pure"
    );
    let sdk = dependencies("../sdk-rust/Cargo.toml");
    for inner in ["unstale-sidecar", "unstale-engine"] {
        assert!(!sdk.contains(inner), "the SDK knows {inner}");
    }
}
