//! One run: everything happens here, one thing at a time, each chosen by the seed.

use std::time::Duration;

use fastrand::Rng;

use super::faults::{Effect, Odds, pick};
use super::instance::{Delivery, Instance, Kind, SigningClock, Stopped};
use super::invariants::{self, Violation, Watch, ensure};
use super::ledger::{self, Ledger};
use super::operator::Operator;
use super::panics::Panics;
use super::scenario::Scenario;
use super::story::{Story, Tally};
use super::time::Time;
use super::turnstile::{Caller, Turnstile};
use super::users::{Act, NONSENSE, Users};
use super::world::{Mistake, World};

/// Events after which a run without faults must have come to rest.
const PATIENCE: u32 = 20_000;
/// The longest that nothing needs to be looked at while the queue hides all that it has.
const LONGEST_NAP: Duration = Duration::from_secs(60);
/// Whoever sends nothing to S3 for so long has nothing left to do there, not even to try again.
const LONG_SILENCE: Duration = Duration::from_secs(120);
/// Longer than clocks have jumped back, all in all: what became visible before they did is visible again.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// After this, nothing is too young to be tidied up.
const A_DAY_AND_MORE: Duration = Duration::from_secs(25 * 3600);

pub struct Driver {
    pub(super) rng: Rng,
    pub(super) time: Time,
    pub(super) world: World,
    pub(super) turnstile: Turnstile,
    pub(super) kind: Kind,
    pub(super) instances: Vec<Instance>,
    callers: u32,
    pub(super) signing_clock: SigningClock,
    max_receive_count: u32,
    pub(super) operator: Option<Operator>,
    /// Received and not yet handed to a function.
    pub(super) held: Vec<Delivery>,
    pub(super) ledger: Ledger,
    pub(super) watch: Watch,
    panics: Panics,
    pub(super) chances: Chances,
    pub(super) weather: Weather,
    /// Whose request was let through last.
    pub(super) favourite: Option<Caller>,
    /// Since the start.
    pub(super) last_s3_request: Duration,
    /// The request of this number, from 1 on, kills its sender.
    pub(super) deadly: Option<(u64, Effect)>,
    pub(super) story: Story,
    pub(super) tally: Tally,
}

/// What is the case for every request for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// S3 and SQS throttle everyone.
    Outage,
    /// Somebody broke the worker's permissions.
    Forbidden,
    /// The workers' clocks are wrong, and S3 takes none of their signatures.
    ClocksWrong,
}

/// What may happen in a run besides its users' acts. By default, nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Chances {
    pub(super) odds: Odds,
    /// How often the same caller goes on, percent, while all others stand still. At 0 they go in step; at 90 one
    /// may be done with everything between two requests of another.
    pub(super) favour_percent: u32,
    weather: bool,
    duplicates: bool,
    kills: bool,
    stops: bool,
    /// Of an invocation's answer, percent.
    pub(super) lost_answers_percent: u32,
    long_waits: bool,
    clock_jumps: bool,
    nonsense: bool,
    operator: bool,
}

impl Chances {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            odds: Odds::draw(rng),
            favour_percent: *pick(rng, &[0, 50, 90]),
            weather: rng.u32(0..3) == 0,
            duplicates: rng.bool(),
            kills: rng.bool(),
            stops: rng.bool(),
            lost_answers_percent: *pick(rng, &[0, 0, 10, 40]),
            long_waits: rng.bool(),
            clock_jumps: rng.u32(0..3) == 0,
            nonsense: rng.u32(0..4) == 0,
            operator: rng.u32(0..3) == 0,
        }
    }
}

/// One thing that may happen next.
#[derive(Debug, Clone, Copy)]
enum Step {
    LetThrough,
    Receive,
    Invoke,
    UsersAct,
    Duplicate,
    Kill,
    Stop,
    Weather,
    Wait,
    WaitLong,
    ClockJump,
    Nonsense,
    Reconcile,
}

impl Driver {
    pub fn new(seed: u64, mistake: Option<Mistake>, panics: Panics) -> Result<Self, Violation> {
        let mut rng = Rng::with_seed(seed);
        let time = Time::start();
        let max_receive_count = *pick(&mut rng, &[3, 5, 10]);
        let mut driver = Self {
            world: World::new(time.clone(), max_receive_count, mistake)?,
            turnstile: Turnstile::default(),
            kind: *pick(&mut rng, &[Kind::Function, Kind::Function, Kind::Poller]),
            instances: Vec::new(),
            callers: 0,
            signing_clock: SigningClock::start(),
            max_receive_count,
            operator: None,
            held: Vec::new(),
            ledger: Ledger::default(),
            watch: Watch::default(),
            panics,
            chances: Chances::default(),
            weather: Weather::Fair,
            favourite: None,
            last_s3_request: Duration::ZERO,
            deadly: None,
            story: Story::new(time.clone()),
            tally: Tally { runs: 1, ..Tally::default() },
            rng,
            time,
        };
        for _ in 0..*pick(&mut driver.rng, &[1, 2, 2, 3, 3]) {
            driver.start_instance();
        }
        Ok(driver)
    }

    /// What happened, and how much of it.
    pub fn into_report(mut self) -> (Vec<String>, Tally) {
        self.tally.time = self.time.elapsed();
        self.tally.messages = self.ledger.bodies().len() as u64;
        (self.story.into_lines(), self.tally)
    }

    /// One function, and no fault but one: in the scenario's second part the request of this number, from 1 on,
    /// is its sender's last. Returns how many requests that part took.
    pub async fn play(
        &mut self,
        scenario: Scenario,
        deadly: Option<(u64, Effect)>,
    ) -> Result<u64, Violation> {
        self.kind = Kind::Function;
        for instance in self.instances.drain(..) {
            self.turnstile.kill(instance.caller);
        }
        self.start_instance();
        for act in scenario.before() {
            self.act(&act).await?;
        }
        self.settle().await?;
        let before = self.tally.requests;
        self.deadly = deadly.map(|(number, effect)| (before + number, effect));
        for act in scenario.acts() {
            self.act(&act).await?;
        }
        if scenario == Scenario::Repetition {
            self.duplicate().await?;
        }
        self.settle().await?;
        let taken = self.tally.requests - before;
        self.end_well().await?;
        Ok(taken)
    }

    /// A whole run: a storm, then fair weather until all is done, and what must hold then.
    pub async fn run(&mut self) -> Result<(), Violation> {
        self.storm().await?;
        self.settle().await?;
        // Only what is visible goes back.
        self.sleep_for(AN_HOUR).await;
        self.redrive().await?;
        self.settle().await?;
        self.end_well().await
    }

    /// What must hold once all has come to rest, and a day later, when the operator has tidied up.
    async fn end_well(&mut self) -> Result<(), Violation> {
        invariants::all_is_done(&self.world).await?;
        self.sleep_for(A_DAY_AND_MORE).await;
        self.start_reconcile(true)?;
        self.settle().await?;
        self.only_nonsense_is_dead().await?;
        self.ledger.nothing_is_lost()?;
        invariants::nothing_is_left_over(&self.world).await?;
        invariants::all_is_done(&self.world).await
    }

    /// Everything at once, until the users have done all that they meant to, and a little longer.
    async fn storm(&mut self) -> Result<(), Violation> {
        let mut users = Users::draw(&mut self.rng);
        self.chances = Chances::draw(&mut self.rng);
        let mut steps_left = self.rng.u32(10..120);
        while !users.are_done() || steps_left > 0 {
            if users.are_done() {
                steps_left -= 1;
            }
            self.rest().await?;
            let step = self.choose_step(&users);
            self.take_step(step, &mut users).await?;
        }
        Ok(())
    }

    fn choose_step(&mut self, users: &Users) -> Step {
        let chances = &self.chances;
        let functions = self.kind == Kind::Function;
        let is_any_idle = self.instances.iter().any(Instance::is_idle);
        let table = [
            (50, Step::LetThrough, self.turnstile.waiting() > 0),
            (20, Step::Receive, functions),
            (30, Step::Invoke, is_any_idle && !self.held.is_empty()),
            (8, Step::UsersAct, !users.are_done()),
            (6, Step::Duplicate, chances.duplicates && self.ledger.bodies().len() > 0),
            (2, Step::Kill, chances.kills),
            (1, Step::Stop, chances.stops && !functions),
            (3, Step::Weather, chances.weather),
            (3, Step::Wait, true),
            (1, Step::WaitLong, chances.long_waits),
            (2, Step::ClockJump, chances.clock_jumps),
            (1, Step::Nonsense, chances.nonsense),
            (2, Step::Reconcile, chances.operator && self.operator.is_none()),
        ];
        let possible = table.into_iter().filter(|(_, _, is_possible)| *is_possible);
        let possible: Vec<Step> =
            possible.flat_map(|(weight, step, _)| std::iter::repeat_n(step, weight)).collect();
        *pick(&mut self.rng, &possible)
    }

    async fn take_step(&mut self, step: Step, users: &mut Users) -> Result<(), Violation> {
        match step {
            Step::LetThrough => self.let_one_through().await?,
            Step::Receive => self.receive().await?,
            Step::Invoke => self.invoke_any(),
            Step::UsersAct => {
                for act in users.act(&mut self.rng) {
                    self.act(&act).await?;
                }
            }
            Step::Duplicate => self.duplicate().await?,
            Step::Kill => {
                let unlucky = self.rng.usize(0..self.instances.len());
                self.tally.fault("killed between requests");
                self.kill(self.instances[unlucky].caller);
            }
            Step::Stop => {
                let at = self.rng.usize(0..self.instances.len());
                self.story.tell(format_args!("{} is asked to stop", self.instances[at].caller));
                self.tally.fault("asked to stop");
                self.instances[at].ask_to_stop();
            }
            Step::Weather => self.change_weather(),
            Step::Wait => {
                // Most are short: a long one ends all that is under way.
                let most_ms = *pick(&mut self.rng, &[10, 100, 1_000, 10_000, 60_000]);
                let time = Duration::from_millis(self.rng.u64(1..most_ms));
                self.wait(time).await;
            }
            Step::WaitLong => {
                // Waiting pollers ask all the time, each time for real.
                let most_minutes = if self.kind == Kind::Function { 6 * 60 } else { 20 };
                let minutes = self.rng.u64(5..most_minutes);
                self.tally.fault("delay of minutes to hours");
                self.wait(Duration::from_secs(60 * minutes)).await;
            }
            Step::ClockJump => {
                let by_s = self.rng.i64(-90..90);
                self.story.tell(format_args!("the clocks of S3 and SQS jump by {by_s} s"));
                self.tally.fault("clock jump");
                self.time.jump(by_s * 1000);
            }
            Step::Nonsense => {
                let body = *pick(&mut self.rng, &NONSENSE);
                self.tally.fault("message that nobody understands");
                self.send(body, "somebody sends").await?;
            }
            Step::Reconcile => {
                self.tally.fault("reconcile --fix in the middle of it");
                self.start_reconcile(false)?;
            }
        }
        Ok(())
    }

    /// Waits until all is quiet, and takes in what has ended by itself.
    async fn rest(&mut self) -> Result<(), Violation> {
        Time::rest().await;
        for at in 0..self.instances.len() {
            let caller = self.instances[at].caller;
            if let Some(ended) = self.instances[at].ended().await {
                self.take_answer(caller, ended).await?;
            }
            match self.instances[at].stopped().await {
                None => {}
                Some(Stopped::NotInTime) => self.kill(caller),
                Some(Stopped::Panicked(error)) => return Err(Violation(format!("{caller} ended: {error}"))),
                Some(Stopped::ByItself) => {
                    self.story.tell(format_args!("{caller} has stopped"));
                    self.replace(caller);
                }
            }
        }
        self.end_reconcile().await?;
        self.panics.none()
    }

    async fn wait(&mut self, time: Duration) {
        self.story.tell(format_args!("{time:?} pass"));
        Time::pass(time).await;
    }

    /// Without instances, of which pollers would ask for messages all the time.
    async fn sleep_for(&mut self, time: Duration) {
        let count = self.instances.len();
        for instance in self.instances.drain(..) {
            self.turnstile.kill(instance.caller);
        }
        self.wait(time).await;
        (0..count).for_each(|_| self.start_instance());
    }

    pub async fn act(&mut self, act: &Act) -> Result<(), Violation> {
        match act {
            Act::Put { key, file, declared } => {
                self.story.tell(format_args!("a user puts {} as {declared} to {key}", file.name));
                self.world.put(key, file, declared).await?;
                self.ledger.sent(1);
            }
            Act::Delete { key } => {
                let found = self.world.delete(key).await?;
                self.story.tell(format_args!("a user deletes {key}, {found}"));
                self.ledger.sent(u64::from(found));
            }
        }
        Ok(())
    }

    fn change_weather(&mut self) {
        let every = [Weather::Fair, Weather::Outage, Weather::Forbidden, Weather::ClocksWrong];
        self.weather = *pick(&mut self.rng, &every);
        let wrong_by_s = if self.weather == Weather::ClocksWrong { 20 * 60 } else { 0 };
        self.signing_clock.be_wrong_by(*pick(&mut self.rng, &[wrong_by_s, -wrong_by_s]));
        self.story.tell(format_args!("weather: {:?}", self.weather));
    }

    /// Without faults, until the queue is empty and nobody has anything left to do.
    pub async fn settle(&mut self) -> Result<(), Violation> {
        self.chances = Chances::default();
        self.weather = Weather::Fair;
        self.signing_clock.be_wrong_by(0);
        self.held.clear();
        let mut nap = Duration::from_millis(1);
        for _ in 0..PATIENCE {
            self.rest().await?;
            if self.kind == Kind::Function {
                self.receive().await?;
                self.invoke_any();
            }
            if self.turnstile.waiting() > 0 {
                self.let_one_through().await?;
                nap = Duration::from_millis(1);
            } else if self.is_all_done().await? {
                self.ledger.died(&self.world.local.dead_letters.peek().await?);
                return Ok(());
            } else {
                Time::pass(nap).await;
                nap = LONGEST_NAP.min(nap * 2);
            }
        }
        Err(Violation(format!("there is no rest after {PATIENCE} events without faults")))
    }

    async fn is_all_done(&self) -> Result<bool, Violation> {
        let is_busy = match self.kind {
            Kind::Function => self.instances.iter().any(Instance::is_running),
            // One may be at work on what another has acknowledged since.
            Kind::Poller => self.time.elapsed() < self.last_s3_request + LONG_SILENCE,
        };
        Ok(!is_busy && self.operator.is_none() && self.world.local.queue.counts().await?.total() == 0)
    }

    async fn only_nonsense_is_dead(&self) -> Result<(), Violation> {
        for letter in self.world.local.dead_letters.peek().await? {
            let body = letter.body.as_str();
            ensure!(NONSENSE.contains(&body), "a dead letter after fair weather: {}", ledger::shown(body));
        }
        Ok(())
    }

    pub(super) fn next_caller(&mut self) -> Caller {
        self.callers += 1;
        Caller(self.callers)
    }

    fn start_instance(&mut self) {
        let (caller, clock) = (self.next_caller(), self.signing_clock.clone());
        let instance = Instance::start(self.kind, caller, &self.turnstile, clock, self.max_receive_count);
        self.instances.push(instance);
    }

    /// Whoever it is, is gone. What it had sent is lost, or arrives later.
    pub(super) fn kill(&mut self, caller: Caller) {
        self.story.tell(format_args!("{} is killed", self.who(caller)));
        self.tally.kills += 1;
        for mut sent in self.turnstile.kill(caller) {
            sent.hang_up();
            if self.rng.bool() {
                self.turnstile.put_back(sent);
            }
        }
        self.operator.take_if(|operator| operator.caller == caller);
        self.replace(caller);
    }

    /// An instance is gone, and another takes its place.
    fn replace(&mut self, caller: Caller) {
        if let Some(at) = self.instances.iter().position(|instance| instance.caller == caller) {
            self.instances.remove(at);
            self.start_instance();
        }
    }

    pub(super) fn who(&self, caller: Caller) -> String {
        match &self.operator {
            Some(operator) if operator.caller == caller => "operator".to_owned(),
            _ => caller.to_string(),
        }
    }
}
