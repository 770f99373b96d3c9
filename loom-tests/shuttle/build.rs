//! Switches the scheduler on, for this package and no other.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=streamcore_shuttle");
}
