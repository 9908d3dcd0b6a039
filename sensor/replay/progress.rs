//! The progress of a replay, for a person who waits: a bar where the size is known, else a spinner. It is
//! drawn on stderr, and only if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A drawn progress, which is wiped away when it is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// `total` is in bytes.
    #[must_use]
    pub fn new(name: &str, total: Option<u64>) -> Self {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
                "{msg} [{bar:30}] {percent}% of {total_bytes}, {eta} left",
            ),
            None => (
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
                "{spinner} {msg} {bytes} read, {elapsed}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name.to_owned());
        Self(bar)
    }

    /// Sets the bytes that were read. Drawing happens a few times a second at most.
    pub fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Whether nothing is drawn, because stderr is no terminal.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
