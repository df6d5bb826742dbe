//! What a user sees when settings are wrong.

use super::*;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;
use unstale_engine::policy::adaptive_ttl::{AdaptiveTtl, Template};

fn load(flags: &Flags) -> Result<Config, Vec<Mistake>> {
    load_with(flags, &|_| None)
}

fn load_with(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Config, Vec<Mistake>> {
    let file = given::file_of(flags, env).map(File::read);
    Config::judge(flags, env, file, None)
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
    let config = load_with(&flags, &env).unwrap();
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

#[test]
fn a_namespace_inherits_from_the_defaults_and_those_from_what_is_built_in() {
    let (_file, flags) = file(
        r#"
        default_ttl = "2m"
        [namespace_defaults]
        stale_for = "1h"
        on_session_loss = "serve_stale"
        adaptive_ttl = { min = "1s", stale_budget = 0.05 }
        [namespace.plain]
        adaptive_ttl = "off"
        [namespace.shop]
        max_ttl = "1m"
        stale_for = "0s"
        max_value_bytes = "64KiB"
        grants_per_second = 3
        early_refresh = 1.5
        [namespace.shop.adaptive_ttl]
        max = "1m"
        families = ["user:*", "*"]
        "#,
    );
    let policies = load(&flags).unwrap().policies;
    let adaptive = AdaptiveTtl {
        min: Duration::from_secs(1),
        stale_budget: 0.05,
        ..AdaptiveTtl::default()
    };
    let defaults = Policy {
        default_ttl: Duration::from_secs(120),
        stale_for: Duration::from_secs(3600),
        on_session_loss: unstale_engine::policy::OnSessionLoss::ServeStale,
        adaptive_ttl: Some(Arc::new(adaptive.clone())),
        ..Policy::default()
    };
    let shop = Policy {
        // Inherited, and cut to what the namespace allows.
        default_ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(60),
        stale_for: Duration::ZERO,
        max_value_bytes: 64 << 10,
        grants_per_second: 3,
        early_refresh: 1.5,
        adaptive_ttl: Some(Arc::new(AdaptiveTtl {
            max: Duration::from_secs(60),
            families: ["user:*", "*"].map(|t| Template::new(t).unwrap()).into(),
            ..adaptive
        })),
        ..defaults.clone()
    };
    assert_eq!(*policies.default, defaults);
    let own: Vec<_> = policies.namespaces.iter().collect();
    assert_eq!(own.len(), 2);
    assert_eq!(own[0].1.adaptive_ttl, None);
    assert_eq!((own[1].0.as_str(), own[1].1.as_ref()), ("shop", &shop));
}

#[test]
fn every_mistake_of_policies_is_reported_at_once_with_its_path() {
    let (_file, flags) = file(
        r#"
        default_ttl = "1h"
        l1_bytes = "lots"
        floor_bytes = "1KiB"
        prefix_delimiters = "ab"
        namespace_defaults = { default_ttl = "5m", max_ttl = "10m" }
        [namespace]
        Shop = {}
        "" = {}
        flat = "x"
        [namespace.a]
        ttl = "1m"
        max_ttl = "1m"
        negative_ttl = "2m"
        jitter = true
        stale_for = "31d"
        max_value_bytes = "2MiB"
        on_session_loss = "panic"
        grants_per_second = 0
        early_refresh = -0.5
        "#,
    );
    let expected = [
        "l1_bytes is \"lots\"",
        "floor_bytes is \"1KiB\"",
        "prefix_delimiters is \"ab\"",
        "namespace_defaults.default_ttl is \"5m\": give this or the setting",
        "namespace_defaults.max_ttl is \"10m\": is under the setting default_ttl",
        "namespace.Shop: a namespace is 1 to 63",
        "namespace.: a namespace is 1 to 63",
        "namespace.flat: write it as [TABLE]",
        "namespace.a.ttl is not part of a policy",
        "namespace.a.negative_ttl is \"2m\": is over max_ttl, which is 1m",
        "namespace.a.jitter is a boolean",
        "namespace.a.stale_for is \"31d\"",
        "namespace.a.max_value_bytes is \"2MiB\": must be a size from 1B to 1016KiB",
        "namespace.a.on_session_loss is \"panic\": must be bypass or serve_stale",
        "namespace.a.grants_per_second is \"0\"",
        "namespace.a.early_refresh is \"-0.5\": must be a number from 0 (none) to 100",
    ];
    reported(&flags, &expected);
}

#[test]
fn every_mistake_of_learned_ttls_is_reported_with_its_path() {
    let (_file, flags) = file(
        r#"
        [namespace.a.adaptive_ttl]
        min = "2m"
        max = "50s"
        stale_budget = 0
        families = ["user:*", "a:**", "", "user:*"]
        often = 1
        [namespace.b]
        adaptive_ttl = "on"
        [namespace.c]
        max_ttl = "1m"
        adaptive_ttl = { max = "2m", families = "*" }
        [namespace.d]
        adaptive_ttl = { families = [1] }
        "#,
    );
    let expected = [
        "namespace.a.adaptive_ttl.min is \"2m\": is over its max, which is 50s",
        "namespace.a.adaptive_ttl.stale_budget is \"0\": must be a share of reads from 0.0001",
        "namespace.a.adaptive_ttl.families: the template \"a:**\" holds two *",
        "namespace.a.adaptive_ttl.families: the template \"\" must not be empty",
        "namespace.a.adaptive_ttl.families: the template \"user:*\" is there twice",
        "namespace.a.adaptive_ttl.often is not part of it; it has min, max",
        "namespace.b.adaptive_ttl is \"on\": must be off or a table",
        "namespace.c.adaptive_ttl.max is \"2m\": is over max_ttl, which is 1m",
        "namespace.c.adaptive_ttl.families: write it as [\"TEMPLATE\", ...]",
        "namespace.d.adaptive_ttl.families: 1 is not a template",
    ];
    reported(&flags, &expected);
}

/// Exactly these mistakes.
fn reported(flags: &Flags, expected: &[&str]) {
    let mistakes = load(flags).unwrap_err();
    let lines: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    for part in expected {
        let said = lines.iter().any(|line| line.contains(part));
        assert!(said, "{part}: {lines:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}

#[test]
fn policies_in_force_load_again_as_they_are_shown() {
    let (_file, flags) = file(
        "[namespace.shop]\njitter = \"1500ms\"\nmax_value_bytes = \"1B\"\nadaptive_ttl = {families = ['user:*', 'a\"b*']}\n",
    );
    let config = load(&flags).unwrap();
    let (_again, flags) = file(&config.as_toml());
    assert_eq!(load(&flags).unwrap().policies, config.policies);
}

#[test]
fn what_a_reload_cannot_change_is_named() {
    let (_old, flags) = file("default_ttl = \"1m\"\npod = \"a\"\nl1_bytes = \"64MiB\"\n");
    let old = load(&flags).unwrap();
    let (_new, flags) = file("default_ttl = \"2m\"\npod = \"b\"\nfloor_bytes = \"8MiB\"\n");
    let new = load(&flags).unwrap();
    assert_eq!(old.differs(&new), ["l1_bytes", "floor_bytes", "pod"]);
    assert!(!format!("{new:?}").contains("8MiB"), "{new:?}");
}

#[test]
fn the_manual_names_every_setting_and_every_field_of_a_policy() {
    let manual = include_str!("../../../docs/configuration.md");
    for name in settings::NAMES.iter().chain(&policies::FIELDS) {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn mistakes_of_every_source_are_reported_together() {
    let (_file, mut flags) = file("pod = \"a\"\nlisten = \"127.0.");
    flags.nats = Some("nats://h".into());
    flags.admin = Some("there".into());
    let env = |name: &str| match name {
        "UNSTALE_L1_BYTES" => Some("lots".into()),
        "UNSTALE_LISTEN" => Some(OsString::from_vec(vec![0xff])),
        _ => None,
    };
    let mistakes = load_with(&flags, &env).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    let parts = ["line 2", "--admin", "UNSTALE_L1_BYTES", "UNSTALE_LISTEN"];
    for part in parts {
        assert!(
            text.iter().any(|line| line.contains(part)),
            "{part}: {text:?}"
        );
    }
    // The fleet may well be in the half of the file that cannot be read.
    assert_eq!(text.len(), parts.len(), "{text:?}");
}

#[test]
fn mistakes_of_policies_stand_beside_those_of_other_sources() {
    let (_file, flags) =
        file("l1_bytes = true\nfleet = \"shop\"\n[namespace.a]\njitter = \"soon\"\n");
    let env = |name: &str| (name == "UNSTALE_POD").then(|| OsString::from_vec(vec![0xff]));
    let mistakes = load_with(&flags, &env).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    let parts = ["l1_bytes is a boolean", "UNSTALE_POD", "namespace.a.jitter"];
    for part in parts {
        assert!(
            text.iter().any(|line| line.contains(part)),
            "{part}: {text:?}"
        );
    }
    assert_eq!(text.len(), parts.len(), "{text:?}");
}

#[test]
fn settings_of_nats_without_nats_are_mistakes_and_not_ignored() {
    let env = |name: &str| match name {
        "UNSTALE_NATS_USER" => Some("me".into()),
        "UNSTALE_NATS_PASSWORD" => Some("hush".into()),
        _ => None,
    };
    let flags = Flags::default();
    let mistakes = load_with(&flags, &env).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    assert_eq!(text.len(), 2, "{text:?}");
    assert!(
        text.iter().all(|line| line.contains("--nats URL")),
        "{text:?}"
    );
    assert!(!text.concat().contains("hush"), "{text:?}");
}

#[test]
fn the_user_and_password_of_the_address_are_used_and_not_shown() {
    let mut flags = Flags {
        nats: Some("nats://u:hush@host:4222".into()),
        fleet: Some("shop".into()),
        ..Flags::default()
    };
    let config = load(&flags).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    let shown = config.without_secrets();
    assert!(shown.nats.unwrap().password.is_none() && shown.texts.is_empty());
    let nats = config.nats.unwrap();
    assert_eq!(nats.url, "nats://host:4222");
    assert_eq!(nats.user.as_deref(), Some("u"));
    assert_eq!(nats.password.unwrap().0, "hush");
    flags.nats_user = Some("v".into());
    let text = load(&flags).unwrap_err()[0].to_string();
    assert!(
        text.contains("one of them") && !text.contains("hush"),
        "{text}"
    );
}

/// A remote tier with servers, and these settings in a file.
fn with_remote(more: &str) -> (tempfile::NamedTempFile, Flags) {
    file(&format!("remote = \"redis://host\"\n{more}"))
}

fn key_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// 32 bytes in base64.
const KEY: &str = "b3M0y2nq9Q0Jd1m9w8o4k6Y7c5T3r2e1i0u9z8x7v6c=";

#[test]
fn how_the_remote_tier_is_called_has_defaults_and_can_be_said() {
    let (_file, flags) = with_remote("");
    let config = load(&flags).unwrap();
    let calls = RemoteCalls {
        timeout: Duration::from_millis(500),
        concurrency: 1024,
        hedge: None,
    };
    assert_eq!(config.remote_calls, calls);
    assert_eq!(config.records.compress_from, None);
    assert!(config.records.keys.is_none());
    let keys = key_file(&format!("7 {KEY}\n"));
    let (_file, flags) = with_remote(&format!(
        "remote_timeout = \"2s\"\nremote_concurrency = 10\nremote_hedge = \"20ms\"\ncompress_from = \"1KiB\"\nencryption_key_file = {:?}\n",
        keys.path()
    ));
    let config = load(&flags).unwrap();
    let calls = RemoteCalls {
        timeout: Duration::from_secs(2),
        concurrency: 10,
        hedge: Some(Duration::from_millis(20)),
    };
    assert_eq!(config.remote_calls, calls);
    assert_eq!(config.records.compress_from, Some(1024));
    let shown = config.as_toml();
    let (_again, flags) = file(&shown);
    assert_eq!(load(&flags).unwrap().as_toml(), shown);
    let shown = format!("{shown}{config:?}{:?}", config.without_secrets());
    assert!(
        !shown.contains(KEY) && shown.contains("Keyring(7)"),
        "{shown}"
    );
    assert!(config.without_secrets().records.keys.is_none());
}

#[test]
fn what_no_tier_could_be_called_with_is_told_at_once_and_without_the_key() {
    let keys = key_file(&format!("1 {KEY}\none {KEY}\n"));
    let (_file, flags) = with_remote(&format!(
        "remote_timeout = \"1ms\"\nremote_concurrency = 0\nremote_hedge = \"500ms\"\ncompress_from = \"1B\"\nencryption_key_file = {:?}\n",
        keys.path()
    ));
    let mistakes = load(&flags).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    let parts = [
        "remote_timeout is \"1ms\": must be a duration from 10ms to 2s",
        "remote_concurrency is \"0\": must be a number from 1",
        "remote_hedge is \"500ms\": must be off, or a duration from 1ms to below",
        "compress_from is \"1B\": must be off, or a size from 64B to 1MiB",
        "line 2: the id must be a number from 1 to 4294967295; make one with",
    ];
    for part in parts {
        let said = text.iter().any(|line| line.contains(part));
        assert!(said, "{part}: {text:#?}");
    }
    assert_eq!(text.len(), parts.len(), "{text:#?}");
    assert!(!text.concat().contains(KEY));
    let (_file, flags) = with_remote("encryption_key_file = \"/nowhere/keys\"\n");
    let text = load(&flags).unwrap_err()[0].to_string();
    assert!(
        text.contains("No such file") && text.contains("make one with"),
        "{text}"
    );
}

#[test]
fn what_means_nothing_to_the_memory_tier_is_a_mistake() {
    let keys = key_file(&format!("1 {KEY}\n"));
    let (_file, flags) = file(&format!(
        "remote_hedge = \"off\"\nencryption_key_file = {:?}\n",
        keys.path()
    ));
    let mistakes = load(&flags).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    assert_eq!(text.len(), 2, "{text:#?}");
    let told = |line: &String| line.contains("the memory tier is this process");
    assert!(text.iter().all(told), "{text:#?}");
}

#[test]
fn a_key_file_that_is_being_changed_does_not_hold_up_policies() {
    let keys = key_file(&format!("1 {KEY}\n"));
    let (_file, flags) = with_remote(&format!("encryption_key_file = {:?}\n", keys.path()));
    let config = load(&flags).unwrap();
    // "Later it changes nothing: the keys from before stay in force."
    std::fs::write(keys.path(), "2 half a li").unwrap();
    let mut text = std::fs::read_to_string(flags.config.as_ref().unwrap()).unwrap();
    text.push_str("[namespace_defaults]\nmax_ttl = \"1h\"\n");
    let again = config.again(File {
        path: flags.config.clone().unwrap(),
        text: Ok(text),
    });
    assert!(again.is_ok(), "{:?}", again.err());
}
