//! Drivers that list, clear or watch the wrong keys.

use futures_util::StreamExt;
use session_core::*;

use crate::broken::Flaw;
use crate::tells;

/// Every key of the driver below.
async fn all_keys(right: &dyn Driver) -> Result<Vec<Key>> {
    let mut options = ListOptions::default();
    let mut keys = Vec::new();
    loop {
        let page = right.list(options.clone()).await?;
        keys.extend(page.keys);
        match page.next {
            Some(cursor) => options.cursor = Some(cursor),
            None => return Ok(keys),
        }
    }
}

/// Takes a prefix for the keys that `matches` says, in one page.
macro_rules! spoils_prefixes {
    ($flaw:ident, $method:ident, |$prefix:ident, $key:ident| $matches:expr) => {
        #[derive(Clone)]
        struct $flaw;

        impl $flaw {
            async fn below(right: &dyn Driver, prefix: &Prefix) -> Result<Vec<Key>> {
                let $prefix = prefix.as_str();
                let matches = |key: &Key| {
                    let $key = key.as_str();
                    $matches
                };
                Ok(all_keys(right).await?.into_iter().filter(matches).collect())
            }
        }

        spoils_prefixes!(@$method $flaw);
    };
    (@list $flaw:ident) => {
        #[async_trait]
        impl Flaw for $flaw {
            async fn list(&self, right: &dyn Driver, options: ListOptions) -> Result<ListPage> {
                Ok(ListPage::new(Self::below(right, &options.prefix).await?, None))
            }
        }
    };
    (@clear $flaw:ident) => {
        #[async_trait]
        impl Flaw for $flaw {
            async fn clear(&self, right: &dyn Driver, prefix: &Prefix) -> Result<()> {
                right.remove_many(&Self::below(right, prefix).await?).await
            }
        }
    };
}

/// Whether `text` matches `pattern`, in which `*` and `%` stand for anything and `_` for one character.
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

spoils_prefixes!(ListsByText, list, |prefix, key| key.starts_with(prefix));
tells!(a_driver_whose_listing_of_app_has_app2, ListsByText => a_listing_keeps_to_its_prefix,
    special_characters_in_prefixes_are_ordinary);

spoils_prefixes!(ListsItself, list, |prefix, key| prefix.is_empty()
    || key == prefix
    || key.starts_with(&format!("{prefix}:")));
tells!(a_driver_that_lists_the_prefix_itself, ListsItself => a_listing_keeps_to_its_prefix);

spoils_prefixes!(ListsByGlob, list, |prefix, key| prefix.is_empty()
    || glob(format!("{prefix}:*").as_bytes(), key.as_bytes()));
tells!(a_driver_whose_listing_takes_globs, ListsByGlob => special_characters_in_prefixes_are_ordinary);

spoils_prefixes!(ListsInLowercase, list, |prefix, key| prefix.is_empty()
    || key
        .to_lowercase()
        .starts_with(&format!("{}:", prefix.to_lowercase())));
tells!(a_driver_whose_listing_ignores_case, ListsInLowercase => special_characters_in_prefixes_are_ordinary);

spoils_prefixes!(ClearsByText, clear, |prefix, key| key.starts_with(prefix));
tells!(a_driver_whose_clear_of_app_takes_app2, ClearsByText => clearing_keeps_to_its_prefix,
    clearing_a_base_keeps_its_neighbours);

spoils_prefixes!(ClearsByGlob, clear, |prefix, key| prefix.is_empty()
    || glob(format!("{prefix}:*").as_bytes(), key.as_bytes()));
tells!(a_driver_whose_clear_takes_globs, ClearsByGlob => special_characters_in_a_cleared_prefix_are_ordinary);

spoils_prefixes!(ClearsEverything, clear, |_prefix, _key| true);
tells!(a_driver_whose_clear_takes_everything, ClearsEverything => clearing_keeps_to_its_prefix,
    clearing_a_base_keeps_its_neighbours, special_characters_in_a_cleared_prefix_are_ordinary);

#[derive(Clone)]
struct ClearsOnePage;

#[async_trait]
impl Flaw for ClearsOnePage {
    async fn clear(&self, right: &dyn Driver, prefix: &Prefix) -> Result<()> {
        let page = right.list(ListOptions::below(prefix.clone())).await?;
        right.remove_many(&page.keys).await
    }
}

tells!(a_driver_whose_clear_stops_after_a_page, ClearsOnePage => clearing_takes_everything_below,
    special_characters_in_a_cleared_prefix_are_ordinary, clearing_keeps_to_its_prefix);

/// Changes the pages of a listing.
macro_rules! spoils_pages {
    ($flaw:ident, |$right:ident, $options:ident| $list:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn list(&self, $right: &dyn Driver, $options: ListOptions) -> Result<ListPage> {
                $list
            }
        }
    };
}

spoils_pages!(SkipsAtPages, |right, options| {
    let later = options.cursor.is_some();
    let mut page = right.list(options).await?;
    if later && !page.keys.is_empty() {
        page.keys.remove(0);
    }
    Ok(page)
});
tells!(a_driver_whose_pages_skip_a_key, SkipsAtPages => pages_give_every_key,
    a_listing_while_others_write_misses_none);

spoils_pages!(RepeatsAtPages, |right, options| {
    let mut page = right.list(options.clone()).await?;
    if page.next.is_some() && options.limit > 1 {
        let again = page.keys.first().cloned();
        page.keys.extend(again);
    }
    Ok(page)
});
tells!(a_driver_whose_pages_repeat_a_key, RepeatsAtPages => pages_give_every_key,
    a_listing_while_others_write_misses_none);

spoils_pages!(OnePageOnly, |right, options| {
    let mut page = right.list(options.with_limit(100)).await?;
    page.next = None;
    Ok(page)
});
tells!(a_driver_that_lists_one_page_only, OnePageOnly => pages_give_every_key,
    a_listing_while_others_write_misses_none);

/// Pages by how many keys were given before, which a removal moves.
#[derive(Clone)]
struct PagesByOffset;

#[async_trait]
impl Flaw for PagesByOffset {
    async fn list(&self, right: &dyn Driver, options: ListOptions) -> Result<ListPage> {
        let mut keys = all_keys(right).await?;
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

tells!(a_driver_that_pages_by_offset, PagesByOffset => a_listing_while_others_write_misses_none);

spoils_pages!(NeverEnds, |right, options| {
    let mut page = right.list(options).await?;
    page.next = page.next.or(Some(Cursor::new("0.0")));
    Ok(page)
});

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_whose_listing_never_ends() {
    let names = ["an_empty_listing_ends", "binary_values_come_back"];
    let report = conformance_tests::run_only(&names, || async {
        crate::broken::Broken::new(driver_memory::MemoryDriver::new(), NeverEnds)
    })
    .await;
    crate::assert_told(&report, "an_empty_listing_ends", &[]);
}

#[derive(Clone)]
struct RefusesToClear;

#[async_trait]
impl Flaw for RefusesToClear {
    fn capabilities(&self, right: &dyn Driver) -> Capabilities {
        right.capabilities().with_listing(Listing::None)
    }
}

tells!(a_driver_that_lists_although_it_says_it_cannot, RefusesToClear => listing_is_refused_where_it_does_not_work);

/// Changes what a watcher is told.
macro_rules! spoils_watches {
    ($flaw:ident, |$right:ident, $prefix:ident| $watch:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn watch(
                &self,
                $right: &dyn Driver,
                $prefix: &Prefix,
            ) -> Result<BoxStream<'static, Result<Change>>> {
                $watch
            }
        }
    };
}

spoils_watches!(TellsOfWritesOnly, |right, prefix| {
    let changes = right
        .watch(prefix)
        .await?
        .map(|change| change.map(|change| Change::new(change.key, ChangeKind::Written)));
    Ok(changes.boxed())
});
tells!(a_driver_whose_watchers_hear_no_removal, TellsOfWritesOnly => a_watcher_is_told_of_writes_and_removals);

spoils_watches!(TellsOfNeighbours, |right, prefix| {
    let base = prefix
        .as_str()
        .rsplit_once(':')
        .map_or("", |(base, _)| base);
    right.watch(&Prefix::new(base)).await
});

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_whose_watchers_hear_of_neighbours() {
    // Not through the base of a case, which would hold back what lies beside it.
    let driver = crate::broken::Broken::new(driver_memory::MemoryDriver::new(), TellsOfNeighbours);
    let mut changes = driver.watch(&Prefix::new("app")).await.unwrap();
    driver.put("beside", "").await.unwrap();
    assert_eq!(
        changes.next().await.unwrap().unwrap().key.as_str(),
        "beside"
    );
    let report = crate::report_on(TellsOfNeighbours).await;
    crate::assert_told(&report, "a_watcher_is_told_of_its_prefix_alone", &[]);
}
