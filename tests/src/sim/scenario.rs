//! Stories in which one thing matters, and every point where a worker can be killed is tried in turn.

use super::files::PICTURES;
use super::users::Act;

const KEY: &str = "raw/articles/a1/one.jpg";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    FirstUpload,
    /// By another picture, of what has been published.
    Overwrite,
    /// Of what has been published.
    Removal,
    /// The same bytes come back at once, before anyone has seen that they were gone.
    Return,
    /// What was done is announced again.
    Repetition,
}

impl Scenario {
    pub const ALL: [Self; 5] =
        [Self::FirstUpload, Self::Overwrite, Self::Removal, Self::Return, Self::Repetition];

    /// What has come to rest before.
    pub(super) fn before(self) -> Vec<Act> {
        match self {
            Self::FirstUpload => vec![],
            Self::Overwrite | Self::Removal | Self::Return | Self::Repetition => vec![put(0)],
        }
    }

    /// What matters, all of it in the same moment; nothing where it is that an old message comes again.
    pub(super) fn acts(self) -> Vec<Act> {
        match self {
            Self::FirstUpload => vec![put(0)],
            Self::Overwrite => vec![put(1)],
            Self::Removal => vec![Act::Delete { key: KEY }],
            Self::Return => vec![Act::Delete { key: KEY }, put(0)],
            Self::Repetition => vec![],
        }
    }
}

fn put(picture: usize) -> Act {
    let file = &PICTURES[picture];
    Act::Put { key: KEY, file, declared: file.content_type }
}
