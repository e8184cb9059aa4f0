//! Regular expressions.

/// A JavaScript regular expression: its source and its flags.
///
/// ```
/// use serde_devalue::{RegExp, Value};
///
/// let value = Value::RegExp(RegExp::new("a/b", "yi").unwrap());
/// assert_eq!(serde_devalue::to_string(&value)?, r#"[["RegExp","a\\/b","iy"]]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Checked are the flags, and in the pattern: that groups and classes are closed, that each quantifier has an operand and
/// its numbers are in order, how a group begins, and that no backslash is the last character. Not checked are names and
/// references of groups, modifiers, ranges in classes, escapes, and what the flags `u` and `v` forbid in addition, so
/// JavaScript may refuse a pattern that is accepted here. It accepts none that is refused here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegExp(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Parts {
    source: String,
    flags: String,
}

impl RegExp {
    /// Creates a RegExp like `new RegExp(source, flags)`. Returns `None` if JavaScript would throw.
    pub fn new(source: &str, flags: &str) -> Option<Self> {
        let mut sorted: Vec<char> = flags.chars().collect();
        sorted.sort_unstable();
        let known = sorted.iter().all(|flag| "dgimsuvy".contains(*flag));
        let twice = sorted.windows(2).any(|pair| pair.first() == pair.last());
        if !known
            || twice
            || flags.contains('u') && flags.contains('v')
            || !is_closed(source, flags)
        {
            return None;
        }
        Some(Self(Box::new(Parts {
            source: escape_source(source),
            flags: sorted.into_iter().collect(),
        })))
    }

    /// Returns the source, as JavaScript formats it.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Returns the flags, in JavaScript's order.
    pub fn flags(&self) -> &str {
        &self.0.flags
    }
}

/// ECMAScript's EscapeRegExpPattern: escapes the source so that it is valid between slashes.
fn escape_source(source: &str) -> String {
    if source.is_empty() {
        return "(?:)".to_owned();
    }
    let mut escaped = String::with_capacity(source.len());
    let (mut after_backslash, mut in_class) = (false, false);
    for char in source.chars() {
        let line_end = match char {
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\u{2028}' => Some("\\u2028"),
            '\u{2029}' => Some("\\u2029"),
            _ => None,
        };
        if let Some(line_end) = line_end {
            // The existing backslash already escapes it.
            escaped.push_str(
                line_end
                    .get(usize::from(after_backslash)..)
                    .unwrap_or_default(),
            );
            after_backslash = false;
            continue;
        }
        if !after_backslash {
            match char {
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => escaped.push('\\'),
                _ => {}
            }
        }
        escaped.push(char);
        after_backslash = char == '\\' && !after_backslash;
    }
    escaped
}

/// Returns `true` unless JavaScript is certain to refuse the pattern.
fn is_closed(source: &str, flags: &str) -> bool {
    let mut groups = 0_usize;
    // Only with the flag `v` does a class contain classes.
    let (nests, mut classes) = (flags.contains('v'), 0_usize);
    let mut repeatable = false;
    let mut rest = source.chars();
    while let Some(char) = rest.next() {
        match char {
            '\\' => {
                if rest.next().is_none() {
                    return false;
                }
                repeatable = true;
            }
            ']' if classes > 0 => {
                classes -= 1;
                repeatable = true;
            }
            '[' if classes == 0 || nests => classes += 1,
            _ if classes > 0 => {}
            '(' => {
                groups += 1;
                repeatable = false;
                if let Some(kind) = rest.as_str().strip_prefix('?') {
                    // The rest are modifiers: `(?i-m:x)`.
                    if !kind.starts_with([':', '=', '!', '<', 'i', 'm', 's', '-']) {
                        return false;
                    }
                    rest = kind.chars();
                }
            }
            ')' => {
                if groups == 0 {
                    return false;
                }
                groups -= 1;
                repeatable = true;
            }
            '|' => repeatable = false,
            '*' | '+' | '?' | '{' => {
                if char == '{' {
                    let Some((range, after)) = braces(rest.as_str()) else {
                        // Without the flags `u` and `v`, it is an ordinary character.
                        repeatable = true;
                        continue;
                    };
                    if !range {
                        return false;
                    }
                    rest = after.chars();
                }
                if !repeatable {
                    return false;
                }
                repeatable = false;
                if let Some(lazy) = rest.as_str().strip_prefix('?') {
                    rest = lazy.chars();
                }
            }
            '^' | '$' => repeatable = false,
            _ => repeatable = true,
        }
    }
    groups == 0 && classes == 0
}

/// Parses the rest of a quantifier such as `{1,2}`. Returns whether its numbers are in order, and what follows.
fn braces(rest: &str) -> Option<(bool, &str)> {
    let (inner, after) = rest.split_once('}')?;
    let (least, most) = match inner.split_once(',') {
        Some((least, most)) => (least, Some(most)),
        None => (inner, None),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if least.is_empty() || !is_number(least) || !most.is_none_or(is_number) {
        return None;
    }
    let most = most.filter(|most| !most.is_empty()).unwrap_or(least);
    let significant = |digits: &str| {
        let digits = digits.trim_start_matches('0').to_owned();
        (digits.len(), digits)
    };
    Some((significant(least) <= significant(most), after))
}
