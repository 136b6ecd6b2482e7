//! What a hostile file may take before it is refused or rendered: a few megabytes, whatever it claims.
//! Counts every allocation of this process, so tests here wait for each other.
#![expect(clippy::unwrap_used, reason = "clippy knows tests, not their helpers")]
#![expect(unsafe_code, reason = "an allocator is unsafe by its nature; this one counts and passes on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use contract::{Limits, Recipe};
use flate2::{Compression, Crc, write::ZlibEncoder};
use imaging::{Error, probe, render};

/// Allocated now, and most ever since the last reset, bytes.
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Held by a test as long as it runs.
static ALONE: Mutex<()> = Mutex::new(());

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What came of it, the most bytes it took beside the file, and how long.
fn measured(bytes: &[u8]) -> (Result<(), Error>, usize, Duration) {
    let recipe = Recipe::parse("[[rendition]]\nname = \"a\"\nwidth = 8\nformats = [{ format = \"png\" }]");
    let (recipe, limits) = (recipe.unwrap(), Limits::default());
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let started = Instant::now();
    let outcome = probe(bytes, &limits, &recipe)
        .and_then(|probe| render(bytes, &probe, &recipe, 1, &mut |_| ControlFlow::Continue(())).map(|_| ()));
    (outcome, PEAK.load(Relaxed) - before, started.elapsed())
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    let mut crc = Crc::new();
    crc.update(&body);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [length.as_slice(), &body, &crc.sum().to_be_bytes()].concat()
}

/// A grey PNG of 8 bits: its size, chunks before the image data, and that.
fn png(side_px: u32, chunks: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let sides = [side_px.to_be_bytes(), side_px.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[sides.as_slice(), &[8, 0, 0, 0, 0]].concat());
    let start = [b"\x89PNG\r\n\x1a\n".as_slice(), &header].concat();
    [start, chunks.concat(), chunk(b"IDAT", data), chunk(b"IEND", b"")].concat()
}

/// Zeros in zlib's format, without an end: the first MiB, again and again.
fn deflated_zeros(length_mib: usize) -> Vec<u8> {
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&vec![0; MIB]).unwrap();
    deflated.flush().unwrap();
    let (header, block) = deflated.get_ref().split_at(2);
    [header, &block.repeat(length_mib)].concat()
}

const MIB: usize = 1024 * 1024;

#[test]
fn no_bomb_in_a_png_takes_more_than_a_few_megabytes_or_longer_than_a_moment() {
    let _alone = ALONE.lock();
    let (image, bomb) = (deflated_zeros(1), deflated_zeros(1024));
    let named = [b"name\0\0".as_slice(), &bomb].concat();
    let international = [b"name\0\x01\0\0\0".as_slice(), &bomb].concat();
    let exif = [b"MM\0*\0\0\0\x08\0\0\0\0\0\0".as_slice(), &vec![0; 5 * MIB]].concat();
    // What every picture pays once is not a bomb's.
    measured(&png(8, &[], &image)).0.unwrap();
    for (name, bytes, is_refused) in [
        ("plain", png(8, &[], &image), false),
        ("100 000 px square", png(100_000, &[], &image), true),
        ("10 000 px square, and no more than a row", png(10_000, &[], &image), true),
        ("a profile of 1 GiB", png(8, &[chunk(b"iCCP", &named)], &image), true),
        ("a profile of 5 MiB as it is", png(8, &[chunk(b"iCCP", &[0; 5 * MIB])], &image), true),
        ("a text of 1 GiB", png(8, &[chunk(b"zTXt", &named)], &image), true),
        ("a text of 1 GiB, with its language", png(8, &[chunk(b"iTXt", &international)], &image), true),
        ("many texts", png(8, &vec![chunk(b"zTXt", &named); 4], &image), true),
        ("EXIF of 5 MiB", png(8, &[chunk(b"eXIf", &exif)], &image), true),
        ("1 GiB of image data for 64 px", png(8, &[], &bomb), true),
        ("a signature", b"\x89PNG\r\n\x1a\n".to_vec(), true),
    ] {
        let (outcome, peak_bytes, took) = measured(&bytes);
        println!("{name}: {outcome:?}, {} KiB, {took:?}", peak_bytes / 1024);
        assert_eq!(outcome.is_err(), is_refused, "{name}: {outcome:?}");
        if name.starts_with("10 000") {
            // It says so much that the rows have to be asked for: within what the probe foretold.
            continue;
        }
        assert!(peak_bytes < 20 * MIB, "{name}: {peak_bytes} bytes");
        // Ten times what a quiet machine takes.
        assert!(took < Duration::from_millis(100), "{name}: {took:?}");
    }
}

#[test]
fn no_chunk_of_a_webp_takes_the_memory_that_it_claims() {
    let _alone = ALONE.lock();
    for (name, bytes) in [
        ("EXIF", include_bytes!("../../../fuzz/regressions/webp/exif_claims_4_gib")),
        ("a profile", include_bytes!("../../../fuzz/regressions/webp/profile_claims_4_gib")),
    ] {
        let (outcome, peak_bytes, _) = measured(bytes);
        println!("{name}: {outcome:?}, {} KiB", peak_bytes / 1024);
        assert!(peak_bytes < 20 * MIB, "{name}: {peak_bytes} bytes");
    }
}
