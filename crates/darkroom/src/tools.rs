//! What this build lacks for want of a system tool, and what that costs. Asks the codecs themselves,
//! not the machine: a tool installed after the build changes nothing.

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
    missing
}
