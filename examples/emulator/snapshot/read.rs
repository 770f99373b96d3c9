//! Reading: an emulator made from a snapshot. Nobody sees it before all of it is there and its digest is right.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use streamcore::model::{Attributes, Image};
use streamcore::store::StreamRestore;
use streamcore::stream::{Clock, ShardState, StreamState};

use super::content::{Meta, ShardFrame, StreamFrame, TableFrame, read_record};
use super::fault::SnapshotFault as Fault;
use super::frame::{FrameReader, Kind, Stopped};
use super::write::Counts;
use crate::calls::{Config, Emulator};
use crate::table::{LatestStream, Settings, Table};
use crate::visible::Outlet;

/// Reads the snapshot in a file. A manual clock goes on at the time that it shows there.
pub(super) fn read_file(path: &Path, config: Config) -> Result<Emulator, Fault> {
    let io = |error| Fault::Io { doing: "read", path: path.to_owned(), error };
    let file = File::open(path).map_err(io)?;
    read(BufReader::with_capacity(1 << 20, file), config).map_err(|stopped| match stopped {
        Stopped::Fault(fault) => fault,
        Stopped::Io(error) => io(error),
    })
}

fn read<R: Read>(from: R, config: Config) -> Result<Emulator, Stopped> {
    let mut reader = FrameReader::begin(from)?;
    if reader.next()? != Kind::Meta {
        return Err(reader.malformed("the first frame is another one"));
    }
    let meta: Meta = json(&reader)?;
    if let Some(clock) = config.manual_clock.as_ref().filter(|_| meta.is_manual) {
        clock.advance_ms(meta.now_ms.saturating_sub(clock.now_ms()));
    }
    let store = config.store().restored_from(meta.lineage()).build();
    let emulator = Emulator::with_store(config, store);
    let (images, counts) = (Vec::new(), Counts::default());
    let mut restoring =
        Restoring { emulator, images, counts, table: None, stream: None, links: Vec::new() };
    loop {
        let kind = reader.next()?;
        if kind == Kind::End {
            break;
        }
        restoring.take(kind, &reader)?;
    }
    restoring.finish_table(&reader)?;
    restoring.finish_stream(&reader)?;
    restoring.link(&reader)?;
    reader.end(&restoring.counts.named())?;
    Ok(restoring.emulator)
}

fn json<T: DeserializeOwned, R: Read>(reader: &FrameReader<R>) -> Result<T, Stopped> {
    serde_json::from_slice(reader.payload()).map_err(|error| reader.malformed(error))
}

/// An emulator in the making.
struct Restoring {
    emulator: Emulator,
    images: Vec<Image>,
    counts: Counts,
    table: Option<Open>,
    stream: Option<StreamRestore>,
    /// The tables whose changes go to a stream, with the streams' ARNs.
    links: Vec<(String, String)>,
}

/// The table whose items are being read.
struct Open {
    table: Table,
    expiry: Option<(String, u64)>,
}

impl Restoring {
    fn take<R: Read>(&mut self, kind: Kind, reader: &FrameReader<R>) -> Result<(), Stopped> {
        match kind {
            Kind::Meta | Kind::End => Err(reader.malformed("there is one of its kind before")),
            Kind::Table => self.table(reader),
            Kind::Image => self.image(reader),
            Kind::Item => self.item(reader),
            Kind::Stream => {
                self.finish_table(reader)?;
                self.finish_stream(reader)?;
                let frame: StreamFrame = json(reader)?;
                let state =
                    StreamState::try_from(frame).map_err(|error| reader.malformed(error))?;
                let restore = self.emulator.store.restore_stream(state);
                self.stream = Some(restore.map_err(|error| reader.malformed(error))?);
                self.counts.streams += 1;
                Ok(())
            }
            Kind::Shard => {
                let state = ShardState::from(json::<ShardFrame, R>(reader)?);
                let stream = self.stream.as_mut();
                let stream = stream.ok_or_else(|| reader.malformed("no stream is before it"))?;
                stream.shard(state).map_err(|error| reader.malformed(error))?;
                self.counts.shards += 1;
                Ok(())
            }
            Kind::Record => self.record(reader),
        }
    }

    fn table<R: Read>(&mut self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        if self.stream.is_some() {
            return Err(reader.malformed("a table comes behind a stream"));
        }
        self.finish_table(reader)?;
        let mut frame: TableFrame = json(reader)?;
        if frame.schema.table_name.as_deref() != Some(&frame.name) {
            return Err(reader.malformed("its two names differ"));
        }
        let schema = frame.schema.schema().map_err(|error| reader.malformed(error))?;
        let latest = match &frame.latest_stream {
            None => None,
            Some(latest) => Some(LatestStream {
                arn: latest.arn.clone(),
                label: latest.label.clone(),
                view_type: latest.view_type.parse().map_err(|error| reader.malformed(error))?,
            }),
        };
        if frame.is_streamed {
            let arn = latest.as_ref().map(|latest| latest.arn.clone());
            let arn = arn.ok_or_else(|| reader.malformed("it has no stream to write to"))?;
            self.links.push((frame.name.clone(), arn));
        }
        let settings = Settings {
            on_demand: frame.on_demand,
            throughput: frame.throughput,
            tags: frame.tags,
            time_to_live: frame.expiry.as_ref().map(|(attribute, _)| attribute.clone()),
            ..Settings::default()
        };
        let names = (frame.name, frame.arn, frame.id);
        let table = Table::new(names, frame.created_ms, schema, settings, None);
        table.settings.lock().latest_stream = latest;
        self.table = Some(Open { table, expiry: frame.expiry });
        self.counts.tables += 1;
        Ok(())
    }

    fn image<R: Read>(&mut self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        // Items are read by their attributes, records as they are sent.
        let image = if self.table.is_some() {
            Image::new(json::<Attributes, R>(reader)?)
        } else {
            Image::from_json(reader.payload()).map_err(|error| reader.malformed(error))?
        };
        self.images.push(image);
        self.counts.images += 1;
        Ok(())
    }

    fn numbered<R: Read>(&self, number: u64, reader: &FrameReader<R>) -> Result<Image, Stopped> {
        let place = usize::try_from(number).ok();
        let image = place.and_then(|place| self.images.get(place)).cloned();
        image.ok_or_else(|| reader.malformed(format_args!("there is no image {number} before it")))
    }

    fn item<R: Read>(&mut self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        let number = reader.payload().try_into().map(u64::from_le_bytes);
        let number = number.map_err(|_| reader.malformed("it is not a number"))?;
        let image = self.numbered(number, reader)?;
        let Some(Open { table, .. }) = &self.table else {
            return Err(reader.malformed("no table is before it"));
        };
        let key = table.schema.key.of_item(image.attributes());
        let key = key.map_err(|error| reader.malformed(error))?;
        let mut part = table.part(&key).lock();
        if part.get(&key.bytes).is_some() {
            return Err(reader.malformed("the table has an item of this key"));
        }
        part.set(key.bytes, Some(image));
        self.counts.items += 1;
        Ok(())
    }

    fn record<R: Read>(&mut self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        let parts = read_record(reader.payload());
        let (position, mut record, [new, old, keys]) =
            parts.ok_or_else(|| reader.malformed("it is not a record"))?;
        let image =
            |number: Option<u64>| number.map(|number| self.numbered(number, reader)).transpose();
        (record.new, record.old, record.keys) = (image(new)?, image(old)?, image(keys)?);
        let stream = self.stream.as_mut();
        let stream = stream.ok_or_else(|| reader.malformed("no stream is before it"))?;
        stream.record(position, record).map_err(|error| reader.malformed(error))?;
        self.counts.records += 1;
        Ok(())
    }

    /// Adds the table that was begun last.
    fn finish_table<R: Read>(&mut self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        let Some(Open { table, expiry }) = self.table.take() else {
            return Ok(());
        };
        if let Some((attribute, done_s)) = expiry {
            table.set_expiry(Some(&attribute), done_s);
        }
        if self.emulator.tables.add(table) {
            return Ok(());
        }
        Err(reader.malformed("there is a table of the same name before"))
    }

    /// Adds the stream that was begun last.
    fn finish_stream<R: Read>(&mut self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        match self.stream.take().map(StreamRestore::finish) {
            Some(Err(error)) => Err(reader.malformed(error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Lets tables write to their streams.
    fn link<R: Read>(&self, reader: &FrameReader<R>) -> Result<(), Stopped> {
        for (name, arn) in &self.links {
            // It may have been disabled a day before the snapshot by who held the store.
            let Ok(stream) = self.emulator.store.stream(arn) else {
                continue;
            };
            let table = self.emulator.tables.of_items(Some(name));
            let table = table.map_err(|error| reader.malformed(error))?;
            table.stream.store(Some(Outlet::new(stream).into()));
        }
        Ok(())
    }
}
