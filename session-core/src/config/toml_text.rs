//! Reads TOML files and text.

use std::path::Path;

use tokio::io::AsyncReadExt;
use toml::Table;

use crate::Error;

use super::options::invalid;

/// The maximum size of a configuration file; a wrong path may lead to a larger one.
const MAX_SIZE: u64 = 1024 * 1024;

/// Parses TOML. Errors give the position and do not quote the line, which may contain a secret.
pub(super) fn parse(text: &str) -> Result<Table, Error> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map_or_else(String::new, |before| {
            let line = before.matches('\n').count() + 1;
            let column = before
                .chars()
                .rev()
                .take_while(|letter| *letter != '\n')
                .count()
                + 1;
            format!(" in line {line}, column {column}")
        });
        let message = error.message();
        let reason = match message.contains(['`', '"']) {
            true => "the text is incomplete or has an unexpected character",
            false => message,
        };
        invalid(format!("this is not valid TOML{place}: {reason}"))
    })
}

/// Reads a text file of at most 1 MiB.
pub(super) async fn read(path: &Path) -> Result<String, Error> {
    let file = path.display();
    let mut text = String::new();
    let reading = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(MAX_SIZE + 1).read_to_string(&mut text).await
    };
    match reading.await {
        Ok(length) if length as u64 > MAX_SIZE => Err(invalid(format!(
            "the configuration file `{file}` is longer than 1 MiB; is it the right one?"
        ))),
        Ok(_) => Ok(text),
        Err(error) => Err(invalid(format!(
            "the configuration file `{file}` cannot be read: {error}"
        ))
        .with_source(error)),
    }
}
