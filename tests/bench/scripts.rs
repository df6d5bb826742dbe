//! Clients in other languages: programs that read a line "WHAT COUNT" at a time,
//! make so many calls, and answer with a line of nanoseconds.

use crate::Result;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process that makes calls when it is told to.
pub(crate) struct Client {
    name: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Runs a program that knows the lines.
    pub(crate) fn start(program: &str, words: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{program}: {e}"))?;
        let orders = child.stdin.take().ok_or("no stdin")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self {
            name: words.join(" "),
            child,
            orders,
            answers,
        })
    }

    /// The durations that it answers.
    pub(crate) fn measure(&mut self, what: &str, calls: usize) -> Result<Vec<Duration>> {
        self.order(what, calls)?;
        self.answer()
    }

    /// Tells it to do something.
    pub(crate) fn order(&mut self, what: &str, calls: usize) -> Result<()> {
        Ok(writeln!(self.orders, "{what} {calls}")?)
    }

    /// The durations that it answers, or moments of the monotonic clock.
    pub(crate) fn answer(&mut self) -> Result<Vec<Duration>> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("the client {} has ended", self.name).into());
        }
        let numbers = line.split_whitespace().map(str::parse);
        let times: Vec<u64> = numbers.collect::<std::result::Result<_, _>>()?;
        Ok(times.into_iter().map(Duration::from_nanos).collect())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
