//! The products of the shop.

/// A product of the shop.
pub(crate) struct Product {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) cents: u64,
}

pub(crate) const PRODUCTS: [Product; 6] = [
    Product {
        id: "teapot",
        name: "Stubborn teapot",
        about: "Refuses to brew coffee, politely.",
        cents: 34_00,
    },
    Product {
        id: "lantern",
        name: "Pocket lighthouse",
        about: "Visible from the other end of the sofa.",
        cents: 49_50,
    },
    Product {
        id: "compass",
        name: "Honest compass",
        about: "Points north, and says when it is not sure.",
        cents: 27_90,
    },
    Product {
        id: "umbrella",
        name: "Indoor umbrella",
        about: "For plants that are shy of watering.",
        cents: 18_00,
    },
    Product {
        id: "notebook",
        name: "Unforgetful notebook",
        about: "Keeps your notes, even after a restart.",
        cents: 9_80,
    },
    Product {
        id: "kite",
        name: "Windless kite",
        about: "Flies on optimism alone.",
        cents: 22_40,
    },
];

pub(crate) fn product(id: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.id == id)
}

/// Formats an amount in cents.
pub(crate) fn price(cents: u64) -> String {
    format!("€ {}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_two_digits_of_cents() {
        assert_eq!(price(0), "€ 0.00");
        assert_eq!(price(980), "€ 9.80");
        assert_eq!(price(123_405), "€ 1234.05");
    }
}
