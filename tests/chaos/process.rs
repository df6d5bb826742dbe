//! One process on a host: started, stopped, continued, killed, started again.
//! Its output goes to a file. Does not outlive its [`super::network::Network`].

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A process that can be started again with the same words.
pub(crate) struct Process {
    command: Command,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet.
    pub(crate) fn new(command: Command, log: PathBuf) -> Self {
        Self {
            command,
            log,
            child: None,
        }
    }

    /// Starts it, if it does not run.
    pub(crate) fn start(&mut self) {
        if self.runs() {
            return;
        }
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("a log file");
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("it starts"));
    }

    /// Whether it was started and has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        let ended = |child: &mut Child| child.try_wait().expect("a child").is_some();
        !self.child.as_mut().is_none_or(ended)
    }

    /// How often its output, since the first start, has this text.
    pub(crate) fn said(&self, text: &str) -> usize {
        let output = std::fs::read(&self.log).expect("a log file");
        String::from_utf8_lossy(&output).matches(text).count()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; there is nobody to tell.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it, and returns when every thread of it has stopped.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        // One that has ended is found by whoever looks for it next.
        let _ = waitpid(self.pid(), WaitOptions::UNTRACED);
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // As above.
            let _ = kill_process(pid, signal);
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }
}
