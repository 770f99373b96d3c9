//! What there is to try: each ordering and each step, with its mutant.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::list::{Expected, Mutant};
use crate::places;
use crate::table::{Key, Table, Verdict};

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The ordering of an operation.
    Ordering,
    /// A step of a protocol, from `mutants/*.txt`.
    Step,
}

impl Subject {
    /// The rows of the table for this.
    pub fn rows(self, table: &Table) -> &BTreeMap<Key, Verdict> {
        match self {
            Self::Ordering => &table.orderings,
            Self::Step => &table.steps,
        }
    }

    /// The same, to be changed.
    pub fn rows_mut(self, table: &mut Table) -> &mut BTreeMap<Key, Verdict> {
        match self {
            Self::Ordering => &mut table.orderings,
            Self::Step => &mut table.steps,
        }
    }
}

/// One row to fill.
#[derive(Debug)]
pub struct Job {
    /// What it is about.
    pub subject: Subject,
    /// The row.
    pub key: Key,
    /// The models to begin with: by file and function, or by function alone.
    pub models: Vec<String>,
    /// Whether it is written down that nothing kills it.
    pub is_explained: bool,
    /// What is done to the source.
    pub mutation: Mutation,
}

/// What a mutant changes.
#[derive(Debug)]
pub enum Mutation {
    /// Nothing: the ordering is relaxed.
    None,
    /// It is one of those that are planted all at once, behind a switch, by this number.
    Switched(usize),
    /// It has these files instead of the source's.
    Texts(BTreeMap<PathBuf, String>),
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key.place, self.key.mutant)
    }
}

impl Job {
    /// Whether one of the words names it, or there are no words.
    pub fn is_meant_by(&self, words: &[String]) -> bool {
        let text = self.to_string();
        words.is_empty() || words.iter().any(|word| text.contains(word.as_str()))
    }

    #[cfg(test)]
    pub fn for_test(place: &str, mutant: &str, hash: &str) -> Self {
        let [place, mutant, hash] = [place, mutant, hash].map(str::to_owned);
        Self {
            subject: Subject::Ordering,
            key: Key { place, mutant, hash },
            models: Vec::new(),
            is_explained: false,
            mutation: Mutation::None,
        }
    }
}

/// All rows that the source in `workspace` needs, and the source with every weaker ordering in it,
/// each behind a switch.
pub fn all(
    workspace: &Path,
    steps: Vec<Mutant>,
) -> Result<(Vec<Job>, BTreeMap<PathBuf, String>), String> {
    let (mut jobs, switched) = orderings(&workspace.join("core").join("src"))?;
    let read = |file: &Path| read(&workspace.join(file));
    for step in steps {
        let files: Vec<String> =
            step.edits.iter().map(|edit| edit.file.display().to_string()).collect();
        let edits = step.edits.iter().map(|edit| format!("{}\n=>\n{}", edit.find, edit.replace));
        let hash = places::hash(&edits.collect::<Vec<_>>().join("\n"));
        let mut files: Vec<&str> =
            files.iter().map(|file| file.strip_prefix("core/src/").unwrap_or(file)).collect();
        files.dedup();
        let place = format!("{}: {}", step.list, step.name).replace('|', "/");
        jobs.push(Job {
            subject: Subject::Step,
            key: Key { place, mutant: files.join(" "), hash },
            is_explained: matches!(step.expected, Expected::Survives(_)),
            mutation: Mutation::Texts(step.texts(read)?),
            models: step.models,
        });
    }
    Ok((jobs, switched))
}

/// The variable that switches one weaker ordering on.
pub const SWITCH: &str = "STREAMCORE_CENSUS_MUTANT";

/// The rows of all orderings. Their mutants are planted together, so that one build serves them all:
/// which of them is on, is asked at run time. (loom takes orderings as values anyway.)
fn orderings(source: &Path) -> Result<(Vec<Job>, BTreeMap<PathBuf, String>), String> {
    let mut jobs = Vec::new();
    // From the last to the first of each file, so that earlier bytes stay where they are.
    let mut edits: BTreeMap<String, Vec<(Range<usize>, String)>> = BTreeMap::new();
    let mut number = 0;
    for place in places::find(source)? {
        for ordering in &place.orderings {
            let mut job = |mutant: &str, mutation| {
                jobs.push(Job {
                    subject: Subject::Ordering,
                    key: Key {
                        place: place.name.clone(),
                        mutant: mutant.to_owned(),
                        hash: place.hash.clone(),
                    },
                    models: place.models.clone(),
                    is_explained: false,
                    mutation,
                });
            };
            if ordering.weaker.is_empty() {
                job(&ordering.written, Mutation::None);
            }
            let edits = edits.entry(place.file.clone()).or_default();
            let mut begin = String::new();
            let mut range = &ordering.range;
            for weaker in &ordering.weaker {
                number += 1;
                job(&weaker.name, Mutation::Switched(number));
                begin += &match weaker.ordering {
                    Some(weaker) => format!(
                        "if crate::census_has({number}) \
                         {{ ::core::sync::atomic::Ordering::{weaker} }} else "
                    ),
                    None => {
                        range = &place.range;
                        format!("if !crate::census_has({number}) ")
                    }
                };
            }
            if !begin.is_empty() {
                edits.push((range.clone(), begin));
            }
        }
    }
    let mut texts = BTreeMap::new();
    for (file, mut edits) in edits {
        let mut text = read(&source.join(&file))?;
        edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (Range { start, end }, begin) in edits {
            text = format!("{}{begin}{{ {} }}{}", &text[..start], &text[start..end], &text[end..]);
        }
        texts.insert(Path::new("core").join("src").join(file), text);
    }
    let root = format!("{}\n{}", read(&source.join("lib.rs"))?, switch());
    texts.insert(Path::new("core").join("src").join("lib.rs"), root);
    Ok((jobs, texts))
}

/// What the planted source asks.
fn switch() -> String {
    format!(
        "pub(crate) fn census_has(mutant: u32) -> bool {{
    static ON: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let on = || std::env::var(\"{SWITCH}\").map_or(0, |on| on.parse().unwrap());
    *ON.get_or_init(on) == mutant
}}
"
    )
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_of_the_real_source_is_planted_and_parses() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
        let (jobs, texts) = orderings(&source).unwrap();
        let switched =
            jobs.iter().filter(|job| matches!(job.mutation, Mutation::Switched(_))).count();
        let asked: usize = texts.values().map(|text| text.matches("census_has(").count()).sum();
        assert!(switched > 0);
        assert_eq!(asked, switched + 1, "once for each, and the function itself");
        for (path, text) in texts {
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
