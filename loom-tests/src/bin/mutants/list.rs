//! What mutants there are, and how they are written down.
//!
//! ```text
//! # a comment
//! mutant: state store relaxed
//! killed by: publish::publish share::share
//! file: core/src/log/segment.rs
//! find:
//! .0, Ordering::Release);
//! replace:
//! .0, Ordering::Relaxed);
//! end
//! ```
//!
//! Every named model must kill it. A mutant that no model can kill says `survives: <reason>` and, as
//! `tried:`, which models it survives. A mutant may have several edits: `find` to `end` again, with
//! `file` before it when that changes. Where `find` has white space, the file may have other white
//! space, so that formatting does not make a mutant out of date.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A mistake to plant.
#[derive(Debug)]
pub struct Mutant {
    /// What it is called, and by which list.
    pub name: String,
    pub list: String,
    /// The models to run.
    pub models: Vec<String>,
    /// What they must say.
    pub expected: Expected,
    /// The changes to make.
    pub edits: Vec<Edit>,
}

/// What models must say of a mutant.
#[derive(Debug)]
pub enum Expected {
    /// Each of them fails.
    Killed,
    /// Each of them passes, for this reason.
    Survives(String),
}

/// One change of one file.
#[derive(Debug)]
pub struct Edit {
    /// The file, from the workspace.
    pub file: PathBuf,
    pub find: String,
    pub replace: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.list, self.name)?;
        let files = self.edits.iter().map(|edit| edit.file.display().to_string());
        write!(f, " ({})", files.collect::<Vec<_>>().join(", "))
    }
}

impl Mutant {
    /// Whether one of the words names it, or there are no words.
    pub fn is_meant_by(&self, words: &[String]) -> bool {
        let text = self.to_string();
        words.is_empty() || words.iter().any(|word| text.contains(word.as_str()))
    }

    /// The texts of the files that it changes, with the changes; fails if one does not fit its file.
    pub fn texts(
        &self,
        read: impl Fn(&Path) -> Result<String, String>,
    ) -> Result<BTreeMap<PathBuf, String>, String> {
        let mut texts = BTreeMap::new();
        for edit in &self.edits {
            let before = match texts.remove(&edit.file) {
                Some(changed) => changed,
                None => read(&edit.file).map_err(|error| format!("{self}: {error}"))?,
            };
            let after = edit.apply(&before).map_err(|error| format!("{self}: {error}"))?;
            texts.insert(edit.file.clone(), after);
        }
        Ok(texts)
    }
}

impl Edit {
    /// The file's text with this change.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let places: Vec<_> = text
            .char_indices()
            .filter_map(|(start, _)| Some(start..start + matched(&text[start..], &self.find)?))
            .collect();
        let [place] = places.as_slice() else {
            return Err(format!(
                "{} has this {} times, not once: {:?}",
                self.file.display(),
                places.len(),
                self.find
            ));
        };
        Ok([&text[..place.start], &self.replace, &text[place.end..]].concat())
    }
}

/// How many bytes at the start of `text` are `find`, if they are: any white space is as good as other.
fn matched(text: &str, find: &str) -> Option<usize> {
    let mut rest = text;
    let mut words = find.split_whitespace().peekable();
    while let Some(word) = words.next() {
        rest = rest.strip_prefix(word)?;
        if words.peek().is_some() {
            let trimmed = rest.trim_start();
            if trimmed.len() == rest.len() {
                return None;
            }
            rest = trimmed;
        }
    }
    Some(text.len() - rest.len())
}

/// The mutants of all lists in a directory.
pub fn read(directory: &Path) -> Result<Vec<Mutant>, String> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut all: Vec<Mutant> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let list = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for mutant in parse(&list, &text).map_err(|error| format!("{}: {error}", path.display()))? {
            if all.iter().any(|known| known.list == list && known.name == mutant.name) {
                return Err(format!("{} has two mutants called {:?}", path.display(), mutant.name));
            }
            all.push(mutant);
        }
    }
    Ok(all)
}

/// Where the lines of an edit go.
enum Inside {
    Nothing,
    Find,
    Replace,
}

fn parse(list: &str, text: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let mut file: Option<PathBuf> = None;
    let mut inside = Inside::Nothing;
    let (mut find, mut replace) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let error = |what: &str| format!("line {}: {what}: {line:?}", index + 1);
        match (&inside, line) {
            (Inside::Find, "replace:") => inside = Inside::Replace,
            (Inside::Find, _) => find.push(line),
            (Inside::Replace, "end") => {
                let mutant = mutants.last_mut().ok_or_else(|| error("an edit before a mutant"))?;
                let file = file.clone().ok_or_else(|| error("an edit without a file"))?;
                let (find, replace) = (std::mem::take(&mut find), std::mem::take(&mut replace));
                let find = find.join("\n").trim().to_owned();
                if find.is_empty() {
                    return Err(error("an edit that looks for nothing"));
                }
                mutant.edits.push(Edit { file, find, replace: replace.join("\n") });
                inside = Inside::Nothing;
            }
            (Inside::Replace, _) => replace.push(line),
            (Inside::Nothing, "find:") => inside = Inside::Find,
            (Inside::Nothing, _) if line.trim().is_empty() || line.starts_with('#') => {}
            (Inside::Nothing, _) => {
                let (key, value) = line.split_once(':').ok_or_else(|| error("not understood"))?;
                let value = value.trim().to_owned();
                if key == "mutant" {
                    file = None;
                    mutants.push(Mutant {
                        name: value,
                        list: list.to_owned(),
                        models: Vec::new(),
                        expected: Expected::Killed,
                        edits: Vec::new(),
                    });
                    continue;
                }
                let mutant = mutants.last_mut().ok_or_else(|| error("before a mutant"))?;
                match key {
                    "killed by" | "tried" => {
                        mutant.models.extend(value.split_whitespace().map(str::to_owned));
                    }
                    "survives" => mutant.expected = Expected::Survives(value),
                    "file" => file = Some(PathBuf::from(value)),
                    _ => return Err(error("not understood")),
                }
            }
        }
    }
    if !matches!(inside, Inside::Nothing) {
        return Err("the last edit has no end".to_owned());
    }
    for mutant in &mutants {
        if mutant.models.is_empty() || mutant.edits.is_empty() {
            return Err(format!("{:?} needs models and an edit", mutant.name));
        }
    }
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# comment
mutant: weak store
killed by: publish::publish share::share
file: src/a.rs
find:
store(1,
    Release)
replace:
store(1, Relaxed)
end

mutant: equivalent
survives: every scan holds a pin
tried: trim::trim
file: src/a.rs
find:
load(Acquire)
replace:
load(Relaxed)
end
";

    #[test]
    fn a_list_is_read() {
        let mutants = parse("toy", LIST).unwrap();
        assert_eq!(mutants.len(), 2);
        assert_eq!(mutants[0].models, ["publish::publish", "share::share"]);
        assert!(matches!(mutants[0].expected, Expected::Killed));
        assert!(matches!(&mutants[1].expected, Expected::Survives(why) if why.contains("pin")));
        assert!(mutants[0].is_meant_by(&["toy: weak".to_owned()]));
        assert!(!mutants[0].is_meant_by(&["equivalent".to_owned()]));
    }

    #[test]
    fn an_edit_fits_whatever_the_formatting_and_only_once() {
        let mutants = parse("toy", LIST).unwrap();
        let edit = &mutants[0].edits[0];
        let changed = edit.apply("x.store(1, Release); y.store(2, Release)").unwrap();
        assert_eq!(changed, "x.store(1, Relaxed); y.store(2, Release)");
        let twice = edit.apply("x.store(1, Release); y.store(1,  Release)").unwrap_err();
        assert!(twice.contains("2 times"), "{twice}");
        let never = edit.apply("x.store(1,Release)").unwrap_err();
        assert!(never.contains("0 times"), "{never}");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for bad in [
            "killed by: x",
            "mutant: a\nkilled by: x\n",
            "mutant: a\nkilled by: x\nfile: f\nfind:\nx\n",
            "mutant: a\nkilled by: x\nfile: f\nfind:\n\nreplace:\nend\n",
            "mutant: a\nkilled by: x\nfind:\nx\nreplace:\nend\n",
            "mutant: a\ncolour: red\n",
        ] {
            assert!(parse("toy", bad).is_err(), "{bad:?}");
        }
    }
}
