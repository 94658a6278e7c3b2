//! Appending events.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
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
        let sink: Box<dyn Write + Send> = match destination {
            Destination::Stdout => Box::new(io::stdout()),
            Destination::Nowhere => Box::new(io::sink()),
            Destination::File(path) => {
                let mut options = OpenOptions::new();
                options.create(true).append(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let open = |source| LogError::Open { path: path.display().to_string(), source };
                Box::new(options.open(path).map_err(open)?)
            }
        };
        Ok(Self { thread: std::thread::spawn(move || write(&events, sink, watch)) })
    }

    /// Waits until every event that was queued is written; all senders must be gone.
    ///
    /// # Errors
    /// The destination could not be written to, a full disk for one.
    pub fn finish(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes events panicked")))
    }
}

fn write(
    events: &EventReceiver,
    sink: Box<dyn Write + Send>,
    mut watch: impl FnMut(&Event),
) -> io::Result<()> {
    let mut sink = io::BufWriter::new(sink);
    while let Ok(first) = events.recv() {
        // What has gathered meanwhile is written with it, then all of it is flushed at once.
        for event in std::iter::once(first).chain(events.try_iter()) {
            serde_json::to_writer(&mut sink, &event)?;
            sink.write_all(b"\n")?;
            watch(&event);
        }
        sink.flush()?;
    }
    Ok(())
}
