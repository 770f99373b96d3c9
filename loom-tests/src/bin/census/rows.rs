//! What there is to try: each ordering and each step, with its mutant.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::list::{Expected, Mutant};
use crate::places::{self, Place};
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
    /// The changed files; none for a relaxed ordering.
    pub texts: BTreeMap<PathBuf, String>,
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
            texts: BTreeMap::new(),
        }
    }
}

/// All rows that the source in `workspace` needs.
pub fn all(workspace: &Path, steps: Vec<Mutant>) -> Result<Vec<Job>, String> {
    let source = workspace.join("core").join("src");
    let mut jobs = Vec::new();
    for place in places::find(&source)? {
        of_place(&source, &place, &mut jobs)?;
    }
    let read = |file: &Path| {
        let path = workspace.join(file);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
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
            texts: step.texts(read)?,
            models: step.models,
        });
    }
    Ok(jobs)
}

fn of_place(source: &Path, place: &Place, jobs: &mut Vec<Job>) -> Result<(), String> {
    let path = source.join(&place.file);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut add = |mutant: &str, texts: BTreeMap<PathBuf, String>| {
        jobs.push(Job {
            subject: Subject::Ordering,
            key: Key {
                place: place.name.clone(),
                mutant: mutant.to_owned(),
                hash: place.hash.clone(),
            },
            models: place.models.clone(),
            is_explained: false,
            texts,
        });
    };
    for ordering in &place.orderings {
        if ordering.weaker.is_empty() {
            add(&ordering.written, BTreeMap::new());
        }
        for weaker in &ordering.weaker {
            let (before, after) = (&text[..weaker.range.start], &text[weaker.range.end..]);
            let changed = [before, &weaker.replacement, after].concat();
            let file = Path::new("core").join("src").join(&place.file);
            add(&weaker.name, BTreeMap::from([(file, changed)]));
        }
    }
    Ok(())
}
