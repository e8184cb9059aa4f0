//! The storage of the README: what stands there is this code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use session_kit::drivers::MemoryDriver;
use session_kit::{Driver, Result, storage::Storage};

#[derive(Serialize, Deserialize)]
struct Draft {
    title: String,
}

async fn save(driver: Arc<dyn Driver>) -> Result<Option<Draft>> {
    let storage = Storage::new(driver);
    let draft = Draft {
        title: "Hello".into(),
    };
    storage.set("drafts:1", &draft).await?;
    storage.get("drafts:1").await
}

#[test_support::test]
async fn the_storage_of_the_readme_works() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("struct Draft {").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    assert!(
        include_str!("readme_key_value.rs").contains(block),
        "{block}"
    );
    let draft = save(Arc::new(MemoryDriver::new())).await.unwrap();
    assert_eq!(draft.unwrap().title, "Hello");
}
