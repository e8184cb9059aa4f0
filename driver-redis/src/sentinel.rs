use redis::{Pipeline, Value};
use session_core::ErrorKind;

use crate::connection::{Dial, send_alone};
use crate::endpoint::Endpoint;
use crate::error::Trouble;
use crate::first_answer::first_answer;
use crate::target::Role;

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    nodes: Vec<Endpoint>,
    name: String,
    dial: Dial,
}

impl Sentinels {
    pub(crate) fn new(nodes: Vec<Endpoint>, name: String, dial: Dial) -> Self {
        Self { nodes, name, dial }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The server that plays `role`, as the first sentinel says that answers. One that is slow holds nobody up.
    pub(crate) async fn find(&self, role: Role) -> Result<Endpoint, Trouble> {
        let mut nodes: Vec<&Endpoint> = self.nodes.iter().collect();
        fastrand::shuffle(&mut nodes);
        first_answer(nodes.into_iter().map(|node| self.ask(node, role)))
            .await
            .unwrap_or_else(|| Err(self.names_none(role)))
    }

    async fn ask(&self, node: &Endpoint, role: Role) -> Result<Endpoint, Trouble> {
        let (connection, mut work) = self.dial.connect(node).await?;
        let mut commands = Pipeline::new();
        match role {
            Role::Primary => commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME"),
            Role::Replica => commands.cmd("SENTINEL").arg("REPLICAS"),
        };
        commands.arg(&self.name);
        let replies = send_alone(&connection, &mut work, &commands).await?;
        let reply = match replies.into_iter().next() {
            // A name that it does not know is an error to one question and nil to the other.
            Some(Value::ServerError(error)) if error.code() != "ERR" => {
                return Err(Trouble::from(&error));
            }
            Some(Value::Array(reply)) => reply,
            _ => return Err(self.names_none(role)),
        };
        let found = match role {
            Role::Primary => address(&reply, node),
            Role::Replica => {
                let mut replicas: Vec<_> = reply
                    .iter()
                    .filter_map(|replica| serving_replica(replica, node))
                    .collect();
                fastrand::shuffle(&mut replicas);
                replicas.pop()
            }
        };
        found.ok_or_else(|| self.names_none(role))
    }

    fn names_none(&self, role: Role) -> Trouble {
        let what = match role {
            Role::Primary => "primary",
            Role::Replica => "serving replica",
        };
        Trouble::new(
            ErrorKind::Unavailable,
            format!(
                "the sentinels know no {what} named `{}`; is `sentinel.name` right?",
                self.name
            ),
        )
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn address(reply: &[Value], by: &Endpoint) -> Option<Endpoint> {
    let [host, port] = reply else { return None };
    Endpoint::announced_parts(text(host)?, text(port)?.parse().ok()?, by)
}

/// The address in a list of names and values, unless its flags say that the replica is away.
fn serving_replica(replica: &Value, by: &Endpoint) -> Option<Endpoint> {
    let Value::Array(fields) = replica else {
        return None;
    };
    let field = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [found, value] if text(found) == Some(name) => text(value),
            _ => None,
        })
    };
    let away = ["s_down", "o_down", "disconnected"];
    let flags = field("flags")?;
    if flags.split(',').any(|flag| away.contains(&flag))
        || field("master-link-status") == Some("err")
    {
        return None;
    }
    Endpoint::announced_parts(field("ip")?, field("port")?.parse().ok()?, by)
}
