//! Capturing: all tables and streams of one moment, before any of it is written.
//!
//! Every part of every table is locked, and so is whatever changes a table or its stream: so a write is in the
//! snapshot with its item and its record or with neither, and a transaction whole or not at all. Meanwhile nothing
//! is copied: items are shared until somebody changes them ([`Items::frozen`]), and streams are archived by pins.
//!
//! Locks are taken in the order in which everybody takes them: the clock, the making of tables, the settings of
//! tables, the parts by their addresses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use serde_json::{Value, json};
use streamcore::stream::Archive;

use super::content::{LatestFrame, Meta, TableFrame};
use crate::calls::Emulator;
use crate::items::{ByKey, Items};
use crate::schema::{Index, Schema, key_elements};
use crate::table::{Settings, Table};

/// Everything at one moment.
pub(super) struct Capture {
    pub(super) meta: Meta,
    pub(super) tables: Vec<(TableFrame<Value>, Vec<Arc<ByKey>>)>,
    pub(super) streams: Vec<Archive>,
    /// How long writers were kept out.
    pub(super) pause: Duration,
}

/// What becomes of the writers who were kept out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// They go on.
    GoOn,
    /// They are kept out for ever: the process is about to end, and what it acknowledged would be lost.
    KeptOut,
}

impl Capture {
    pub(super) fn of(emulator: &Emulator, afterwards: Afterwards) -> Self {
        let turning = emulator.turning.lock();
        let making = emulator.tables.hold();
        let tables = emulator.tables.all();
        let settings: Vec<MutexGuard<'_, Settings>> =
            tables.iter().map(|table| table.settings.lock()).collect();
        let began = Instant::now();
        let mut parts: Vec<_> = tables.iter().flat_map(|table| table.parts()).collect();
        parts.sort_unstable_by_key(|part| std::ptr::from_ref(*part).addr());
        let locked: Vec<MutexGuard<'_, Items>> = parts.iter().map(|part| part.lock()).collect();

        let now_ms = emulator.store.now_ms();
        let is_manual = emulator.config.manual_clock.is_some();
        let meta = Meta::new(now_ms, is_manual, &emulator.store.lineage());
        let mut captured = Vec::with_capacity(tables.len());
        let mut held = locked.iter();
        // The parts of one table lie side by side, so they come together.
        let mut by_address: Vec<usize> = (0..tables.len()).collect();
        by_address.sort_unstable_by_key(|at| tables[*at].parts().as_ptr().addr());
        for at in by_address {
            let (table, settings) = (&tables[at], &settings[at]);
            let own: Vec<&MutexGuard<'_, Items>> =
                held.by_ref().take(table.parts().len()).collect();
            let done_s = own.iter().filter_map(|items| items.expiry_done_s()).min();
            let frozen = own.iter().map(|items| items.frozen()).collect();
            captured.push((frame(table, settings, done_s), frozen));
        }
        let streams = emulator.streams().iter().map(|stream| stream.archive()).collect();
        let pause = began.elapsed();
        if afterwards == Afterwards::KeptOut {
            std::mem::forget((locked, settings, making, turning));
        }
        Self { meta, tables: captured, streams, pause }
    }
}

fn frame(table: &Table, settings: &Settings, done_s: Option<u64>) -> TableFrame<Value> {
    TableFrame {
        name: table.name.clone(),
        schema: request(&table.name, &table.schema),
        arn: table.arn.clone(),
        id: table.id.clone(),
        created_ms: table.created_ms,
        on_demand: settings.on_demand,
        throughput: settings.throughput,
        tags: settings.tags.clone(),
        latest_stream: settings.latest_stream.as_ref().map(|latest| LatestFrame {
            arn: latest.arn.clone(),
            label: latest.label.clone(),
            view_type: latest.view_type.to_string(),
        }),
        is_streamed: table.stream.load().is_some(),
        expiry: settings.time_to_live.clone().zip(done_s),
    }
}

/// The request that makes a table of this schema.
fn request(name: &str, schema: &Schema) -> Value {
    let indexes = |local| {
        let wanted = schema.indexes.iter().filter(move |index| index.local == local);
        let shown = |index: &Index| {
            json!({
                "IndexName": index.name,
                "KeySchema": key_elements(&index.key),
                "Projection": index.projection,
            })
        };
        wanted.map(shown).collect::<Vec<Value>>()
    };
    json!({
        "TableName": name,
        "AttributeDefinitions": schema.definitions,
        "KeySchema": key_elements(&schema.key),
        "LocalSecondaryIndexes": indexes(true),
        "GlobalSecondaryIndexes": indexes(false),
    })
}
