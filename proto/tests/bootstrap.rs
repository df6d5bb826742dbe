//! Regenerates `src/gen` from the protos and fails when the committed code
//! differs, after writing it, so that the second run passes.

use prost::Message;
use std::{fs, path::Path};

const PROTOS: [&str; 4] = [
    "unstale/v1/entry.proto",
    "unstale/v1/cache_service.proto",
    "unstale/v1/session_service.proto",
    "unstale/v1/admin_service.proto",
];

#[test]
fn generated_code_matches_the_protos() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempdir();
    let descriptors =
        protox::compile(PROTOS.map(|p| root.join(p)), [root]).expect("the protos compile");
    let encoded = descriptors.encode_to_vec();
    tonic_prost_build::configure()
        .bytes(".unstale.v1")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .out_dir(&out)
        .compile_fds(descriptors)
        .expect("the code is generated");
    let code = fs::read(out.join("unstale.v1.rs")).expect("the generated file is readable");
    let changed = [("unstale.v1.rs", code), ("descriptor.bin", encoded)]
        .into_iter()
        .filter(|(name, new)| update(&root.join("src/gen").join(name), new))
        .count();
    assert_eq!(
        changed, 0,
        "src/gen was out of date and is rewritten now: commit it"
    );
}

fn update(path: &Path, new: &[u8]) -> bool {
    if fs::read(path).is_ok_and(|old| old == new) {
        return false;
    }
    fs::write(path, new).expect("src/gen is writable");
    true
}

fn tempdir() -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("unstale-proto-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("the temporary folder is writable");
    dir
}
