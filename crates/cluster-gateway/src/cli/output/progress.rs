//! What a command is doing, for those who wait for it.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Terminal;
use super::table::printable;

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);
/// What is over sooner is not shown.
const PATIENCE: Duration = Duration::from_millis(300);
const FRAMES: [char; 4] = ['|', '/', '-', '\\'];

/// A line on standard error that says what is being waited for and for how long; only where that is a terminal. It is
/// gone when this is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Progress {
    drawing: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts with the first thing that is being done, `asking 3 clusters`.
    pub(in crate::cli) fn start(what: &str) -> Self {
        if !Terminal::of_stderr().redraws {
            return Self { drawing: None };
        }
        let (sender, receiver) = channel();
        let what = what.to_owned();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let thread = thread.spawn(move || draw(what, &receiver, &mut std::io::stderr()));
        Self { drawing: thread.ok().map(|thread| (sender, thread)) }
    }

    /// Goes on to the next thing.
    pub(in crate::cli) fn step(&self, what: &str) {
        if let Some((sender, _)) = &self.drawing {
            // The thread lives as long as the sender.
            let _ = sender.send(what.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.drawing.take() {
            drop(sender);
            // Until it has cleared its line; what is printed next is not to be drawn over.
            let _ = thread.join();
        }
    }
}

fn draw(mut what: String, steps: &Receiver<String>, out: &mut impl Write) {
    let mut begun = Instant::now();
    let mut frames = FRAMES.into_iter().cycle();
    let mut drawn = false;
    loop {
        match steps.recv_timeout(TICK) {
            Ok(next) => (what, begun) = (next, Instant::now()),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if begun.elapsed() < PATIENCE && !drawn => {}
            Err(RecvTimeoutError::Timeout) => {
                let (frame, seconds) = (frames.next().unwrap_or('|'), begun.elapsed().as_secs());
                // It cuts itself off at the edge of the terminal: no second line is ever drawn.
                let _ = write!(out, "\r\x1b[2K\x1b[?7l{frame} {} ({seconds} s)\x1b[?7h", printable(&what));
                let _ = out.flush();
                drawn = true;
            }
        }
    }
    if drawn {
        let _ = write!(out, "\r\x1b[2K");
        let _ = out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_cleared_at_the_end() {
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || {
            let mut out = Vec::new();
            draw("asking \x1b]0;evil".to_owned(), &receiver, &mut out);
            String::from_utf8(out).unwrap()
        });
        std::thread::sleep(PATIENCE + 3 * TICK);
        drop(sender);
        let text = thread.join().unwrap();
        assert!(text.contains("asking \u{fffd}]0;evil (0 s)"), "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"), "{text:?}");
        let (sender, receiver) = channel();
        drop(sender);
        let mut out = Vec::new();
        draw("quick".to_owned(), &receiver, &mut out);
        assert!(out.is_empty(), "what is over at once is not shown");
    }
}
