//! The body of an answer: text that was made for it, and blocks that it shares with other answers.

use std::fmt;
use std::sync::Arc;

use super::blocks::Block;

/// The body of an answer, in one or several parts that follow each other.
///
/// A server that can send several buffers at once (`writev`) sends the parts as they are: records that were
/// encoded for another answer before are not copied. Everybody else takes [`into_vec`](Self::into_vec).
#[derive(Default)]
pub struct Body {
    parts: Vec<Part>,
    len: usize,
}

/// A part of a [`Body`]: bytes, owned or shared. See [`AsRef`].
pub struct Part(Bytes);

enum Bytes {
    Own(Vec<u8>),
    Shared(Arc<Block>),
}

impl Body {
    /// The bytes of all parts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parts, in their order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts, in their order, each to be sent and dropped by itself.
    #[must_use]
    pub fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// All in one piece. Copies, unless there is only one part and nobody shares it.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        if let [Part(Bytes::Own(_))] = self.parts[..]
            && let Some(Part(Bytes::Own(bytes))) = self.parts.pop()
        {
            return bytes;
        }
        let mut all = Vec::with_capacity(self.len);
        for part in &self.parts {
            all.extend_from_slice(part.as_ref());
        }
        all
    }

    /// The CRC-32 of all bytes (ISO 3309), which DynamoDB sends as `x-amz-crc32`. Shared parts know theirs: only the
    /// others are gone through.
    ///
    /// Source: Amazon DynamoDB Developer Guide, "Low-level API", the sample response.
    #[must_use]
    pub fn crc32(&self) -> u32 {
        let mut all = crc32fast::Hasher::new();
        for part in &self.parts {
            match &part.0 {
                Bytes::Own(bytes) => all.update(bytes),
                Bytes::Shared(block) => all.combine(block.crc32()),
            }
        }
        all.finalize()
    }

    /// Appends text that was made for this body.
    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        self.len += bytes.len();
        self.parts.push(Part(Bytes::Own(bytes)));
    }

    /// Appends a block.
    pub(super) fn share(&mut self, block: Arc<Block>) {
        self.len += block.text().len();
        self.parts.push(Part(Bytes::Shared(block)));
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Own(bytes) => bytes,
            Bytes::Shared(block) => block.text(),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        let mut body = Self::default();
        body.push(bytes);
        body
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len).field("parts", &self.parts.len()).finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Bytes::Own(_) => "Own",
            Bytes::Shared(_) => "Shared",
        };
        f.debug_tuple(kind).field(&self.as_ref().len()).finish()
    }
}
