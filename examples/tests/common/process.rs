//! The emulator as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

/// The emulator, on a port that was free. It ends when this is dropped.
pub struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: String,
}

impl Process {
    /// Starts it, and waits for the line that says that it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with options.
    pub fn start_with(options: &[&str]) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_emulator")).args(options))
    }

    /// Starts it with options, and listens to what it says on standard error.
    pub fn start_listening(options: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emulator"));
        let mut process = Self::of(command.args(options).stderr(Stdio::piped()));
        let said = process.child.stderr.take().expect("a pipe");
        (process, BufReader::new(said))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let (_, address) = line.trim().split_once("http://").expect("its address");
        let address = address.to_owned();
        Self { child, output, address }
    }

    /// Sends a signal that asks the process to end, and waits until it has.
    #[cfg(unix)]
    pub fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("UTF-8");
        (self.child.wait().expect("it ends"), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
