//! What is started: sidecars, the bare echo, a NATS server; and the first two
//! under valgrind.

use super::{Running, socket};
use crate::Result;
use unstale_tests::free_port;

/// The bare echo.
pub(crate) fn echo() -> Result<Running> {
    let own = std::env::current_exe()?;
    Running::start(&own.to_string_lossy(), |dir, port| {
        let uds = socket(dir).display().to_string();
        vec!["echo".into(), format!("127.0.0.1:{port}"), uds]
    })
}

/// A sidecar, with `more` flags.
pub(crate) fn sidecar(program: &str, more: &[&str]) -> Result<Running> {
    let admin = free_port();
    Running::start(program, |dir, port| {
        let uds = socket(dir).display().to_string();
        let (listen, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{admin}"));
        let flags = [
            "serve", "--listen", &listen, "--admin", &admin, "--uds", &uds,
        ];
        let all = flags.iter().chain(more);
        all.map(|&word| word.to_owned()).collect()
    })
}

/// A sidecar whose instructions are counted, with `more` flags.
pub(crate) fn counted(program: &str, more: &[&str]) -> Result<Running> {
    let admin = format!("127.0.0.1:{}", free_port());
    callgrind(program, |listen, uds| {
        let words = ["serve", "--listen", listen, "--admin", &admin, "--uds", uds];
        let all = words.iter().chain(more);
        all.map(|&word| word.to_owned()).collect()
    })
}

/// The bare echo, likewise.
pub(crate) fn counted_echo() -> Result<Running> {
    let own = std::env::current_exe()?;
    callgrind(&own.to_string_lossy(), |listen, uds| {
        vec!["echo".into(), listen.into(), uds.into()]
    })
}

fn callgrind(program: &str, arguments: impl FnOnce(&str, &str) -> Vec<String>) -> Result<Running> {
    Running::start("valgrind", |dir, port| {
        let uds = socket(dir).display().to_string();
        let more = arguments(&format!("127.0.0.1:{port}"), &uds);
        let out = dir.path().join("callgrind.out");
        let out = format!("--callgrind-out-file={}", out.display());
        let mut words = vec!["--tool=callgrind".into(), out, program.into()];
        words.extend(more);
        words
    })
}

/// A NATS server with JetStream.
pub(crate) fn nats(program: &str) -> Result<Running> {
    Running::start(program, |dir, port| {
        let store = dir.path().join("store").display().to_string();
        let port = port.to_string();
        let flags = ["-a", "127.0.0.1", "-p", &port, "-js", "-sd", &store];
        flags.iter().map(|&word| word.to_owned()).collect()
    })
}
