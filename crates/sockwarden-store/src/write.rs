//! Appending events.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    num::NonZeroU32,
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

/// How a file is replaced before it grows too large: it becomes `.1`, what was `.1` becomes `.2`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The largest size of a file, in bytes; only a line that is longer by itself makes a larger one.
    pub size: u64,
    /// How many old files are kept.
    pub keep: NonZeroU32,
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
    /// How many bytes the file holds, as far as we know.
    size: u64,
    /// Whether the last line may have been cut off by an error.
    is_torn: bool,
}

impl Sink {
    fn new(output: Output) -> Self {
        let size = match &output {
            Output::File(file) => file.metadata().map_or(0, |about| about.len()),
            Output::Stdout(_) | Output::Nowhere => 0,
        };
        Self { output: BufWriter::new(output), size, is_torn: false }
    }

    /// Makes room for a line in a new file, if the file would grow too large.
    fn make_room(&mut self, line: usize, rotating: Option<&Rotating>) -> io::Result<()> {
        let Some(rotating) = rotating else { return Ok(()) };
        if self.size == 0 || self.size.saturating_add(line as u64) <= rotating.rotation.size {
            return Ok(());
        }
        self.output.flush()?;
        rotating.shift()?;
        *self = Self::new(Output::File(append_to(&rotating.path)?));
        Ok(())
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
        Self::start_rotating(events, destination, None, watch)
    }

    /// As [`EventWriter::start_watched`]; a file is replaced by a new one as `rotation` says. A file that cannot be renamed is
    /// written to all the same, and tried again after as many bytes more.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn start_rotating(
        events: EventReceiver,
        destination: &Destination,
        rotation: Option<Rotation>,
        watch: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Self, LogError> {
        let rotating = match (destination, rotation) {
            (Destination::File(path), Some(rotation)) => Some(Rotating { path: path.clone(), rotation }),
            (Destination::File(_), None) | (Destination::Stdout | Destination::Nowhere, _) => None,
        };
        let sink = Arc::new(Mutex::new(Sink::new(open(destination)?)));
        let log = EventLog { destination: destination.clone(), sink: Arc::clone(&sink) };
        Ok(Self { thread: std::thread::spawn(move || write(&events, &sink, rotating.as_ref(), watch)), log })
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

/// A file and how it is replaced.
#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    rotation: Rotation,
}

impl Rotating {
    /// Renames the file and its predecessors, the oldest first; the last one is replaced by the one before it.
    fn shift(&self) -> io::Result<()> {
        let old = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.rotation.keep.get()).rev() {
            match fs::rename(old(number), old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, old(1))
    }
}

fn write(
    events: &EventReceiver,
    sink: &Mutex<Sink>,
    rotating: Option<&Rotating>,
    mut watch: impl FnMut(&Event),
) -> io::Result<()> {
    let mut outcome = Ok(());
    while let Ok(first) = events.recv() {
        let mut sink = lock(sink);
        // What has gathered meanwhile is written with it, then all of it is flushed at once; not more than that, so that
        // whoever opens the file anew gets a turn.
        let batch = std::iter::once(first).chain(events.try_iter().take(MOST_AT_ONCE));
        if let Err(error) = write_batch(&mut sink, batch, rotating, &mut outcome, &mut watch) {
            sink.give_up();
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

fn write_batch(
    sink: &mut Sink,
    events: impl Iterator<Item = Event>,
    rotating: Option<&Rotating>,
    outcome: &mut io::Result<()>,
    watch: &mut impl FnMut(&Event),
) -> io::Result<()> {
    if sink.is_torn {
        // What was cut off must not swallow the next line.
        sink.output.write_all(b"\n")?;
    }
    let mut line = Vec::new();
    for event in events {
        watch(&event);
        line.clear();
        serde_json::to_writer(&mut line, &event)?;
        line.push(b'\n');
        if let Err(error) = sink.make_room(line.len(), rotating) {
            // No reason to lose events: the file grows on, and the next try is some way off.
            sink.size = 0;
            if outcome.is_ok() {
                *outcome = Err(error);
            }
        }
        sink.output.write_all(&line)?;
        sink.size = sink.size.saturating_add(line.len() as u64);
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
            protocol: None,
            protocol_by: None,
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
    fn a_file_is_replaced_before_it_grows_too_large_and_whole_lines_stay_whole() {
        const EVENTS: u64 = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let keep = NonZeroU32::new(4).unwrap();
        let line = serde_json::to_string(&event(1)).unwrap().len() as u64;
        let rotation = Rotation { size: line * 100, keep };
        let (sender, receiver) = event_channel(EVENTS as usize);
        let to = Destination::File(path.clone());
        let writer = EventWriter::start_rotating(receiver, &to, Some(rotation), |_| ()).unwrap();
        (0..EVENTS).for_each(|number| sender.send(event(number)));
        drop(sender);
        writer.finish().unwrap();
        let old = |number: u32| folder.path().join(format!("events.jsonl.{number}"));
        assert!(!old(5).exists(), "no more than four are kept");
        // The oldest first: what is kept is the end of what was written, without a gap.
        let files: Vec<_> = (1..=4).rev().map(old).chain([path]).collect();
        let mut numbers = Vec::new();
        for file in &files {
            assert!(fs::metadata(file).unwrap().len() <= rotation.size, "{}", file.display());
            for line in fs::read_to_string(file).unwrap().lines() {
                let Event::Close(close) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
                numbers.push(close.at_ms);
            }
        }
        let first = numbers[0];
        assert!(numbers.len() > 300, "{}", numbers.len());
        assert!(numbers.into_iter().eq(first..EVENTS));
    }

    #[test]
    fn a_file_that_cannot_be_renamed_is_written_to_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        // A folder that is not empty cannot be replaced by a file.
        fs::create_dir_all(folder.path().join("events.jsonl.1/full")).unwrap();
        let rotation = Rotation { size: 500, keep: NonZeroU32::MIN };
        let (sender, receiver) = event_channel(100);
        let to = Destination::File(path.clone());
        let writer = EventWriter::start_rotating(receiver, &to, Some(rotation), |_| ()).unwrap();
        (0..20).for_each(|number| sender.send(event(number)));
        drop(sender);
        assert!(writer.finish().is_err(), "it is told at the end");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 20);
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
