//! Switches the models on, for this package and no other: no RUSTFLAGS, and no feature that another
//! package could switch on for everybody.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=streamcore_loom");
}
