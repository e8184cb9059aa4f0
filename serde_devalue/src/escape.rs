//! Formats strings and numbers like devalue.

use crate::string::Text;

/// Writes a string literal. Returns `true` if it has a lone surrogate.
pub(crate) fn write_text(out: &mut String, text: &Text<'_>) -> bool {
    match text {
        Text::Utf8(text) => {
            write_str(out, text);
            false
        }
        Text::Utf16(units) => {
            write_utf16(out, units);
            true
        }
    }
}

#[inline]
pub(crate) fn write_str(out: &mut String, text: &str) {
    out.push('"');
    escape_into(out, text);
    out.push('"');
}

#[inline]
fn escape_into(out: &mut String, text: &str) {
    match unescaped_prefix(text.as_bytes()) {
        plain if plain == text.len() => out.push_str(text),
        plain => escape_from(out, text, plain),
    }
}

fn escape_from(out: &mut String, text: &str, first: usize) {
    let mut rest = text;
    let mut found = first;
    while found < rest.len() {
        let (plain, tail) = rest.split_at_checked(found).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut chars = tail.chars();
        if let Some(char) = chars.next() {
            escape_char(out, char);
        }
        rest = chars.as_str();
        found = unescaped_prefix(rest.as_bytes());
    }
    out.push_str(rest);
}

/// Returns `true` if the text needs no escapes. It may return `false` for a text that needs none.
#[inline]
pub(crate) fn is_unescaped(text: &str) -> bool {
    unescaped_prefix(text.as_bytes()) == text.len()
}

/// Returns the number of bytes before one that may need an escape: a control character, a quote, a backslash, `<`, or
/// the first byte of U+2028 and U+2029, which other characters share.
#[inline]
fn unescaped_prefix(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut passed = 0;
    for word in words {
        let marked = to_escape(*word);
        if marked != 0 {
            // Only the lowest marked byte is reliable; higher marks may be false positives.
            return passed + (marked.trailing_zeros() / 8) as usize;
        }
        passed += 8;
    }
    // Usually the rest needs no escapes either. Check it with one read of the last word, which overlaps the previous one.
    if bytes.last_chunk().is_some_and(|last| to_escape(*last) == 0) {
        return bytes.len();
    }
    passed
        + rest
            .iter()
            .take_while(|byte| !matches!(byte, ..0x20 | b'"' | b'\\' | b'<' | 0xe2))
            .count()
}

/// Sets the highest bit of the first byte that may need an escape, and possibly of bytes after it.
#[inline]
fn to_escape(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    // Like the scan, but the first byte of U+2028 has its high bit set and needs its own check.
    let is = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    let ascii = (word.wrapping_sub(ONES * 0x20) | is(b'"') | is(b'\\') | is(b'<')) & !word;
    (ascii | (is(0xe2) & word)) & HIGHS
}

fn escape_char(out: &mut String, char: char) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '<' => out.push_str("\\u003C"),
        '\u{2028}' => out.push_str("\\u2028"),
        '\u{2029}' => out.push_str("\\u2029"),
        '\0'..'\u{20}' => push_unit(out, char as u16),
        char => out.push(char),
    }
}

#[cold]
fn write_utf16(out: &mut String, units: &[u16]) {
    out.push('"');
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(char) => escape_char(out, char),
            Err(lone) => push_unit(out, lone.unpaired_surrogate()),
        }
    }
    out.push('"');
}

fn push_unit(out: &mut String, unit: u16) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(char::from_digit(u32::from(unit >> shift) & 0xf, 16));
    }
}

/// Writes a finite number like `String(number)`, except that negative zero is `-0`.
#[inline]
pub(crate) fn write_number(out: &mut String, number: f64) {
    const SAFE: u64 = (1 << 53) - 1;
    // The cast saturates for larger numbers, which the comparison detects.
    #[allow(clippy::cast_possible_truncation)]
    let integer = number as i64;
    #[allow(clippy::cast_precision_loss)]
    if integer as f64 == number && integer.unsigned_abs() <= SAFE {
        out.push_str(itoa::Buffer::new().format(integer));
    } else {
        out.push_str(ryu_js::Buffer::new().format(number));
    }
}

/// Replaces the escapes of lone surrogates in a text from this crate by U+FFFD. Devalue 5 writes them raw, and storing
/// the text as UTF-8 has the same effect.
#[cold]
pub(crate) fn replace_lone_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find('\\') {
        let (plain, tail) = rest.split_at_checked(found).unwrap_or((rest, ""));
        out.push_str(plain);
        // Only escapes of lone surrogates start like this.
        let (escape, tail) = if tail.starts_with("\\ud") {
            ("\u{fffd}", tail.get(6..).unwrap_or_default())
        } else {
            tail.split_at_checked(2).unwrap_or((tail, ""))
        };
        out.push_str(escape);
        rest = tail;
    }
    out.push_str(rest);
    out
}
