use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// A process that answers calls over standard input and output.
///
/// A call is a line of JSON, `{ call, arguments }`. The answer is a line `{ result }` or `{ error }`. Scripts implement
/// it with `serve` of `calls.mjs`.
pub struct Script {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Script {
    /// Starts `command`. The process is killed when this value is dropped.
    pub fn start(command: Command) -> Self {
        let mut command = tokio::process::Command::from(command);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot start: {error}"));
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        }
    }

    /// Makes a call and returns its result.
    ///
    /// # Panics
    ///
    /// If the script answers with an error or exits.
    pub async fn call(&mut self, call: &str, arguments: Value) -> Value {
        match self.try_call(call, arguments).await {
            Ok(result) => result,
            Err(error) => panic!("{call} failed: {error}"),
        }
    }

    /// Makes a call and returns its result or the text of its error.
    ///
    /// # Panics
    ///
    /// If the script exits.
    pub async fn try_call(&mut self, call: &str, arguments: Value) -> Result<Value, String> {
        let line = json!({ "call": call, "arguments": arguments }).to_string() + "\n";
        self.input.write_all(line.as_bytes()).await.unwrap();
        let answer = self.output.next_line().await.unwrap();
        let answer = answer.unwrap_or_else(|| panic!("the script exited during {call}"));
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(answer["result"].take()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test_support::test]
    async fn results_and_errors_are_returned() {
        let mut command = Command::new("sh");
        let answers = r#"read a; echo '{"result":1}'; read b; echo '{"error":"no"}'"#;
        command.args(["-c", answers]);
        let mut script = Script::start(command);
        assert_eq!(script.call("one", json!([])).await, json!(1));
        assert_eq!(
            script.try_call("two", json!([])).await,
            Err("no".to_owned())
        );
    }
}
