//! A queue and the workers that empty it, as a discrete-event model: when each message of a burst is
//! received, and when it is done. Owns the rules of batches, slots, cores, cold starts and the ramp.
//! Never reads a clock, draws no chance and prints nothing: the same question has the same answer everywhere.
//!
//! Left out, so that what is measured may be worse: retries and duplicates, receives that bring fewer messages
//! than are there, the noise of S3 and of shared cores, and memory that keeps cores idle. Left out, so that it
//! may be better: a worker that gives one message several cores where they are idle.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::fmt;
use std::iter::once;
use std::ops::Range;

use crate::stats::percentile;

/// Nothing that is asked about is larger: sums of it stay exact enough, and finite.
const MOST: f64 = 1e9;
/// Less of a core than any function can have.
const LEAST_CORES: f64 = 1e-3;
/// They take some 0.7 GB of memory.
const MOST_UPLOADS: f64 = 1e7;

/// A figure that nothing can be forecast from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Invalid {
    pub field: &'static str,
    pub value: f64,
    pub least: f64,
    pub most: f64,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, least, most } = self;
        write!(f, "`{field}` is {value}, but must be from {least} to {most}")
    }
}

impl std::error::Error for Invalid {}

/// All invocations of all workers take from one queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fleet {
    pub workers: usize,
    /// Batches that one worker has in hand at once; of Lambda always one.
    pub invocations_each: usize,
    /// What all invocations of one worker share. Of Lambda memory in MiB / 1769.
    pub cores_each: f64,
    /// Most messages that one invocation takes.
    pub batch: usize,
    pub ramp: Option<Ramp>,
    /// From the first message that a worker takes until it begins: what it takes meanwhile waits with it.
    pub start_s: f64,
}

/// How many invocations there may be at once: more, the longer ago the first message was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    pub first: usize,
    pub per_minute: f64,
}

impl Ramp {
    /// Lambda's event-source mapping: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>.
    pub const SQS: Self = Self { first: 5, per_minute: 300.0 };
}

/// What each message asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Of one core.
    pub work_s: f64,
    /// Without a core, before the work; a batch's messages wait side by side.
    pub wait_s: f64,
}

/// One message's way, in seconds on the clock of the arrivals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message {
    pub sent_s: f64,
    pub received_s: f64,
    pub done_s: f64,
    /// Counted from 0 in order of receipt; a batch's messages have the same.
    pub invocation: usize,
}

/// What became of a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Sent to received.
    pub queue_age: Summary,
    /// Sent to done.
    pub ready_age: Summary,
    /// First sent to last done.
    pub drained_s: f64,
    /// Messages sent and not yet received.
    pub most_waiting: usize,
    /// Invocations.
    pub most_at_once: usize,
}

/// Percentiles are of the nearest rank. All are 0 where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    pub mean_s: f64,
    pub p50_s: f64,
    pub p99_s: f64,
    pub max_s: f64,
}

/// When each of `count` uploads is sent, the first at 0; with `over_s` 0 all are.
pub fn uploads(count: usize, over_s: f64) -> Result<Vec<f64>, Invalid> {
    within("uploads", count as f64, 0.0, MOST_UPLOADS)?;
    within("over_s", over_s, 0.0, MOST)?;
    Ok((0..count).map(|nth| over_s * (nth as f64 / count as f64)).collect())
}

/// Every message, in the order of `arrivals_s`, which is the order of time.
pub fn simulate(arrivals_s: &[f64], fleet: &Fleet, work: Work) -> Result<Vec<Message>, Invalid> {
    for (&earlier_s, &sent_s) in once(&0.0).chain(arrivals_s).zip(arrivals_s) {
        within("arrivals_s", sent_s, earlier_s, MOST)?;
    }
    fleet.check()?;
    within("work_s", work.work_s, 0.0, MOST)?;
    within("wait_s", work.wait_s, 0.0, MOST)?;
    Ok(Model::new(arrivals_s, fleet, work).run())
}

fn within(field: &'static str, value: f64, least: f64, most: f64) -> Result<(), Invalid> {
    // What is no number is in no range.
    if (least..=most).contains(&value) { Ok(()) } else { Err(Invalid { field, value, least, most }) }
}

impl Fleet {
    fn check(&self) -> Result<(), Invalid> {
        within("workers", self.workers as f64, 1.0, MOST)?;
        within("invocations_each", self.invocations_each as f64, 1.0, MOST)?;
        within("cores_each", self.cores_each, LEAST_CORES, MOST)?;
        within("batch", self.batch as f64, 1.0, MOST)?;
        within("start_s", self.start_s, 0.0, MOST)?;
        let Some(Ramp { first, per_minute }) = self.ramp else { return Ok(()) };
        within("ramp.first", first as f64, 1.0, MOST)?;
        within("ramp.per_minute", per_minute, 0.0, MOST)
    }

    /// How far each of `running` messages comes in a second, in seconds of one core.
    fn pace(&self, running: usize) -> f64 {
        (self.cores_each / running as f64).min(1.0)
    }
}

impl Forecast {
    /// Of messages as `simulate` returns them.
    pub fn of(messages: &[Message]) -> Self {
        let invocations = messages.chunk_by(|one, next| one.invocation == next.invocation);
        Self {
            queue_age: Summary::of(messages.iter().map(|message| message.received_s - message.sent_s)),
            ready_age: Summary::of(messages.iter().map(|message| message.done_s - message.sent_s)),
            drained_s: messages.first().map_or(0.0, |first| last_done_s(messages) - first.sent_s),
            most_waiting: most_at_once(messages.iter().map(|message| (message.sent_s, message.received_s))),
            most_at_once: most_at_once(invocations.map(|batch| (batch[0].received_s, last_done_s(batch)))),
        }
    }
}

fn last_done_s(messages: &[Message]) -> f64 {
    messages.iter().map(|message| message.done_s).fold(0.0, f64::max)
}

impl Summary {
    fn of(ages_s: impl Iterator<Item = f64>) -> Self {
        let mut ages_s: Vec<f64> = ages_s.collect();
        ages_s.sort_unstable_by(f64::total_cmp);
        let Some(&max_s) = ages_s.last() else { return Self::default() };
        let mean_s = ages_s.iter().sum::<f64>() / ages_s.len() as f64;
        Self { mean_s, p50_s: percentile(&ages_s, 50), p99_s: percentile(&ages_s, 99), max_s }
    }
}

/// The most spans that hold one moment; the moment of its end is not in a span.
fn most_at_once(spans_s: impl Iterator<Item = (f64, f64)>) -> usize {
    let (mut begins_s, mut ends_s): (Vec<f64>, Vec<f64>) = spans_s.unzip();
    begins_s.sort_unstable_by(f64::total_cmp);
    ends_s.sort_unstable_by(f64::total_cmp);
    let (mut ended, mut most) = (0, 0);
    for (earlier, begin_s) in begins_s.iter().enumerate() {
        while ends_s.get(ended).is_some_and(|end_s| end_s <= begin_s) {
            ended += 1;
        }
        most = most.max((earlier + 1).saturating_sub(ended));
    }
    most
}

/// The queue is what of `arrivals_s` has arrived and is no message yet.
struct Model<'a> {
    arrivals_s: &'a [f64],
    fleet: &'a Fleet,
    work: Work,
    now_s: f64,
    arrived: usize,
    messages: Vec<Message>,
    /// Those that have taken a message before.
    workers: Vec<Worker>,
    /// Workers with a free slot, by the invocations that they have: the idlest first.
    free: BTreeSet<(usize, usize)>,
    invocations: usize,
    at_once: usize,
    /// The most at once that the ramp has come to.
    allowed: usize,
    events: BinaryHeap<Reverse<(At, Event)>>,
}

/// All messages are alike and have the same share of the cores. So they end in the order in which they
/// begin, and one number tells of them all how far they are: how far one would be that never ends.
#[derive(Default)]
struct Worker {
    invocations: usize,
    ready_s: f64,
    /// Messages, each with the `progress_s` at which it is done.
    running: VecDeque<(usize, f64)>,
    /// Messages that wait for a core.
    asking: VecDeque<usize>,
    progress_s: f64,
    seen_s: f64,
    /// Ends foreseen before the last one do not come.
    change: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Opens,
    Ends { worker: usize, change: u64 },
    Asks { first: usize, end: usize, worker: usize },
}

/// Seconds, none of them NaN.
#[derive(PartialEq)]
struct At(f64);

impl Eq for At {}

impl Ord for At {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Model<'a> {
    fn new(arrivals_s: &'a [f64], fleet: &'a Fleet, work: Work) -> Self {
        Self {
            arrivals_s,
            fleet,
            work,
            now_s: 0.0,
            arrived: 0,
            messages: Vec::with_capacity(arrivals_s.len()),
            workers: Vec::new(),
            free: BTreeSet::new(),
            invocations: 0,
            at_once: 0,
            allowed: fleet.ramp.map_or(usize::MAX, |ramp| ramp.first),
            events: BinaryHeap::new(),
        }
    }

    /// Whatever happens at one moment has happened before anyone takes a message: what is sent at once is
    /// taken in full batches.
    fn run(mut self) -> Vec<Message> {
        self.foresee_opening();
        while let Some(now_s) = self.next_s() {
            self.now_s = now_s;
            while self.arrivals_s.get(self.arrived).is_some_and(|&sent_s| sent_s <= now_s) {
                self.arrived += 1;
            }
            while self.events.peek().is_some_and(|Reverse((at, _))| at.0 <= now_s)
                && let Some(Reverse((_, event))) = self.events.pop()
            {
                match event {
                    Event::Opens => {
                        self.allowed += 1;
                        self.foresee_opening();
                    }
                    Event::Ends { worker, change } => self.end(worker, change),
                    Event::Asks { first, end, worker } => self.ask(worker, first..end),
                }
            }
            while self.messages.len() < self.arrived
                && let Some(worker) = self.slot()
            {
                self.take(worker);
            }
        }
        self.messages
    }

    fn next_s(&self) -> Option<f64> {
        let sent_s = self.arrivals_s.get(self.arrived).copied();
        let event_s = self.events.peek().map(|Reverse((at, _))| at.0);
        sent_s.into_iter().chain(event_s).reduce(f64::min)
    }

    /// Not beyond what can be of use, so that there are never more openings than messages.
    fn foresee_opening(&mut self) {
        let (Some(ramp), Some(first_s)) = (self.fleet.ramp, self.arrivals_s.first()) else { return };
        if self.allowed < self.arrivals_s.len() {
            let nth = self.allowed - ramp.first + 1;
            // At infinity, where nothing is added.
            self.events.push(Reverse((At(first_s + nth as f64 * 60.0 / ramp.per_minute), Event::Opens)));
        }
    }

    /// The worker that takes next: one that has begun before one that has not.
    fn slot(&mut self) -> Option<usize> {
        if self.at_once >= self.allowed {
            return None;
        }
        let warm = self.free.pop_first().map(|(_, worker)| worker);
        warm.or_else(|| (self.workers.len() < self.fleet.workers).then(|| self.start()))
    }

    fn start(&mut self) -> usize {
        let ready_s = self.now_s + self.fleet.start_s;
        self.workers.push(Worker { ready_s, ..Worker::default() });
        self.workers.len() - 1
    }

    fn take(&mut self, at: usize) {
        let (now_s, invocation, first) = (self.now_s, self.invocations, self.messages.len());
        let end = self.arrived.min(first + self.fleet.batch);
        let received = |&sent_s| Message { sent_s, received_s: now_s, done_s: now_s, invocation };
        self.messages.extend(self.arrivals_s[first..end].iter().map(received));
        self.invocations += 1;
        self.at_once += 1;
        let worker = &mut self.workers[at];
        worker.invocations += 1;
        if worker.invocations < self.fleet.invocations_each {
            self.free.insert((worker.invocations, at));
        }
        let asks_s = worker.ready_s.max(now_s) + self.work.wait_s;
        self.events.push(Reverse((At(asks_s), Event::Asks { first, end, worker: at })));
    }

    fn ask(&mut self, at: usize, messages: Range<usize>) {
        let worker = &mut self.workers[at];
        worker.progress_s += (self.now_s - worker.seen_s) * self.fleet.pace(worker.running.len());
        worker.seen_s = self.now_s;
        worker.asking.extend(messages);
        self.fill(at);
    }

    fn end(&mut self, at: usize, change: u64) {
        let worker = &mut self.workers[at];
        let Some(&(_, end_s)) = worker.running.front().filter(|_| worker.change == change) else { return };
        // Set, not added to: however sums are rounded, the first is done now.
        worker.progress_s = end_s;
        worker.seen_s = self.now_s;
        while let Some((done, _)) = self.workers[at].running.pop_front_if(|(_, other_s)| *other_s <= end_s) {
            self.messages[done].done_s = self.now_s;
            // The last of a batch begins last, and so it ends last.
            let invocation = |nth: usize| self.messages.get(nth).map(|message| message.invocation);
            if invocation(done) != invocation(done + 1) {
                self.release(at);
            }
        }
        self.fill(at);
    }

    fn release(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        self.free.remove(&(worker.invocations, at));
        worker.invocations -= 1;
        self.free.insert((worker.invocations, at));
        self.at_once -= 1;
    }

    /// Gives the worker's cores to those that have asked longest, and foresees the next end.
    fn fill(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        while worker.running.len() < self.fleet.cores_each.ceil() as usize
            && let Some(message) = worker.asking.pop_front()
        {
            worker.running.push_back((message, worker.progress_s + self.work.work_s));
        }
        worker.change += 1;
        if let Some((_, end_s)) = worker.running.front() {
            let left_s = (end_s - worker.progress_s).max(0.0) / self.fleet.pace(worker.running.len());
            let ends = Event::Ends { worker: at, change: worker.change };
            self.events.push(Reverse((At(self.now_s + left_s), ends)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_CORE: Fleet =
        Fleet { workers: 1, invocations_each: 1, cores_each: 1.0, batch: 10, ramp: None, start_s: 0.0 };
    const A_SECOND: Work = Work { work_s: 1.0, wait_s: 0.0 };

    fn run(arrivals_s: &[f64], fleet: &Fleet, work: Work) -> Vec<Message> {
        simulate(arrivals_s, fleet, work).unwrap()
    }

    fn received_s(messages: &[Message]) -> Vec<f64> {
        messages.iter().map(|message| message.received_s).collect()
    }

    fn done_s(messages: &[Message]) -> Vec<f64> {
        messages.iter().map(|message| message.done_s).collect()
    }

    #[track_caller]
    fn assert_close(found: &[f64], expected: &[f64]) {
        let close = |(one, other): (&f64, &f64)| (one - other).abs() < 1e-9;
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(close),
            "{found:?}\n{expected:?}"
        );
    }

    #[test]
    fn one_core_takes_ten_and_the_next_ten_when_all_of_them_are_done() {
        let messages = run(&[0.0; 25], &ONE_CORE, A_SECOND);
        assert_eq!(received_s(&messages), [[0.0; 10].as_slice(), &[10.0; 10], &[20.0; 5]].concat());
        assert_eq!(done_s(&messages), (1..=25).map(f64::from).collect::<Vec<_>>());
        let queue_age = Summary { mean_s: 8.0, p50_s: 10.0, p99_s: 20.0, max_s: 20.0 };
        let ready_age = Summary { mean_s: 13.0, p50_s: 13.0, p99_s: 25.0, max_s: 25.0 };
        let expected = Forecast { queue_age, ready_age, drained_s: 25.0, most_waiting: 15, most_at_once: 1 };
        assert_eq!(Forecast::of(&messages), expected);
    }

    #[test]
    fn two_invocations_on_two_cores_have_them_one_after_the_other() {
        let local = Fleet { invocations_each: 2, cores_each: 2.0, ..ONE_CORE };
        let messages = run(&[0.0; 40], &local, A_SECOND);
        // The third batch is taken when the first is done, and begins when the second is.
        assert_eq!(received_s(&messages), [[0.0; 20].as_slice(), &[5.0; 10], &[10.0; 10]].concat());
        assert_eq!(done_s(&messages), (2..42).map(|nth| f64::from(nth / 2)).collect::<Vec<_>>());
        assert_eq!(Forecast::of(&messages).most_at_once, 2);
    }

    #[test]
    fn a_batch_that_leaves_a_core_idle_leaves_it_to_the_other_invocation() {
        let local = Fleet { invocations_each: 2, cores_each: 2.0, ..ONE_CORE };
        assert_eq!(done_s(&run(&[0.0, 0.5, 0.5], &local, A_SECOND)), [1.0, 1.5, 2.0]);
    }

    #[test]
    fn a_part_of_a_core_is_shared_by_as_many_messages_as_it_has_whole_cores_and_one() {
        let of_one = |cores_each| Fleet { cores_each, ..ONE_CORE };
        assert_close(&done_s(&run(&[0.0; 3], &of_one(1.5), A_SECOND)), &[4.0 / 3.0, 4.0 / 3.0, 7.0 / 3.0]);
        assert_eq!(done_s(&run(&[0.0; 3], &of_one(0.5), A_SECOND)), [2.0, 4.0, 6.0]);
        // The first has one core to itself, then three quarters of one, then the second has what is left.
        let shared = Fleet { invocations_each: 2, cores_each: 1.5, ..ONE_CORE };
        assert_close(&done_s(&run(&[0.0, 0.25], &shared, A_SECOND)), &[1.25, 1.5]);
    }

    #[test]
    fn the_ramp_lets_one_more_take_each_time_that_it_opens() {
        let ramp = Some(Ramp { first: 2, per_minute: 60.0 });
        let fleet = Fleet { workers: 10, batch: 1, ramp, ..ONE_CORE };
        let long = Work { work_s: 10.0, wait_s: 0.0 };
        assert_eq!(received_s(&run(&[3.0; 6], &fleet, long)), [3.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let never = Fleet { ramp: Some(Ramp { first: 2, per_minute: 0.0 }), ..fleet };
        assert_eq!(received_s(&run(&[3.0; 6], &never, long)), [3.0, 3.0, 13.0, 13.0, 23.0, 23.0]);
        let few = run(&[3.0; 6], &Fleet { workers: 3, ..fleet }, long);
        assert_eq!(received_s(&few), [3.0, 3.0, 4.0, 13.0, 13.0, 14.0]);
        assert_eq!(Forecast::of(&few).drained_s, 21.0);
    }

    #[test]
    fn a_worker_starts_once_and_what_it_takes_meanwhile_waits() {
        let cold = Fleet { workers: 2, start_s: 2.0, batch: 1, ..ONE_CORE };
        // The second finds no worker that is free and warm, the third does.
        let messages = run(&[0.0, 1.0, 10.0], &cold, A_SECOND);
        assert_eq!(received_s(&messages), [0.0, 1.0, 10.0]);
        assert_eq!(done_s(&messages), [3.0, 4.0, 11.0]);
        let shared = Fleet { workers: 1, invocations_each: 2, cores_each: 2.0, ..cold };
        assert_eq!(done_s(&run(&[0.0, 1.0, 10.0], &shared, A_SECOND)), [3.0, 3.0, 11.0]);
    }

    #[test]
    fn a_warm_worker_takes_before_a_new_one_and_the_idlest_before_the_others() {
        let fleet = Fleet { workers: 2, invocations_each: 2, batch: 1, ..ONE_CORE };
        // Two share the first worker, the third has one of its own, and so has the fourth.
        assert_eq!(done_s(&run(&[0.0, 0.0, 0.0, 1.5], &fleet, A_SECOND)), [1.0, 2.0, 1.0, 2.5]);
    }

    #[test]
    fn messages_wait_side_by_side_before_they_need_a_core() {
        let work = Work { work_s: 1.0, wait_s: 0.5 };
        assert_eq!(done_s(&run(&[0.0; 3], &ONE_CORE, work)), [1.5, 2.5, 3.5]);
    }

    #[test]
    fn what_comes_slower_than_it_is_worked_on_waits_for_nothing() {
        let forecast =
            Forecast::of(&run(&uploads(1000, 1000.0).unwrap(), &ONE_CORE, Work { work_s: 0.9, wait_s: 0.0 }));
        assert_eq!((forecast.queue_age.max_s, forecast.most_waiting, forecast.most_at_once), (0.0, 0, 1));
        assert_close(&[forecast.ready_age.max_s, forecast.drained_s], &[0.9, 999.9]);
    }

    #[test]
    fn an_overload_makes_the_last_wait_as_in_a_fluid_queue() {
        let fleet = Fleet { workers: 10, ..ONE_CORE };
        let (work, per_s, over_s) = (Work { work_s: 0.5, wait_s: 0.0 }, 20.0, 2000.0);
        for overload in [1.5, 2.0, 3.0] {
            let arrivals_s = uploads((per_s * overload * over_s) as usize, over_s).unwrap();
            let found_s = Forecast::of(&run(&arrivals_s, &fleet, work)).queue_age.max_s;
            let fluid_s = over_s * (overload - 1.0);
            assert!((found_s / fluid_s - 1.0).abs() < 0.02, "{overload}: {found_s} s, {fluid_s} s");
        }
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |count: u32| Summary::of((1..=count).rev().map(f64::from));
        assert_eq!(of(0), Summary::default());
        assert_eq!(of(1), Summary { mean_s: 1.0, p50_s: 1.0, p99_s: 1.0, max_s: 1.0 });
        assert_eq!(of(200), Summary { mean_s: 100.5, p50_s: 100.0, p99_s: 198.0, max_s: 200.0 });
    }

    #[test]
    fn uploads_are_spread_evenly_or_come_at_once() {
        assert_eq!(uploads(4, 2.0).unwrap(), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(uploads(2, 0.0).unwrap(), [0.0, 0.0]);
        assert!(uploads(0, 9.0).unwrap().is_empty());
    }

    #[test]
    fn nothing_sent_is_nothing_to_forecast() {
        let nothing = Forecast::of(&run(&[], &Fleet { ramp: Some(Ramp::SQS), ..ONE_CORE }, A_SECOND));
        let none = Summary::default();
        let expected =
            Forecast { queue_age: none, ready_age: none, drained_s: 0.0, most_waiting: 0, most_at_once: 0 };
        assert_eq!(nothing, expected);
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_field() {
        let ramp = |first, per_minute| Some(Ramp { first, per_minute });
        let nan = f64::NAN;
        let odd = [
            ("workers", Fleet { workers: 0, ..ONE_CORE }),
            ("workers", Fleet { workers: usize::MAX, ..ONE_CORE }),
            ("invocations_each", Fleet { invocations_each: 0, ..ONE_CORE }),
            ("cores_each", Fleet { cores_each: 0.0, ..ONE_CORE }),
            ("cores_each", Fleet { cores_each: nan, ..ONE_CORE }),
            ("batch", Fleet { batch: 0, ..ONE_CORE }),
            ("start_s", Fleet { start_s: -1.0, ..ONE_CORE }),
            ("ramp.first", Fleet { ramp: ramp(0, 1.0), ..ONE_CORE }),
            ("ramp.per_minute", Fleet { ramp: ramp(1, f64::INFINITY), ..ONE_CORE }),
        ];
        for (field, fleet) in odd {
            assert_eq!(simulate(&[0.0], &fleet, A_SECOND).unwrap_err().field, field);
        }
        for (field, work_s, wait_s) in
            [("work_s", nan, 0.0), ("work_s", -1.0, 0.0), ("wait_s", 0.0, f64::INFINITY)]
        {
            assert_eq!(simulate(&[0.0], &ONE_CORE, Work { work_s, wait_s }).unwrap_err().field, field);
        }
        for arrivals_s in [[-1.0, 0.0], [1.0, 0.5], [0.0, nan]] {
            assert_eq!(simulate(&arrivals_s, &ONE_CORE, A_SECOND).unwrap_err().field, "arrivals_s");
        }
        assert_eq!(uploads(1, nan).unwrap_err().field, "over_s");
        let error = uploads(usize::MAX, -1.0).unwrap_err().to_string();
        assert_eq!(error, "`uploads` is 18446744073709552000, but must be from 0 to 10000000");
    }

    #[test]
    fn the_largest_and_smallest_figures_end_as_well() {
        let most = MOST as usize;
        let ramp = Some(Ramp { first: 1, per_minute: MOST });
        let large = Fleet {
            workers: most,
            invocations_each: most,
            cores_each: MOST,
            batch: most,
            ramp,
            start_s: MOST,
        };
        let slow = Fleet { cores_each: LEAST_CORES, start_s: MOST, batch: 1, ..ONE_CORE };
        for fleet in [large, slow] {
            for work_s in [0.0, f64::MIN_POSITIVE, MOST] {
                let messages = run(&[0.0, -0.0, 0.5, MOST], &fleet, Work { work_s, wait_s: work_s });
                assert!(messages.iter().all(|message| message.done_s.is_finite()), "{messages:?}");
            }
        }
    }

    /// Marsaglia's xorshift, of 64 bits.
    struct Chance(u64);

    impl Chance {
        fn new(seed: u64) -> Self {
            Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) // seeds that are near have bits that are not
        }

        fn below(&mut self, end: usize) -> usize {
            for shift in [13, -7, 17] {
                self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
            }
            (self.0 % end as u64) as usize
        }

        fn at_least_1(&mut self, most: usize) -> usize {
            1 + self.below(most)
        }

        fn fraction(&mut self) -> f64 {
            self.below(1 << 40) as f64 / (1_u64 << 40) as f64
        }

        fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
            all[self.below(all.len())]
        }

        /// At once, evenly, by chance, or in bursts.
        fn arrivals_s(&mut self) -> Vec<f64> {
            let (count, over_s) = (self.at_least_1(300), 100.0 * self.fraction());
            let bursts_s: Vec<f64> = (0..4).map(|_| over_s * self.fraction()).collect();
            let mut arrivals_s = match self.below(4) {
                0 => vec![over_s; count],
                1 => uploads(count, over_s).unwrap(),
                2 => (0..count).map(|_| over_s * self.fraction()).collect(),
                _ => (0..count).map(|_| self.one_of(&bursts_s)).collect(),
            };
            arrivals_s.sort_unstable_by(f64::total_cmp);
            arrivals_s
        }

        fn fleet(&mut self) -> Fleet {
            let ramp = Ramp { first: self.at_least_1(5), per_minute: self.one_of(&[0.0, 20.0, 300.0]) };
            Fleet {
                workers: self.at_least_1(12),
                invocations_each: self.at_least_1(3),
                cores_each: self.cores(),
                batch: self.one_of(&[1, 3, 10]),
                ramp: self.one_of(&[None, Some(ramp)]),
                start_s: self.one_of(&[0.0, 0.7, 5.0]),
            }
        }

        fn cores(&mut self) -> f64 {
            let any = 0.1 + 4.0 * self.fraction();
            self.one_of(&[1.0, 2.0, any])
        }

        fn work(&mut self) -> Work {
            let any = 3.0 * self.fraction();
            Work { work_s: self.one_of(&[0.0, 0.5, any]), wait_s: self.one_of(&[0.0, 0.05]) }
        }
    }

    /// Runs that differ as much as can be, each with its number.
    fn runs() -> impl Iterator<Item = (String, Fleet, Work, Vec<f64>, Vec<Message>)> {
        (1..=1000).map(|seed| {
            let mut chance = Chance::new(seed);
            let (arrivals_s, fleet, work) = (chance.arrivals_s(), chance.fleet(), chance.work());
            let messages = run(&arrivals_s, &fleet, work);
            (format!("seed {seed}: {fleet:?} {work:?}"), fleet, work, arrivals_s, messages)
        })
    }

    fn invocations(messages: &[Message]) -> impl Iterator<Item = &[Message]> {
        messages.chunk_by(|one, next| one.invocation == next.invocation)
    }

    #[test]
    fn no_message_is_lost_and_each_is_sent_received_and_done_in_this_order() {
        for (name, fleet, work, arrivals_s, messages) in runs() {
            assert_eq!(
                messages.iter().map(|message| message.sent_s).collect::<Vec<_>>(),
                arrivals_s,
                "{name}"
            );
            let least_s = work.wait_s + work.work_s / fleet.pace(1);
            for message in &messages {
                assert!(message.received_s >= message.sent_s, "{name}");
                assert!(message.done_s >= message.received_s + least_s - 1e-9, "{name}");
            }
        }
    }

    #[test]
    fn messages_are_received_in_the_order_of_sending_and_in_batches() {
        for (name, fleet, _, _, messages) in runs() {
            assert!(messages.is_sorted_by_key(|message| At(message.received_s)), "{name}");
            for (nth, batch) in invocations(&messages).enumerate() {
                assert!(batch.len() <= fleet.batch && batch[0].invocation == nth, "{name}");
                assert!(batch.iter().all(|message| message.received_s == batch[0].received_s), "{name}");
                assert!(batch.is_sorted_by_key(|message| At(message.done_s)), "{name}");
            }
        }
    }

    #[test]
    fn cores_give_no_more_than_they_have_and_one_busy_worker_gives_all_of_it() {
        for (name, fleet, work, _, messages) in runs() {
            let busy_s = messages.len() as f64 * work.work_s / fleet.cores_each;
            let drained_s = Forecast::of(&messages).drained_s;
            assert!(drained_s >= busy_s / fleet.workers as f64 - 1e-9, "{name}");

            let whole = Fleet { workers: 1, cores_each: fleet.cores_each.min(1.0), start_s: 0.0, ..fleet };
            let at_once = run(&vec![0.0; messages.len()], &whole, Work { wait_s: 0.0, ..work });
            let busy_s = messages.len() as f64 * work.work_s / whole.cores_each;
            assert!((Forecast::of(&at_once).drained_s - busy_s).abs() < 1e-6, "{name}");
        }
    }

    #[test]
    fn there_are_never_more_invocations_at_once_than_slots_or_than_the_ramp_allows() {
        for (name, fleet, _, arrivals_s, messages) in runs() {
            assert!(Forecast::of(&messages).most_at_once <= fleet.workers * fleet.invocations_each, "{name}");
            let Some(ramp) = fleet.ramp else { continue };
            for batch in invocations(&messages) {
                let now_s = batch[0].received_s;
                let is_open = |other: &&[Message]| other[0].received_s <= now_s && last_done_s(other) > now_s;
                let allowed = ramp.first as f64 + ramp.per_minute * (now_s - arrivals_s[0]) / 60.0;
                assert!(invocations(&messages).filter(is_open).count() as f64 <= allowed + 1e-9, "{name}");
            }
        }
    }

    #[test]
    fn nobody_waits_but_for_the_end_of_an_invocation_or_for_the_ramp() {
        for (name, fleet, _, arrivals_s, messages) in runs() {
            let ends_s: Vec<f64> = invocations(&messages).map(last_done_s).collect();
            for message in messages.iter().filter(|message| message.received_s > message.sent_s) {
                let opens = |ramp: Ramp| ramp.per_minute * (message.received_s - arrivals_s[0]) / 60.0;
                let has_opened = fleet.ramp.map(opens).is_some_and(|nth| (nth - nth.round()).abs() < 1e-9);
                assert!(has_opened || ends_s.contains(&message.received_s), "{name}");
            }
        }
    }

    /// Where each worker has one invocation, the messages of a batch go through its cores in rows.
    #[test]
    fn a_plain_loop_over_workers_comes_to_the_same() {
        for seed in 1..=1000 {
            let mut chance = Chance::new(seed);
            let arrivals_s = chance.arrivals_s();
            let work = Work { work_s: 0.01 + 3.0 * chance.fraction(), ..chance.work() };
            let fleet = Fleet { invocations_each: 1, ramp: None, ..chance.fleet() };
            let row = fleet.cores_each.ceil();
            let mut free_s: Vec<f64> = Vec::new();
            let (mut received_by_hand, mut done_by_hand) = (Vec::new(), Vec::new());
            while let Some(&sent_s) = arrivals_s.get(received_by_hand.len()) {
                let warm = (0..free_s.len()).min_by(|one, other| free_s[*one].total_cmp(&free_s[*other]));
                let warm = warm.filter(|nth| free_s[*nth] <= sent_s || free_s.len() == fleet.workers);
                let (worker, now_s, start_s) = match warm {
                    Some(nth) => (nth, free_s[nth].max(sent_s), 0.0),
                    None => (free_s.len(), sent_s, fleet.start_s),
                };
                free_s.resize(free_s.len().max(worker + 1), 0.0);
                let waiting = &arrivals_s[received_by_hand.len()..];
                let taken = waiting.iter().take(fleet.batch).take_while(|sent_s| **sent_s <= now_s).count();
                let begins_s = now_s + start_s + work.wait_s;
                for nth in 0..taken {
                    let in_row = (taken as f64 - row * (nth as f64 / row).floor()).min(row);
                    let full_rows_s = (nth as f64 / row).floor() * work.work_s / fleet.pace(row as usize);
                    received_by_hand.push(now_s);
                    done_by_hand.push(begins_s + full_rows_s + work.work_s / fleet.pace(in_row as usize));
                }
                free_s[worker] = done_by_hand[done_by_hand.len() - 1];
            }
            let messages = run(&arrivals_s, &fleet, work);
            assert_close(&received_s(&messages), &received_by_hand);
            assert_close(&done_s(&messages), &done_by_hand);
        }
    }

    #[test]
    fn of_what_is_sent_at_once_more_workers_never_make_the_longest_wait_longer() {
        for seed in 1..=300 {
            let mut chance = Chance::new(seed);
            let (fleet, work, count) = (chance.fleet(), chance.work(), chance.at_least_1(300));
            let longest_s = |workers| {
                let fleet = Fleet { workers, ramp: None, ..fleet };
                Forecast::of(&run(&vec![0.0; count], &fleet, work)).queue_age.max_s
            };
            let waits_s: Vec<f64> = (1..=12).map(longest_s).collect();
            assert!(
                waits_s.is_sorted_by(|fewer_s, more_s| *more_s <= fewer_s + 1e-9),
                "seed {seed}: {waits_s:?}"
            );
        }
    }
}
