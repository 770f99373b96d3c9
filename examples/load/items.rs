//! What is written: items that say which put made them, so that a reader can tell what is missing.
//!
//! Each connection has keys of its own and writes them in turn, so the versions of a key are 1, 2, 3 in
//! the order in which they were sent. An item is `{"pk": key, "v": version, "at": when, "data": filler}`.

use std::io::Write;

use hyper::body::Bytes;

/// Keys are written with so many digits, so that items of all keys are of one size.
const KEY_DIGITS: usize = 9;

/// The number of a key.
pub type Key = u32;

/// The put that made an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Put {
    pub key: Key,
    /// From 1.
    pub version: u32,
}

/// The number in a key's text.
pub fn read_key(text: &str) -> Option<Key> {
    text.strip_prefix('k').filter(|digits| digits.len() == KEY_DIGITS)?.parse().ok()
}

/// The puts of one connection, in their order.
#[derive(Clone, Debug)]
pub struct Turns {
    first: Key,
    step: Key,
    keys: Key,
    next: u64,
}

impl Turns {
    /// Those of connection `number` of `connections`, when all of them write `keys` keys.
    pub fn new(number: u32, connections: u32, keys: Key) -> Self {
        let own = keys.saturating_sub(number).div_ceil(connections).max(1);
        Self { first: number, step: connections, keys: own, next: 0 }
    }
}

impl Iterator for Turns {
    type Item = Put;

    fn next(&mut self) -> Option<Put> {
        let keys = u64::from(self.keys);
        let (round, key) = (self.next / keys, self.next % keys);
        self.next += 1;
        let key = self.first + self.step * Key::try_from(key).ok()?;
        Some(Put { key, version: u32::try_from(round + 1).ok()? })
    }
}

/// Writes the bodies of requests.
pub struct Bodies {
    table: String,
    /// What follows the numbers of an item.
    filler: String,
}

impl Bodies {
    /// Items of a table; `bytes` of filler make them as large as is wanted.
    pub fn new(table: &str, bytes: usize) -> Self {
        Self { table: table.to_owned(), filler: "x".repeat(bytes) }
    }

    /// A PutItem request; `at_us` is the time of the run.
    pub fn put(&self, put: Put, at_us: u64) -> Bytes {
        let mut body = Vec::with_capacity(128 + self.table.len() + self.filler.len());
        body.extend_from_slice(b"{\"TableName\":\"");
        body.extend_from_slice(self.table.as_bytes());
        body.extend_from_slice(b"\",\"Item\":");
        self.item(put, at_us, &mut body);
        body.push(b'}');
        body.into()
    }

    /// A BatchWriteItem request.
    pub fn batch(&self, puts: &[Put], at_us: u64) -> Bytes {
        let mut body = Vec::with_capacity(64 + puts.len() * (128 + self.filler.len()));
        body.extend_from_slice(b"{\"RequestItems\":{\"");
        body.extend_from_slice(self.table.as_bytes());
        body.extend_from_slice(b"\":[");
        for (index, put) in puts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            body.extend_from_slice(comma.as_bytes());
            body.extend_from_slice(b"{\"PutRequest\":{\"Item\":");
            self.item(*put, at_us, &mut body);
            body.extend_from_slice(b"}}");
        }
        body.extend_from_slice(b"]}}");
        body.into()
    }

    fn item(&self, Put { key, version }: Put, at_us: u64, body: &mut Vec<u8>) {
        let numbers = format_args!(
            r#"{{"pk":{{"S":"k{key:0KEY_DIGITS$}"}},"v":{{"N":"{version}"}},"at":{{"N":"{at_us}"}},"data":{{"S":""#
        );
        // Memory takes what it is given.
        let _ = body.write_fmt(numbers);
        body.extend_from_slice(self.filler.as_bytes());
        body.extend_from_slice(b"\"}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_the_keys_and_count_the_versions_of_their_own() {
        let puts = |number| Turns::new(number, 2, 5).take(4).collect::<Vec<_>>();
        let put = |key, version| Put { key, version };
        assert_eq!(puts(0), [put(0, 1), put(2, 1), put(4, 1), put(0, 2)]);
        assert_eq!(puts(1), [put(1, 1), put(3, 1), put(1, 2), put(3, 2)]);
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let body = Bodies::new("t", 3).put(Put { key: 42, version: 7 }, 9);
        let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(value["Item"]["v"]["N"], "7");
        assert_eq!(value["Item"]["data"]["S"], "xxx");
        assert_eq!(value["Item"]["pk"]["S"].as_str().and_then(read_key), Some(42));
        assert_eq!(read_key("42"), None);
    }
}
