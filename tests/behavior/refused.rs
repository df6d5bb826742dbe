//! Servers that want to know who asks.

use crate::key::{self, put};
use crate::tier::{Kind, Pod, Running, Servers, World};
use std::io::Write as _;
use std::sync::Arc;
use unstale_engine::remote::{Expect, RemoteError};
use unstale_tests::{Memcached, PATIENCE, Redis, eventually};

const USER: &str = "default";
const PASSWORD: &str = "open-sesame";

fn guarded(kind: Kind) -> Running {
    let more = ["--requirepass", PASSWORD];
    Running::new(match kind {
        Kind::Redis => Servers::Redis(Redis::with(&more)),
        Kind::Valkey => Servers::Redis(Redis::valkey_with(&more)),
        Kind::Memcached => Servers::Memcached(Memcached::with_login(USER, PASSWORD)),
        other => panic!("{other:?} is guarded elsewhere"),
    })
}

/// Waits until the tier says that its configuration is wrong, and what.
async fn misconfigured(pod: &Pod) -> String {
    let ask = || async {
        match pod.remote.get(key::new()).await {
            Err(RemoteError::Misconfigured(why)) => Ok(why),
            other => Err(format!("{other:?}")),
        }
    };
    eventually("a refusal", PATIENCE, ask).await
}

pub(crate) async fn a_wrong_password_is_a_matter_of_configuration(world: Arc<World>) {
    let running = guarded(world.kind);
    let mut flags = running.flags();
    let nobody = misconfigured(&Pod::new(&flags)).await;
    assert!(nobody.contains("password"), "{nobody}");
    flags.remote_user = Some(USER.into());
    flags.remote_password = Some("close-sesame".into());
    let wrong = misconfigured(&Pod::new(&flags)).await;
    assert!(wrong.contains("password"), "{wrong}");
    assert!(!wrong.contains("sesame"), "{wrong}");
}

pub(crate) async fn the_right_password_is_accepted_from_a_file(world: Arc<World>) {
    let running = guarded(world.kind);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{PASSWORD}").unwrap();
    let mut flags = running.flags();
    flags.remote_user = Some(USER.into());
    flags.remote_password_file = Some(file.path().display().to_string());
    let pod = Pod::new(&flags);
    pod.usable().await;
    put(&*pod.remote, key::new(), Expect::Absent, "record").await;
}
