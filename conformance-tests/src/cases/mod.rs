//! The cases of the suite, one file for each part of the contract.

mod anew;
mod batch;
mod cancellation;
mod capabilities;
mod clear;
mod close;
mod conditional_removals;
mod conditional_writes;
mod errors;
mod every_method;
mod expiry;
mod histories;
mod invalidations;
mod keys;
mod listing;
mod races;
mod random;
mod runtime;
mod touch;
mod values;
mod watch;
mod write_races;

use crate::case::Case;
pub(crate) use keys::may_reject;

/// Returns all cases, in the order of the report.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        values::CASES,
        keys::CASES,
        expiry::CASES,
        touch::CASES,
        conditional_writes::CASES,
        conditional_removals::CASES,
        races::CASES,
        write_races::CASES,
        batch::CASES,
        listing::CASES,
        clear::CASES,
        capabilities::CASES,
        cancellation::CASES,
        errors::CASES,
        watch::CASES,
        invalidations::CASES,
        close::CASES,
        anew::CASES,
        runtime::CASES,
        every_method::CASES,
        random::CASES,
        histories::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Declares the cases of a file. Each case is an async function with the same name.
macro_rules! cases {
    ($( $name:ident $([$($need:expr),*])?: $proves:literal; )*) => {
        pub(crate) const CASES: &[$crate::case::Case] = &[$(
            $crate::case::Case {
                name: stringify!($name),
                proves: $proves,
                needs: &[$($($need),*)?],
                run: |context| Box::pin($name(context)),
            },
        )*];
    };
}
use cases;
