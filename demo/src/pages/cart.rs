//! The cart: an example of `Session::update`.

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{self, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use session_kit::session::TypedKey;
use session_kit::{Error, Session};

use crate::catalogue::{PRODUCTS, Product, price, product};
use crate::layout::{Section, page};
use crate::notice::Notice;

/// The largest quantity of a product.
const MAX_QUANTITY: u32 = 999;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    product: String,
    quantity: u32,
}

const CART: TypedKey<Vec<Line>> = TypedKey::new("cart");

#[derive(Deserialize)]
struct Choice {
    product: String,
}

#[derive(Deserialize)]
struct Quantity {
    product: String,
    quantity: u32,
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/cart", get(show))
        .route("/cart/add", post(add))
        .route("/cart/quantity", post(set_quantity))
        .route("/cart/remove", post(remove))
}

async fn add(session: Session, Form(choice): Form<Choice>) -> response::Result<Redirect> {
    let product = known(&choice.product)?;
    change(&session, product, |quantity| quantity.saturating_add(1)).await?;
    Notice::success(format!("{} was added to your cart.", product.name)).flash(&session)?;
    Ok(Redirect::to("/cart"))
}

async fn set_quantity(session: Session, Form(wish): Form<Quantity>) -> response::Result<Redirect> {
    change(&session, known(&wish.product)?, move |_| wish.quantity).await?;
    Ok(Redirect::to("/cart"))
}

async fn remove(session: Session, Form(choice): Form<Choice>) -> response::Result<Redirect> {
    let product = known(&choice.product)?;
    change(&session, product, |_| 0).await?;
    Notice::success(format!("{} was removed from your cart.", product.name)).flash(&session)?;
    Ok(Redirect::to("/cart"))
}

fn known(id: &str) -> Result<&'static Product, StatusCode> {
    product(id).ok_or(StatusCode::BAD_REQUEST)
}

/// Changes the quantity of `product` in the cart.
///
/// If another request changes the cart at the same time, the closure runs again on the new cart. So it only uses the
/// cart that it gets.
async fn change(
    session: &Session,
    product: &'static Product,
    quantity: impl Fn(u32) -> u32 + Send + Sync + 'static,
) -> Result<Vec<Line>, Error> {
    session
        .update(CART, move |cart| {
            let mut cart = cart.unwrap_or_default();
            match cart.iter_mut().find(|line| line.product == product.id) {
                Some(line) => line.quantity = quantity(line.quantity).min(MAX_QUANTITY),
                None => cart.push(Line {
                    product: product.id.to_owned(),
                    quantity: quantity(0).min(MAX_QUANTITY),
                }),
            }
            cart.retain(|line| line.quantity > 0);
            cart
        })
        .await
}

async fn show(session: Session) -> Result<Markup, Error> {
    let cart = session.get_or_default(CART).await?;
    let content = html! {
        h1 { "Cart" }
        (contents(&cart))
        h2 { "Catalogue" }
        ul.catalogue {
            @for product in &PRODUCTS { (offer(product)) }
        }
    };
    page(&session, Section::Cart, "Cart", content).await
}

fn contents(cart: &[Line]) -> Markup {
    // A cart may contain products that are no longer in the catalogue.
    let lines: Vec<_> = cart
        .iter()
        .filter_map(|line| Some((product(&line.product)?, line.quantity)))
        .collect();
    let items: u32 = lines.iter().map(|(_, quantity)| quantity).sum();
    let total: u64 = lines
        .iter()
        .map(|(product, quantity)| product.cents * u64::from(*quantity))
        .sum();
    html! {
        @if lines.is_empty() {
            p.empty { "Your cart is empty. Add a product below." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Cart contents" {
                table.cart {
                    thead {
                        tr {
                            th scope="col" { "Product" }
                            th scope="col" { "Quantity" }
                            th.number scope="col" { "Price" }
                            th scope="col" { span.unseen { "Remove" } }
                        }
                    }
                    tbody {
                        @for (product, quantity) in lines { (row(product, quantity)) }
                    }
                    tfoot {
                        tr {
                            th scope="row" { "Total" }
                            td { span id="items" { (items) } (if items == 1 { " item" } else { " items" }) }
                            td.number { strong id="total" { (price(total)) } }
                            td {}
                        }
                    }
                }
            }
        }
    }
}

fn row(product: &Product, quantity: u32) -> Markup {
    let field = format!("quantity-{}", product.id);
    html! {
        tr {
            th scope="row" { (product.name) }
            td {
                form.quantity method="post" action="/cart/quantity" {
                    input type="hidden" name="product" value=(product.id);
                    label.unseen for=(field) { "Quantity of " (product.name) }
                    input id=(field) type="number" name="quantity" min="0" max=(MAX_QUANTITY) required value=(quantity);
                    button.quiet type="submit" { "Update" span.unseen { " " (product.name) } }
                }
            }
            td.number { (price(product.cents * u64::from(quantity))) }
            td {
                form method="post" action="/cart/remove" {
                    input type="hidden" name="product" value=(product.id);
                    button.quiet type="submit" { "Remove" span.unseen { " " (product.name) } }
                }
            }
        }
    }
}

fn offer(product: &Product) -> Markup {
    html! {
        li {
            h3 { (product.name) }
            p { (product.about) }
            form method="post" action="/cart/add" {
                input type="hidden" name="product" value=(product.id);
                span.price { (price(product.cents)) }
                button type="submit" { "Add" span.unseen { " " (product.name) } }
            }
        }
    }
}
