//! The work that a recipe means for one picture: which pixels to make, each once, and in what order. Owns
//! the sharing of equal pixels; never touches any.

use contract::Recipe;
use contract::recipe::{Encoding, RenditionSpec};

use crate::geometry::{Geometry, Rect, Size};
use crate::orientation::Orientation;
use crate::placeholder;

/// Pixels to make, and every file that is made of them.
#[derive(Debug)]
pub(crate) struct Job<'r> {
    /// On stored pixels.
    pub geometry: Geometry,
    pub outputs: Vec<Output<'r>>,
    /// The placeholder is computed from these.
    pub is_placeholder: bool,
}

/// One encoding, and the names of the renditions that share it.
#[derive(Debug)]
pub(crate) struct Output<'r> {
    pub encoding: &'r Encoding,
    pub max_bytes: Option<u64>,
    pub names: Vec<&'r str>,
}

impl Job<'_> {
    /// Whether the pixels of this job, of a `source`, serve `other` as well as the source's own: at twice
    /// the resolution a second reduction cannot be seen.
    pub fn serves(&self, other: &Job, source: Size) -> bool {
        let Geometry { crop, target } = self.geometry;
        crop == Rect::whole(source) && other.geometry.is_served_by(target, source, 2, 1)
    }
}

/// The jobs of a recipe for a picture stored at the size `stored`, largest first.
pub(crate) fn jobs(stored: Size, orientation: Orientation, recipe: &Recipe) -> Vec<Job<'_>> {
    let displayed = orientation.turned(stored);
    let mut jobs = Vec::new();
    for spec in &recipe.renditions {
        let job = job_at(&mut jobs, Geometry::of(displayed, spec).stored(orientation, displayed));
        for encoding in recipe.formats_of(spec) {
            job.add(encoding, spec);
        }
    }
    let small = Geometry::inside(displayed, placeholder::LIMIT).stored(orientation, displayed);
    job_at(&mut jobs, small).is_placeholder = true;
    jobs.sort_by_key(|job| std::cmp::Reverse(job.geometry.target.pixels()));
    jobs
}

/// The job that makes these very pixels; a new one where there is none.
fn job_at<'a, 'r>(jobs: &'a mut Vec<Job<'r>>, geometry: Geometry) -> &'a mut Job<'r> {
    let index = jobs.iter().position(|job| job.geometry == geometry).unwrap_or_else(|| {
        jobs.push(Job { geometry, outputs: Vec::new(), is_placeholder: false });
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
        let small = jobs(Size::new(500, 400), Orientation::default(), &recipe);
        assert_eq!(names(&small), [vec!["w640", "w1280", "w1920"], vec!["w320"], vec!["thumb"], vec![]]);
        let large = jobs(Size::new(4000, 3000), Orientation::default(), &recipe);
        assert_eq!(
            names(&large),
            [vec!["w1920"], vec!["w1280"], vec!["w640"], vec!["w320"], vec!["thumb"], vec![]]
        );
        assert!(large[5].is_placeholder);
    }

    #[test]
    fn a_job_serves_another_only_whole_and_at_twice_its_resolution() {
        let recipe = Recipe::default();
        let source = Size::new(4000, 3000);
        let jobs = jobs(source, Orientation::default(), &recipe);
        let [w1920, w1280, w640, w320, thumb, placeholder] = &jobs[..] else { panic!("{jobs:?}") };
        assert!(!w1920.serves(w1280, source));
        assert!(w1280.serves(w640, source));
        assert!(w640.serves(w320, source));
        assert!(!w640.serves(thumb, source), "480 px of height are less than twice 256");
        assert!(w1280.serves(thumb, source));
        assert!(!thumb.serves(placeholder, source), "it shows a part only");
    }
}
