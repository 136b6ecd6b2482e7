//! Encoding on several threads: encoders take most of the time, and no picture depends on another. Owns
//! who encodes what; never makes pictures, nor more of them than there are threads to encode.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Hands a task to a thread that is free, or does it on this one.
pub(crate) struct Desk<'a, 'j> {
    sink: &'a Sink<'a>,
    others: SyncSender<Task<'j>>,
}

/// Runs `make` on this thread, with a desk that has `threads - 1` more to hand tasks to, and returns
/// when all that it was given is encoded.
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
    // No room to wait in: a task that waits keeps a picture in memory.
    let (others, tasks) = sync_channel(0);
    let tasks = Mutex::new(tasks);
    let made = std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| sink.serve(&tasks));
        }
        make(&Desk { sink: &sink, others })
        // The desk ends here, and with it the threads' wait for more.
    })?;
    let error = sink.error.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.map_or(Ok(made), Err)
}

impl<'j> Desk<'_, 'j> {
    /// Passes on a file that was made elsewhere.
    pub fn hand_on(&self, file: Encoded) {
        self.sink.emit(file);
    }

    pub fn encode(&self, task: Task<'j>) {
        match self.others.try_send(task) {
            Ok(()) => {}
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => self.sink.encode(&task),
        }
    }
}

impl Sink<'_> {
    fn serve(&self, tasks: &Mutex<Receiver<Task>>) {
        loop {
            // Released before the work: the next thread waits in its turn.
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match task {
                Ok(task) => self.encode(&task),
                Err(_) => return,
            }
        }
    }

    fn encode(&self, task: &Task) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let Output { encoding, max_bytes, .. } = *task.output;
        match encode_within(&task.picture, encoding, max_bytes, self.background, self.notice) {
            Ok(bytes) => self.emit_all(task, &bytes),
            Err(error) => {
                self.ended.store(true, Ordering::Relaxed);
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
            self.ended.store(true, Ordering::Relaxed);
        }
    }
}
