//! A recording: MCAP as `ros2 bag` and Foxglove read it. Written under a temporary name; what is on disk stays readable
//! when the process is killed, because whole chunks are flushed.

use crate::KitError;
use crate::msgdef::Definition;
use mcap::records::MessageHeader;
use mcap::{Compression, WriteOptions, Writer};
use sojourn_core::Stamp;
use sojourn_core::topics::QosClass;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// An open recording.
pub struct Recording {
    writer: Option<Writer<BufWriter<File>>>,
    path: PathBuf,
    temporary: PathBuf,
    sequences: BTreeMap<u16, u32>,
}

impl Recording {
    /// Begins a recording at `path`. Until [`Recording::finish`] it is named `<path>.tmp`.
    ///
    /// # Errors
    /// [`KitError::File`] naming the file.
    pub fn create(path: &Path, compress: bool) -> Result<Self, KitError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let oops = |reason: String| KitError::File {
            path: temporary.display().to_string(),
            reason,
        };
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| oops(e.to_string()))?;
        }
        let file = File::create(&temporary).map_err(|e| oops(e.to_string()))?;
        let options = WriteOptions::new()
            .profile("ros2")
            .library(concat!("sojourn ", env!("CARGO_PKG_VERSION")))
            .compression(compress.then_some(Compression::Zstd))
            // Threads would be one per core and process, for nothing.
            .compression_threads(0)
            .compression_level(1)
            .chunk_size(Some(1 << 20));
        let writer = options
            .create(BufWriter::new(file))
            .map_err(|e| oops(e.to_string()))?;
        Ok(Self {
            writer: Some(writer),
            path: path.to_path_buf(),
            temporary,
            sequences: BTreeMap::new(),
        })
    }

    fn error(&self, e: &mcap::McapError) -> KitError {
        KitError::File {
            path: self.temporary.display().to_string(),
            reason: e.to_string(),
        }
    }

    fn writer(&mut self) -> Result<&mut Writer<BufWriter<File>>, KitError> {
        let path = self.temporary.display().to_string();
        self.writer.as_mut().ok_or(KitError::File {
            path,
            reason: "the recording is finished".to_string(),
        })
    }

    /// Adds a topic and returns the number of its channel.
    ///
    /// # Errors
    /// [`KitError::File`] when it cannot be written.
    pub fn add(
        &mut self,
        topic: &str,
        kind: &str,
        definition: &Definition,
        qos: Option<QosClass>,
    ) -> Result<u16, KitError> {
        let mut metadata = BTreeMap::from([("offered_qos_profiles".to_string(), offered_qos(qos))]);
        if let Some(hash) = &definition.hash {
            metadata.insert("topic_type_hash".to_string(), hash.clone());
        }
        let writer = self.writer()?;
        let channel = writer
            .add_schema(kind, "ros2msg", definition.text.as_bytes())
            .and_then(|schema| writer.add_channel(schema, topic, "cdr", &metadata));
        channel.map_err(|e| self.error(&e))
    }

    /// Writes one message, CDR with its 4-byte head. `log` is when it was taken, `published` its own stamp.
    ///
    /// # Errors
    /// [`KitError::File`] when it cannot be written, for example because the disk is full.
    pub fn write(
        &mut self,
        channel: u16,
        log: Stamp,
        published: Stamp,
        cdr: &[u8],
    ) -> Result<(), KitError> {
        let sequence = self.sequences.entry(channel).or_default();
        *sequence = sequence.wrapping_add(1);
        let header = MessageHeader {
            channel_id: channel,
            sequence: *sequence,
            log_time: u64::try_from(log.0).unwrap_or(0),
            publish_time: u64::try_from(published.0).unwrap_or(0),
        };
        self.writer()?
            .write_to_known_channel(&header, cdr)
            .map_err(|e| self.error(&e))
    }

    /// Ends the current chunk and hands it to the disk.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn flush(&mut self) -> Result<(), KitError> {
        self.writer()?.flush().map_err(|e| self.error(&e))
    }

    /// Messages written so far.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.sequences.values().map(|n| u64::from(*n)).sum()
    }

    /// Writes the index and gives the file its name. A second call does nothing.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn finish(&mut self) -> Result<(), KitError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        writer.finish().map_err(|e| self.error(&e))?;
        let file = writer
            .into_inner()
            .into_inner()
            .map_err(|e| KitError::File {
                path: self.temporary.display().to_string(),
                reason: e.to_string(),
            })?;
        let oops = |e: std::io::Error| KitError::File {
            path: self.path.display().to_string(),
            reason: e.to_string(),
        };
        file.sync_all().map_err(oops)?;
        std::fs::rename(&self.temporary, &self.path).map_err(oops)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Err(e) = self.finish() {
            tracing::error!("{e}");
        }
    }
}

/// The QoS in the form that rosbag2 keeps it.
fn offered_qos(class: Option<QosClass>) -> String {
    let (depth, durability) = match class {
        Some(QosClass::Command) => (1, "volatile"),
        Some(QosClass::Event) => (100, "volatile"),
        Some(QosClass::Latched) => (1, "transient_local"),
        Some(QosClass::TfStatic) => (100, "transient_local"),
        Some(QosClass::Sensor | QosClass::Clock | QosClass::Driver) | None => (10, "volatile"),
    };
    let infinite = "    sec: 9223372036\n    nsec: 854775807\n";
    format!(
        "- history: keep_last\n  depth: {depth}\n  reliability: reliable\n  durability: {durability}\n  \
         deadline:\n{infinite}  lifespan:\n{infinite}  liveliness: automatic\n  liveliness_lease_duration:\n{infinite}  \
         avoid_ros_namespace_conventions: false\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            text: "float64 data\n".into(),
            hash: Some("RIHS01_00".into()),
            stamped: false,
        }
    }

    fn record(path: &Path, messages: usize) -> Recording {
        let mut recording = Recording::create(path, true).unwrap();
        let channel = recording
            .add(
                "/x",
                "std_msgs/msg/Float64",
                &definition(),
                Some(QosClass::Sensor),
            )
            .unwrap();
        for i in 0..messages {
            let at = Stamp::from_secs(1.0 + i as f64);
            recording
                .write(channel, at, at, &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
                .unwrap();
        }
        recording
    }

    #[test]
    fn what_was_written_is_read_back_with_schema_and_qos() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/recording.mcap");
        record(&path, 10).finish().unwrap();
        assert!(!folder.path().join("new/recording.mcap.tmp").exists());
        let bytes = std::fs::read(&path).unwrap();
        let messages: Vec<_> = mcap::MessageStream::new(&bytes)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(messages.len(), 10);
        let channel = &messages[0].channel;
        assert_eq!(channel.schema.as_ref().unwrap().encoding, "ros2msg");
        assert!(channel.metadata["offered_qos_profiles"].contains("reliability: reliable"));
        assert_eq!(channel.metadata["topic_type_hash"], "RIHS01_00");
    }

    #[test]
    fn flushed_messages_survive_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording.mcap");
        let mut recording = record(&path, 10);
        recording.flush().unwrap();
        // As after a kill: the file as it is now, without index and end.
        let bytes = std::fs::read(folder.path().join("recording.mcap.tmp")).unwrap();
        let options = mcap::read::Options::IgnoreEndMagic;
        let messages = mcap::MessageStream::new_with_options(&bytes, options.into()).unwrap();
        assert_eq!(messages.filter(Result::is_ok).count(), 10);
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let why = Recording::create(Path::new("/proc/no/recording.mcap"), true)
            .err()
            .unwrap()
            .to_string();
        assert!(why.contains("/proc/no/recording.mcap.tmp"), "{why}");
    }
}
