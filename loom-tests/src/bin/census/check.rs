//! Whether the committed table, the source and the arguments agree. Builds nothing.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rows::{Job, Subject};
use crate::table::{Key, Table, Verdict};

/// The headings of `beyond-loom.md`: one for each survivor, by its place and mutant.
pub fn argued(path: &Path) -> Result<BTreeSet<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let headings = text.lines().filter_map(|line| line.strip_prefix("### "));
    Ok(headings.map(|heading| heading.replace('`', "")).collect())
}

/// The heading that a survivor needs.
pub fn heading(key: &Key, subject: Subject) -> String {
    match subject {
        Subject::Ordering => format!("{}: {}", key.place, key.mutant),
        Subject::Step => key.place.clone(),
    }
}

/// The names of all models in the source: file and function, as the test runner says them.
pub fn models_in_source(directory: &Path) -> Result<BTreeSet<String>, String> {
    let mut models = BTreeSet::new();
    let explain = |error: &dyn std::fmt::Display| format!("{}: {error}", directory.display());
    for entry in std::fs::read_dir(directory).map_err(|error| explain(&error))? {
        let path = entry.map_err(|error| explain(&error))?.path();
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| explain(&error))?;
        let file = syn::parse_file(&text).map_err(|error| explain(&error))?;
        models.extend(file.items.iter().filter_map(|item| match item {
            syn::Item::Fn(function)
                if function.attrs.iter().any(|attribute| attribute.path().is_ident("test")) =>
            {
                Some(format!("{stem}::{}", function.sig.ident))
            }
            _ => None,
        }));
    }
    Ok(models)
}

/// What is wrong, in words; nothing, if all is well.
pub fn check(
    table: &Table,
    jobs: &[Job],
    argued: &BTreeSet<String>,
    models: &BTreeSet<String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut survivors = BTreeSet::new();
    for job in jobs {
        let rows = job.subject.rows(table);
        match rows.get(&job.key) {
            None => {
                let changed = rows
                    .keys()
                    .any(|key| (&key.place, &key.mutant) == (&job.key.place, &job.key.mutant));
                let what = if changed { "its row is about other code" } else { "it has no row" };
                wrong.push(format!("{job}: {what}"));
            }
            Some(Verdict::Killed { model, .. }) if !models.contains(model) => {
                wrong.push(format!("{job}: there is no model {model}"));
            }
            Some(Verdict::Survives { .. }) => {
                let heading = heading(&job.key, job.subject);
                if !argued.contains(&heading) {
                    wrong
                        .push(format!("{job}: survives, and beyond-loom.md has no heading for it"));
                }
                survivors.insert(heading);
            }
            Some(_) => {}
        }
    }
    for subject in [Subject::Ordering, Subject::Step] {
        for key in subject.rows(table).keys() {
            if !jobs.iter().any(|job| job.subject == subject && job.key == *key) {
                let Key { place, mutant, .. } = key;
                wrong.push(format!("{place}: {mutant}: a row for something that is not there"));
            }
        }
    }
    for heading in argued.difference(&survivors) {
        wrong.push(format!("beyond-loom.md argues for {heading}, which is no survivor"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(place: &str, hash: &str) -> Job {
        Job::for_test(place, "Acquire -> Relaxed", hash)
    }

    #[test]
    fn rows_places_and_arguments_must_agree() {
        let models = BTreeSet::from(["seal::seal".to_owned()]);
        let (killed, survivor) = (job("a", "1"), job("b", "2"));
        let verdict = Verdict::Killed { model: "seal::seal".to_owned(), executions: Some(1) };
        let mut table = Table::default();
        table.orderings.insert(killed.key.clone(), verdict.clone());
        table.orderings.insert(survivor.key.clone(), Verdict::Survives { models: 3 });
        let argued = BTreeSet::from(["b: Acquire -> Relaxed".to_owned()]);
        let jobs = [killed, survivor];
        let none = BTreeSet::new();
        assert_eq!(check(&table, &jobs, &argued, &models), Vec::<String>::new());

        let wrong = |table: &Table, jobs: &[Job], argued, models, expected: &str| {
            let wrong = check(table, jobs, argued, models);
            assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{wrong:?}: {expected}");
        };
        wrong(&table, &jobs, &none, &models, "no heading");
        wrong(&table, &jobs, &argued, &none, "no model seal::seal");
        wrong(&table, &jobs[..1], &argued, &models, "not there");
        wrong(&table, &jobs[..1], &argued, &models, "no survivor");
        wrong(&table, &[job("a", "9")], &argued, &models, "other code");
        wrong(&table, &[job("c", "9")], &argued, &models, "no row");
    }
}
