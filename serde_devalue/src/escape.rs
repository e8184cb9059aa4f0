//! Strings and numbers in the form in which devalue writes them.

use crate::string::Text;

/// For each byte: 0 if it is written as it is, otherwise what becomes of it.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'<' as usize] = b'<';
    // U+2028 and U+2029 begin with this byte, as do others.
    table[0xe2] = 0xe2;
    table
};

/// Writes a string literal. Says whether it had a lone surrogate.
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
    let mut rest = text;
    while let Some(found) = rest
        .bytes()
        .position(|byte| ESCAPES.get(usize::from(byte)) != Some(&0))
    {
        let (plain, tail) = rest.split_at_checked(found).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut chars = tail.chars();
        if let Some(char) = chars.next() {
            escape_char(out, char);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
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

/// Writes a finite number as `String(number)` does, with `-0` for the zero that JSON would lose.
#[inline]
pub(crate) fn write_number(out: &mut String, number: f64) {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    if number.fract() == 0.0 && number.abs() <= SAFE {
        #[allow(clippy::cast_possible_truncation)]
        out.push_str(itoa::Buffer::new().format(number as i64));
    } else {
        out.push_str(ryu_js::Buffer::new().format(number));
    }
}

/// Replaces the escapes of lone surrogates, in a text of this crate's writing, by U+FFFD: what becomes of them where
/// devalue 5 writes them raw and the text is stored as UTF-8.
#[cold]
pub(crate) fn replace_lone_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find('\\') {
        let (plain, tail) = rest.split_at_checked(found).unwrap_or((rest, ""));
        out.push_str(plain);
        // The only escapes that begin so are those of lone surrogates.
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
