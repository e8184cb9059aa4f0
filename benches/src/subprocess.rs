//! Runs each subject in its own process, so that no subject is affected by the memory use of another.
//!
//! A question is a line of JSON on standard input. Its answer is a line on standard output.

use std::io::{BufRead, Write};
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A process that answers questions.
pub(crate) struct Subprocess {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Subprocess {
    pub(crate) fn start(mut command: Command) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            input: input.expect("a piped input"),
            output: BufReader::new(output.expect("a piped output")).lines(),
            child,
        })
    }

    /// Starts this program as the subject with this name.
    pub(crate) fn of_subject(section: &str, name: &str) -> Self {
        Self::start(of_subject(section, name)).expect("this program starts")
    }

    /// Starts this program as a subject on the server with this URL.
    pub(crate) fn of_subject_at(section: &str, name: &str, server: &str) -> Self {
        let mut command = of_subject(section, name);
        command.args(["--server", server]);
        Self::start(command).expect("this program starts")
    }

    /// Sends a question and waits for its answer.
    pub(crate) async fn ask<A: DeserializeOwned>(&mut self, question: &impl Serialize) -> A {
        let mut line = serde_json::to_vec(question).expect("a question that can be written");
        line.push(b'\n');
        let sent = self.input.write_all(&line).await;
        sent.expect("the subject listens");
        let answer = self.output.next_line().await.ok().flatten();
        let answer = answer.expect("the subject answers");
        serde_json::from_str(&answer).expect("an answer that can be read")
    }

    /// Closes the input and waits until the process has cleaned up and exited.
    pub(crate) async fn end(mut self) {
        drop(self.input);
        self.child.wait().await.expect("the subject exits");
    }
}

fn of_subject(section: &str, name: &str) -> Command {
    let own = std::env::current_exe().expect("a program knows its file");
    let mut command = Command::new(own);
    command.args(["--subject-of", section, "--subject", name]);
    command
}

/// Runs in the subject: answers questions until the input is closed.
pub(crate) fn answer<Q: DeserializeOwned, A: Serialize>(mut answer: impl FnMut(Q) -> A) {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a readable input");
        let question = serde_json::from_str(&line).expect("a question that can be read");
        let mut line = serde_json::to_vec(&answer(question)).expect("an answer");
        line.push(b'\n');
        let mut output = std::io::stdout().lock();
        let written = output.write_all(&line).and_then(|()| output.flush());
        written.expect("the asking side listens");
    }
}
