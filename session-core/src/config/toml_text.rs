use std::path::Path;

use tokio::io::AsyncReadExt;

use crate::{Error, ErrorKind};

use super::options::invalid;
use super::value::Value;

/// No configuration is longer; a wrong path may lead to something that is.
const LONGEST: u64 = 1024 * 1024;

/// Reads TOML, with errors that say where and not what: the line itself may hold a secret.
pub(super) fn parse(text: &str) -> Result<Value, Error> {
    toml::from_str(text).map_err(|error| {
        let place = match error.span() {
            Some(span) => {
                let (line, column) = place(text, span.start);
                format!(" in line {line}, column {column}")
            }
            None => String::new(),
        };
        invalid(format!("this is not TOML{place}: {}", reason(&error)))
    })
}

/// Reads a text file of a sensible size.
pub(super) async fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let reading = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(LONGEST + 1).read_to_string(&mut text).await
    };
    match reading.await {
        Ok(length) if length as u64 > LONGEST => Err(invalid(format!(
            "the configuration file `{}` is longer than 1 MiB; is it the right one?",
            path.display()
        ))),
        Ok(_) => Ok(text),
        Err(error) => Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "the configuration file `{}` cannot be read: {error}",
                path.display()
            ),
        )
        .with_source(error)),
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The parser's message, unless it quotes something of the text.
fn reason(error: &toml::de::Error) -> &str {
    let message = error.message();
    match message.contains(['`', '"']) {
        true => "the text breaks off or has what does not belong there",
        false => message,
    }
}
