//! The typed session of the README, on a server without any integration: what stands there is this code.

use http::{Request, Response};
use session_kit::{Result, SessionStorage, session_data};

session_data! {
    pub struct Visitor {
        pub count: u32 = 0,
        pub user: Option<String> = None,
    }
}

async fn index(
    sessions: &SessionStorage<Visitor>,
    request: Request<()>,
) -> Result<Response<String>> {
    let session = sessions.get_session(request.headers());
    let count = session.update(Visitor::count, |count| count + 1).await?;
    let mut response = Response::new(format!("You visited this page: {count}"));
    let effects = sessions.commit_session(&session).await?;
    effects.apply(response.headers_mut());
    Ok(response)
}

#[test_support::test]
async fn the_typed_session_of_the_readme_works() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("use http::{Request, Response};").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    assert!(include_str!("readme_storage.rs").contains(block), "{block}");

    let sessions = session_kit::create_memory_session_storage();
    let response = index(&sessions, Request::new(())).await.unwrap();
    assert_eq!(response.body(), "You visited this page: 1");
    assert!(response.headers().contains_key(http::header::SET_COOKIE));
}
