//! A typical session record: a Map of five entries, 1 KiB.

use serde::{Deserialize, Serialize};
use serde_devalue::{Document, Kind, Writer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry<T> {
    pub(crate) data: T,
    pub(crate) expires: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    id: u64,
    name: String,
    email: String,
    roles: Vec<String>,
    verified: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CartItem {
    sku: String,
    title: String,
    quantity: u32,
    price: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    user: Entry<User>,
    csrf: Entry<String>,
    flash: Entry<Vec<String>>,
    cart: Entry<Vec<CartItem>>,
    visits: Entry<u32>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Borrowed<'a> {
    #[serde(borrow)]
    user: Entry<BorrowedUser<'a>>,
    #[serde(borrow)]
    csrf: Entry<&'a str>,
    #[serde(borrow)]
    flash: Entry<Vec<&'a str>>,
    #[serde(borrow)]
    cart: Entry<Vec<BorrowedItem<'a>>>,
    visits: Entry<u32>,
}

#[derive(Serialize, Deserialize)]
struct BorrowedUser<'a> {
    id: u64,
    name: &'a str,
    email: &'a str,
    #[serde(borrow)]
    roles: Vec<&'a str>,
    verified: bool,
}

#[derive(Serialize, Deserialize)]
struct BorrowedItem<'a> {
    sku: &'a str,
    title: &'a str,
    quantity: u32,
    price: f64,
}

pub(crate) fn typical() -> Record {
    let item = |number: u32, title: &str, price: f64| CartItem {
        sku: format!("SKU-{number:05}"),
        title: title.to_owned(),
        quantity: number % 3 + 1,
        price,
    };
    Record {
        user: Entry {
            data: User {
                id: 4_711,
                name: "Ann Example".to_owned(),
                email: "ann@example.com".to_owned(),
                roles: vec!["customer".to_owned(), "reviewer".to_owned()],
                verified: true,
            },
            expires: None,
        },
        csrf: Entry {
            data: "q2fZk7sT0vXy3LmN8pRw5uBcD1eHgJ4a".to_owned(),
            expires: Some(1_795_298_151_123.0),
        },
        flash: Entry {
            data: vec!["Your order has been sent and is on its way to you.".to_owned()],
            expires: None,
        },
        cart: Entry {
            data: vec![
                item(
                    10_482,
                    "Running shoes, blue, size 42, with a spare pair of laces",
                    89.95,
                ),
                item(
                    20_771,
                    "Rain jacket, light, packs into its own pocket",
                    129.0,
                ),
                item(
                    31_005,
                    "Water bottle, steel, one litre, keeps tea hot for a day",
                    24.5,
                ),
                item(
                    40_218,
                    "Head torch with a red light and a battery for the night",
                    39.9,
                ),
            ],
            expires: None,
        },
        visits: Entry {
            data: 17,
            expires: None,
        },
    }
}

/// Writes the record from the nodes of its document, like a session with one change.
pub(crate) fn rewrite(document: &Document, mut writer: Writer) -> String {
    writer.begin_map();
    for entry in document.root().map_entries().unwrap() {
        let (key, entry) = entry.unwrap();
        writer.string(&key.as_str().unwrap());
        writer.begin_object();
        for member in entry.object_entries().unwrap() {
            let (key, value) = member.unwrap();
            writer.key(&key);
            match value.kind() {
                Kind::Undefined => writer.undefined(),
                _ => writer.node(value).unwrap(),
            }
        }
        writer.end();
    }
    writer.end();
    writer.finish().unwrap()
}
