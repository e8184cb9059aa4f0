use std::sync::LazyLock;

use crate::request::Request;

/// A script, and the hash by which a server that keeps it is asked to run it.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) hash: String,
}

/// What the scripts have in common: they compare the whole value, since a visitor chooses parts of it and could find
/// two of one SHA-1, and answer 1 if it was as expected, else what is there instead with its remaining life, or nil.
const UNLESS_EQUAL: &str = "local current = redis.call('GET', KEYS[1])
if current ~= ARGV[1] then
  if not current then return false end
  return {current, redis.call('PTTL', KEYS[1])}
end
";

/// Writes ARGV[2], for ARGV[3] milliseconds or for ever, where ARGV[1] is.
pub(crate) static SET_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('SET', KEYS[1], ARGV[2]) end
return 1",
    )
});

/// Removes ARGV[1].
pub(crate) static DELETE_IF_EQUAL: LazyLock<Script> =
    LazyLock::new(|| Script::new("redis.call('UNLINK', KEYS[1]) return 1"));

/// Ends ARGV[1] after ARGV[2] milliseconds, or never.
pub(crate) static EXPIRE_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2])
else redis.call('PERSIST', KEYS[1]) end
return 1",
    )
});

impl Script {
    fn new(then: &str) -> Self {
        let text = [UNLESS_EQUAL, then].concat();
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

/// Has the server keep all scripts, so that each is called by its hash from the first time on.
pub(crate) fn load_all(request: &mut Request) {
    for script in [&SET_IF_EQUAL, &DELETE_IF_EQUAL, &EXPIRE_IF_EQUAL] {
        request.add(&[b"SCRIPT", b"LOAD", script.text.as_bytes()]);
    }
}
