use actix_web::web;
use tower::layer::util::Identity;

use super::{IDENTITY, Peer};
use crate::sessions::app::AxumApp;
use crate::sessions::peers::actix::ActixApp;
use crate::sessions::routes;

pub(super) fn axum() -> Peer {
    Peer {
        name: "axum",
        note: "without sessions",
        app: Box::new(AxumApp::new(routes::bare())),
        below: None,
        operations: None,
    }
}

pub(super) fn axum_with_identity_layer() -> Peer {
    Peer {
        name: IDENTITY,
        note: "without sessions, with a layer that does nothing: the cost of any layer in axum",
        app: Box::new(AxumApp::new(routes::bare().layer(Identity::new()))),
        below: None,
        operations: None,
    }
}

pub(super) const ACTIX: &str = "actix-web";

pub(super) async fn actix() -> Peer {
    let app = actix_web::App::new().route("/untouched", web::get().to(super::actix::untouched));
    Peer {
        name: ACTIX,
        note: "without sessions",
        app: Box::new(ActixApp::new(app).await),
        below: None,
        operations: None,
    }
}
