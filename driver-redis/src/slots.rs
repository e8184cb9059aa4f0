//! The slots of a cluster.

use std::hash::{DefaultHasher, Hash, Hasher};

use redis::Value;

use crate::address::Endpoint;

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;

/// The slot of a key: of what stands in its first braces, if something does.
fn slot_of(key: &str) -> u16 {
    let key = key.as_bytes();
    let tagged = || {
        let begin = key.iter().position(|byte| *byte == b'{')? + 1;
        let rest = key.get(begin..)?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..end).filter(|tag| !tag.is_empty())
    };
    crc16::State::<crc16::XMODEM>::calculate(tagged().unwrap_or(key)) % SLOTS
}

/// Which servers serve which slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotTable {
    /// For each slot the place of its shard. Empty where the first shard serves all keys.
    owners: Vec<Option<u16>>,
    pub(crate) shards: Vec<Shard>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shard {
    pub(crate) primary: Endpoint,
    pub(crate) replicas: Vec<Endpoint>,
}

impl SlotTable {
    /// The table of a server that has all keys.
    pub(crate) fn of_one(primary: Endpoint, replicas: Vec<Endpoint>) -> Self {
        Self {
            owners: Vec::new(),
            shards: vec![Shard { primary, replicas }],
        }
    }

    /// Reads what `by` answered to `CLUSTER SLOTS`; `None` if it is something else, or serves nothing.
    pub(crate) fn read(reply: &Value, by: &Endpoint) -> Option<Self> {
        let Value::Array(ranges) = reply else {
            return None;
        };
        let mut table = Self {
            owners: vec![None; usize::from(SLOTS)],
            shards: Vec::new(),
        };
        for range in ranges {
            let Value::Array(range) = range else {
                return None;
            };
            let [Value::Int(first), Value::Int(last), primary, replicas @ ..] = range.as_slice()
            else {
                return None;
            };
            let shard = Shard {
                primary: endpoint(primary, by)?,
                replicas: replicas
                    .iter()
                    .filter_map(|node| endpoint(node, by))
                    .collect(),
            };
            let place = table.shards.iter().position(|known| *known == shard);
            let place = place.unwrap_or_else(|| {
                table.shards.push(shard);
                table.shards.len() - 1
            });
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            let place = u16::try_from(place).ok()?;
            table.owners.get_mut(first..=last)?.fill(Some(place));
        }
        (!table.shards.is_empty()).then_some(table)
    }

    /// The place of the shard that serves `key`.
    pub(crate) fn shard_of(&self, key: &str) -> Option<usize> {
        if self.owners.is_empty() {
            return Some(0);
        }
        let owner = self.owners.get(usize::from(slot_of(key)));
        owner.copied().flatten().map(usize::from)
    }

    /// A mark that changes when slots move or another server becomes a primary.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.owners.hash(&mut hasher);
        for shard in &self.shards {
            shard.primary.hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// A node in the answer: its host, its port, and more.
fn endpoint(node: &Value, by: &Endpoint) -> Option<Endpoint> {
    let Value::Array(node) = node else {
        return None;
    };
    let (host, port) = match node.as_slice() {
        [Value::BulkString(host), Value::Int(port), ..] => (std::str::from_utf8(host).ok()?, *port),
        [Value::Nil, Value::Int(port), ..] => ("", *port),
        _ => return None,
    };
    Endpoint::announced(host, u16::try_from(port).ok()?, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_server() {
        // As `CLUSTER KEYSLOT` of Redis 7 answers.
        for (key, slot) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("{user1000}.following", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("", 0),
        ] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp(host.to_owned(), port)
    }

    fn node(host: &str, port: i64) -> Value {
        Value::Array(vec![Value::BulkString(host.into()), Value::Int(port)])
    }

    fn range(first: i64, last: i64, primary: Value) -> Value {
        Value::Array(vec![Value::Int(first), Value::Int(last), primary])
    }

    #[test]
    fn a_table_knows_who_serves_a_slot() {
        let by = tcp("here", 1);
        let reply = Value::Array(vec![
            range(0, 99, node("a", 7)),
            range(100, 199, node("", 8)),
            range(12_182, 12_182, node("a", 7)),
        ]);
        let table = SlotTable::read(&reply, &by).unwrap();
        assert_eq!(table.shards.len(), 2);
        assert_eq!(table.shards[1].primary, tcp("here", 8));
        // Of the slots 12182, 0 and 12739.
        assert_eq!(table.shard_of("foo"), Some(0));
        assert_eq!(table.shard_of(""), Some(0));
        assert_eq!(table.shard_of("123456789"), None);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let by = tcp("here", 1);
        for reply in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16_384, node("a", 7))]),
            Value::Array(vec![range(9, 1, node("a", 7))]),
            Value::Array(vec![range(-1, 1, node("a", 7))]),
            Value::Array(vec![range(0, 1, node("a", 70_000))]),
        ] {
            assert_eq!(SlotTable::read(&reply, &by), None, "{reply:?}");
        }
    }
}
