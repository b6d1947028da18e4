//! How `libzircon.so` is linked.
//!
//! Its SONAME is the one it has on Fuchsia. It is never unloaded: signal handlers, fork handlers and mapped memory
//! would be left behind.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libzircon.so");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
