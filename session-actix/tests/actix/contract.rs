//! What sessions promise to visitors, through actix-web and over several drivers.

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App as ActixApp, HttpRequest, web};
use session_actix::{Session, SessionMiddleware};
use session_core::session::SessionManager;
use session_tests::{Answer, App, Meeting, act};

struct Actix<S>(S);

impl<S, B> App for Actix<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    /// Sends the request in the types of actix-web, which are those of an older version of `http`.
    async fn send(&self, request: http::Request<()>) -> Answer {
        let method = Method::from_bytes(request.method().as_str().as_bytes()).unwrap();
        let mut sent = TestRequest::with_uri(&request.uri().to_string()).method(method);
        for (name, value) in request.headers() {
            sent = sent.append_header((name.as_str(), value.as_bytes()));
        }
        let response = self.0.call(sent.to_request()).await.unwrap();
        let mut answer = http::Response::builder().status(response.status().as_u16());
        for (name, value) in response.headers() {
            answer = answer.header(name.as_str(), value.as_bytes());
        }
        let (parts, ()) = answer.body(()).unwrap().into_parts();
        let body = read_body(response).await;
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

async fn handler(
    session: Session,
    request: HttpRequest,
    meeting: web::Data<Meeting>,
) -> Result<String, session_core::Error> {
    act(&session, request.path(), &meeting).await
}

async fn app(manager: SessionManager) -> impl App {
    let app = ActixApp::new()
        .app_data(web::Data::new(Meeting::default()))
        .default_service(web::to(handler))
        .wrap(SessionMiddleware::from_manager(manager));
    Actix(init_service(app).await)
}

session_tests::over_drivers! { #[test_support::test(runtime = "actix")] super::app }
