//! Whatever is done to a cookie, it is the one that was written or it is none.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use session_core::session::{CookieFormat, CookieOptions, CookieSessionOptions};

use crate::visitor::{Browser, OTHER_SECRET, SECRET, Site, set};

/// The characters that cookies of both formats are made of, and some that they are not.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.v=+/ ";

struct Mutator(TestRng);

impl Mutator {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// A value that differs from all of `originals`.
    fn mutate(&mut self, originals: &[String]) -> String {
        let pick = self.below(originals.len());
        let mut bytes = originals[pick].clone().into_bytes();
        let at = self.below(bytes.len());
        match self.below(9) {
            // One bit, as far as it stays a character of a header.
            0 | 1 => {
                bytes[at] ^= 1 << self.below(7);
                if !(b'!'..=b'~').contains(&bytes[at]) || b";,\"\\".contains(&bytes[at]) {
                    bytes[at] = b'A';
                }
            }
            2 => bytes[at] = ALPHABET[self.below(ALPHABET.len())],
            3 => bytes.truncate(at),
            4 => {
                bytes.remove(at);
            }
            5 => bytes.insert(at, ALPHABET[self.below(ALPHABET.len())]),
            6 => {
                let other = self.below(bytes.len());
                bytes.swap(at, other);
            }
            // The begin of one and the end of another.
            7 => {
                let other = originals[self.below(originals.len())].as_bytes();
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
            // Another version, another number of parts, another algorithm.
            _ => {
                let text = String::from_utf8(bytes).unwrap();
                let (_, rest) = text.split_once('.').unwrap();
                let heads = [
                    "v0", "v2", "v1.2", "v1.9", "v01", "v", "V1", "", NONE, HS512, RS256,
                ];
                bytes = format!("{}.{rest}", heads[self.below(heads.len())]).into_bytes();
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        if text.trim().is_empty() || originals.iter().any(|original| original == text.trim()) {
            return self.mutate(originals);
        }
        text
    }
}

/// `{"alg":"none"}`, `{"alg":"HS512","typ":"JWT"}` and `{"alg":"RS256","typ":"JWT"}`.
const NONE: &str = "eyJhbGciOiJub25lIn0";
const HS512: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
const RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";

async fn none_of_many_mutations_is_accepted(format: CookieFormat) {
    const MUTATIONS: usize = 50_000;
    let options = || {
        let options = CookieSessionOptions::new([SECRET]).with_format(format);
        options
            .with_accepted(CookieFormat::AstroSession)
            .with_accepted(CookieFormat::Sealed)
    };
    let site = Site::with(options(), |store| store);
    let mut originals = Vec::new();
    for name in ["Ann", "Bob", "a visitor with a rather long name"] {
        let mut browser = Browser::default();
        browser.visit(&site, set("name", name)).await;
        originals.push(browser.value().to_owned());
    }
    // Good ones, but of a secret that is no longer configured, or of a cookie of another name.
    let old = CookieSessionOptions::new([OTHER_SECRET]).with_format(format);
    let mut foreign = Browser::default();
    foreign
        .visit(&Site::with(old, |store| store), set("name", "Eve"))
        .await;
    let mut wrong = vec![foreign.value().to_owned()];
    if format == CookieFormat::Sealed {
        let renamed = Site::with(options(), |store| {
            store.cookie(CookieOptions::default().with_name("other"))
        });
        let mut other = Browser::default();
        other.visit(&renamed, set("name", "Eve")).await;
        wrong.push(other.cookies["other"].clone());
    }

    let mut mutator = Mutator(TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut accepted = Vec::new();
    for round in 0..MUTATIONS {
        let value = match wrong.get(round) {
            Some(wrong) => wrong.clone(),
            None => mutator.mutate(&originals),
        };
        let session = site
            .store
            .session_from_headers(&Browser::with("sid", value.clone()).headers());
        // Neither a value nor an error.
        if session.keys().await.unwrap() != [""; 0] {
            accepted.push(value);
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
    assert_eq!(
        site.take_rejections().len(),
        MUTATIONS,
        "each one is reported"
    );
    for original in originals {
        let browser = Browser::with("sid", original);
        assert!(browser.read(&site, "name").await.is_some());
    }
}

#[test_support::test]
async fn none_of_50_000_mutations_of_sealed_cookies_is_accepted() {
    none_of_many_mutations_is_accepted(CookieFormat::Sealed).await;
}

#[test_support::test]
async fn none_of_50_000_mutations_of_signed_cookies_is_accepted() {
    none_of_many_mutations_is_accepted(CookieFormat::AstroSession).await;
}
