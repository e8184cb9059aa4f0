//! The session storage, served beside the shop.

use reqwest::{Client, Method, Response};

use crate::browser::Browser;
use crate::program::{Server, Site, fail};

const TOKEN: &str = "4f8a-token-of-the-storage";

/// Starts a shop that also serves its storage, and returns the URL of the storage.
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
        .expect("the line contains the address");
    let address = address.trim_end().to_owned();
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
async fn the_storage_serves_the_sessions_to_clients_with_the_token() {
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

        let exit = server.stop().await;
        assert!(exit.status.success(), "{}", exit.output);
        assert!(!exit.output.contains(TOKEN));
        assert!(!exit.output.contains(&id));
    }
}

#[test_support::test]
async fn it_is_open_only_if_requested() {
    let site = Site::memory(100);
    let (server, storage) = serve(&site, None, &["--open-storage"]).await;
    let listed = send(Method::GET, storage + "/", None).await;
    assert_eq!(listed.text().await.unwrap(), "[]");
    assert!(server.stop().await.status.success());
}

#[test_support::test]
async fn it_does_not_start_without_a_token_or_the_open_option() {
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
