//! Scripts for what must happen in one step.

/// What they have in common: they compare the whole value, since a visitor chooses parts of it and could find two of
/// one hash that Redis knows; and they answer 1 if it was as expected, else what is there instead with its remaining
/// life, or nil.
macro_rules! unless_equal {
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

/// Writes ARGV[2], for ARGV[3] milliseconds or for ever, where ARGV[1] is.
pub(crate) const SET_IF_EQUAL: &str = unless_equal!(
    "if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('SET', KEYS[1], ARGV[2]) end
return 1"
);

/// Removes ARGV[1].
pub(crate) const DELETE_IF_EQUAL: &str = unless_equal!("redis.call('UNLINK', KEYS[1]) return 1");

/// Ends ARGV[1] after ARGV[2] milliseconds, or never.
pub(crate) const EXPIRE_IF_EQUAL: &str = unless_equal!(
    "if ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2])
else redis.call('PERSIST', KEYS[1]) end
return 1"
);

/// Reads, as the primary alone does for a script.
pub(crate) const READ: &str = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}";
