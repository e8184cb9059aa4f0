//! Drivers that list, clear or watch wrong keys.

use futures_util::StreamExt;
use session_core::*;

use crate::broken::Flaw;
use crate::detects;

/// Returns every key of the inner driver.
async fn all_keys(inner: &dyn Driver) -> Result<Vec<Key>> {
    let mut options = ListOptions::default();
    let mut keys = Vec::new();
    loop {
        let page = inner.list(options.clone()).await?;
        keys.extend(page.keys);
        match page.next {
            Some(cursor) => options.cursor = Some(cursor),
            None => return Ok(keys),
        }
    }
}

/// Defines a flaw whose prefixes contain the keys that `matches` accepts, in one page.
macro_rules! flawed_prefixes {
    ($flaw:ident, $method:ident, |$prefix:ident, $key:ident| $matches:expr) => {
        #[derive(Clone)]
        struct $flaw;

        impl $flaw {
            async fn below(inner: &dyn Driver, prefix: &Prefix) -> Result<Vec<Key>> {
                let $prefix = prefix.as_str();
                let matches = |key: &Key| {
                    let $key = key.as_str();
                    $matches
                };
                Ok(all_keys(inner).await?.into_iter().filter(matches).collect())
            }
        }

        flawed_prefixes!(@$method $flaw);
    };
    (@list $flaw:ident) => {
        #[async_trait]
        impl Flaw for $flaw {
            async fn list(&self, inner: &dyn Driver, options: ListOptions) -> Result<ListPage> {
                Ok(ListPage::new(Self::below(inner, &options.prefix).await?, None))
            }
        }
    };
    (@clear $flaw:ident) => {
        #[async_trait]
        impl Flaw for $flaw {
            async fn clear(&self, inner: &dyn Driver, prefix: &Prefix) -> Result<()> {
                inner.remove_many(&Self::below(inner, prefix).await?).await
            }
        }
    };
}

/// Returns whether `text` matches `pattern`, where `*` and `%` match anything and `_` matches one character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*' | b'%', rest)), _) if glob(rest, text) => true,
        (Some((b'*' | b'%', _)), Some((_, text))) => glob(pattern, text),
        (Some((b'_', rest)), Some((_, text))) => glob(rest, text),
        (Some((character, rest)), Some((other, text))) => character == other && glob(rest, text),
        _ => false,
    }
}

flawed_prefixes!(ListsByText, list, |prefix, key| key.starts_with(prefix));
detects!(a_driver_whose_listing_of_app_contains_app2, ListsByText => a_listing_contains_only_its_prefix,
    special_characters_in_prefixes_are_literal);

flawed_prefixes!(ListsItself, list, |prefix, key| prefix.is_empty()
    || key == prefix
    || key.starts_with(&format!("{prefix}:")));
detects!(a_driver_that_lists_the_prefix_itself, ListsItself => a_listing_contains_only_its_prefix);

flawed_prefixes!(ListsByGlob, list, |prefix, key| prefix.is_empty()
    || glob(format!("{prefix}:*").as_bytes(), key.as_bytes()));
detects!(a_driver_whose_listing_expands_globs, ListsByGlob => special_characters_in_prefixes_are_literal);

flawed_prefixes!(ListsInLowercase, list, |prefix, key| prefix.is_empty()
    || key
        .to_lowercase()
        .starts_with(&format!("{}:", prefix.to_lowercase())));
detects!(a_driver_whose_listing_ignores_case, ListsInLowercase => special_characters_in_prefixes_are_literal);

flawed_prefixes!(ClearsByText, clear, |prefix, key| key.starts_with(prefix));
detects!(a_driver_whose_clear_of_app_removes_app2, ClearsByText => clear_removes_only_its_prefix,
    clear_of_a_base_keeps_its_neighbours);

flawed_prefixes!(ClearsByGlob, clear, |prefix, key| prefix.is_empty()
    || glob(format!("{prefix}:*").as_bytes(), key.as_bytes()));
detects!(a_driver_whose_clear_expands_globs, ClearsByGlob => special_characters_in_a_cleared_prefix_are_literal);

flawed_prefixes!(ClearsEverything, clear, |_prefix, _key| true);
detects!(a_driver_whose_clear_removes_everything, ClearsEverything => clear_removes_only_its_prefix,
    clear_of_a_base_keeps_its_neighbours, special_characters_in_a_cleared_prefix_are_literal);

#[derive(Clone)]
struct ClearsOnePage;

#[async_trait]
impl Flaw for ClearsOnePage {
    async fn clear(&self, inner: &dyn Driver, prefix: &Prefix) -> Result<()> {
        let page = inner.list(ListOptions::below(prefix.clone())).await?;
        inner.remove_many(&page.keys).await
    }
}

detects!(a_driver_whose_clear_stops_after_a_page, ClearsOnePage => clear_removes_everything_below_its_prefix,
    special_characters_in_a_cleared_prefix_are_literal, clear_removes_only_its_prefix);

/// Defines a flaw of listings.
macro_rules! flawed_pages {
    ($flaw:ident, |$inner:ident, $options:ident| $list:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn list(&self, $inner: &dyn Driver, $options: ListOptions) -> Result<ListPage> {
                $list
            }
        }
    };
}

flawed_pages!(SkipsAtPages, |inner, options| {
    let later = options.cursor.is_some();
    let mut page = inner.list(options).await?;
    if later && !page.keys.is_empty() {
        page.keys.remove(0);
    }
    Ok(page)
});
detects!(a_driver_whose_pages_skip_a_key, SkipsAtPages => pages_contain_every_key,
    a_listing_during_writes_misses_no_key);

flawed_pages!(RepeatsAtPages, |inner, options| {
    let mut page = inner.list(options.clone()).await?;
    if page.next.is_some() && options.limit > 1 {
        let again = page.keys.first().cloned();
        page.keys.extend(again);
    }
    Ok(page)
});
detects!(a_driver_whose_pages_repeat_a_key, RepeatsAtPages => pages_contain_every_key,
    a_listing_during_writes_misses_no_key);

flawed_pages!(OnePageOnly, |inner, options| {
    let mut page = inner.list(options.with_limit(100)).await?;
    page.next = None;
    Ok(page)
});
detects!(a_driver_that_lists_only_one_page, OnePageOnly => pages_contain_every_key,
    a_listing_during_writes_misses_no_key);

/// Pages by the number of earlier keys, which a removal shifts.
#[derive(Clone)]
struct PagesByOffset;

#[async_trait]
impl Flaw for PagesByOffset {
    async fn list(&self, inner: &dyn Driver, options: ListOptions) -> Result<ListPage> {
        let mut keys = all_keys(inner).await?;
        keys.retain(|key| options.prefix.contains(key));
        keys.sort();
        let offset = options
            .cursor
            .and_then(|cursor| cursor.as_str().parse().ok())
            .unwrap_or(0);
        let end = offset + options.limit.max(1);
        let next = (end < keys.len()).then(|| Cursor::new(end.to_string()));
        let keys = keys
            .into_iter()
            .skip(offset)
            .take(options.limit.max(1))
            .collect();
        Ok(ListPage::new(keys, next))
    }
}

detects!(a_driver_that_pages_by_offset, PagesByOffset => a_listing_during_writes_misses_no_key);

flawed_pages!(NeverTerminates, |inner, options| {
    let mut page = inner.list(options).await?;
    page.next = page.next.or(Some(Cursor::new("0.0")));
    Ok(page)
});

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_whose_listing_never_terminates() {
    let names = ["an_empty_listing_terminates", "binary_values_round_trip"];
    let report = conformance_tests::run_only(&names, || async {
        crate::broken::Broken::new(driver_memory::MemoryDriver::new(), NeverTerminates)
    })
    .await;
    crate::assert_detected(&report, "an_empty_listing_terminates", &[]);
}

#[derive(Clone)]
struct RefusesToClear;

#[async_trait]
impl Flaw for RefusesToClear {
    fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
        inner.capabilities().with_listing(Listing::None)
    }
}

detects!(a_driver_that_lists_undeclared, RefusesToClear => unsupported_list_is_rejected);

/// Defines a flaw of watches.
macro_rules! flawed_watches {
    ($flaw:ident, |$inner:ident, $prefix:ident| $watch:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn watch(
                &self,
                $inner: &dyn Driver,
                $prefix: &Prefix,
            ) -> Result<BoxStream<'static, Result<Change>>> {
                $watch
            }
        }
    };
}

flawed_watches!(ReportsOnlyWrites, |inner, prefix| {
    let changes = inner
        .watch(prefix)
        .await?
        .map(|change| change.map(|change| Change::new(change.key, ChangeKind::Written)));
    Ok(changes.boxed())
});
detects!(a_driver_whose_watchers_miss_removals, ReportsOnlyWrites => a_watcher_sees_writes_and_removals);

flawed_watches!(ReportsOtherPrefixes, |inner, prefix| {
    let base = prefix
        .as_str()
        .rsplit_once(':')
        .map_or("", |(base, _)| base);
    inner.watch(&Prefix::new(base)?).await
});

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_whose_watchers_see_other_prefixes() {
    // Without the prefix of a case, which would filter other keys.
    let driver =
        crate::broken::Broken::new(driver_memory::MemoryDriver::new(), ReportsOtherPrefixes);
    let mut changes = driver.watch(&Prefix::new("app").unwrap()).await.unwrap();
    driver.put("beside", "").await.unwrap();
    assert_eq!(
        changes.next().await.unwrap().unwrap().key.as_str(),
        "beside"
    );
    let report = crate::report_on(ReportsOtherPrefixes).await;
    crate::assert_detected(&report, "a_watcher_sees_only_its_prefix", &[]);
}
