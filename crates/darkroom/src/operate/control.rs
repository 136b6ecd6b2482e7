//! How a run is watched and ended: the request to stop, and progress on a terminal. Decides nothing about
//! the work.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::watch;
use worker::poller::stop_signal;

/// Who watches a run. By default nobody, and nothing ends it early.
#[derive(Debug, Clone, Default)]
pub struct Control {
    pub stop: Stop,
    pub progress: Progress,
}

/// The request to stop early, in a state that can be gone on from.
#[derive(Debug, Clone, Default)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// A request that whoever holds the sender makes by sending `true`.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(Some(receiver)))
    }

    /// On Ctrl-C and SIGTERM; a second one ends the process on the spot.
    pub fn on_signal() -> std::io::Result<Self> {
        let stop = Self(Some(stop_signal()?));
        let first = stop.clone();
        tokio::spawn(async move {
            first.asked().await;
            if let Ok(second) = stop_signal() {
                Self(Some(second)).asked().await;
                std::process::exit(130); // as a shell has it for Ctrl-C
            }
        });
        Ok(stop)
    }

    /// Whether it has been asked for.
    pub fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| *asked.borrow())
    }

    /// Returns when it is asked for.
    pub async fn asked(&self) {
        if let Some(receiver) = &self.0
            && receiver.clone().wait_for(|asked| *asked).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Progress on a terminal, on standard error; nothing elsewhere.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Default for Progress {
    fn default() -> Self {
        Self(ProgressBar::hidden())
    }
}

impl Progress {
    /// Counts up, of `things`, where nobody knows how many there are.
    pub fn counting(things: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::default();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = format!("{{spinner}} {{human_pos}} {things}, {{rate}}, {{elapsed}}{{msg}}");
        let style = ProgressStyle::with_template(&template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        let bar = bar.with_style(style.with_key("rate", rate));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    pub fn more(&self, by: u64) {
        self.0.inc(by);
    }

    /// So far so many, of so many where that is known.
    pub fn at(&self, position: u64, of: Option<u64>) {
        self.0.set_position(position);
        if let Some(of) = of {
            self.0.set_message(format!(", of about {of}"));
        }
    }

    /// Beside the count.
    pub fn say(&self, message: &str) {
        self.0.set_message(format!(", {message}"));
    }

    /// Lets something else be printed in between.
    pub fn aside(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
