//! Who cleans up: a shell that waits for the end of a pipe, so that it also does
//! after a panic, a Ctrl-C or a kill of this process. It ends what still runs in
//! the namespaces, unmounts what is under the directory, and removes both. What
//! is left when it was killed too, [`sweep`] removes in the next run.

use super::PREFIX;
use rustix::process::geteuid;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the guard does once its standard input ends.
const GUARD: &str = r#"
read -r _
for ns in $(ip netns list | cut -d' ' -f1 | grep "^$1-"); do
  ip netns pids "$ns" | xargs -r kill -9 2>/dev/null
  ip netns del "$ns"
done
grep -o " $2/[^ ]*" /proc/mounts | xargs -r umount -l
rm -rf "$2"
"#;
/// Whether root may do here what the test does: some containers forbid it.
const PROBE: &str = r#"
ip netns add "$1" || exit 1
ip netns exec "$1" nft add table inet probe &&
  ip netns exec "$1" mount -t tmpfs tmpfs /mnt
done=$?
ip netns del "$1"
exit $done
"#;
/// Why no network can be made here, if so.
pub(crate) fn impossible() -> Option<String> {
    if !geteuid().is_root() {
        return Some("it needs root, for network namespaces and nftables".to_owned());
    }
    let missing = |tool: &&&str| Command::new(tool).arg("-V").output().is_err();
    if let Some(tool) = ["ip", "nft", "mount"].iter().find(missing) {
        return Some(format!("{tool} is missing: run tests/tools/install"));
    }
    let name = format!("{PREFIX}{}-probe", std::process::id());
    let probe = Command::new("sh")
        .args(["-c", PROBE, "probe", &name])
        .output();
    let probe = probe.expect("sh starts");
    let said = String::from_utf8_lossy(&probe.stderr);
    (!probe.status.success()).then(|| format!("no network namespace can be made: {said}"))
}

/// The guard of a network and its directory: it cleans up when its standard
/// input ends. A Ctrl-C does not reach it.
pub(super) fn of(id: &str, dir: &Path) -> Command {
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD, "guard", id]).arg(dir);
    guard.process_group(0);
    guard
}

/// Removes the networks of processes of this test that are gone, and whose
/// guards are.
pub(crate) fn sweep() {
    let files = std::fs::read_dir(std::env::temp_dir());
    for file in files.expect("a directory for temporary files").flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let gone = |owner| !Path::new(&format!("/proc/{owner}")).exists();
        if owner(&name).is_some_and(gone) {
            println!("an earlier run left {name}");
            let done = of(&name, &file.path()).stdin(Stdio::null()).status();
            assert!(done.expect("a guard").success(), "{name} is still there");
        }
    }
}

/// Whose network this is the name of, if it is one.
fn owner(name: &str) -> Option<u32> {
    let id = name.strip_prefix(PREFIX)?;
    id.get(..id.len().checked_sub(1)?)?.parse().ok()
}
