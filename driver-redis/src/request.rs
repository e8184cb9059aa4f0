/// Commands that are sent together, as they stand on the wire.
#[derive(Debug, Default)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    commands: usize,
    asking: bool,
}

impl Request {
    /// One that is written to this buffer, which is empty.
    pub(crate) fn in_buffer(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Leave for each command that follows to be served while its slot is on its way, which holds for one command.
    pub(crate) fn ask_each(&mut self) {
        self.asking = true;
    }

    /// Adds a command of these words.
    pub(crate) fn add(&mut self, words: &[&[u8]]) {
        self.begin(words.len());
        for word in words {
            self.push(word);
        }
    }

    /// Begins a command, of which so many words are to follow.
    pub(crate) fn begin(&mut self, words: usize) {
        if self.asking {
            self.bytes.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n");
            self.commands += 1;
        }
        self.head(b'*', words);
        self.commands += 1;
    }

    /// The next word of the command that was begun.
    pub(crate) fn push(&mut self, word: &[u8]) {
        self.head(b'$', word.len());
        self.bytes.extend_from_slice(word);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// How many replies are to come.
    pub(crate) fn commands(&self) -> usize {
        self.commands
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn head(&mut self, kind: u8, count: usize) {
        self.bytes.push(kind);
        let mut digits = itoa::Buffer::new();
        self.bytes
            .extend_from_slice(digits.format(count).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_as_the_protocol_wants_them() {
        let mut request = Request::default();
        request.add(&[b"GET", b"k\r\n"]);
        request.add(&[b"SET", b"", b"\xff"]);
        assert_eq!(request.commands(), 2);
        assert_eq!(
            request.into_bytes(),
            b"*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\n\xff\r\n"
        );
    }

    #[test]
    fn each_command_is_let_in_by_itself() {
        let mut request = Request::default();
        request.ask_each();
        request.add(&[b"GET", b"k"]);
        request.add(&[b"PTTL", b"k"]);
        assert_eq!(request.commands(), 4);
        let bytes = request.into_bytes();
        let asked = bytes.windows(6).filter(|word| word == b"ASKING");
        assert_eq!(asked.count(), 2);
    }
}
