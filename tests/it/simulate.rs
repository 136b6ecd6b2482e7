//! The simulator's seeds, and that it would notice.

use darkroom_tests::sim::{Effect, Mistake, Scenario, play, requests_of, simulate, simulate_with};

const SEEDS_EACH: u64 = 25;

fn all_hold(part: u64) {
    for seed in part * SEEDS_EACH..(part + 1) * SEEDS_EACH {
        let run = simulate(seed);
        assert!(run.verdict.is_ok(), "{run}");
    }
}

/// So that they run side by side.
macro_rules! parts {
    ($($name:ident $part:literal)*) => {$(
        #[test]
        fn $name() {
            all_hold($part);
        }
    )*};
}
parts! {
    whatever_happens_every_upload_ends_as_it_must_seeds_0_to_24 0
    whatever_happens_every_upload_ends_as_it_must_seeds_25_to_49 1
    whatever_happens_every_upload_ends_as_it_must_seeds_50_to_74 2
    whatever_happens_every_upload_ends_as_it_must_seeds_75_to_99 3
    whatever_happens_every_upload_ends_as_it_must_seeds_100_to_124 4
    whatever_happens_every_upload_ends_as_it_must_seeds_125_to_149 5
    whatever_happens_every_upload_ends_as_it_must_seeds_150_to_174 6
    whatever_happens_every_upload_ends_as_it_must_seeds_175_to_199 7
}

#[test]
fn a_seed_is_the_same_story_every_time() {
    for seed in [1, 6, 7, 17] {
        let (one, other) = (simulate(seed), simulate(seed));
        assert_eq!(one.story, other.story, "seed {seed}");
        assert_eq!(one.tally, other.tally, "seed {seed}");
    }
}

#[test]
fn a_store_that_is_at_fault_itself_is_noticed() {
    for mistake in [Mistake::IgnoresConditions, Mistake::LosesRenditions] {
        let noticed = (0..40).any(|seed| simulate_with(seed, Some(mistake)).verdict.is_err());
        assert!(noticed, "{mistake:?} passed 40 seeds");
    }
}

#[test]
fn a_worker_may_die_before_or_after_any_single_request() {
    for scenario in Scenario::ALL {
        let requests = requests_of(scenario).unwrap();
        assert!(requests > 1, "{scenario:?} takes {requests} requests");
        for number in 1..=requests {
            for effect in [Effect::Never, Effect::Now, Effect::Later] {
                let run = play(scenario, Some((number, effect)));
                assert!(run.verdict.is_ok(), "{scenario:?}, killed at {number}, {effect:?}\n{run}");
                assert!(run.tally.kills >= 1, "{scenario:?}, {number}: nobody was killed");
            }
        }
    }
}
