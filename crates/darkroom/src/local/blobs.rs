//! The bytes of objects: files `<dir>/blobs/<uuid>`, or a map in memory.
//!
//! A blob is written once under a name of its own, is whole and on the disk before anything refers to
//! it, and is never changed. Which object it belongs to is not known here.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// How much of a file is read at once, bytes.
const CHUNK_BYTES: u64 = 256 * 1024;

const FOLDER: &str = "blobs";
const UNFINISHED: &str = "part";

#[derive(Debug)]
pub(super) enum Blobs {
    Disk(PathBuf),
    Memory(Mutex<HashMap<Uuid, Bytes>>),
}

impl Blobs {
    /// Makes the folder where it is missing. Blocks.
    pub(super) fn open(dir: Option<&Path>) -> io::Result<Self> {
        let Some(dir) = dir else { return Ok(Self::Memory(Mutex::default())) };
        let folder = dir.join(FOLDER);
        fs::create_dir_all(&folder)?;
        Ok(Self::Disk(folder))
    }

    /// Removes what no object refers to: what a crash left. Blocks; only for the time before anyone
    /// writes.
    pub(super) fn sweep(&self, referred: &HashSet<Uuid>) -> io::Result<()> {
        let Self::Disk(folder) = self else { return Ok(()) };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
            if id.is_none_or(|id| !referred.contains(&id)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Starts a blob; it is gone again unless it is finished and kept.
    pub(super) async fn create(self: &Arc<Self>) -> io::Result<Writer> {
        let blob = Staged { blobs: self.clone(), id: Uuid::now_v7(), kept: false };
        let sink = match &**self {
            Self::Disk(folder) => Sink::Disk(tokio::fs::File::create_new(unfinished(folder, blob.id)).await?),
            Self::Memory(_) => Sink::Memory(BytesMut::new()),
        };
        Ok(Writer { blob, sink })
    }

    /// `None` where there is no such blob, which a reader sees when the object was replaced meanwhile.
    pub(super) async fn read(&self, id: Uuid) -> io::Result<Option<Body>> {
        match self {
            Self::Memory(blobs) => Ok(lock(blobs).get(&id).cloned().map(Body::Memory)),
            Self::Disk(folder) => match tokio::fs::File::open(finished(folder, id)).await {
                Ok(file) => Ok(Some(Body::Disk(file.into_std().await))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Who is reading it reads on. A file that cannot be removed is swept at the next start.
    pub(super) fn remove(&self, id: Uuid) {
        match self {
            Self::Memory(blobs) => {
                lock(blobs).remove(&id);
            }
            Self::Disk(folder) => {
                let _ = fs::remove_file(finished(folder, id));
            }
        }
    }
}

fn finished(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(id.to_string())
}

fn unfinished(folder: &Path, id: Uuid) -> PathBuf {
    finished(folder, id).with_extension(UNFINISHED)
}

/// The map is whole after every statement, so a panic elsewhere does not spoil it.
fn lock(blobs: &Mutex<HashMap<Uuid, Bytes>>) -> MutexGuard<'_, HashMap<Uuid, Bytes>> {
    blobs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A blob that nothing refers to yet: removed when dropped, unless kept.
pub(super) struct Staged {
    blobs: Arc<Blobs>,
    id: Uuid,
    kept: bool,
}

impl Staged {
    /// Lets the blob stay, to be referred to by this id.
    pub(super) fn keep(mut self) -> Uuid {
        self.kept = true;
        self.id
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.blobs.remove(self.id);
        if let Blobs::Disk(folder) = &*self.blobs {
            let _ = fs::remove_file(unfinished(folder, self.id));
        }
    }
}

/// A blob in the making.
pub(super) struct Writer {
    blob: Staged,
    sink: Sink,
}

enum Sink {
    Disk(tokio::fs::File),
    Memory(BytesMut),
}

impl Writer {
    pub(super) async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Disk(file) => file.write_all(chunk).await,
            Sink::Memory(buffer) => {
                buffer.extend_from_slice(chunk);
                Ok(())
            }
        }
    }

    /// The blob, whole and on the disk.
    pub(super) async fn finish(self) -> io::Result<Staged> {
        let blobs = self.blob.blobs.clone();
        match (self.sink, &*blobs) {
            (Sink::Disk(mut file), Blobs::Disk(folder)) => {
                file.flush().await?;
                let (file, folder, id) = (file.into_std().await, folder.clone(), self.blob.id);
                spawn_blocking(move || publish(&file, &folder, id)).await??;
            }
            (Sink::Memory(bytes), Blobs::Memory(blobs)) => {
                lock(blobs).insert(self.blob.id, bytes.freeze());
            }
            _ => return Err(io::Error::other("a blob of another store")),
        }
        Ok(self.blob)
    }
}

/// Bytes first, then the name, then the folder that holds the name: in this order a name that
/// survives a power cut has its bytes.
fn publish(file: &fs::File, folder: &Path, id: Uuid) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(unfinished(folder, id), finished(folder, id))?;
    fs::File::open(folder)?.sync_all()
}

/// The bytes of one object, open: they stay readable when the object is replaced or deleted.
#[derive(Debug)]
pub(super) enum Body {
    Memory(Bytes),
    Disk(fs::File),
}

impl Body {
    /// The bytes of `range`, which must lie within the blob.
    pub(super) fn stream(
        self,
        range: Range<u64>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static> {
        match self {
            Self::Memory(bytes) => {
                let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                let part =
                    part.and_then(|(start, end)| (end <= bytes.len()).then(|| bytes.slice(start..end)));
                let part = part.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
                Ok(stream::once(async { part }).left_stream())
            }
            Self::Disk(mut file) => {
                file.seek(SeekFrom::Start(range.start))?;
                let left_bytes = range.end - range.start;
                Ok(read(tokio::fs::File::from_std(file), left_bytes).right_stream())
            }
        }
    }
}

fn read(file: tokio::fs::File, left_bytes: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::try_unfold((file, left_bytes), |(mut file, left_bytes)| async move {
        if left_bytes == 0 {
            return Ok(None);
        }
        let mut chunk = Vec::new();
        let read = (&mut file).take(left_bytes.min(CHUNK_BYTES)).read_to_end(&mut chunk).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((Bytes::from(chunk), (file, left_bytes - read as u64))))
    })
}
