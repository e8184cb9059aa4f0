//! Reads replies, of the second version of Redis' protocol, which is what a connection speaks unless it asks for more.

use std::io;

use redis::Value;

/// No server sends a longer string, and no longer array answers what is asked here.
const MOST_BYTES: usize = 512 * 1024 * 1024;
const MOST_ITEMS: usize = 1024 * 1024;

/// How deep arrays lie in each other at most; those of a cluster's slots have four levels.
const DEEPEST: usize = 8;

/// How far reading has come.
pub(crate) enum Decoded {
    /// A reply, and how many bytes it took.
    Reply(Value, usize),
    /// Not all of it is there; it has at least so many bytes.
    Incomplete(usize),
}

/// Reads the reply that `input` begins with.
pub(crate) fn decode(input: &[u8]) -> io::Result<Decoded> {
    let mut reader = Reader { input, at: 0 };
    match reader.value(0) {
        Ok(value) => Ok(Decoded::Reply(value, reader.at)),
        Err(Stop::Incomplete(least)) => Ok(Decoded::Incomplete(least)),
        Err(Stop::Garbage) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "what was answered is no reply of a Redis server",
        )),
    }
}

/// Why there is no reply.
enum Stop {
    Incomplete(usize),
    Garbage,
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        let begin = self.at;
        let (kind, text) = self.line()?;
        match kind {
            b'$' => match length(text, MOST_BYTES)? {
                None => Ok(Value::Nil),
                Some(length) => Ok(Value::BulkString(self.string(length)?.to_vec())),
            },
            b':' => number(text).map(Value::Int).ok_or(Stop::Garbage),
            b'+' if text == b"OK" => Ok(Value::Okay),
            b'+' => Ok(Value::SimpleString(
                String::from_utf8_lossy(text).into_owned(),
            )),
            b'-' => {
                let line = self.input.get(begin..self.at).unwrap_or_default();
                redis::parse_redis_value(line).map_err(|_| Stop::Garbage)
            }
            b'*' if depth < DEEPEST => match length(text, MOST_ITEMS)? {
                None => Ok(Value::Nil),
                Some(length) => {
                    let mut items = Vec::new();
                    for _ in 0..length {
                        items.push(self.value(depth + 1)?);
                    }
                    Ok(Value::Array(items))
                }
            },
            _ => Err(Stop::Garbage),
        }
    }

    /// The kind of what follows, and the rest of its first line.
    fn line(&mut self) -> Result<(u8, &'a [u8]), Stop> {
        /// Longer than any error.
        const LONGEST: usize = 64 * 1024;
        let rest = self.input.get(self.at..).unwrap_or_default();
        if !rest.first().is_none_or(|kind| b"$:+-*".contains(kind)) {
            return Err(Stop::Garbage);
        }
        let Some(end) = memchr::memchr(b'\r', rest) else {
            return match rest.len() {
                0..LONGEST => Err(Stop::Incomplete(self.input.len() + 1)),
                _ => Err(Stop::Garbage),
            };
        };
        match (rest.get(..end), rest.get(end + 1)) {
            (Some([kind, text @ ..]), Some(b'\n')) => {
                self.at += end + 2;
                Ok((*kind, text))
            }
            (Some([_, ..]), None) => Err(Stop::Incomplete(self.input.len() + 1)),
            _ => Err(Stop::Garbage),
        }
    }

    fn string(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at + length;
        match (self.input.get(self.at..end), self.input.get(end..end + 2)) {
            (Some(string), Some(b"\r\n")) => {
                self.at = end + 2;
                Ok(string)
            }
            (Some(_), Some(_)) => Err(Stop::Garbage),
            _ => Err(Stop::Incomplete(end + 2)),
        }
    }
}

/// A length up to `most`; `None` stands for nothing at all.
fn length(text: &[u8], most: usize) -> Result<Option<usize>, Stop> {
    match number(text) {
        Some(-1) => Ok(None),
        Some(length) => match usize::try_from(length) {
            Ok(length) if length <= most => Ok(Some(length)),
            _ => Err(Stop::Garbage),
        },
        None => Err(Stop::Garbage),
    }
}

fn number(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let number = digits.iter().try_fold(0_i64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(i64::from(digit))
    })?;
    Some(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Value {
        match decode(input) {
            Ok(Decoded::Reply(value, length)) => {
                assert_eq!(length, input.len());
                value
            }
            _ => panic!("{} is a reply", String::from_utf8_lossy(input)),
        }
    }

    const REPLIES: [&[u8]; 9] = [
        b"+OK\r\n",
        b"+PONG\r\n",
        b":-2\r\n",
        b":9223372036854775807\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"$4\r\na\r\nb\r\n",
        b"-MOVED 1 127.0.0.1:2\r\n",
        b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*-1\r\n-ERR inner\r\n",
    ];

    #[test]
    fn replies_are_read_as_the_client_library_reads_them() {
        for reply in REPLIES {
            assert_eq!(read(reply), redis::parse_redis_value(reply).unwrap());
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_incomplete_and_wants_no_more_than_there_is() {
        for reply in REPLIES {
            for end in 0..reply.len() {
                let cut = reply.get(..end).unwrap();
                match decode(cut) {
                    Ok(Decoded::Incomplete(least)) => {
                        assert!(end < least && least <= reply.len(), "{least} of {reply:?}");
                    }
                    _ => panic!("{cut:?} is no whole reply"),
                }
            }
        }
    }

    #[test]
    fn a_reply_ends_where_the_next_begins() {
        let input = b"$1\r\na\r\n:1\r\n";
        let Ok(Decoded::Reply(value, length)) = decode(input) else {
            panic!("a reply");
        };
        assert_eq!((value, length), (Value::BulkString(b"a".to_vec()), 7));
    }

    #[test]
    fn garbage_is_an_error() {
        let mut deep = b"*1\r\n".repeat(100);
        deep.extend_from_slice(b":1\r\n");
        let endless = vec![b'+'; 100_000];
        for garbage in [
            b"HTTP/1.1 400 Bad Request\r\n".as_slice(),
            b"\r\n",
            b"\n",
            b"$-2\r\n",
            b"$x\r\n",
            b"$99999999999999999999\r\n",
            b"$600000000\r\n",
            b"*2000000\r\n",
            b"$1\r\nabc\r\n",
            b":\r\n",
            b":1.5\r\n",
            b"+OK\rX",
            &deep,
            &endless,
        ] {
            assert!(decode(garbage).is_err(), "{}", garbage.escape_ascii());
        }
    }
}
