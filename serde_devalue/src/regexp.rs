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
/// The flags are checked. The pattern is only checked for closed brackets and groups, and for quantifiers without an
/// operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegExp {
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
        if !known || twice || flags.contains('u') && flags.contains('v') || !is_closed(source) {
            return None;
        }
        Some(Self {
            source: escape_source(source),
            flags: sorted.into_iter().collect(),
        })
    }

    /// Returns the source, as JavaScript formats it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the flags, in JavaScript's order.
    pub fn flags(&self) -> &str {
        &self.flags
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

/// Returns `true` if groups and classes are closed, the pattern does not end with a backslash, and every quantifier has
/// an operand.
fn is_closed(source: &str) -> bool {
    let mut groups = 0_usize;
    let mut in_class = false;
    let mut repeatable = false;
    let mut chars = source.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => {
                if chars.next().is_none() {
                    return false;
                }
                repeatable = true;
            }
            ']' if in_class => {
                in_class = false;
                repeatable = true;
            }
            _ if in_class => {}
            '[' => in_class = true,
            '(' => {
                groups += 1;
                repeatable = false;
                if chars.peek() == Some(&'?') {
                    chars.next();
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
            '*' | '+' | '?' => {
                if !repeatable {
                    return false;
                }
                repeatable = false;
                if chars.peek() == Some(&'?') {
                    chars.next();
                }
            }
            '^' | '$' => repeatable = false,
            _ => repeatable = true,
        }
    }
    groups == 0 && !in_class
}
