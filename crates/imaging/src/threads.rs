//! Encoding on several threads: encoders take most of the time, and no picture depends on another. Owns
//! who encodes what; never makes pictures, nor has many more of them made than there are threads to encode.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use contract::recipe::Color;

use crate::copyright::Notice;
use crate::encode::encode_within;
use crate::error::Error;
use crate::jobs::Output;
use crate::pixels::Picture;
use crate::render::Encoded;

/// A picture to encode, and the files that it becomes.
pub(crate) struct Task<'j> {
    pub picture: Arc<Picture>,
    pub output: &'j Output<'j>,
}

/// Takes a finished file, and says whether more are wanted.
pub(crate) type Emit<'a> = dyn FnMut(Encoded) -> ControlFlow<()> + Send + 'a;

/// Where finished files go, from whichever thread.
struct Sink<'a> {
    background: Color,
    notice: Option<&'a Notice>,
    emit: Mutex<&'a mut Emit<'a>>,
    /// Set at the first failure, or when nobody wants more: nothing more is worth encoding.
    ended: AtomicBool,
    error: Mutex<Option<Error>>,
}

/// Takes tasks, and has them done by its threads, the one that makes the pictures among them.
pub(crate) struct Desk<'a, 'j> {
    sink: Sink<'a>,
    threads: usize,
    line: Mutex<Line<'j>>,
    /// There is a task, or there will be none.
    changed: Condvar,
}

/// The tasks that nobody has taken.
struct Line<'j> {
    tasks: VecDeque<Task<'j>>,
    /// Threads that wait for one, or have yet to begin.
    idle: usize,
    is_closed: bool,
}

/// Runs `make` on this thread, with a desk that has `threads - 1` more to do its tasks, and returns when all
/// that it was given is encoded.
///
/// # Errors
/// What `make` or the first failing encoder says.
pub(crate) fn with_desk<'j, T>(
    threads: usize,
    background: Color,
    notice: Option<&Notice>,
    emit: &mut Emit<'_>,
    make: impl FnOnce(&Desk<'_, 'j>) -> Result<T, Error>,
) -> Result<T, Error> {
    let sink = Sink {
        background,
        notice,
        emit: Mutex::new(emit),
        ended: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    let line = Line { tasks: VecDeque::new(), idle: threads.saturating_sub(1), is_closed: false };
    let desk = Desk { sink, threads, line: Mutex::new(line), changed: Condvar::new() };
    let made = std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| desk.serve());
        }
        let closing = Closing(&desk);
        let made = make(&desk).inspect_err(|_| desk.sink.end());
        drop(closing);
        desk.work(|_| 1);
        made
    })?;
    let error = desk.sink.error.into_inner().unwrap_or_else(PoisonError::into_inner);
    error.map_or(Ok(made), Err)
}

/// No more tasks come, even after a panic: else threads would wait for ever.
struct Closing<'d, 'a, 'j>(&'d Desk<'a, 'j>);

impl Drop for Closing<'_, '_, '_> {
    fn drop(&mut self) {
        self.0.line().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl<'j> Desk<'_, 'j> {
    /// Passes on a file that was made elsewhere.
    pub fn hand_on(&self, file: Encoded) {
        self.sink.emit(file);
    }

    /// Takes on a task, and does some on this thread as long as enough are left for the others: one for each, so
    /// that none has to wait for a picture meanwhile, and one more for each that is idle.
    pub fn encode(&self, task: Task<'j>) {
        self.line().tasks.push_back(task);
        self.changed.notify_one();
        self.work(|line| line.idle + self.threads);
    }

    /// Does tasks on this thread as long as there are as many as it `needs`.
    fn work(&self, needs: impl Fn(&Line) -> usize) {
        // The line is free while one is done.
        let take = || {
            let mut line = self.line();
            if line.tasks.len() < needs(&line) { None } else { line.tasks.pop_front() }
        };
        while let Some(task) = take() {
            self.sink.encode(task);
        }
    }

    fn serve(&self) {
        while let Some(task) = self.wait() {
            self.sink.encode(task);
            self.line().idle += 1;
        }
    }

    /// The next task, or none when no more will come.
    fn wait(&self) -> Option<Task<'j>> {
        let is_over = |line: &mut Line| line.tasks.is_empty() && !line.is_closed;
        let line = self.changed.wait_while(self.line(), is_over);
        let mut line = line.unwrap_or_else(PoisonError::into_inner);
        let task = line.tasks.pop_front()?;
        line.idle -= 1;
        Some(task)
    }

    fn line(&self) -> MutexGuard<'_, Line<'j>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink<'_> {
    fn encode(&self, task: Task) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let Output { encoding, max_bytes, .. } = *task.output;
        match encode_within(&task.picture, encoding, max_bytes, self.background, self.notice) {
            Ok(bytes) => self.emit_all(&task, &bytes),
            Err(error) => {
                self.end();
                self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// One file for each name that shares these bytes.
    fn emit_all(&self, task: &Task, bytes: &Arc<[u8]>) {
        for name in &task.output.names {
            self.emit(Encoded {
                name: (*name).to_owned(),
                format: task.output.encoding.format,
                width_px: task.picture.size.width_px,
                height_px: task.picture.size.height_px,
                bytes: Arc::clone(bytes),
            });
        }
    }

    /// Nothing, once nobody wants more.
    fn emit(&self, file: Encoded) {
        let mut emit = self.emit.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.ended.load(Ordering::Relaxed) && emit(file).is_break() {
            self.end();
        }
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::quadrants;
    use contract::recipe::Encoding;
    use contract::{Format, Recipe};

    /// How it ends, and how many files there were.
    fn with<'j>(
        threads: usize,
        make: impl FnOnce(&Desk<'_, 'j>) -> Result<(), Error>,
    ) -> (Result<(), Error>, usize) {
        let mut files = 0;
        let mut emit = |_| {
            files += 1;
            ControlFlow::Continue(())
        };
        let made = with_desk(threads, Recipe::default().background, None, &mut emit, make);
        (made, files)
    }

    #[test]
    fn each_further_thread_has_two_more_pictures_made_at_most_and_all_are_encoded() {
        let jpeg = Encoding::new(Format::Jpeg);
        let output = Output { encoding: &jpeg, max_bytes: None, names: vec!["a"] };
        for threads in 1..=4 {
            let mut pictures = Vec::new();
            let (made, files) = with(threads, |desk| {
                for _ in 0..50 {
                    let picture = Arc::new(quadrants(64, 48));
                    pictures.push(Arc::downgrade(&picture));
                    pictures.retain(|picture| picture.strong_count() > 0);
                    assert!(pictures.len() < 2 * threads, "{}, {threads} threads", pictures.len());
                    desk.encode(Task { picture, output: &output });
                }
                Ok(())
            });
            made.unwrap();
            assert_eq!(files, 50);
        }
    }

    #[test]
    fn threads_that_wait_end_when_no_more_pictures_can_be_made() {
        for threads in 1..=4 {
            let (made, files) = with(threads, |_| Err(Error::Resize { problem: "none left".to_owned() }));
            assert!(made.unwrap_err().to_string().contains("none left"));
            assert_eq!(files, 0);
            let panics = || with(threads, |_| panic!("at once"));
            assert!(std::panic::catch_unwind(panics).is_err());
        }
    }
}
