//! The whole story of one source, top to bottom: read the manifest, look at the source as it is now,
//! make what is missing, commit the manifest. Never trusts the event beyond the key, and never writes
//! a manifest before every rendition that it names.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contract::manifest::{Failure, Manifest, Outcome as Told, Placeholder, Rendition, Source, Status};
use contract::{Fingerprint, Limits, MediaType, Recipe, Rejection, Revision, SourceKey};
use imaging::{Cost, Encoded, Probe};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cdn::Cdn;
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, Outcome};
use crate::judge;
use crate::plan::Plan;
use crate::report::Measured;
use crate::store::{ByteStream, Commit, Fetched, SourceHead, Standing, Store, StoreError};
use crate::tell::Tell;
use crate::turns::Turns;

/// Lost races after which the message goes back to the queue instead.
const MAX_ROUNDS: u32 = 5;
/// What a source is thought to take before its header has been read.
const UNSEEN: Duration = Duration::from_secs(1);
const MIB: u64 = 1024 * 1024;

/// Makes renditions of sources. Cheap to clone; clones share the budgets.
#[derive(Clone)]
pub struct Processor {
    store: Store,
    tell: Tell,
    cdn: Cdn,
    recipe: Arc<Recipe>,
    limits: Limits,
    fingerprint: Fingerprint,
    turns: Turns,
    core_count: usize,
    /// One permit for each core: pixel work never waits for a core that pixel work holds.
    cores: Arc<Semaphore>,
    /// One permit for each MiB that pixel work may take at once.
    memory_mib: Arc<Semaphore>,
    /// One permit for each MiB of sources that are held at once, decoded or waiting to be.
    sources_mib: Arc<Semaphore>,
}

/// How a round ended: settled, with the manifest that says so, or the manifest changed under it.
enum Round {
    Settled(Outcome, Box<Manifest>),
    LostRace,
}

/// What one source's pixel work may use, until it is dropped.
struct Permits {
    _memory: OwnedSemaphorePermit,
    cores: OwnedSemaphorePermit,
}

impl Permits {
    fn threads(&self) -> usize {
        self.cores.num_permits()
    }
}

/// What is to be made of what.
struct Job<'a> {
    source: &'a SourceKey,
    revision: &'a Revision,
    head: &'a SourceHead,
}

/// What was made of one source.
enum Made {
    Ready { width: u32, height: u32, renditions: Vec<Rendition>, placeholder: Placeholder },
    Rejected { size_px: Option<(u32, u32)>, rejection: Rejection },
}

impl Processor {
    /// `cores` is how many have pixel work at once.
    pub fn new(
        store: Store,
        tell: Tell,
        cdn: Cdn,
        recipe: Recipe,
        limits: Limits,
        cores: NonZeroUsize,
    ) -> Self {
        Self {
            core_count: cores.get(),
            store,
            tell,
            cdn,
            turns: Turns::default(),
            fingerprint: Fingerprint::of(&recipe, &limits, imaging::ENCODERS),
            recipe: Arc::new(recipe),
            cores: Arc::new(Semaphore::new(cores.get())),
            memory_mib: Arc::new(Semaphore::new(budget_mib(limits.max_job_bytes) as usize)),
            sources_mib: Arc::new(Semaphore::new(sources_budget_mib(&limits) as usize)),
            limits,
        }
    }

    pub fn bucket(&self) -> &str {
        self.store.bucket()
    }

    pub fn cores(&self) -> usize {
        self.core_count
    }

    /// Lets pixel work that is under way finish, and begins no more.
    pub fn begin_nothing_more(&self) {
        for budget in [&self.sources_mib, &self.memory_mib, &self.cores] {
            budget.close();
        }
    }

    /// Brings what is published of one source in line with the source as it is now, and tells whoever is
    /// to be told, again where it was done before: nobody knows how far the one before came.
    ///
    /// `measured` is told how long the stages took, as far as it came.
    pub async fn process(
        &self,
        plan: &Plan,
        deadline: Deadline,
        measured: &mut Measured,
    ) -> Result<Outcome, Error> {
        let started = Instant::now();
        let turn = deadline.wait(UNSEEN, self.turns.take(&plan.source)).await;
        measured.waiting += started.elapsed();
        let _turn = turn.ok_or(Error::TooLate { needed_ms: ms(UNSEEN) })?;
        for _ in 0..MAX_ROUNDS {
            if let Round::Settled(outcome, manifest) = self.round(plan, deadline, measured).await? {
                let started = Instant::now();
                self.tell.tell(&manifest).await?;
                measured.publishing += started.elapsed();
                return Ok(outcome);
            }
        }
        Err(Error::Contended { rounds: MAX_ROUNDS })
    }

    async fn round(&self, plan: &Plan, deadline: Deadline, measured: &mut Measured) -> Result<Round, Error> {
        // The manifest first: whoever commits between this and our own commit makes ours fail, and
        // the source is read after it, so ours is never older than what it replaces.
        let standing = self.store.manifest(&plan.source.manifest()).await?;
        if standing.is_some() || judge::size(plan.size_bytes.unwrap_or(0), &self.limits).is_err() {
            let Some(head) = self.store.head_source(&plan.source).await? else {
                return self.remove(plan, standing).await;
            };
            if let Some((outcome, manifest)) = self.settled(standing.as_ref(), &head)
                && (!plan.repair || self.is_whole(manifest).await?)
            {
                return Ok(Round::Settled(outcome, Box::new(manifest.clone())));
            }
            measured.is_new = true;
            if let Err(Error::Rejected(rejection)) = self.judge_head(&head) {
                let made = Made::Rejected { size_px: None, rejection };
                return self.publish(plan, standing.as_ref(), &head, made, measured).await;
            }
        }
        measured.is_new = true;
        let started = Instant::now();
        let Some(Fetched { head, body }) = self.store.get_source(&plan.source).await? else {
            return self.remove(plan, standing).await;
        };
        measured.reading += started.elapsed();
        let revision = self.revision(&head, standing.as_ref());
        let job = Job { source: &plan.source, revision: &revision, head: &head };
        let made = self.make(&job, body, deadline, measured).await?;
        self.publish(plan, standing.as_ref(), &head, made, measured).await
    }

    /// Whether every rendition that a manifest names is there.
    async fn is_whole(&self, manifest: &Manifest) -> Result<bool, Error> {
        if manifest.renditions().is_empty() {
            return Ok(true);
        }
        let there = self.store.made_of(&manifest.source.key, &manifest.revision).await?;
        Ok(manifest.renditions().iter().all(|rendition| there.contains(&rendition.key)))
    }

    /// Makes the renditions, or says why the bytes do not allow it.
    async fn make(
        &self,
        job: &Job<'_>,
        body: ByteStream,
        deadline: Deadline,
        measured: &mut Measured,
    ) -> Result<Made, Error> {
        let mut size_px = None;
        match self.try_make(job, body, deadline, &mut size_px, measured).await {
            Ok(made) => Ok(made),
            Err(error) => match error.outcome() {
                Outcome::Rejected(rejection) => Ok(Made::Rejected { size_px, rejection }),
                _ => Err(error),
            },
        }
    }

    /// `size_px` keeps what the header said, for a manifest that rejects what comes after it.
    async fn try_make(
        &self,
        job: &Job<'_>,
        body: ByteStream,
        deadline: Deadline,
        size_px: &mut Option<(u32, u32)>,
        measured: &mut Measured,
    ) -> Result<Made, Error> {
        let declared = self.judge_head(job.head)?;
        let started = Instant::now();
        let held = deadline.wait(UNSEEN, self.hold_source(job.head)).await;
        measured.waiting += started.elapsed();
        let held = held.ok_or(Error::TooLate { needed_ms: ms(UNSEEN) })??;
        let started = Instant::now();
        let bytes = self.read(job, body).await?;
        measured.reading += started.elapsed();
        measured.bytes_in += bytes.len() as u64;
        let probe = judge::header(Some(declared), &bytes, &self.limits, &self.recipe)?;
        let (width, height) = (probe.width_px, probe.height_px);
        *size_px = Some((width, height));
        let needed_ms = probe.cost.cpu_ms;
        let started = Instant::now();
        let permits = deadline.wait(Duration::from_millis(needed_ms), self.permits(probe.cost)).await;
        measured.waiting += started.elapsed();
        let permits = permits.ok_or(Error::TooLate { needed_ms })??;
        let (renditions, placeholder) = self.render(job, bytes, probe, (permits, held), measured).await?;
        Ok(Made::Ready { width, height, renditions, placeholder })
    }

    fn judge_head(&self, head: &SourceHead) -> Result<MediaType, Error> {
        judge::declaration(head.content_type.as_deref(), head.size_bytes, &self.limits)
    }

    /// Reads the body, never beyond the limit, whatever the headers said.
    async fn read(&self, job: &Job<'_>, mut body: ByteStream) -> Result<Bytes, Error> {
        let (head, what) = (job.head, format!("read {}", job.source));
        // `judge_head` has seen that the length is within the limit.
        let mut bytes = BytesMut::with_capacity(usize::try_from(head.size_bytes).unwrap_or(0));
        while let Some(chunk) = body.try_next().await.map_err(|error| StoreError::failed(&what, error))? {
            judge::size((bytes.len() + chunk.len()) as u64, &self.limits)?;
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 != head.size_bytes {
            let problem = format!("{} of {} bytes arrived", bytes.len(), head.size_bytes);
            return Err(StoreError::failed(&what, problem).into());
        }
        Ok(bytes.freeze())
    }

    /// Pixel work on a blocking thread; each rendition is written while the next one is made.
    async fn render(
        &self,
        job: &Job<'_>,
        bytes: Bytes,
        probe: Probe,
        held: (Permits, OwnedSemaphorePermit),
        measured: &mut Measured,
    ) -> Result<(Vec<Rendition>, Placeholder), Error> {
        let started = Instant::now();
        let (encoded, mut made) = mpsc::unbounded_channel::<Encoded>();
        let threads = held.0.threads();
        let recipe = self.recipe.clone();
        let pixels = tokio::task::spawn_blocking(move || {
            let _held = held; // until the work ends, also when nobody waits for it any more
            imaging::render(&bytes, &probe, &recipe, threads, &mut |one| match encoded.send(one) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()), // nobody waits for the rest any more
            })
        });
        let mut writes = JoinSet::new();
        while let Some(one) = made.recv().await {
            let (store, rendition) = (self.store.clone(), rendition_of(job.source, job.revision, &one));
            writes.spawn(async move {
                store.put_rendition(&rendition, Bytes::from_owner(one.bytes)).await.map(|()| rendition)
            });
        }
        let placeholder = pixels.await.map_err(panicked)?.map_err(Error::Imaging)?;
        measured.pixels += started.elapsed();
        let started = Instant::now();
        let mut renditions = Vec::new();
        while let Some(written) = writes.join_next().await {
            renditions.push(written.map_err(panicked)??);
        }
        measured.publishing += started.elapsed();
        measured.bytes_out += renditions.iter().map(|rendition| rendition.bytes).sum::<u64>();
        renditions.sort_by_key(|rendition: &Rendition| self.recipe.place(&rendition.name, rendition.format));
        Ok((renditions, placeholder))
    }

    /// Before a source is read: ten of them at once could be more than there is memory for.
    async fn hold_source(&self, head: &SourceHead) -> Result<OwnedSemaphorePermit, Error> {
        let mib = budget_mib(head.size_bytes).min(sources_budget_mib(&self.limits));
        self.sources_mib.clone().acquire_many_owned(mib).await.map_err(|_| Error::ShuttingDown)
    }

    /// Memory first, then a core: whoever holds a core never waits for anything. Cores that are idle at
    /// that moment are taken too, each with the memory that a thread takes, so that a single upload is done
    /// sooner.
    async fn permits(&self, cost: Cost) -> Result<Permits, Error> {
        let memory_mib = budget_mib(cost.memory_bytes).min(budget_mib(self.limits.max_job_bytes));
        let memory = self.memory_mib.clone().acquire_many_owned(memory_mib).await;
        let core = self.cores.clone().acquire_owned().await;
        let (Ok(mut memory), Ok(mut cores)) = (memory, core) else { return Err(Error::ShuttingDown) };
        let thread_mib = budget_mib(cost.thread_bytes);
        while let Ok(idle) = self.cores.clone().try_acquire_owned()
            && let Ok(more) = self.memory_mib.clone().try_acquire_many_owned(thread_mib)
        {
            cores.merge(idle);
            memory.merge(more);
        }
        Ok(Permits { _memory: memory, cores })
    }

    /// The name of what is to be made of a source where this manifest stands.
    fn revision(&self, head: &SourceHead, standing: Option<&Standing>) -> Revision {
        Revision::of(&head.state(), generation(standing), &self.fingerprint)
    }

    /// What the standing manifest has settled for the source as it is now: nothing is left to do. A failure is
    /// due again, and a tombstone ends with the source's return.
    fn settled<'a>(
        &self,
        standing: Option<&'a Standing>,
        head: &SourceHead,
    ) -> Option<(Outcome, &'a Manifest)> {
        let manifest = standing?.manifest.as_ref().ok()?;
        let outcome = match &manifest.outcome {
            _ if manifest.revision != self.revision(head, standing) => return None,
            Told::Ready { .. } => Outcome::Published,
            Told::Rejected { rejection } => Outcome::Rejected(rejection.clone()),
            Told::Failed { .. } | Told::Removed => return None,
        };
        Some((outcome, manifest))
    }

    async fn publish(
        &self,
        plan: &Plan,
        standing: Option<&Standing>,
        head: &SourceHead,
        made: Made,
        measured: &mut Measured,
    ) -> Result<Round, Error> {
        let (told, size_px, outcome) = match made {
            Made::Ready { width, height, renditions, placeholder } => {
                (Told::Ready { renditions, placeholder }, Some((width, height)), Outcome::Published)
            }
            Made::Rejected { size_px, rejection } => {
                (Told::Rejected { rejection: rejection.clone() }, size_px, Outcome::Rejected(rejection))
            }
        };
        let manifest = self.manifest(plan, standing, head, size_px, told);
        let started = Instant::now();
        let commit = self.store.commit(&plan.source.manifest(), standing, &manifest).await?;
        measured.publishing += started.elapsed();
        Ok(match commit {
            Commit::Done => Round::Settled(outcome, Box::new(manifest)),
            Commit::Lost => Round::LostRace,
        })
    }

    fn manifest(
        &self,
        plan: &Plan,
        standing: Option<&Standing>,
        head: &SourceHead,
        size_px: Option<(u32, u32)>,
        told: Told,
    ) -> Manifest {
        let source = Source {
            key: plan.source.clone(),
            etag: head.etag.clone(),
            version_id: head.version_id.clone(),
            sequencer: plan.sequencer.clone(),
            size: head.size_bytes,
            // Only a type that we know: whatever else the uploader wrote there is not for the public.
            content_type: head.media_type().map(|known| known.content_type().to_owned()),
            width: size_px.map(|(width, _)| width),
            height: size_px.map(|(_, height)| height),
        };
        let (revision, generation) = (self.revision(head, standing), generation(standing));
        Manifest::new(told, revision, generation, source, self.fingerprint.clone(), Timestamp::now())
    }

    /// The source is gone: a tombstone, and all that was made of it is deleted.
    ///
    /// What is deleted was listed before the tombstone was written. Whoever commits after that has read the
    /// tombstone, and so makes everything under a revision of its generation, which was never on the list:
    /// nothing that a later manifest names is deleted, however late. The tombstone is written even where
    /// there was no manifest, so that a worker that saw the source earlier loses its race, and then cleans
    /// up behind itself, here.
    async fn remove(&self, plan: &Plan, standing: Option<Standing>) -> Result<Round, Error> {
        let made = self.store.made(&plan.source).await?;
        let known = standing.as_ref().and_then(|standing| standing.manifest.as_ref().ok());
        let tombstone = match known {
            Some(manifest) if manifest.status() == Status::Removed && made.is_empty() => manifest.clone(),
            _ => {
                let tombstone = self.tombstone(plan, standing.as_ref(), known);
                match self.store.commit(&plan.source.manifest(), standing.as_ref(), &tombstone).await? {
                    Commit::Lost => return Ok(Round::LostRace),
                    Commit::Done => tombstone,
                }
            }
        };
        self.store.delete(&made).await?;
        self.cdn.forget(&tombstone).await?;
        Ok(Round::Settled(Outcome::Removed, Box::new(tombstone)))
    }

    /// Of the next generation; of the source and the revision that it replaces, where they are known.
    fn tombstone(&self, plan: &Plan, standing: Option<&Standing>, replaced: Option<&Manifest>) -> Manifest {
        let unseen = SourceHead::default();
        let fresh = self.manifest(plan, standing, &unseen, None, Told::Removed);
        let fresh = Manifest { generation: generation(standing).saturating_add(1), ..fresh };
        match replaced {
            Some(manifest) => {
                Manifest { revision: manifest.revision.clone(), source: manifest.source.clone(), ..fresh }
            }
            None => fresh,
        }
    }

    /// Says `failed` in the manifest: the message has been received for the last time. Leaves alone
    /// what is settled for the source as it is now, and pictures that an earlier recipe made of it.
    pub async fn give_up(&self, plan: &Plan, code: FailureCode) -> Result<(), Error> {
        let standing = self.store.manifest(&plan.source.manifest()).await?;
        let Some(head) = self.store.head_source(&plan.source).await? else { return Ok(()) };
        let standing = standing.as_ref();
        if self.settled(standing, &head).is_some() || is_published(standing, &head) {
            return Ok(());
        }
        let failure = Failure {
            code: code.as_str().to_owned(),
            message:
                "This upload could not be processed, through no fault of the file. It is kept, and can be \
                      processed again."
                    .to_owned(),
        };
        let manifest = self.manifest(plan, standing, &head, None, Told::Failed { failure });
        self.store.commit(&plan.source.manifest(), standing, &manifest).await?;
        Ok(())
    }
}

/// How many tombstones came before.
fn generation(standing: Option<&Standing>) -> u64 {
    standing.map_or(0, |standing| standing.generation)
}

/// Whether pictures of this very content are out, by whatever recipe.
fn is_published(standing: Option<&Standing>, head: &SourceHead) -> bool {
    let manifest = standing.and_then(|standing| standing.manifest.as_ref().ok());
    manifest.is_some_and(|manifest| {
        manifest.status() == Status::Ready
            && manifest.source.etag == head.etag
            && manifest.source.version_id == head.version_id
    })
}

/// The manifest's line for one rendition.
pub fn rendition_of(source: &SourceKey, revision: &Revision, encoded: &Encoded) -> Rendition {
    Rendition {
        name: encoded.name.clone(),
        format: encoded.format,
        key: source.rendition(revision, &encoded.name, encoded.format),
        content_type: encoded.format.content_type().to_owned(),
        width: encoded.width_px,
        height: encoded.height_px,
        bytes: encoded.bytes.len() as u64,
    }
}

/// What became of a task that did not come back.
pub(crate) fn panicked(error: tokio::task::JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => Error::from_panic(panic.as_ref()),
        Err(_) => Error::ShuttingDown,
    }
}

/// A third of what pixel work may take, which is a fifth of the function's memory; at least one source.
fn sources_budget_mib(limits: &Limits) -> u32 {
    budget_mib((limits.max_job_bytes / 3).max(limits.max_source_bytes))
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole MiB, rounded up.
fn budget_mib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).max(1)
}
