//! What the sessions are kept in, served beside the shop.

use reqwest::{Client, Method, Response};

use crate::browser::Browser;
use crate::program::{Server, Site, fail};

const TOKEN: &str = "4f8a-token-of-the-storage";

/// Starts a shop that serves its storage too, and gives the address of that.
async fn serve(site: &Site, token: Option<&str>, arguments: &[&str]) -> (Server, String) {
    let mut command = site.command();
    command
        .args(["--serve-storage", "127.0.0.1:0"])
        .args(arguments);
    if let Some(token) = token {
        command.env("STORAGE_TOKEN", token);
    }
    let mut server = Server::start(&mut command).await;
    let line = server.line().await;
    let address = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .expect("the line names the address");
    let address = address.trim_end_matches('.').to_owned();
    (server, address)
}

async fn send(method: Method, url: String, token: Option<&str>) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

#[test_support::test]
async fn the_storage_has_the_sessions_of_the_shop_for_who_has_the_token() {
    for site in [Site::sqlite(), Site::memory(100)] {
        let (server, storage) = serve(&site, Some(TOKEN), &[]).await;
        let browser = Browser::new();
        browser.visit(&server).await;
        let id = browser.id().unwrap();
        let item = format!("{storage}/{id}");

        for token in [None, Some("another")] {
            assert_eq!(send(Method::GET, item.clone(), token).await.status(), 401);
            assert_eq!(
                send(Method::DELETE, storage.clone() + "/", token)
                    .await
                    .status(),
                401
            );
        }
        let listed = send(Method::GET, storage.clone() + "/", Some(TOKEN)).await;
        assert_eq!(listed.text().await.unwrap(), format!("[\"{id}\"]"));
        let stored = send(Method::GET, item.clone(), Some(TOKEN)).await;
        assert!(stored.headers().contains_key("x-ttl"));
        assert!(stored.text().await.unwrap().starts_with("[[\"Map\""));

        assert_eq!(browser.visit(&server).await, 2);
        let removed = send(Method::DELETE, item, Some(TOKEN)).await;
        assert_eq!(removed.status(), 200);
        assert_eq!(browser.visit(&server).await, 1);

        let ended = server.stop().await;
        assert!(ended.status.success(), "{}", ended.output);
        assert!(!ended.output.contains(TOKEN));
        assert!(!ended.output.contains(&id));
    }
}

#[test_support::test]
async fn it_is_open_only_to_who_says_so() {
    let site = Site::memory(100);
    let (server, storage) = serve(&site, None, &["--open-storage"]).await;
    let listed = send(Method::GET, storage + "/", None).await;
    assert_eq!(listed.text().await.unwrap(), "[]");
    assert!(server.stop().await.status.success());
}

#[test_support::test]
async fn without_a_decision_it_does_not_start() {
    let site = Site::memory(100);
    let address = ["--serve-storage", "127.0.0.1:0"];
    let mut neither = site.command();
    neither.args(address);
    let mut both = site.command();
    both.args(address)
        .arg("--open-storage")
        .env("STORAGE_TOKEN", TOKEN);
    let mut empty = site.command();
    empty.args(address).env("STORAGE_TOKEN", "");
    let mut nowhere = site.command();
    nowhere
        .args(["--serve-storage", "nowhere"])
        .env("STORAGE_TOKEN", TOKEN);
    for (mut command, named) in [
        (neither, "STORAGE_TOKEN"),
        (both, "--open-storage"),
        (empty, "token"),
        (nowhere, "--serve-storage"),
    ] {
        let (status, errors) = fail(&mut command).await;
        assert!(!status.success());
        assert!(errors.contains(named), "{errors}");
        assert!(!errors.contains(TOKEN), "{errors}");
    }
}
