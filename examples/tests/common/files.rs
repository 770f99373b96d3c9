//! Files of a test, in a folder that the build makes for them.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::path::PathBuf;

/// A path at which nothing is. Each name is used once.
pub fn fresh(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.snapshot"));
    for path in [path.clone(), path.with_extension("snapshot.tmp")] {
        if let Err(error) = std::fs::remove_file(&path) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", path.display());
        }
    }
    path
}
