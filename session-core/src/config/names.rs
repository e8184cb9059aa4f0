//! Names of options: their two spellings, and the most similar valid name.

/// Converts a camelCase name to snake_case; a snake_case name is unchanged.
///
/// A run of capitals is one word, as in `apiURL` and `minTTLSeconds`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before = None;
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_uppercase() {
            let starts_word = before.is_some_and(|before: char| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase()
                        && letters.peek().is_some_and(char::is_ascii_lowercase))
            });
            if starts_word {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        } else {
            snake.push(letter);
        }
        before = Some(letter);
    }
    snake
}

/// Returns the name of `known` that is most similar to `name`, if any is similar.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.75;
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let name = snake_case(name);
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Formats `names` in backticks, for a message.
pub(super) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", sanitized(name)))
        .collect();
    quoted.join(", ")
}

/// Removes control characters from a name and truncates it if it is long, for a message.
pub(super) fn sanitized(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut sanitized: String = name
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect();
    if sanitized.len() < name.len() {
        sanitized.push('…');
    }
    sanitized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_becomes_snake_case() {
        for (name, expected) in [
            ("poolSize", "pool_size"),
            ("pool_size", "pool_size"),
            ("apiURL", "api_url"),
            ("minTTLSeconds", "min_ttl_seconds"),
            ("s3Bucket", "s3_bucket"),
            ("s3", "s3"),
            ("", ""),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["path", "table", "pool_size"];
        assert_eq!(nearest("poolsize", known), Some("pool_size"));
        assert_eq!(nearest("tabel", known), Some("table"));
        assert_eq!(nearest("zzz", known), None);
    }

    #[test]
    fn a_hostile_name_is_sanitized() {
        let name = "x\n".repeat(10_000);
        assert!(sanitized(&name).len() < 100);
        assert!(!sanitized(&name).contains('\n'));
        assert_eq!(nearest(&name, ["path"]), None);
    }
}
