//! Appending events.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use sockwarden_model::{Event, EventReceiver};

use crate::LogError;

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file, appended to; a new one can be read by its owner only.
    File(PathBuf),
    /// Nowhere.
    Nowhere,
}

/// The thread that writes events until their last sender is gone.
#[derive(Debug)]
pub struct EventWriter {
    thread: JoinHandle<io::Result<()>>,
    log: EventLog,
}

/// The file that events go to, which can be opened anew after it was renamed.
#[derive(Clone, Debug)]
pub struct EventLog {
    destination: Destination,
    sink: Arc<Mutex<Sink>>,
}

#[derive(Debug)]
struct Sink {
    output: BufWriter<Output>,
    /// Whether the last line may have been cut off by an error.
    is_torn: bool,
}

impl Sink {
    fn new(output: Output) -> Self {
        Self { output: BufWriter::new(output), is_torn: false }
    }

    /// Forgets what could not be written, so that it is not tried again in the middle of something else.
    fn give_up(&mut self) {
        let failed = std::mem::replace(&mut self.output, BufWriter::new(Output::Nowhere));
        *self = Self { is_torn: true, ..Self::new(failed.into_parts().0) };
    }
}

/// Where bytes go.
#[derive(Debug)]
enum Output {
    Stdout(io::Stdout),
    File(File),
    Nowhere,
}

impl EventWriter {
    /// Opens the destination and starts the thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn start(events: EventReceiver, destination: &Destination) -> Result<Self, LogError> {
        Self::start_watched(events, destination, |_| ())
    }

    /// As [`EventWriter::start`]; `watch` sees each event too, in the thread that writes.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn start_watched(
        events: EventReceiver,
        destination: &Destination,
        watch: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Self, LogError> {
        let sink = Arc::new(Mutex::new(Sink::new(open(destination)?)));
        let log = EventLog { destination: destination.clone(), sink: Arc::clone(&sink) };
        Ok(Self { thread: std::thread::spawn(move || write(&events, &sink, watch)), log })
    }

    /// Gives what is written to.
    pub fn log(&self) -> EventLog {
        self.log.clone()
    }

    /// Waits until every event that was queued is written; all senders must be gone.
    ///
    /// # Errors
    /// The destination could not be written to at some time, a full disk for one: what was to be written then is lost, what
    /// came later is not.
    pub fn finish(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes events panicked")))
    }
}

impl EventLog {
    /// Opens the file anew, for instance because it was renamed: what was written before is in the old one, whole lines
    /// only, and everything from now on goes into the new one. It may wait for what is just being written. Tells whether
    /// there is a file at all.
    ///
    /// # Errors
    /// The file cannot be opened; events go on into the old one.
    pub fn reopen(&self) -> Result<bool, LogError> {
        match &self.destination {
            Destination::Stdout | Destination::Nowhere => Ok(false),
            Destination::File(_) => {
                let output = open(&self.destination)?;
                // Between two events the buffer is empty: the writer flushes before it lets go.
                *lock(&self.sink) = Sink::new(output);
                Ok(true)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
            Self::Nowhere => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
            Self::Nowhere => Ok(()),
        }
    }
}

fn open(destination: &Destination) -> Result<Output, LogError> {
    match destination {
        Destination::Stdout => Ok(Output::Stdout(io::stdout())),
        Destination::Nowhere => Ok(Output::Nowhere),
        Destination::File(path) => append_to(path)
            .map(Output::File)
            .map_err(|source| LogError::Open { path: path.display().to_string(), source }),
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn lock(sink: &Mutex<Sink>) -> MutexGuard<'_, Sink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(events: &EventReceiver, sink: &Mutex<Sink>, mut watch: impl FnMut(&Event)) -> io::Result<()> {
    let mut outcome = Ok(());
    while let Ok(first) = events.recv() {
        let mut sink = lock(sink);
        // What has gathered meanwhile is written with it, then all of it is flushed at once; not more than that, so that
        // whoever opens the file anew gets a turn.
        let batch = std::iter::once(first).chain(events.try_iter().take(MOST_AT_ONCE));
        if let Err(error) = write_batch(&mut sink, batch, &mut watch) {
            sink.give_up();
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

fn write_batch(
    sink: &mut Sink,
    events: impl Iterator<Item = Event>,
    watch: &mut impl FnMut(&Event),
) -> io::Result<()> {
    if sink.is_torn {
        // What was cut off must not swallow the next line.
        sink.output.write_all(b"\n")?;
    }
    for event in events {
        watch(&event);
        serde_json::to_writer(&mut sink.output, &event)?;
        sink.output.write_all(b"\n")?;
    }
    sink.output.flush()?;
    sink.is_torn = false;
    Ok(())
}

/// The most events that are written between two flushes.
const MOST_AT_ONCE: usize = 1000;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        sync::atomic::{AtomicBool, Ordering},
        time::{Duration, Instant},
    };

    use sockwarden_model::{CloseEvent, EventId, Initiator, Traffic, event_channel};

    use super::*;

    fn event(number: u64) -> Event {
        Event::Close(CloseEvent {
            at_ms: number,
            connection: EventId::from_random(number),
            route: "r".into(),
            code: 1000,
            initiator: Initiator::Client,
            duration_ms: 2,
            from_client: Traffic::default(),
            from_server: Traffic::default(),
        })
    }

    #[test]
    fn nothing_is_lost_or_torn_while_the_file_is_rotated_under_load() {
        const EVENTS: u64 = 20_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let old = |number: usize| folder.path().join(format!("events.jsonl.{number}"));
        let (sender, receiver) = event_channel(EVENTS as usize);
        let writer = EventWriter::start(receiver, &Destination::File(path.clone())).unwrap();
        let log = writer.log();
        let is_over = AtomicBool::new(false);
        let rotations = std::thread::scope(|scope| {
            let rotating = scope.spawn(|| {
                let latest = Instant::now() + Duration::from_secs(20);
                let mut count = 0;
                while (!is_over.load(Ordering::Relaxed) || count < 3)
                    && count < 200
                    && Instant::now() < latest
                {
                    fs::rename(&path, old(count)).unwrap();
                    assert!(log.reopen().unwrap());
                    count += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                count
            });
            for number in 0..EVENTS {
                sender.send(event(number));
            }
            is_over.store(true, Ordering::Relaxed);
            rotating.join().unwrap()
        });
        assert_eq!(sender.dropped(), 0);
        drop(sender);
        writer.finish().unwrap();
        let files = (0..rotations).map(old).chain([path.clone()]);
        let mut next = 0;
        for file in files {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            for line in fs::read_to_string(&file).unwrap().lines() {
                assert_eq!(serde_json::from_str::<Event>(line).unwrap(), event(next), "{}", file.display());
                next += 1;
            }
        }
        assert_eq!(next, EVENTS);
    }

    #[test]
    fn a_file_that_cannot_be_opened_leaves_the_old_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log").join("events.jsonl");
        fs::create_dir(path.parent().unwrap()).unwrap();
        let (sender, receiver) = event_channel(10);
        let writer = EventWriter::start(receiver, &Destination::File(path.clone())).unwrap();
        let moved = folder.path().join("moved");
        fs::rename(path.parent().unwrap(), &moved).unwrap();
        assert!(writer.log().reopen().is_err());
        sender.send(event(1));
        drop(sender);
        writer.finish().unwrap();
        assert_eq!(fs::read_to_string(moved.join("events.jsonl")).unwrap().lines().count(), 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_costs_what_was_written_to_it_and_nothing_later() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("events.jsonl"), folder.path().join("file"));
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (sender, receiver) = event_channel(10);
        let (seen, seen_by) = std::sync::mpsc::channel();
        let watch = move |_: &Event| seen.send(()).unwrap();
        let writer = EventWriter::start_watched(receiver, &Destination::File(path.clone()), watch).unwrap();
        for number in 0..2 {
            sender.send(event(number));
            seen_by.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&file, &path).unwrap();
        assert!(writer.log().reopen().unwrap());
        sender.send(event(2));
        drop(sender);
        assert_eq!(writer.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        let written = fs::read_to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&written).unwrap(), event(2));
    }

    #[test]
    fn what_is_no_file_is_not_opened_anew() {
        let (sender, receiver) = event_channel(10);
        let writer = EventWriter::start(receiver, &Destination::Nowhere).unwrap();
        assert!(!writer.log().reopen().unwrap());
        drop(sender);
        writer.finish().unwrap();
    }
}
