use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;

/// What the stream below does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Takes at most this many bytes.
    Take(usize),
    /// Is not ready.
    Pending,
    Fail,
}

/// A stream that follows a script, then takes everything. Reads never have anything.
#[derive(Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    written: Vec<u8>,
    writes: usize,
    flushed: usize,
    /// It has promised to wake the task.
    registered: bool,
    shut_down: bool,
}

impl Script {
    fn take(&mut self, buf: &[u8]) -> Poll<io::Result<usize>> {
        let most = match self.steps.pop_front() {
            None => usize::MAX,
            Some(Step::Take(most)) => most,
            Some(Step::Pending) => {
                self.registered = true;
                return Poll::Pending;
            }
            Some(Step::Fail) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        self.registered = false;
        self.writes += 1;
        let length = buf.len().min(most);
        self.written.extend_from_slice(&buf[..length]);
        Poll::Ready(Ok(length))
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.take(buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.steps.front() {
            Some(Step::Pending) => {
                self.steps.pop_front();
                self.registered = true;
                Poll::Pending
            }
            _ => {
                self.registered = false;
                self.flushed = self.written.len();
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// A task that counts how often it was woken.
#[derive(Debug, Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Bench {
    stream: Coalesced<Script>,
    task: Arc<Task>,
    waker: Waker,
}

impl Bench {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let task = Arc::new(Task::default());
        let script = Script { steps: steps.into_iter().collect(), ..Script::default() };
        Self { stream: Coalesced::new(script), waker: Waker::from(Arc::clone(&task)), task }
    }

    fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(&mut Context::from_waker(&self.waker), bytes)
    }

    fn write_vectored(&mut self, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
        let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        Pin::new(&mut self.stream).poll_write_vectored(&mut Context::from_waker(&self.waker), &parts)
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(&mut Context::from_waker(&self.waker))
    }

    fn shutdown(&mut self) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(&self.waker))
    }

    fn read(&mut self) -> Poll<io::Result<()>> {
        let mut buffer = [0; 8];
        let mut buffer = ReadBuf::new(&mut buffer);
        Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(&self.waker), &mut buffer)
    }

    fn woken(&self) -> bool {
        self.task.0.swap(0, Ordering::SeqCst) > 0
    }

    fn below(&self) -> &Script {
        self.stream.get_ref()
    }

    /// The invariant: whoever sleeps with bytes left behind will be woken.
    fn may_sleep(&self) -> bool {
        let everything_sent = self.stream.held() == 0 && self.below().flushed == self.below().written.len();
        everything_sent || self.task.0.load(Ordering::SeqCst) > 0 || self.below().registered
    }
}

#[test]
fn small_writes_leave_together_at_the_next_poll() {
    let mut bench = Bench::new([]);
    for part in [b"a".as_slice(), b"bc", b"def"] {
        assert!(matches!(bench.write(part), Poll::Ready(Ok(length)) if length == part.len()));
        assert!(bench.flush().is_ready());
    }
    assert_eq!(bench.below().writes, 0);
    assert_eq!(bench.task.0.load(Ordering::SeqCst), 1, "woken once");
    assert!(bench.read().is_pending());
    assert_eq!((bench.below().written.as_slice(), bench.below().writes), (b"abcdef".as_slice(), 1));
    assert_eq!(bench.below().flushed, 6);
}

#[test]
fn who_has_nothing_to_say_takes_no_memory() {
    let mut bench = Bench::new([Step::Pending]);
    assert!(bench.write(b"abc").is_ready());
    assert!(bench.read().is_pending());
    assert!(bench.stream.held.capacity() > 0, "it could not be sent yet");
    assert!(bench.read().is_pending());
    assert_eq!(bench.stream.held.capacity(), 0);
}

#[test]
fn a_full_buffer_leaves_at_once() {
    let mut bench = Bench::new([]);
    assert!(bench.write(&[1; CAPACITY - 1]).is_ready());
    assert_eq!(bench.below().writes, 0);
    assert!(bench.write(&[2; 2]).is_ready());
    assert_eq!(bench.below().written.len(), CAPACITY - 1);
    assert!(bench.write(&[3; CAPACITY]).is_ready());
    assert_eq!(bench.below().written.len(), 2 * CAPACITY + 1);
}

#[test]
fn a_blocked_stream_below_blocks_the_writer_and_no_more_is_held() {
    let mut bench = Bench::new([Step::Take(10), Step::Pending, Step::Pending]);
    assert!(bench.write(&[1; CAPACITY - 1]).is_ready());
    assert!(bench.write(&[2; 100]).is_pending());
    assert!(bench.below().registered);
    assert!(bench.write(&[2; 100]).is_pending());
    assert!(bench.write(&[2; 100]).is_ready());
    assert!(bench.stream.held.len() <= CAPACITY);
}

#[test]
fn shutdown_sends_what_is_held_first() {
    let mut bench = Bench::new([Step::Take(1), Step::Pending]);
    assert!(bench.write(b"last words").is_ready());
    assert!(bench.shutdown().is_pending());
    assert!(!bench.below().shut_down);
    assert!(bench.shutdown().is_ready());
    assert_eq!((bench.below().written.as_slice(), bench.below().shut_down), (b"last words".as_slice(), true));
}

#[test]
fn a_failed_write_is_reported_by_the_next_read() {
    let mut bench = Bench::new([Step::Fail]);
    assert!(bench.write(b"x").is_ready());
    assert!(matches!(bench.read(), Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe));
}

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap_or(0)
    }

    fn step(&mut self) -> Step {
        match self.below(3) {
            0 => Step::Pending,
            1 => Step::Take(1 + self.below(100)),
            _ => Step::Take(1 + self.below(3 * CAPACITY)),
        }
    }
}

#[test]
fn whatever_the_stream_below_does_every_byte_arrives_once_and_in_order() {
    for seed in 1..400 {
        let mut numbers = Numbers(seed * 0x9e37_79b9);
        let steps: Vec<_> = (0..200).map(|_| numbers.step()).collect();
        let mut bench = Bench::new(steps);
        let source: Vec<u8> = (0..CAPACITY * 6).map(|index| (index * 31 + index / 251) as u8).collect();
        let mut sent = 0;
        while sent < source.len() {
            // One poll of a task: it reads, then writes until it has enough or is blocked.
            bench.woken();
            assert!(bench.read().is_pending());
            for _ in 0..numbers.below(6) {
                let limit = if numbers.below(4) == 0 { 2 * CAPACITY } else { 300 };
                let rest = &source[sent..(sent + 1 + numbers.below(limit)).min(source.len())];
                let written = if numbers.below(2) == 0 {
                    bench.write(rest)
                } else {
                    let (head, tail) = rest.split_at(rest.len().min(9));
                    bench.write_vectored(&[head, tail])
                };
                match written {
                    Poll::Ready(written) => sent += written.expect("a script without failures"),
                    Poll::Pending => break,
                }
                assert!(bench.flush().is_ready());
            }
            assert!(bench.may_sleep(), "seed {seed}");
            assert!(bench.stream.held.len() <= CAPACITY);
        }
        for _ in 0..400 {
            bench.woken();
            assert!(bench.read().is_pending());
            assert!(bench.may_sleep(), "seed {seed}");
        }
        assert!(bench.below().written == source && bench.below().flushed == source.len(), "seed {seed}");
    }
}
