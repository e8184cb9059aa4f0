//! The attribute `test` for tests with a time limit. The crate `test-support` re-exports it.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes a function a test with a time limit. A test over its limit fails with its name and its last step.
///
/// ```
/// #[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
/// async fn it_responds() {
///     test_support::step("asking");
/// }
/// ```
///
/// An async function runs on a tokio runtime. The arguments `flavor`, `worker_threads` and `start_paused` are those of
/// `#[tokio::test]`. `runtime = "actix"` is for tests of actix-web. `limit` is in seconds of real time; the default is
/// 120.
///
/// A function that is over its limit panics at its next await. A function that blocks its thread cannot be stopped, so
/// the process exits 30 seconds later, or after another `limit` if that is shorter.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = Arguments::parse(arguments).and_then(|arguments| expand(&arguments, item));
    expanded.unwrap_or_else(|problem| {
        parse(&format!("::core::compile_error!({problem:?});")).unwrap_or_default()
    })
}

/// An error message for the author of the test.
type Problem = String;

struct Arguments {
    flavor: String,
    worker_threads: String,
    start_paused: bool,
    limit: String,
}

impl Arguments {
    fn parse(arguments: TokenStream) -> Result<Self, Problem> {
        let mut parsed = Self {
            flavor: "current_thread".to_owned(),
            worker_threads: "::core::option::Option::None".to_owned(),
            start_paused: false,
            limit: "120".to_owned(),
        };
        let mut tokens = arguments.into_iter().map(|token| token.to_string());
        while let Some(name) = tokens.next() {
            let value = match (tokens.next().as_deref(), tokens.next()) {
                (Some("="), Some(value)) => value,
                _ => return Err(format!("expected `{name} = value`")),
            };
            match name.as_str() {
                "flavor" | "runtime" => parsed.flavor = value.trim_matches('"').to_owned(),
                "worker_threads" => {
                    parsed.worker_threads = format!("::core::option::Option::Some({value})");
                }
                "start_paused" => parsed.start_paused = value == "true",
                "limit" => parsed.limit = value,
                _ => return Err(format!("unknown argument `{name}`")),
            }
            if tokens.next().is_some_and(|comma| comma != ",") {
                return Err(format!("expected a comma after `{name}`"));
            }
        }
        Ok(parsed)
    }

    /// Returns an expression for the runtime that blocks on the test.
    fn runtime(&self) -> Result<String, Problem> {
        match self.flavor.as_str() {
            "current_thread" => Ok(format!(
                "::test_support::limit::current_thread({})",
                self.start_paused
            )),
            "multi_thread" => Ok(format!(
                "::test_support::limit::multi_thread({})",
                self.worker_threads
            )),
            "actix" => Ok("::actix_web::rt::System::new()".to_owned()),
            other => Err(format!("unknown runtime `{other}`")),
        }
    }
}

fn expand(arguments: &Arguments, item: TokenStream) -> Result<TokenStream, Problem> {
    let mut item: Vec<TokenTree> = item.into_iter().collect();
    let body = match item.pop() {
        Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => body,
        _ => return Err("expected a function with a body".to_owned()),
    };
    let is_word = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident.to_string() == word);
    let function = item.iter().position(|token| is_word(token, "fn"));
    let name = function.and_then(|at| item.get(at + 1));
    let name = name.ok_or("expected a function")?.to_string();
    let signature = item.len();
    item.retain(|token| !is_word(token, "async"));
    let is_async = item.len() < signature;

    let run = if is_async {
        format!(
            "{}.block_on(::test_support::limit::within(async move {BODY}))",
            arguments.runtime()?
        )
    } else {
        BODY.to_owned()
    };
    let limited = parse(&format!(
        "::test_support::limit::run(
            ::core::concat!(::core::module_path!(), \"::\", ::core::stringify!({name})),
            ::core::time::Duration::from_secs({}),
            || {run},
        )",
        arguments.limit
    ))?;
    let mut expanded = parse("#[::core::prelude::v1::test]")?;
    expanded.extend(item);
    let mut limited = Group::new(Delimiter::Brace, put(&body, limited));
    limited.set_span(body.span());
    expanded.extend([TokenTree::Group(limited)]);
    Ok(expanded)
}

/// A placeholder that [`put`] replaces with the body of the test.
const BODY: &str = "__body";

/// Replaces [`BODY`] in the tokens with the body.
fn put(body: &Group, tokens: TokenStream) -> TokenStream {
    let tokens = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident.to_string() == BODY => TokenTree::Group(body.clone()),
        TokenTree::Group(group) => {
            TokenTree::Group(Group::new(group.delimiter(), put(body, group.stream())))
        }
        other => other,
    });
    tokens.collect()
}

fn parse(source: &str) -> Result<TokenStream, Problem> {
    source
        .parse()
        .map_err(|error| format!("cannot generate the test: {error}"))
}
