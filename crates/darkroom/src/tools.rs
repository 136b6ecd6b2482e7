//! What this build lacks for want of a system tool, and what that costs. Asks the build itself, not the
//! machine: a tool installed after it changes nothing.

/// One sentence for each thing that is missing; empty when the build is whole.
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !imaging::jpeg_simd() {
        missing.push(
            "Built without nasm: reading and writing JPEG takes 2 to 4 times as long. \
             `cargo xtask dev` installs it and builds again; where nasm has come since, \
             `cargo clean -p mozjpeg-sys` before the next build takes it in.",
        );
    }
    if !cfg!(feature = "avif") {
        missing.push(
            "Built without the feature `avif`: AVIF is read but not written. `cargo xtask dev` installs what it \
             takes and builds with it.",
        );
    }
    missing
}
