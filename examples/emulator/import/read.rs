//! Items from JSON, one after the other: however long a document is, one item at a time is in memory.

use std::fmt;
use std::io::{self, BufRead};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use streamcore::model::Attributes;

/// Who gets the items. Whoever returns an error gets no more.
pub(super) trait Sink {
    /// Why it wants no more.
    type Error;

    fn take(&mut self, item: Attributes) -> Result<(), Self::Error>;
}

/// Why reading ended before the end.
pub(super) enum Stopped<E> {
    /// The text is not what it should be.
    Text(serde_json::Error),
    /// It could not be read.
    Read(io::Error),
    /// The sink wants no more.
    Sink(E),
}

/// Hands all items to `sink`. The text is any number of documents: `{"Item": {...}}`, as exports to S3 have
/// one on each line, or `{"Items": [{...}, ...], ...}`, as Scan and Query answer and the AWS CLI prints.
pub(super) fn items<S: Sink>(
    text: &mut impl BufRead,
    sink: &mut S,
) -> Result<(), Stopped<S::Error>> {
    while skip_space(text).map_err(Stopped::Read)? == Next::Document {
        let mut taking = Taking { sink, refused: None };
        // Reads no further than the last bracket of the document.
        let mut json = serde_json::Deserializer::from_reader(&mut *text);
        let read = Document(&mut taking).deserialize(&mut json);
        match (taking.refused, read) {
            (Some(error), _) => return Err(Stopped::Sink(error)),
            (None, Err(error)) => return Err(Stopped::Text(error)),
            (None, Ok(())) => {}
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Next {
    Document,
    End,
}

fn skip_space(text: &mut impl BufRead) -> io::Result<Next> {
    loop {
        let ahead = text.fill_buf()?;
        if ahead.is_empty() {
            return Ok(Next::End);
        }
        let space = ahead.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let all = space == ahead.len();
        text.consume(space);
        if !all {
            return Ok(Next::Document);
        }
    }
}

/// A sink, and what it said when it wanted no more.
struct Taking<'s, S: Sink> {
    sink: &'s mut S,
    refused: Option<S::Error>,
}

impl<S: Sink> Taking<'_, S> {
    fn take<E: serde::de::Error>(&mut self, item: Attributes) -> Result<(), E> {
        self.sink.take(item).map_err(|refused| {
            self.refused = Some(refused);
            E::custom("no more")
        })
    }
}

/// A document with one item or many.
struct Document<'t, 's, S: Sink>(&'t mut Taking<'s, S>);

impl<'de, S: Sink> DeserializeSeed<'de> for Document<'_, '_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for Document<'_, '_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `Item` or `Items`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = members.next_key::<String>()? {
            match &*name {
                "Item" => {
                    let item = members.next_value()?;
                    self.0.take(item)?;
                    found = true;
                }
                "Items" => {
                    members.next_value_seed(List(&mut *self.0))?;
                    found = true;
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        if found {
            return Ok(());
        }
        Err(A::Error::custom(
            "the object has neither `Item`, as the lines of an export to S3, nor `Items`, as the answers of \
             Scan and Query",
        ))
    }
}

/// A list of items.
struct List<'t, 's, S: Sink>(&'t mut Taking<'s, S>);

impl<'de, S: Sink> DeserializeSeed<'de> for List<'_, '_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for List<'_, '_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element()? {
            self.0.take(item)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;
    use streamcore::model::AttributeValue;

    /// Keeps the keys of the first items.
    struct First(usize, Vec<String>);

    impl Sink for First {
        type Error = &'static str;

        fn take(&mut self, mut item: Attributes) -> Result<(), &'static str> {
            if self.1.len() == self.0 {
                return Err("enough");
            }
            match item.remove("k") {
                Some(AttributeValue::S(key)) => self.1.push(key),
                other => panic!("{other:?}"),
            }
            Ok(())
        }
    }

    /// The keys up to the end, or to what stopped reading; and that.
    fn read(text: &str) -> (String, Option<String>) {
        let mut sink = First(5, Vec::new());
        // A small buffer: documents reach over its ends.
        let stopped = items(&mut BufReader::with_capacity(7, text.as_bytes()), &mut sink).err();
        let stopped = stopped.map(|stopped| match stopped {
            Stopped::Text(error) => error.to_string(),
            Stopped::Read(error) => error.to_string(),
            Stopped::Sink(said) => said.to_owned(),
        });
        (sink.1.concat(), stopped)
    }

    #[test]
    fn items_come_from_lines_and_from_long_documents() {
        for text in [
            "{\"Item\":{\"k\":{\"S\":\"a\"}}}\n{\"Item\":{\"k\":{\"S\":\"b\"}}}\n",
            "{\"Item\":{\"k\":{\"S\":\"a\"}}}{\"Item\":{\"k\":{\"S\":\"b\"}}}",
            "{\n  \"Items\": [\n    {\"k\": {\"S\": \"a\"}},\n    {\"k\": {\"S\": \"b\"}}\n  ],\n  \"Count\": 2,\n  \
             \"ConsumedCapacity\": null\n}\n",
            "{\"Count\":1,\"Items\":[{\"k\":{\"S\":\"a\"}}]} \r\n {\"Items\":[]}{\"Items\":[{\"k\":{\"S\":\"b\"}}]}",
        ] {
            assert_eq!(read(text), ("ab".to_owned(), None), "{text}");
        }
        assert_eq!(read(""), (String::new(), None));
        assert_eq!(read(" \n\n"), (String::new(), None));
    }

    #[test]
    fn what_is_no_item_is_named_and_what_came_before_was_taken() {
        let first = "{\"Item\":{\"k\":{\"S\":\"a\"}}}\n";
        for (rest, said) in [
            ("{\"Item\":{\"k\":{\"S\":\"b\"", "EOF while parsing"),
            ("{\"Item\":{\"k\":\"b\"}}", "invalid type: string"),
            ("{\"Item\":{\"k\":{\"X\":\"b\"}}}", "must contain exactly one"),
            ("{\"Keys\":{}}", "neither `Item`"),
            ("[]", "invalid type: sequence"),
            ("k,b\n", "expected"),
        ] {
            let (keys, stopped) = read(&format!("{first}{rest}"));
            assert_eq!(keys, "a", "{rest}");
            let stopped = stopped.expect(rest);
            assert!(stopped.contains(said), "{rest}: {stopped}");
        }
        let many = first.repeat(9);
        assert_eq!(read(&many), ("aaaaa".to_owned(), Some("enough".to_owned())));
    }
}
