//! Images: both forms are one item, whichever was first.

use proptest::prelude::*;

use super::*;
use crate::model::StreamViewType;
use crate::model::json::tests::items;

const JSON: &str = r#" {"pk" : {"S":"a"} , "n\u0061me":{"N":"10"}, "list":{"L":[{"BOOL":true}]}} "#;

fn stream_of(schema: KeySchema) -> StreamInfo {
    StreamInfo::builder("Orders", schema, StreamViewType::NewImage).build().unwrap()
}

fn problem(json: &str) -> Box<str> {
    match Image::from_json(json.as_bytes()) {
        Err(Error::InvalidItem { problem }) => problem,
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn the_missing_key_is_named_however_many_attributes_there_are() {
    let schema = KeySchema::new("partition", Some("sort")).unwrap();
    for others in [0, 3, 47, 200] {
        let all = |names: &[&str]| {
            // As long as the names of the key, and different at their beginning or at their end.
            let more = (0..others).flat_map(|n| [format!("s{n:03}"), format!("partiti{n:02}")]);
            let names = names.iter().map(|&name| name.to_owned()).chain(more.take(others));
            names.map(|name| (name, AttributeValue::S("ab".into()))).collect::<Attributes>()
        };
        for (names, expected) in [
            (&["partition", "sort"][..], Ok(9 + 2 + 4 + 2)),
            (&["partition", "snort"], Err("sort")),
            (&["partitioN", "sort"], Err("partition")),
            (&["partition", "sorT", "Sort"], Err("sort")),
            (&[], Err("partition")),
        ] {
            let made = Image::new(all(names));
            let given = Image::from_json(Image::new(all(names)).json()).unwrap();
            for image in [&made, &given] {
                let expected =
                    expected.map_err(|name| Error::MissingKey { attribute: name.into() });
                assert_eq!(
                    image.size_of_keys(&stream_of(schema.clone())),
                    expected,
                    "{others} beside {names:?}"
                );
            }
        }
    }
}

#[test]
fn given_json_is_kept_and_read_when_asked() {
    let image = Image::from_json(JSON.as_bytes()).unwrap();
    let before = image.kept_bytes();
    assert_eq!(before, image.first_bytes());
    assert_eq!(image.json(), JSON.as_bytes());
    assert_eq!(image.size_bytes(), (2 + 1) + (4 + 2) + (4 + 5));
    assert_eq!(image.attribute("pk").unwrap().into_owned(), AttributeValue::S("a".into()));
    assert_eq!(image.size_of_keys(&stream_of(KeySchema::new("list", None).unwrap())), Ok(9));
    assert!(image.0.attributes.get().is_none(), "nobody has asked for all attributes");
    // This name stands in the text with an escape; it is found all the same.
    assert_eq!(image.attribute("name").unwrap().into_owned(), AttributeValue::N("10".into()));
    assert_eq!(image.attribute("n\\u0061me"), None);
    assert_eq!(image.attributes().len(), 3);
    assert!(image.kept_bytes() > before);
    assert_eq!(image.json(), JSON.as_bytes());
}

#[test]
fn an_image_is_encoded_once_for_everybody() {
    let image = Image::new(Image::from_json(JSON.as_bytes()).unwrap().attributes().clone());
    let shared = image.clone();
    let first = std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| shared.json().as_ptr().addr())).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(first.iter().all(|&at| at == image.json().as_ptr().addr()));
    assert_eq!(image.json(), br#"{"list":{"L":[{"BOOL":true}]},"name":{"N":"10"},"pk":{"S":"a"}}"#);
}

#[test]
fn what_is_no_item_is_refused() {
    assert!(problem("{").starts_with("EOF while parsing"));
    assert!(problem("{} {}").starts_with("trailing characters"));
    assert!(problem("[]").contains("expected an item"));
    assert_eq!(
        &*problem(r#"{"a":{"N":"x"}}"#),
        "The parameter cannot be converted to a numeric value: x"
    );
    assert_eq!(
        &*problem(r#"{"a":{"S":""},"\u0061":{"S":""}}"#),
        "an item or map names an attribute twice"
    );
    let deep = "[".repeat(1_000_000);
    assert!(problem(&format!("{{\"a\":{{\"L\":{deep}")).starts_with("EOF while parsing"));
    assert!(Image::from_json(*b"{\"a\":{\"S\":\"\xff\"}}").is_err());
}

proptest! {
    #[test]
    fn both_forms_are_one_item(item in items(), absent in ".{0,3}") {
        let made = Image::new(item.clone());
        let given = Image::from_json(made.json()).unwrap();
        prop_assert_eq!(made.size_bytes(), given.size_bytes());
        let fresh = Image::new(item.clone());
        // Wherever a key attribute is said to lie, it is found.
        for (place, name) in item.keys().chain([&absent]).enumerate() {
            let value = item.get(name);
            for image in [&fresh, &made, &given] {
                prop_assert_eq!(image.attribute(name).map(Cow::into_owned), value.cloned());
                let Ok(schema) = KeySchema::new(name, None) else { continue };
                let size = value.map(|value| name.len() as u64 + value.size_bytes());
                let stream = stream_of(schema.clone());
                prop_assert_eq!(image.size_of_keys(&stream).ok(), size);
                // And once more, from memory.
                prop_assert_eq!(image.size_of_keys(&stream).ok(), size);
                let mut member = b"{".to_vec();
                image.write_keys(&schema, &mut [place, 0], &mut member);
                member.push(b'}');
                let read = Image::from_json(member).unwrap();
                prop_assert_eq!(read.attributes().iter().next(), item.get_key_value(name));
            }
        }
        prop_assert_eq!(given.attributes(), &item);
        prop_assert!(made.same_as(&given));
    }

    #[test]
    fn keys_are_taken_from_either_form(item in items()) {
        let mut names = item.keys();
        let (Some(hash), range) = (names.next(), names.next()) else { return Ok(()) };
        let schema = KeySchema::new(hash, range.map(|name| &**name)).unwrap();
        let made = Image::new(item.clone());
        let given = Image::from_json(Image::new(item.clone()).json()).unwrap();
        for image in [&made, &given] {
            let keys = image.keys(&schema, image.size_of_keys(&stream_of(schema.clone())).unwrap());
            prop_assert!(keys.attributes().keys().eq(schema.names()));
            prop_assert!(keys.attributes().iter().all(|(name, value)| item[name] == *value));
            let size: u64 = value::size_of_attributes(keys.attributes());
            prop_assert_eq!(keys.size_bytes(), size);
        }
    }
}
