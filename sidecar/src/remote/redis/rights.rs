//! For `unstale check`: whether the user may send what the tier sends, and what
//! to grant. Writes nothing: what would change something is not sent, the server
//! is asked whether it might be.

use super::dial::Connection;
use super::failure::Failure;
use super::{Layout, RedisConfig, before};
use crate::entropy::OsRandom;
use crate::findings::Findings;
use ::redis::{Cmd, Value};
use std::collections::BTreeSet;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random as _;

/// Answers which commands of the tier's scripts the user may not send.
const OF_SCRIPTS: &str = include_str!("rights.lua");
/// The digest of no script: who may run one is told that it is not known.
const NO_SCRIPT: &str = "0000000000000000000000000000000000000000";
/// Keys that are asked for in a cluster: each server has users of its own.
const PLACES: usize = 16;
/// By which scripts are run.
const SCRIPTS: &str = "EVAL";
/// What they send; whether the user may is asked by a script.
const BY_SCRIPTS: [&str; 3] = ["GETRANGE", "SET", "UNLINK"];
/// What is done without: many keys are read one by one, then.
const DISPENSABLE: &str = "MGET";

/// What the user may not send.
type Denied = BTreeSet<String>;

pub(super) async fn judge(connection: &Connection, config: &RedisConfig, found: &mut Findings) {
    let places = match config.layout {
        Layout::One | Layout::Sentinel { .. } => 1,
        Layout::Cluster => PLACES,
    };
    let before = before(&config.fleet);
    let mut denied = Denied::new();
    'places: for _ in 0..places {
        let key = [&before, NameHash(OsRandom.bits()).text().as_str()].concat();
        for (name, command) in commands(&key, &config.layout) {
            if let Err(why) = ask(connection, (name, &command), &mut denied).await {
                let why = why.of_read();
                found.errors.push(format!("redis: {name} fails: {why}"));
                break 'places;
            }
        }
    }
    say(denied, &before, found);
}

/// What the tier sends itself.
fn commands(key: &str, layout: &Layout) -> Vec<(&'static str, Cmd)> {
    let command = |name, arguments: &[&str]| {
        let mut command = ::redis::cmd(name);
        command.arg(arguments);
        (name, command)
    };
    let mut commands = vec![
        command("GET", &[key]),
        command("EVALSHA", &[NO_SCRIPT, "1", key]),
        command(SCRIPTS, &[OF_SCRIPTS, "1", key]),
    ];
    // In a cluster many keys are read one by one.
    if *layout != Layout::Cluster {
        commands.push(command(DISPENSABLE, &[key, key]));
    }
    commands
}

/// Whether the user may send a command, and with EVAL what the scripts send.
async fn ask(
    connection: &Connection,
    (name, command): (&str, &Cmd),
    denied: &mut Denied,
) -> Result<(), Failure> {
    match connection.clone().ask(command).await {
        Ok(Value::BulkString(names)) if name == SCRIPTS => {
            let names = String::from_utf8_lossy(&names);
            denied.extend(names.split_whitespace().map(str::to_owned));
            Ok(())
        }
        Ok(_) | Err(Failure::NoScript) => Ok(()),
        Err(Failure::Denied(_)) => {
            denied.insert(name.to_owned());
            Ok(())
        }
        Err(other) => Err(other),
    }
}

fn say(mut denied: Denied, before: &str, found: &mut Findings) {
    let grants = |denied: &Denied| -> String {
        let unasked = BY_SCRIPTS.iter().filter(|_| denied.contains(SCRIPTS));
        let names = denied.iter().map(String::as_str);
        let names = names.chain(unasked.copied());
        names
            .map(|name| format!(" +{}", name.to_lowercase()))
            .collect()
    };
    let line = |denied: &Denied, so: &str| {
        let names: Vec<_> = denied.iter().map(String::as_str).collect();
        let (names, grants) = (names.join(", "), grants(denied));
        format!("redis: the user may not send {names}, so that {so}; grant ~{before}*{grants}")
    };
    if let Some(name) = denied.take(DISPENSABLE) {
        let so = "many keys are read one by one";
        found.warnings.push(line(&Denied::from([name]), so));
    }
    if !denied.is_empty() {
        found
            .errors
            .push(line(&denied, "values are not kept there"));
    }
}
