//! What programs are made of: keys that backends confuse, values that they change, and times that they cannot hold.

use std::time::Duration;

/// Texts that some backend takes for one another, or for something else. A key of a program is made of up to three
/// texts of one family. The first text of a family is a plain one, because programs shrink towards it.
pub(crate) const FAMILIES: &[&[&str]] = &[
    &["a", "b", "c", "ab", "abc"],
    // Letter case and accents.
    &["k", "K", "key", "Key", "KEY"],
    &["σ", "Σ", "ς"],
    &["é", "É", "e", "e\u{301}", "E", "è"],
    &["ß", "ss", "ẞ", "SS"],
    &["i", "İ", "ı", "I", "i\u{307}"],
    &["ключ", "Ключ", "КЛЮЧ"],
    // Compatibility forms and characters without a width.
    &["a", "\u{ff41}", "\u{ff21}", "A", "ª"],
    &[
        "fi",
        "\u{fb01}",
        "f\u{200d}i",
        "f\u{ad}i",
        "f\u{200b}i",
        "f\u{2060}i",
    ],
    &["1", "①", "¹", "１", "01", "1.0", "+1", "1e0"],
    &["å", "\u{212b}", "a\u{30a}", "Å"],
    &["a", "\u{feff}a", "a\u{feff}", "a\u{fe0f}"],
    &["가", "\u{1100}\u{1161}"],
    &[
        "🔑",
        "🔒",
        "👨\u{200d}👩\u{200d}👧",
        "👨",
        "\u{1f44d}\u{1f3fd}",
        "👍",
        "\u{fffd}",
    ],
    // Space around, inside and instead.
    &[
        "a",
        " a",
        "a ",
        "a  ",
        "a b",
        "a  b",
        "a\u{a0}b",
        "a\u{3000}b",
    ],
    &["a", "a\t", "a\n", "a\r", "a\r\n", "\ta"],
    // Control characters.
    &["a", "a\u{0}", "a\u{0}b", "\u{0}a", "a\u{0}c"],
    &["a", "a\u{1}", "a\u{1f}", "a\u{7f}", "a\u{85}", "\u{1b}[0m"],
    // What SQL, globs, patterns, shells and protocols interpret.
    &["a", "'", "a'b", "a''b", "a\"b", "a`b", "\"a\"", "'a'"],
    &["ab", "a_b", "axb", "a%b", "axxb", "%", "_", "a%"],
    &["ab", "a*b", "axb", "*", "[ab]", "a[b", "{a}", "a{b,c}"],
    &["a", "a;b", "a--b", "a/*b", "$1", "${a}", "$(a)", "a#b"],
    &["a", "a,b", "a|b", "a&b", "a=b", "a+b", "a b", "a~b"],
    &["a", "a%20b", "a b", "a+b", "a%2Bb", "a%2bb"],
    &["a", "%41", "A", "a%3Ab", "a%2Fb", "a%25", "a%", "a%00"],
    &["a", "a.b", "a-b", "a_b", "a>b", "a.>", ">", "a.*"],
    &["a", "a.", ".a", "-a", "a-", "_a", "__a__", "a$b"],
    &["a", "<a>", "&lt;", "&amp;", "a&b", "]]>", "<!--"],
    &["a", "^a", "a|b", "(a)", "a@b", "a!b", "@a", "!a"],
    &["null", "undefined", "true", "false", "NaN", "nil", "None"],
    &[
        "0",
        "00",
        "-0",
        "0.0",
        "0x0",
        "1",
        "-1",
        "9223372036854775808",
    ],
    &[
        "constructor",
        "__proto__",
        "toString",
        "prototype",
        "hasOwnProperty",
    ],
    // What a driver may keep beside an entry.
    &[
        "k",
        "k.meta",
        "k:meta",
        "k.expires",
        "k:expires",
        "k:expires_at",
        "k:ttl",
        "k:version",
    ],
    &[
        "k", "k.lock", "k:lock", "k.tmp", "lock", "meta", "k~", "k.bak",
    ],
    &[
        "k",
        "k#meta",
        "k!",
        "k@",
        "k|meta",
        "_k",
        "k_meta",
        "k-expires",
    ],
    // The order of keys: what comes just before and just after a prefix.
    &["a", "a0", "a9", "a!", "a~", "a\u{10ffff}", "a-", "a;"],
    &["a", "b", "B", "a\u{7ff}", "a\u{ffff}", "Z", "_", "ä"],
    &["1", "2", "10", "9", "010", "-1", "1a"],
    &["z", "Z", "aa", "Aa", "AA", "aA", "ab"],
];

/// Lengths of keys at which backends cut, refuse or hash.
pub(crate) const KEY_LENGTHS: &[usize] = &[
    64, 128, 191, 200, 216, 220, 221, 222, 230, 249, 250, 251, 255, 256, 300, 480, 512, 767, 900,
    1_024, 2_000,
];

/// Values that a backend may decode, trim, cut or take for something else. Programs shrink towards the first.
pub(crate) const VALUES: &[&[u8]] = &[
    b"a",
    b"b",
    b"",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"10 ",
    b"007",
    b"1.0",
    b"1e3",
    b"0x10",
    b"12345678901234567890",
    b"-0",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b"TRUE",
    b"false",
    b"undefined",
    b"NULL",
    b"nil",
    b"\"text\"",
    b"\"",
    b"''",
    b"it's",
    b"'; --",
    b"{}",
    b"{ \"a\" : 1 }",
    b"{\"value\":\"x\",\"expires\":1}",
    b"{\"a\":1,\"a\":2}",
    b"[]",
    b"[1,2]",
    b"<a/>",
    b"&amp;",
    b" ",
    b" a",
    b"a ",
    b"a\n",
    b"\n",
    b"a\r\nb",
    b"a\r",
    b"\t",
    b"a=b&c=d",
    b"a+b%20c",
    b"%",
    b"%25",
    b"%s%d",
    b"\\",
    b"\\x41",
    b"\\x",
    b"\\000",
    b"\\n",
    b"\\u0041",
    b"E'a'",
    b"base64:YQ==",
    b"base64:",
    b"base64:!",
    b"YQ==",
    b"gzip:",
    b"hex:61",
    b"json:1",
    b"data:,a",
    b"b'a'",
    b"\0",
    b"\0a",
    b"a\0",
    b"a\0\0",
    b"a\0b",
    b"\x01",
    b"\x1f\x8b\x08\x00",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"\x78\x9c",
    b"\x78\x01\x03\x00\x00\x00\x00\x01",
    b"PK\x03\x04",
    b"\x80",
    b"\xff",
    b"\xff\xfe",
    b"\xfe\xff\x00a",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbfa",
    b"\xc3",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x94\x91",
    b"e\xcc\x81",
    b"\xc3\xa9",
    b"\xc3\x89",
    b"\xef\xbf\xbd",
    b"\xe2\x80\xa8",
    b"A",
    b"VALUE k 0 1\r\na\r\nEND\r\n",
    b"$-1\r\n",
    b"*1\r\n",
    b"expired",
    b"deleted",
    b"tombstone",
    b"__deleted__",
    b"0e12",
    b"NOT_FOUND",
    b"0:a",
    b"1:a",
    b"0|a",
    b"9999999999999:a",
    b"1700000000000|a",
];

/// Lengths of values at which backends cut, refuse, compress, split or move them elsewhere.
pub(crate) const VALUE_LENGTHS: &[usize] = &[
    16, 255, 256, 257, 1_023, 1_024, 1_025, 2_712, 4_095, 4_096, 4_097, 8_192, 16_384, 16_385,
    32_767, 32_768, 65_535, 65_536, 65_537, 100_000,
];

/// Longer ones, which take long to write.
pub(crate) const LONG_VALUE_LENGTHS: &[usize] = &[
    131_073, 262_144, 400_001, 524_289, 1_048_575, 1_048_576, 1_048_577, 1_500_000,
];

/// Prefixes that are not made from keys.
pub(crate) const PREFIXES: &[&str] = &[
    "a", "k", "%", "_", "*", "[a-z]", "'", "a'", "a\"b", "a`", "^", ".", "a.b", "$", "{a}", "~",
    "é", "none", "A", "+", "a b", "&", "|", "(", ">", ";", "#", "\u{0}", "a%", "a_", "a*", "-",
];

const DAY: Duration = Duration::from_secs(86_400);

/// Distances into the future. Thirty days is where memcached begins to take a number for a time.
pub(crate) const DISTANCES: &[Duration] = &[
    Duration::from_secs(60),
    Duration::from_millis(3_600_123),
    Duration::from_millis(59_999),
    Duration::from_secs(3_600),
    DAY,
    DAY.saturating_mul(25),
    DAY.saturating_mul(30)
        .saturating_sub(Duration::from_millis(1)),
    DAY.saturating_mul(30)
        .saturating_add(Duration::from_secs(1)),
    DAY.saturating_mul(31),
    DAY.saturating_mul(50),
    DAY.saturating_mul(366),
    DAY.saturating_mul(3_650),
];

/// Distances into the past.
pub(crate) const PAST: &[Duration] = &[
    Duration::from_secs(60),
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3_600),
    DAY.saturating_mul(31),
];

/// The first millisecond after the year 9999. Later times need not be reported exactly.
pub(crate) const YEAR_10_000: u64 = 253_402_300_800_000;

/// Times at which the types of backends end.
pub(crate) const TIMES: &[u64] = &[
    0,
    1,
    999,
    // The first one is of 2038, the second one of 2106.
    (i32::MAX as u64 + 1) * 1_000,
    (u32::MAX as u64 + 1) * 1_000,
    4_102_444_800_123,
    YEAR_10_000 - 1,
    YEAR_10_000,
    1 << 53,
    i64::MAX as u64 / 1_000_000,
    i64::MAX as u64 / 1_000,
    i64::MAX as u64,
    i64::MAX as u64 + 1,
    u64::MAX - 1,
    u64::MAX,
];
