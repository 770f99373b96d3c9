//! Makes sure that the models are there, and that they are models.

use std::collections::BTreeSet;
use std::process::Command;

/// Every test of this binary, by its file, and how many the file has. A model that is added, or
/// lost, changes this list.
const TESTS: &[(&str, usize)] = &[
    ("batch", 4),
    ("canary", 2),
    ("checker", 17),
    ("guard", 4),
    ("hollow", 4),
    ("install", 6),
    ("ledger", 3),
    ("poll", 3),
    ("prefix", 5),
    ("provision", 2),
    ("publish", 2),
    ("recycle", 4),
    ("retain", 1),
    ("seal", 4),
    ("topology", 8),
    ("trim", 7),
    ("wake", 6),
    ("wakers", 1),
];

/// The names that the test runner lists when it is asked with `arguments`.
fn listed(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let listed = String::from_utf8(output.stdout).unwrap();
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[test]
fn core_is_compiled_for_the_models() {
    const { assert!(cfg!(streamcore_loom), "build.rs no longer sets the cfg for the tests") };
    // In the library: only the modelled atomics are this large, since they carry loom's state.
    let modelled = size_of::<streamcore_modelled::modelled::atomic::AtomicU64>();
    assert!(modelled > size_of::<u64>(), "the library is compiled with the standard atomics");
}

#[test]
fn no_model_is_missing() {
    let found = listed(&[]);
    let mut by_file: Vec<(&str, usize)> = Vec::new();
    for test in &found {
        let file = test.split("::").next().unwrap();
        match by_file.iter_mut().find(|(known, _)| *known == file) {
            Some((_, count)) => *count += 1,
            None => by_file.push((file, 1)),
        }
    }
    assert_eq!(by_file, TESTS, "found on the left, in the list on the right");
}

#[test]
fn no_model_is_ignored() {
    assert_eq!(listed(&["--ignored"]), BTreeSet::new());
}

#[test]
fn every_file_is_compiled() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models")).unwrap();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let known = ["main", "harness", "steps"].contains(&name)
            || TESTS.iter().any(|(file, _)| *file == name);
        assert!(known, "{} is not in the list of tests", path.display());
    }
}
