//! Prints a program as code, for a test in the crate of the driver.

use std::fmt::Write;
use std::time::Duration;

use session_core::{Key, Prefix, Version, WriteCondition};

use super::execute::Holds;
use super::program::{Literal, When};
use crate::failure::Failure;

/// The lines of a program as it runs.
#[derive(Debug)]
pub(crate) struct Code {
    keys: Vec<Key>,
    lines: Vec<String>,
    /// Each version that a step returned, as code.
    versions: Vec<(Key, Version, String)>,
    instances: usize,
    unit: Duration,
    /// Counts the variables.
    variables: usize,
}

impl Code {
    pub(crate) fn new(keys: &[Key], unit: Duration) -> Self {
        Self {
            keys: keys.to_vec(),
            lines: Vec::new(),
            versions: Vec::new(),
            instances: 1,
            unit,
            variables: 0,
        }
    }

    fn driver(&mut self, instance: usize) -> String {
        self.instances = self.instances.max(instance + 1);
        match instance {
            0 => "driver".to_owned(),
            number => format!("driver_{}", number + 1),
        }
    }

    /// A call whose result is not used later. `comment` says what it should be.
    pub(crate) fn call(&mut self, instance: usize, call: &str, comment: &str) {
        let driver = self.driver(instance);
        let line = format!("let _ = {driver}.{call}.await?; {comment}");
        self.lines.push(line.trim_end().to_owned());
    }

    /// A write, and the code of the version that it returns.
    pub(crate) fn write(&mut self, instance: usize, call: &str, holds: Holds) -> String {
        let driver = self.driver(instance);
        self.variables += 1;
        let name = format!("written_{}", self.variables);
        let comment = match holds {
            Holds::Yes => "Written",
            Holds::No => "Conflict",
            Holds::Maybe => "Written or Conflict",
        };
        self.lines
            .push(format!("let {name} = {driver}.{call}.await?; // {comment}"));
        format!("version(&{name})")
    }

    /// A batch of writes, and the name of its outcomes.
    pub(crate) fn write_many<'c>(
        &mut self,
        instance: usize,
        writes: impl Iterator<Item = &'c str>,
    ) -> String {
        let driver = self.driver(instance);
        self.variables += 1;
        let name = format!("written_{}", self.variables);
        self.lines
            .push(format!("let {name} = all({driver}.write_many(vec!["));
        for write in writes {
            self.lines.push(format!("    put({write}),"));
        }
        self.lines.push("]).await)?;".to_owned());
        name
    }

    /// Notes which code stands for a version.
    pub(crate) fn name(&mut self, key: &Key, version: &Version, code: &str) {
        self.versions
            .push((key.clone(), version.clone(), code.to_owned()));
    }

    fn version(&self, key: &Key, version: &Version) -> String {
        let same = |(_, named, _): &&(Key, Version, String)| named == version;
        let named = self.versions.iter().rev();
        let of_key = named.clone().find(|one| one.0 == *key && same(one));
        match of_key.or_else(|| named.clone().find(same)) {
            Some((_, _, code)) => code.clone(),
            None => "the_version_that_was_read()".to_owned(),
        }
    }

    pub(crate) fn options(&self, key: &Key, condition: &WriteCondition, when: When) -> String {
        let start = match condition {
            WriteCondition::Always => "WriteOptions::default()".to_owned(),
            WriteCondition::IfAbsent => "WriteOptions::if_absent()".to_owned(),
            WriteCondition::IfVersion(version) => {
                format!("WriteOptions::if_version({})", self.version(key, version))
            }
        };
        match when {
            When::Default => start,
            when => format!("{start}.with_expiry({})", when.code(self.unit)),
        }
    }

    pub(crate) fn remove_options(&self, key: &Key, version: Option<&Version>) -> String {
        match version {
            None => "RemoveOptions::default()".to_owned(),
            Some(version) => format!("RemoveOptions::if_version({})", self.version(key, version)),
        }
    }

    pub(crate) fn touch_options(&self, key: &Key, when: &str, version: Option<&Version>) -> String {
        let to = format!("TouchOptions::to({when})");
        match version {
            None => to,
            Some(version) => format!("{to}.if_version({})", self.version(key, version)),
        }
    }

    pub(crate) fn wait(&mut self, wait: Duration) {
        let millis = wait.as_millis();
        self.lines.push(format!(
            "tokio::time::sleep(Duration::from_millis({millis})).await;"
        ));
    }

    pub(crate) fn list(&mut self, instance: usize, prefix: &Prefix, limit: usize) {
        let prefix = prefix_code(prefix);
        let call = format!("list(ListOptions::below({prefix}).with_limit({limit}))");
        self.call(instance, &call, "// and the pages after it");
    }

    pub(crate) fn clear(&mut self, instance: usize, prefix: &Prefix) {
        let call = format!("clear(&{})", prefix_code(prefix));
        self.call(instance, &call, "");
    }

    pub(crate) fn foreign(&mut self, key: &str, content: &str) {
        self.lines
            .push(format!("foreign_write({key}, {content}).await?;"));
    }

    /// The program as a function, with the failure of its last step.
    pub(crate) fn print(&self, failure: &Failure) -> String {
        let mut code = String::from("async fn program(driver: &dyn Driver");
        for number in 2..=self.instances {
            let _infallible = write!(code, ", driver_{number}: &dyn Driver");
        }
        code.push_str(") -> Result<()> {\n");
        let body = self.lines.join("\n");
        for (number, key) in self.keys.iter().enumerate() {
            let name = format!("key_{number}");
            let used = |text: &str| {
                text.match_indices(&name).any(|(place, _)| {
                    let after = text.get(place + name.len()..).unwrap_or_default();
                    !after.starts_with(|next: char| next.is_ascii_digit())
                })
            };
            if used(&body) {
                let text = key.as_str().escape_debug();
                let _infallible = writeln!(code, "    let {name} = Key::new(\"{text}\")?;");
            }
        }
        for line in &self.lines {
            let _infallible = writeln!(code, "    {line}");
        }
        let _infallible = writeln!(code, "    // expected {}", one_line(&failure.expected));
        let _infallible = writeln!(code, "    // got {}", one_line(&failure.got));
        code.push_str("    Ok(())\n}\n");
        for (name, helper) in HELPERS {
            if body.contains(name) {
                code.push_str(helper);
            }
        }
        code
    }
}

fn prefix_code(prefix: &Prefix) -> String {
    match prefix.is_root() {
        true => "Prefix::root()".to_owned(),
        false => format!(
            "Prefix::from(&Key::new(\"{}\")?)",
            prefix.as_str().escape_debug()
        ),
    }
}

fn one_line(text: &str) -> String {
    Literal(text.as_bytes())
        .to_string()
        .trim_start_matches('b')
        .trim_matches('"')
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

/// The functions that a program may call, by what a call begins with.
const HELPERS: [(&str, &str); 5] = [
    (
        "version(&",
        "fn version(outcome: &WriteOutcome) -> Version {
    match outcome {
        WriteOutcome::Written { version, .. } => version.clone().expect(\"a version\"),
        conflict => panic!(\"{conflict:?}\"),
    }
}
",
    ),
    (
        "all(",
        "fn all(outcomes: Vec<Result<WriteOutcome>>) -> Result<Vec<WriteOutcome>> {
    outcomes.into_iter().collect()
}
",
    ),
    (
        "put(",
        "fn put(key: &Key, value: Bytes, options: WriteOptions) -> Write {
    Write::new(key.clone(), value).with_options(options)
}
",
    ),
    (
        "long(",
        "fn long(length: usize, place: usize, byte: u8) -> Bytes {
    let mut value = vec![b'x'; length];
    value[place] = byte;
    value.into()
}
",
    ),
    (
        "ago(",
        "fn ago(millis: u64) -> Expiry {
    Expiry::At(Timestamp::from_millis(Timestamp::now().as_millis().saturating_sub(millis)))
}
",
    ),
];
