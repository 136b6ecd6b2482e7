//! What a run has found, in words, tables and charts. Owns every sentence of docs/benchmarks.md but the notes at
//! its end, and the goals; never measures.

use std::fmt::Write;

use bench_imaging::protocol::Setting;
use contract::Format;

use crate::chart::{Bar, Chart, Group};
use crate::peer::Peer;
use crate::results::{Contest, Entry, Machine, Memory, PhotoFacts, Results, Scale, Scored, Stages, Threads};
use crate::stats::{geometric_mean, mean, median, range};

/// Bytes within this are equal.
const EQUAL_BYTES: f64 = 1.01;

/// The whole report.
pub fn report(results: &Results, notes: &str) -> String {
    let mut text = head(results);
    text.push_str(&goals(results));
    text.push_str(METHOD);
    text.push_str(&tables(results));
    if !notes.is_empty() {
        let _ = writeln!(text, "\n{}", notes.trim());
    }
    text
}

/// All tables that there are results for.
pub fn tables(results: &Results) -> String {
    let mut text = String::new();
    for contest in &results.contests {
        text.push_str(&contest_section(contest));
    }
    for (section, is_there) in [
        (memory as fn(&Results) -> String, !results.memory.is_empty()),
        (scales, !results.scales.is_empty()),
        (stages, !results.stages.is_empty()),
        (threads, !results.threads.is_empty()),
        (start, results.start.is_some()),
    ] {
        if is_there {
            text.push_str(&section(results));
        }
    }
    text
}

fn head(results: &Results) -> String {
    let Machine { date, cpu, cores, memory_bytes, versions } = &results.machine;
    let memory_gb = *memory_bytes as f64 / 1e9;
    let versions: Vec<String> = versions.iter().map(|version| format!("- {version}")).collect();
    let photo = |photo: &PhotoFacts| {
        let PhotoFacts { name, width_px, height_px, bytes } = photo;
        let megapixels = f64::from(*width_px) * f64::from(*height_px) / 1e6;
        format!("`{name}`, {width_px} x {height_px}, {megapixels:.0} MP, {:.1} MB", *bytes as f64 / 1e6)
    };
    let photos: Vec<String> = results.photos.iter().map(photo).collect();
    format!(
        "# Imaging, measured\n\n\
         Our engine beside those that others wrote: the same photos to the same renditions. All of this, but for the \
         notes at the end, was written by the last run of one command, which installs the peers from their \
         registries:\n\n\
         ```sh\ncargo xtask bench\n```\n\n\
         {date}, {cpu}, {cores} cores, {memory_gb:.0} GB.\n\n{}\n\n\
         Photos: {}. `p48` is four frames of `p12` as one JPEG.\n",
        versions.join("\n"),
        photos.join("; "),
    )
}

const METHOD: &str = "
## What is compared

Every rendition fits into a square box of 320, 640, 1280 or 1920 px; JPEG is 4:2:0 with optimised Huffman tables, AVIF 4:2:0;
colours are sRGB. Each peer is a process of its own with one thread, pinned to one core, that is given jobs: a photo's file to
all files of the recipe, in a folder in memory. Everyone does everything once, which is judged and warms up; then all take
turns, photo by photo, as often as the table says. CPU is user and system time of the whole process. Figures are medians,
their means over photos geometric; in brackets are the least and the most of all runs.

- **sharp, usual**: `sharp(file).rotate().resize(...).webp(...).toFile(...)` for each rendition, as most people write it.
- **sharp, style c**: by hand, one decode and one conversion of colours; every width is made of the largest, and encoded
  from a raw buffer.
- **Pillow**: `draft()`, `exif_transpose()`, Lanczos from what was decoded for each width, `ImageCms` on the small pictures.
- **vipsthumbnail**: a process for each rendition, to sRGB where the photo has a profile; its CPU and memory are those of
  these processes.
- **oximg**: its library's one call for each rendition, with its quickest JPEG settings, which are also ours, and WebP's
  method 4 (its own is 2); it keeps a photo's profile and converts no colours.
- **Darkroom**: probe and render, the placeholder included.

Every file is decoded by one decoder, must have the size that was asked for, and is scored by SSIMULACRA2 against the whole photo
reduced by Lanczos 3 in f64: over light and over samples, and the better counts, so that neither way wins by being the
reference. Less than 40 points ends the run. *Our bytes at equal SSIMULACRA2* are read off our own curve of nine
qualities, for each photo, width and format, where it has the peer's score; below 100 % we are smaller. JPEG and WebP have the same
quality number everywhere. Of AVIF, ours is the lowest at which our mean score is the peer's: each peer has its own line of ours.
";

// The goals

/// A goal's work, against whom, what it asks, what was measured, and whether that is enough.
type Goal = (String, String, String, String, bool);

fn goals(results: &Results) -> String {
    let mut rows = Vec::new();
    for (work, against, goal, measured, is_met) in all_goals(results) {
        rows.push(vec![work, against, goal, measured, if is_met { "met" } else { "**not met**" }.to_owned()]);
    }
    let head = ["work", "against", "goal", "measured", ""];
    format!("\n## Goals\n\n{}", table(&head, &rows))
}

fn all_goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for contest in &results.contests {
        for (peer, times, most_bytes) in goals_of(contest.number) {
            goals.extend(contest.of(*peer).map(|entry| cpu_goal(contest, entry, *times, *most_bytes)));
        }
    }
    goals.extend(rest_goal(results));
    goals.extend(memory_goals(results));
    goals.extend(scale_goal(results));
    goals.extend(thread_goal(results));
    goals.extend(start_goal(results));
    goals
}

/// Who is to be outdone, by how much, and with how many bytes at most.
fn goals_of(contest: u8) -> &'static [(Peer, f64, f64)] {
    match contest {
        1 => &[(Peer::SharpUsual, 2.7, EQUAL_BYTES), (Peer::SharpC, 1.5, EQUAL_BYTES)],
        2 => &[(Peer::SharpUsual, 25.0, 1.25)],
        _ => &[(Peer::SharpC, 2.5, EQUAL_BYTES)],
    }
}

fn cpu_goal(contest: &Contest, entry: &Entry, times: f64, most_bytes: f64) -> Goal {
    let modern = entry.settings[0].format;
    let (ratio, _) = contest.ratios(entry);
    let bytes = entry.equal_bytes(modern).unwrap_or(f64::NAN);
    let goal = match most_bytes > EQUAL_BYTES {
        true => format!("{times}x less CPU, {} at most {:+.0} %", name(modern), (most_bytes - 1.0) * 100.0),
        false => format!("{times}x less CPU at equal bytes"),
    };
    let measured = format!("{ratio:.2}x, {} {:+.1} % bytes", name(modern), (bytes - 1.0) * 100.0);
    let against = format!("{}{}", entry.peer, effort(entry));
    (work(entry), against, goal, measured, ratio >= times && bytes <= most_bytes)
}

fn effort(entry: &Entry) -> String {
    let Setting { format, effort, .. } = entry.settings[0];
    if format == Format::Avif { format!(", effort {effort}") } else { String::new() }
}

fn work(entry: &Entry) -> String {
    format!("{}, 4 widths", formats(&entry.settings))
}

fn rest_goal(results: &Results) -> Option<Goal> {
    let (_, worst) = range(&rests(&results.stages).into_iter().map(|(_, rest)| rest).collect::<Vec<_>>());
    let measured = rests(&results.stages)
        .into_iter()
        .map(|(recipe, rest)| format!("{recipe}: {:.1} %", rest * 100.0))
        .collect::<Vec<_>>()
        .join("; ");
    let (work, goal) = ("everything but encoders and decoder".into(), "at most 15 % of the total".into());
    (!results.stages.is_empty()).then(|| (work, "the floor".into(), goal, measured, worst <= 0.15))
}

/// Of each recipe, the mean over photos.
fn rests(stages: &[Stages]) -> Vec<(String, f64)> {
    let recipes = recipes(stages.iter().map(|stages| &stages.formats[..]));
    let rest = |recipe: Vec<Format>| {
        let of: Vec<f64> =
            stages.iter().filter(|stages| stages.formats == recipe).map(Stages::rest).collect();
        (names(&recipe), mean(&of))
    };
    recipes.into_iter().map(rest).collect()
}

fn recipes<'a>(all: impl Iterator<Item = &'a [Format]>) -> Vec<Vec<Format>> {
    let mut recipes: Vec<Vec<Format>> = Vec::new();
    for formats in all {
        if !recipes.iter().any(|known| known == formats) {
            recipes.push(formats.to_vec());
        }
    }
    recipes
}

fn memory_goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for memory in &results.memory {
        let most_mb = if memory.megapixels < 20.0 { 64.0 } else { 100.0 };
        let both = memory.of(Peer::Darkroom).zip(memory.of(Peer::SharpC));
        let Some((ours, theirs)) = both.map(|(ours, theirs)| (ours as f64 / 1e6, theirs as f64 / 1e6)) else {
            continue;
        };
        let work = format!("peak memory, {}, {}", memory.photo, names(&memory.formats));
        let measured = format!("{ours:.0} MB of {theirs:.0} MB, {:.0} %", ours / theirs * 100.0);
        let goal = format!("at most half, and {most_mb} MB");
        goals.push((work, "sharp, style c".into(), goal, measured, ours <= most_mb && ours * 2.0 <= theirs));
    }
    goals
}

fn scale_goal(results: &Results) -> Option<Goal> {
    let (least, most) = range(&results.scales.iter().map(resize_ms_per_mp).collect::<Vec<_>>());
    let work = "decode and first resize, for each megapixel, 1 to 100 MP".to_owned();
    let measured = format!("{least:.1} to {most:.1} ms, {:+.0} %", (most / least - 1.0) * 100.0);
    let goal = "flat within 20 %".to_owned();
    (!results.scales.is_empty()).then(|| (work, "itself".into(), goal, measured, most <= least * 1.2))
}

fn resize_ms_per_mp(scale: &Scale) -> f64 {
    scale.decode_and_resize_ms / scale.megapixels
}

fn thread_goal(results: &Results) -> Option<Goal> {
    let ratio = geometric_mean(results.threads.iter().map(Threads::ratio));
    let work = "one set on two threads".to_owned();
    let goal = "at least 90 % of their throughput".to_owned();
    let measured = format!("{:.1} %", ratio * 100.0);
    let against = "two processes of one thread side by side".to_owned();
    (!results.threads.is_empty()).then_some((work, against, goal, measured, ratio >= 0.9))
}

fn start_goal(results: &Results) -> Option<Goal> {
    let start = results.start.as_ref()?;
    let (ours, theirs) = (median(&start.worker_ms), median(&start.sharp_ms));
    let measured = format!("{ours:.1} ms of {theirs:.0} ms, {:.1} %", ours / theirs * 100.0);
    let work = "worker process, start to first poll".to_owned();
    Some((work, "Node.js importing sharp".into(), "a tenth".into(), measured, ours * 10.0 <= theirs))
}

// The tables

fn contest_section(contest: &Contest) -> String {
    let Some(first) = contest.entries.first() else { return String::new() };
    let (runs, number) = (contest.runs, contest.number);
    let few = if number == 2 { ", as this takes long" } else { "" };
    let mut text = format!("\n## {number}. {}\n\nRuns: {runs}{few}.\n\n", contest_title(contest));
    let _ = writeln!(text, "![CPU time](benchmarks/cpu-{number}.svg)\n");
    text.push_str(&summary(contest, &first.settings));
    let _ = writeln!(text, "\n![Bytes at equal SSIMULACRA2](benchmarks/bytes-{number}.svg)");
    let _ = writeln!(text, "\nCPU ms of each photo:\n\n{}", of_each_photo(contest));
    for (peer, reason) in &contest.absent {
        let _ = writeln!(text, "{peer} is not here: {reason}.\n");
    }
    let _ = writeln!(text, "<details><summary>Each rendition: bytes, SSIMULACRA2</summary>\n");
    let _ = writeln!(text, "{}\n</details>", renditions(contest));
    text
}

fn contest_title(contest: &Contest) -> String {
    let recipe = contest_work(contest);
    match contest.number {
        1 => recipe,
        2 => format!("{recipe}, peers at the effort that they have by default"),
        _ => format!("{recipe}, peers at their quickest"),
    }
}

fn contest_work(contest: &Contest) -> String {
    contest.entries.first().map_or_else(String::new, work)
}

fn summary(contest: &Contest, settings: &[Setting]) -> String {
    let formats: Vec<Format> = settings.iter().map(|setting| setting.format).collect();
    let both = names(&formats).replace(" + ", " / ");
    let row = |entry: &Entry| {
        let is_ours = entry.peer == Peer::Darkroom;
        let (ratio, runs) = contest.ratios(entry);
        let (least, most) = range(&runs);
        let each = |of: &dyn Fn(Format) -> String| {
            formats.iter().map(|format| of(*format)).collect::<Vec<_>>().join(" / ")
        };
        let percent = |format| {
            entry.equal_bytes(format).map_or_else(String::new, |ratio| format!("{:.1} %", ratio * 100.0))
        };
        vec![
            label(entry),
            format!("{:.0}", entry.cpu_ms()),
            format!("{:.0}", entry.wall_ms()),
            if is_ours { String::new() } else { format!("{ratio:.2} ({least:.2}..{most:.2})") },
            each(&|format| format!("{:.0}", entry.bytes(format) as f64 / 1e3)),
            each(&|format| format!("{:.2}", entry.score(format))),
            if is_ours { String::new() } else { each(&percent) },
        ]
    };
    let head = [
        "",
        "CPU, ms",
        "wall, ms",
        "CPU, times ours",
        &format!("kB, {both}"),
        &format!("SSIMULACRA2, {both}"),
        &format!("our bytes at equal SSIMULACRA2, {both}"),
    ];
    table(&head, &contest.in_order().into_iter().map(row).collect::<Vec<_>>())
}

fn of_each_photo(contest: &Contest) -> String {
    let photos = contest.entries.first().map_or(&[][..], |entry| &entry.shots);
    let head: Vec<&str> = [""].into_iter().chain(photos.iter().map(|shot| shot.photo.as_str())).collect();
    let row = |entry: &Entry| {
        let times = entry.shots.iter().map(|shot| {
            let (least, most) = range(&shot.cpu_ms);
            format!("{:.0} ({least:.0}..{most:.0})", median(&shot.cpu_ms))
        });
        [label(entry)].into_iter().chain(times).collect()
    };
    table(&head, &contest.in_order().into_iter().map(row).collect::<Vec<_>>())
}

fn renditions(contest: &Contest) -> String {
    let Some(first) = contest.entries.first() else { return String::new() };
    let entries = contest.in_order();
    let labels: Vec<String> = entries.iter().copied().map(label).collect();
    let head: Vec<&str> = [""].into_iter().chain(labels.iter().map(String::as_str)).collect();
    let mut rows = Vec::new();
    for (shot, of) in first.shots.iter().enumerate() {
        for Scored { width, format, .. } in sorted(&of.files) {
            let same = |entry: &Entry| {
                let mut files = entry.shots[shot].files.iter();
                let file = files.find(|file| file.width == width && file.format == format);
                file.map_or_else(String::new, |file| format!("{}, {:.1}", file.bytes, file.score))
            };
            let name = format!("{} {width} {}", of.photo, name(format));
            rows.push([name].into_iter().chain(entries.iter().copied().map(same)).collect());
        }
    }
    table(&head, &rows)
}

fn sorted(files: &[Scored]) -> Vec<Scored> {
    let mut files = files.to_vec();
    files.sort_by_key(|file| (name(file.format), file.width));
    files
}

/// Who, and how AVIF is made.
fn label(entry: &Entry) -> String {
    let Setting { format, quality, .. } = entry.settings[0];
    match format {
        Format::Avif => format!("{}, AVIF {quality}", entry.peer),
        _ => entry.peer.to_string(),
    }
}

fn memory(results: &Results) -> String {
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|peer| results.memory.iter().any(|memory| memory.of(*peer).is_some()))
        .collect();
    let names_of_peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    let head: Vec<&str> = ["MB"].into_iter().chain(names_of_peers.iter().map(String::as_str)).collect();
    let row = |memory: &Memory| {
        let mb = |peer: &Peer| memory.of(*peer).map_or_else(|| "-".to_owned(), mb);
        [memory_title(memory)].into_iter().chain(peers.iter().map(mb)).collect()
    };
    let rows: Vec<Vec<String>> = results.memory.iter().map(row).collect();
    format!(
        "\n## 4. Peak memory\n\nThe most that a new process ever has (VmHWM) that makes one set of files; of \
         vipsthumbnail, the largest of its processes. Ours with AVIF of quality 75, peers' with 50 and effort \
         0.\n\n![Peak memory](benchmarks/memory.svg)\n\n{}",
        table(&head, &rows)
    )
}

fn memory_title(memory: &Memory) -> String {
    format!("{}, {:.0} MP, {}", memory.photo, memory.megapixels, names(&memory.formats))
}

fn mb(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / 1e6)
}

fn scales(results: &Results) -> String {
    let row = |scale: &Scale| {
        vec![
            format!("{:.0}", scale.megapixels),
            format!("{:.1}", scale.decode_ms),
            format!("{:.1}", scale.decode_and_resize_ms),
            format!("{:.2}", scale.decode_ms / scale.megapixels),
            format!("{:.2}", resize_ms_per_mp(scale)),
            mb(scale.peak_bytes),
        ]
    };
    let head = [
        "MP",
        "decode, CPU ms",
        "decode and first resize, CPU ms",
        "decode, ms for each MP",
        "decode and first resize, ms for each MP",
        "peak memory, MB",
    ];
    format!(
        "\n## 5. Decode and first resize, from 1 to 100 MP\n\nOurs alone: one photo cut or tiled to each size, to one JPEG in a \
         box of 1920 px; of all of the work, the encoder is subtracted.\n\n![Decode and first \
         resize](benchmarks/scales.svg)\n\n{}",
        table(&head, &results.scales.iter().map(row).collect::<Vec<_>>())
    )
}

fn stages(results: &Results) -> String {
    let row = |stages: &Stages| {
        let Stages { total_ms, decode_ms, encode_ms, .. } = stages;
        let part = |ms: f64| format!("{ms:.1} ms, {:.1} %", ms / total_ms * 100.0);
        vec![
            format!("{}, {}", stages.photo, names(&stages.formats)),
            format!("{total_ms:.1} ms"),
            part(*decode_ms),
            part(*encode_ms),
            part(total_ms - decode_ms - encode_ms),
        ]
    };
    let head = ["", "total", "decode", "encoders", "everything else"];
    format!(
        "\n## 6. Where our time goes\n\nAll of the work, the decoder alone and the encoders alone of the same finished \
         pictures, in turns; everything else is what remains: reading, resizing, colours, turning, placeholder, \
         writing. WebP and JPEG of quality 80, AVIF of 75.\n\n![Stages](benchmarks/stages.svg)\n\n{}",
        table(&head, &results.stages.iter().map(row).collect::<Vec<_>>())
    )
}

fn threads(results: &Results) -> String {
    let row = |threads: &Threads| {
        vec![
            format!("{}, {}", threads.photo, names(&threads.formats)),
            format!("{:.0}", threads.two_threads_ms),
            format!("{:.0}", threads.two_processes_ms),
            format!("{:.1} %", threads.ratio() * 100.0),
        ]
    };
    let head = ["", "two threads, ms for each set", "two processes, ms for each set", "throughput"];
    format!(
        "\n## 7. Two threads\n\nThe same sets of files by one process with two threads, one set after the other, and by two \
         processes of one thread each, side by side on the same two cores; wall time.\n\n{}",
        table(&head, &results.threads.iter().map(row).collect::<Vec<_>>())
    )
}

fn start(results: &Results) -> String {
    let Some(start) = &results.start else { return String::new() };
    let row = |name: &str, all: &[f64]| {
        let (least, most) = range(all);
        vec![name.to_owned(), format!("{:.1}", median(all)), format!("{least:.1}..{most:.1}")]
    };
    let rows = [
        row("`darkroom-worker`, to its first poll", &start.worker_ms),
        row("Node.js, to `await import('sharp')`", &start.sharp_ms),
    ];
    let starts = start.worker_ms.len();
    let head = ["", "median, ms", "all, ms"];
    format!(
        "\n## 8. Start\n\n{starts} starts in turns on one core, both in memory already.\n\n{}",
        table(&head, &rows)
    )
}

// The charts

/// Each by its file's name.
pub fn charts(results: &Results) -> Vec<(String, String)> {
    let mut charts = Vec::new();
    for contest in &results.contests {
        charts.push((format!("cpu-{}", contest.number), cpu_chart(contest).svg()));
        charts.push((format!("bytes-{}", contest.number), bytes_chart(contest).svg()));
    }
    charts.push(("memory".to_owned(), memory_chart(results).svg()));
    charts.push(("scales".to_owned(), scale_chart(results).svg()));
    charts.push(("stages".to_owned(), stage_chart(results).svg()));
    charts
}

fn cpu_chart(contest: &Contest) -> Chart {
    let bar = |entry: &Entry| {
        let is_ours = entry.peer == Peer::Darkroom;
        let times = if is_ours { String::new() } else { format!(", {:.1}x", contest.ratios(entry).0) };
        let value = format!("{:.0} ms{times}", entry.cpu_ms());
        Bar::plain(label(entry), is_ours, entry.cpu_ms(), value)
    };
    let bars = contest.in_order().into_iter().map(bar).collect();
    let title = format!("CPU for one photo: {}", contest_work(contest));
    Chart { title, legend: Vec::new(), groups: vec![Group { title: String::new(), bars }] }
}

fn bytes_chart(contest: &Contest) -> Chart {
    let settings = contest.entries.first().map_or(&[][..], |entry| &entry.settings);
    let group = |setting: &Setting| {
        let bar = |entry: &Entry| {
            let percent = entry.equal_bytes(setting.format)? * 100.0;
            Some(Bar::plain(entry.peer.to_string(), false, percent, format!("{percent:.1} %")))
        };
        let title = format!("{}, of this peer's bytes", name(setting.format));
        Group { title, bars: contest.in_order().into_iter().filter_map(bar).collect() }
    };
    let title = format!("Our bytes at equal SSIMULACRA2: {}", contest_work(contest));
    Chart { title, legend: Vec::new(), groups: settings.iter().map(group).collect() }
}

fn memory_chart(results: &Results) -> Chart {
    let bar = |(peer, bytes): &(Peer, u64)| {
        let is_ours = *peer == Peer::Darkroom;
        Bar::plain(peer.to_string(), is_ours, *bytes as f64, format!("{} MB", mb(*bytes)))
    };
    let group = |memory: &Memory| Group {
        title: memory_title(memory),
        bars: memory.peak_bytes.iter().map(bar).collect(),
    };
    let groups = results.memory.iter().map(group).collect();
    Chart { title: "Peak memory".to_owned(), legend: Vec::new(), groups }
}

fn scale_chart(results: &Results) -> Chart {
    let bar = |scale: &Scale| {
        let (decode, all) = (scale.decode_ms / scale.megapixels, resize_ms_per_mp(scale));
        let parts = vec![decode, 0.0, all - decode];
        Bar { label: format!("{:.0} MP", scale.megapixels), parts, value: format!("{all:.1} ms") }
    };
    let groups = vec![Group { title: String::new(), bars: results.scales.iter().map(bar).collect() }];
    let title = "Decode and first resize, CPU ms for each megapixel".to_owned();
    Chart { title, legend: vec!["decode", "", "first resize, colours, placeholder"], groups }
}

fn stage_chart(results: &Results) -> Chart {
    let bar = |stages: &Stages| {
        let part = |ms: f64| ms / stages.total_ms * 100.0;
        let parts = vec![part(stages.decode_ms), part(stages.encode_ms), stages.rest().max(0.0) * 100.0];
        let label = format!("{}, {}", stages.photo, names(&stages.formats));
        Bar { label, parts, value: format!("{:.1} % else", stages.rest() * 100.0) }
    };
    let groups = vec![Group { title: String::new(), bars: results.stages.iter().map(bar).collect() }];
    let title = "Where our CPU time goes, %".to_owned();
    Chart { title, legend: vec!["decode", "encoders", "everything else"], groups }
}

// Words

/// The formats of a recipe, as people write them.
pub fn formats(settings: &[Setting]) -> String {
    names(&settings.iter().map(|setting| setting.format).collect::<Vec<_>>())
}

fn names(formats: &[Format]) -> String {
    formats.iter().map(|format| name(*format)).collect::<Vec<_>>().join(" + ")
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Avif => "AVIF",
        Format::Webp => "WebP",
        Format::Jpeg => "JPEG",
        Format::Png => "PNG",
    }
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
