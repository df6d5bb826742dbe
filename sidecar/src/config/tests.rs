//! What a user sees when settings are wrong.

use super::*;
use std::io::Write as _;

fn load(flags: &Flags) -> Result<Config, Vec<Mistake>> {
    gather(flags, &|_| None).and_then(settings::parse)
}

fn file(text: &str) -> (tempfile::NamedTempFile, Flags) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let config = Some(file.path().to_path_buf());
    (
        file,
        Flags {
            config,
            ..Flags::default()
        },
    )
}

#[test]
fn no_settings_at_all_are_enough() {
    let config = load(&Flags::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(config.admin.to_string(), "127.0.0.1:7071");
    assert_eq!(config.remote, RemoteTier::Memory);
    assert_eq!(config.l1_bytes, 64 << 20);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place_and_value() {
    let flags = Flags {
        listen: Some("here".into()),
        l1_bytes: Some("lots".into()),
        session_ttl: Some("15".into()),
        nats: Some("nats://user:secret@host:4222".into()),
        uds: Some("/".repeat(108)),
        ..Flags::default()
    };
    let mistakes = load(&flags).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    assert_eq!(text.len(), 5, "{text:?}");
    for part in [
        "--listen is \"here\"",
        "--l1-bytes is \"lots\"",
        "--session-ttl",
        "--fleet",
        "107",
    ] {
        assert!(
            text.iter().any(|line| line.contains(part)),
            "{part}: {text:?}"
        );
    }
    assert!(!text.concat().contains("secret"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let (_file, mut flags) = file("l1_bytes = \"2MiB\"\npod = \"file\"\nlog_level = \"warn\"\n");
    flags.l1_bytes = Some("8MiB".into());
    let env = |name: &str| match name {
        "UNSTALE_L1_BYTES" => Some("4MiB".into()),
        "UNSTALE_POD" => Some("env".into()),
        _ => None,
    };
    let config = gather(&flags, &env).and_then(settings::parse).unwrap();
    assert_eq!(config.l1_bytes, 8 << 20);
    assert_eq!(config.pod, "env");
    assert_eq!(config.log_level, "warn");
}

#[test]
fn an_unknown_key_and_half_a_file_are_mistakes() {
    let (_a, flags) = file("l1_bites = \"2MiB\"\nlisten = true\n");
    assert_eq!(load(&flags).unwrap_err().len(), 2);
    let (_b, flags) = file("pod = \"a\"\nlisten = \"127.0.");
    let text = load(&flags).unwrap_err()[0].to_string();
    assert!(text.contains("line 2"), "{text}");
}

#[test]
fn status_shows_settings_that_load_again_and_no_secrets() {
    let flags = Flags {
        nats: Some("nats://u:hush@host:4222".into()),
        fleet: Some("shop".into()),
        ..Flags::default()
    };
    let shown = load(&flags).unwrap().as_toml();
    assert!(!shown.contains("hush"), "{shown}");
    let (_file, again) = file(&shown);
    assert_eq!(load(&again).unwrap().as_toml(), shown);
}
