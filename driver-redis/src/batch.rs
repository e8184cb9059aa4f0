use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use redis::Value;
use session_core::{Error, Outcome, Result};
use tokio::time::Instant;

use crate::command::Operation;
use crate::error::no_time;
use crate::router::Router;
use crate::server::Server;

/// How much is sent at once at most, so that other callers of the connection get their turn.
const MOST_OPERATIONS: usize = 512;
const MOST_BYTES: usize = 1024 * 1024;

/// An operation of a batch, at its whole key.
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) operation: Operation,
}

impl Item {
    fn size(&self) -> usize {
        self.operation.size(&self.key)
    }
}

impl Router {
    /// Does all of `items`, each by itself: pipelined, by the servers that have their keys, in the order in which
    /// they come as far as they concern one key. The results stand in that order. What does not get its turn before
    /// `deadline` is not sent.
    pub(crate) async fn run_all(
        &self,
        items: &[Item],
        deadline: Instant,
    ) -> Vec<Result<Vec<Value>>> {
        let mut results = Vec::with_capacity(items.len());
        let mut rest = items;
        while !rest.is_empty() {
            if Instant::now() >= deadline {
                results.extend(rest.iter().map(|_| Err(no_time())));
                break;
            }
            let mut bytes = 0;
            let fitting = rest.iter().take(MOST_OPERATIONS).take_while(|item| {
                let fits = bytes == 0 || bytes + item.size() <= MOST_BYTES;
                bytes += item.size();
                fits
            });
            let (now, later) = rest.split_at(fitting.count());
            results.extend(self.run_some(now, deadline).await);
            rest = later;
        }
        results
    }

    async fn run_some(&self, items: &[Item], deadline: Instant) -> Vec<Result<Vec<Value>>> {
        let mut groups: HashMap<Option<usize>, Group<'_>> = HashMap::new();
        for (place, item) in items.iter().enumerate() {
            let primary = self.primary_of(&item.key);
            let mark = primary.as_ref().map(|(mark, _)| *mark);
            let group = groups.entry(mark).or_insert_with(|| Group {
                server: primary.map(|(_, server)| server),
                items: Vec::new(),
            });
            group.items.push((place, item));
        }
        let groups = groups
            .into_values()
            .map(|group| self.run_group(group, deadline));
        let mut results: Vec<Option<Result<Vec<Value>>>> = items.iter().map(|_| None).collect();
        for (place, result) in join_all(groups).await.into_iter().flatten() {
            if let Some(slot) = results.get_mut(place) {
                *slot = Some(result);
            }
        }
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(crate::error::unexpected())))
            .collect()
    }

    /// Sends what concerns one server at once; what that cannot settle is done one by one.
    async fn run_group(
        &self,
        group: Group<'_>,
        deadline: Instant,
    ) -> Vec<(usize, Result<Vec<Value>>)> {
        let mut results = Vec::with_capacity(group.items.len());
        let Some(connection) = group.server.as_ref().and_then(|server| server.connected()) else {
            for (place, item) in group.items {
                results.push((place, self.run(&item.key, &item.operation, deadline).await));
            }
            return results;
        };
        let sizes = group.items.iter().map(|(_, item)| item.size());
        let mut request = connection.request(sizes.sum());
        let mut counts = Vec::with_capacity(group.items.len());
        for (_, item) in &group.items {
            let before = request.commands();
            let form = item
                .operation
                .add_to(&mut request, &item.key, &connection.missing, false);
            counts.push((request.commands() - before, form));
        }
        let mut replies = match connection.send(request, deadline).await {
            Ok(replies) => replies.into_iter(),
            Err(error) => {
                for (place, item) in group.items {
                    let is_safe =
                        item.operation.is_read() || error.outcome() == Outcome::NotApplied;
                    let result = match is_safe {
                        true => self.run(&item.key, &item.operation, deadline).await,
                        false => Err(again(&error)),
                    };
                    results.push((place, result));
                }
                return results;
            }
        };
        for ((place, item), (count, form)) in group.items.into_iter().zip(counts) {
            let replies: Vec<Value> = replies.by_ref().take(count).collect();
            let result = match self.is_settled(&replies, &item.operation, form, &connection) {
                true => Ok(replies),
                false => self.run(&item.key, &item.operation, deadline).await,
            };
            results.push((place, result));
        }
        results
    }
}

struct Group<'a> {
    server: Option<Arc<Server>>,
    items: Vec<(usize, &'a Item)>,
}

/// The same error for another change of a pipeline that got no answer.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string()).with_outcome(Outcome::Unknown)
}
