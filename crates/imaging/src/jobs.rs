//! The work that a recipe means for one picture: which pixels to make, each once, and in what order. Owns
//! the sharing of equal pixels; never touches any.

use contract::Recipe;
use contract::recipe::{Encoding, Gravity, RenditionSpec};

use crate::geometry::{Geometry, Rect, Size};
use crate::placeholder;

/// A rendition may be made of a larger one with this many times its resolution: 1.5, less what rounding to
/// whole pixels takes. docs/resizing.md has what that costs and saves.
const CHAINED: (u64, u64) = (7, 5);

/// Pixels to make, and every file that is made of them.
#[derive(Debug)]
pub(crate) struct Job<'r> {
    /// On the picture as displayed.
    pub geometry: Geometry,
    /// The place of the crop, which is the centre here, is found once there are pixels; its size stays.
    pub is_attentive: bool,
    pub base: Base,
    /// Whether later jobs are made of this picture.
    pub is_base: bool,
    pub outputs: Vec<Output<'r>>,
    /// The placeholder is computed from these.
    pub is_placeholder: bool,
}

/// What the pixels of a job are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Decoded,
    /// The picture of the last job before this one that was to be a base.
    Larger,
}

/// One encoding, and the names of the renditions that share it.
#[derive(Debug)]
pub(crate) struct Output<'r> {
    pub encoding: &'r Encoding,
    pub max_bytes: Option<u64>,
    pub names: Vec<&'r str>,
}

/// Whether any of `jobs` is made of the decoder's pixels.
pub(crate) fn need_decoded(jobs: &[Job]) -> bool {
    jobs.iter().any(|job| job.base == Base::Decoded)
}

impl Job<'_> {
    /// Whether the pixels of this job, of a `source`, serve `other` as well as the source's own.
    fn serves(&self, other: &Job, source: Size) -> bool {
        let Geometry { crop, target } = self.geometry;
        crop == Rect::whole(source) && other.geometry.is_served_by(target, source, CHAINED.0, CHAINED.1)
    }
}

/// The jobs of a recipe for a picture that is displayed at the size `source`, largest first.
pub(crate) fn jobs(source: Size, recipe: &Recipe) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for spec in &recipe.renditions {
        let geometry = Geometry::of(source, spec);
        let job = job_at(&mut jobs, geometry, spec.gravity, source);
        for encoding in recipe.formats_of(spec) {
            job.add(encoding, spec);
        }
    }
    let small = Geometry::inside(source, placeholder::LIMIT);
    job_at(&mut jobs, small, Gravity::Centre, source).is_placeholder = true;
    jobs.sort_by_key(|job| std::cmp::Reverse(job.geometry.target.pixels()));
    chain(&mut jobs, source);
    jobs
}

/// Chooses each job's base: the nearest larger one that serves it. There is only one at a time, and none
/// of more than half the pixels beside what was decoded, so that little is in memory. A new one must serve
/// all that the last one would have.
fn chain(jobs: &mut [Job], source: Size) {
    let mut base: Option<usize> = None;
    for index in 0..jobs.len() {
        let (done, rest) = jobs.split_at(index + 1);
        let serves = |by: usize, job: &Job| done[by].serves(job, source);
        let served = base.is_some_and(|base| serves(base, &done[index]));
        let lost = |job: &Job| base.is_some_and(|base| serves(base, job)) && !serves(index, job);
        let is_small = done[index].geometry.target.pixels() <= source.pixels() / 2;
        let is_enough = rest.iter().all(|job| serves(index, job));
        let is_base =
            (is_small || is_enough) && rest.iter().any(|job| serves(index, job)) && !rest.iter().any(lost);
        jobs[index].base = if served { Base::Larger } else { Base::Decoded };
        jobs[index].is_base = is_base;
        if is_base {
            base = Some(index);
        }
    }
}

/// The job that makes these very pixels; a new one where there is none.
fn job_at<'a, 'r>(
    jobs: &'a mut Vec<Job<'r>>,
    geometry: Geometry,
    gravity: Gravity,
    source: Size,
) -> &'a mut Job<'r> {
    // All of a picture has but one place.
    let is_attentive = gravity == Gravity::Attention && geometry.crop != Rect::whole(source);
    let same = |job: &Job| job.geometry == geometry && job.is_attentive == is_attentive;
    let index = jobs.iter().position(same).unwrap_or_else(|| {
        let (base, outputs) = (Base::Decoded, Vec::new());
        jobs.push(Job { geometry, is_attentive, base, is_base: false, outputs, is_placeholder: false });
        jobs.len() - 1
    });
    &mut jobs[index]
}

impl<'r> Job<'r> {
    fn add(&mut self, encoding: &'r Encoding, spec: &'r RenditionSpec) {
        let max_bytes = spec.max_bytes;
        let equal = |output: &&mut Output| same(output.encoding, encoding) && output.max_bytes == max_bytes;
        match self.outputs.iter_mut().find(equal) {
            Some(output) => output.names.push(&spec.name),
            None => self.outputs.push(Output { encoding, max_bytes, names: vec![&spec.name] }),
        }
    }
}

/// Whether two encodings give the same bytes: a default that is spelled out is no difference.
fn same(one: &Encoding, other: &Encoding) -> bool {
    let settings = |encoding: &Encoding| {
        let Encoding { format, progressive, lossless, animated, .. } = *encoding;
        (format, encoding.quality(), encoding.method(), progressive, lossless, animated)
    };
    settings(one) == settings(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'r>(jobs: &'r [Job]) -> Vec<Vec<&'r str>> {
        let of = |job: &'r Job| job.outputs.first().map_or_else(Vec::new, |output| output.names.clone());
        jobs.iter().map(of).collect()
    }

    #[test]
    fn renditions_of_equal_pixels_are_one_job_and_the_largest_comes_first() {
        let recipe = Recipe::default();
        let small = jobs(Size::new(500, 400), &recipe);
        assert_eq!(names(&small), [vec!["w640", "w1280", "w1920"], vec!["w320"], vec!["thumb"], vec![]]);
        let large = jobs(Size::new(4000, 3000), &recipe);
        assert_eq!(
            names(&large),
            [vec!["w1920"], vec!["w1280"], vec!["w640"], vec!["w320"], vec!["thumb"], vec![]]
        );
        assert!(large[5].is_placeholder);
    }

    /// Each job's width and what it is made of: the width of a larger one, or none for the decoder's pixels.
    fn bases(stored: Size, recipe: &Recipe) -> Vec<(u32, Option<u32>)> {
        let mut larger = None;
        jobs(stored, recipe)
            .iter()
            .map(|job| {
                let width_px = job.geometry.target.width_px;
                let base = if job.base == Base::Larger { larger } else { None };
                larger = if job.is_base { Some(width_px) } else { larger };
                (width_px, base)
            })
            .collect()
    }

    #[test]
    fn each_rendition_is_made_of_the_nearest_larger_one_that_loses_nothing() {
        let of = |width, height| bases(Size::new(width, height), &Recipe::default());
        let ladder = [(1920, None), (1280, Some(1920)), (640, Some(1280)), (320, Some(640))];
        // The thumb of a landscape needs more height than the w320 has; the placeholder comes last.
        assert_eq!(of(4000, 3000), [&ladder[..], &[(256, Some(640)), (100, Some(640))]].concat());
        let small = [(500, None), (320, Some(500)), (256, Some(500)), (100, Some(500))];
        assert_eq!(of(500, 400), small);
    }

    #[test]
    fn parts_found_by_attention_are_shared_among_themselves_alone() {
        let cover = |name: &str, gravity: &str| {
            let spec = "width = 100\nheight = 100\nfit = \"cover\"";
            format!("[[rendition]]\nname = \"{name}\"\ngravity = \"{gravity}\"\n{spec}\n")
        };
        let all = [cover("a", "attention"), cover("b", "centre"), cover("c", "attention")].concat();
        let recipe = Recipe::parse(&all).unwrap();
        let of = |source| {
            let jobs = jobs(source, &recipe);
            jobs.iter()
                .filter_map(|job| Some((job.is_attentive, job.outputs.first()?.names.len())))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Size::new(4000, 3000))[..2], [(true, 2), (false, 1)]);
        assert_eq!(of(Size::new(3000, 3000)), [(false, 3)], "a square has one place for all of it");
    }

    #[test]
    fn what_shows_a_part_only_is_no_base() {
        let cover = "[[rendition]]\nname = \"a\"\nwidth = 1000\nheight = 1000\nfit = \"cover\"\n\
                     [[rendition]]\nname = \"b\"\nwidth = 200";
        let recipe = Recipe::parse(cover).unwrap();
        assert_eq!(bases(Size::new(4000, 3000), &recipe), [(1000, None), (200, None), (100, Some(200))]);
        // All of it is no part.
        let square = [(1000, None), (200, Some(1000)), (100, Some(200))];
        assert_eq!(bases(Size::new(4000, 4000), &recipe), square);
    }

    #[test]
    fn renditions_too_close_to_each_other_are_made_of_what_was_decoded() {
        let widths = [1000, 900, 800, 710, 500]
            .map(|width| format!("[[rendition]]\nname = \"w{width}\"\nwidth = {width}\n"));
        let recipe = Recipe::parse(&widths.concat()).unwrap();
        assert_eq!(
            bases(Size::new(4000, 3000), &recipe),
            [(1000, None), (900, None), (800, None), (710, Some(1000)), (500, Some(710)), (100, Some(500))]
        );
    }
}
