//! Lua scripts for atomic conditional changes.

/// A script that runs `$then` and returns 1 if the value of `KEYS[1]` is `ARGV[1]`. Otherwise it returns the current value
/// and its remaining time to live, or nil if the key is absent.
///
/// It compares the whole value, since users choose parts of it and could find a collision of a hash that Redis supports.
macro_rules! if_equal {
    ($then:literal) => {
        concat!(
            "local expected = string.sub(ARGV[1], 2)
if string.sub(ARGV[1], 1, 1) == 'x' then
  expected = string.gsub(expected, '..', function(digits) return string.char(tonumber(digits, 16)) end)
end
local current = redis.call('GET', KEYS[1])
if current ~= expected then
  if not current then return false end
  return {current, redis.call('PTTL', KEYS[1])}
end
",
            $then
        )
    };
}

/// Replaces the value by `ARGV[2]`, with a time to live of `ARGV[3]` milliseconds or without one.
pub(crate) const SET_IF_EQUAL: &str = if_equal!(
    "if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('SET', KEYS[1], ARGV[2]) end
return 1"
);

/// Removes the key.
pub(crate) const DELETE_IF_EQUAL: &str = if_equal!("redis.call('UNLINK', KEYS[1]) return 1");

/// Sets the time to live to `ARGV[2]` milliseconds, or removes it.
pub(crate) const EXPIRE_IF_EQUAL: &str = if_equal!(
    "if ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2])
else redis.call('PERSIST', KEYS[1]) end
return 1"
);

/// Reads the value and its remaining time to live from the primary, since replicas do not run scripts.
pub(crate) const READ: &str = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}";
