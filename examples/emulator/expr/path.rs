//! Document paths, and projections: the part of an item that some paths cover.

use std::collections::BTreeMap;

use streamcore::model::{AttributeValue, Attributes};

use super::Bindings;
use super::token::Tokens;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Name(String),
    Index(usize),
}

/// A path into an item: an attribute, then members of maps and elements of lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    attribute: String,
    rest: Vec<Part>,
}

impl Path {
    /// A whole attribute.
    pub(crate) fn of(attribute: impl Into<String>) -> Self {
        Self { attribute: attribute.into(), rest: Vec::new() }
    }

    pub(super) fn push_name(&mut self, name: String) {
        self.rest.push(Part::Name(name));
    }

    pub(super) fn push_index(&mut self, index: usize) {
        self.rest.push(Part::Index(index));
    }

    pub(crate) fn attribute(&self) -> &str {
        &self.attribute
    }

    pub(super) fn rest(&self) -> &[Part] {
        &self.rest
    }

    pub(crate) fn is_top_level(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn get<'i>(&self, item: &'i Attributes) -> Option<&'i AttributeValue> {
        self.rest.iter().try_fold(item.get(&self.attribute)?, |value, part| match (value, part) {
            (AttributeValue::M(map), Part::Name(name)) => map.get(name),
            (AttributeValue::L(list), Part::Index(index)) => list.get(*index),
            _ => None,
        })
    }

    /// DynamoDB's complaint if neither path may stand beside the other.
    fn clash(&self, other: &Self) -> Option<String> {
        if self.attribute != other.attribute {
            return None;
        }
        let differing = self.rest.iter().zip(&other.rest).find(|(a, b)| a != b);
        let what = match differing {
            None => "overlap with each other",
            // `a.b` and `a[0]` cannot both exist.
            Some((Part::Name(_), Part::Index(_)) | (Part::Index(_), Part::Name(_))) => {
                "conflict with each other"
            }
            Some(_) => return None,
        };
        Some(format!(
            "Two document paths {what}; must remove or rewrite one of these paths; path one: \
             {self}, path two: {other}"
        ))
    }
}

/// As AWS writes a path in an error: `[a, b, [2]]`.
impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}", self.attribute)?;
        for part in &self.rest {
            match part {
                Part::Name(name) => write!(f, ", {name}")?,
                Part::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}

/// Refuses paths of which one lies inside another.
pub(super) fn check_clashes(paths: &[&Path]) -> Result<(), String> {
    for (index, path) in paths.iter().enumerate() {
        if let Some(said) = paths[..index].iter().find_map(|earlier| earlier.clash(path)) {
            return Err(said);
        }
    }
    Ok(())
}

pub(super) fn read_projection(text: &str, bindings: &Bindings) -> Result<Projection, String> {
    let mut tokens = Tokens::new(text)?;
    let mut paths = vec![tokens.path(bindings)?];
    while tokens.eat(",") {
        paths.push(tokens.path(bindings)?);
    }
    if !tokens.at_end() {
        return Err(tokens.syntax_error());
    }
    check_clashes(&paths.iter().collect::<Vec<_>>())?;
    Ok(Projection::new(&paths))
}

/// What part of a value is wanted.
#[derive(Debug, Default)]
enum Wanted {
    #[default]
    All,
    Inside(BTreeMap<Part, Wanted>),
}

/// The part of an item that some paths cover.
#[derive(Debug)]
pub(crate) struct Projection {
    attributes: BTreeMap<String, Wanted>,
}

impl Projection {
    pub(crate) fn new<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut attributes = BTreeMap::<String, Wanted>::new();
        for path in paths {
            let mut node = attributes
                .entry(path.attribute.clone())
                .or_insert_with(|| Wanted::Inside(BTreeMap::new()));
            for part in &path.rest {
                let Wanted::Inside(members) = node else { break };
                node =
                    members.entry(part.clone()).or_insert_with(|| Wanted::Inside(BTreeMap::new()));
            }
            *node = Wanted::All;
        }
        Self { attributes }
    }

    pub(crate) fn apply(&self, item: &Attributes) -> Attributes {
        let pick = |(name, wanted): (&String, &Wanted)| {
            Some((name.clone(), project(item.get(name)?, wanted)?))
        };
        self.attributes.iter().filter_map(pick).collect()
    }
}

/// Elements of a list close ranks, in their order; what is not there leaves nothing.
fn project(value: &AttributeValue, wanted: &Wanted) -> Option<AttributeValue> {
    let Wanted::Inside(members) = wanted else {
        return Some(value.clone());
    };
    match value {
        AttributeValue::M(map) => {
            let picked: Attributes = members
                .iter()
                .filter_map(|(part, wanted)| match part {
                    Part::Name(name) => Some((name.clone(), project(map.get(name)?, wanted)?)),
                    Part::Index(_) => None,
                })
                .collect();
            (!picked.is_empty()).then_some(AttributeValue::M(picked))
        }
        AttributeValue::L(list) => {
            let picked: Vec<_> = members
                .iter()
                .filter_map(|(part, wanted)| match part {
                    Part::Index(index) => project(list.get(*index)?, wanted),
                    Part::Name(_) => None,
                })
                .collect();
            (!picked.is_empty()).then_some(AttributeValue::L(picked))
        }
        _ => None,
    }
}
