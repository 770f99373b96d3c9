//! Tables from real data: what Scan answers and exports to S3 have written.
//!
//! The items are checked as PutItem checks them. They are there before the table's stream begins, so that
//! consumers see what is changed from then on, and not the import.

mod read;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::json;
use streamcore::model::{AttributeValue, Attributes};

use crate::calls::Emulator;
use crate::error::ApiError;
use crate::table::{Next, Table};
use crate::visible::Receipts;
use crate::write::prepare;

use read::{Sink, Stopped};

/// What is read ahead of a file.
const BUFFER_BYTES: usize = 256 << 10;

/// What to import.
#[derive(Clone, Debug)]
pub struct Import {
    /// A file of DynamoDB JSON, or a folder: then all `.json` and `.json.gz` in it, in the order of their names.
    pub path: PathBuf,
    /// The table; `None`: the name of the file or folder up to its first dot.
    pub table: Option<String>,
    /// The names of the key attributes, partition key first; their types are those of the first item. Needed
    /// if there is no such table yet.
    pub key: Vec<String>,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Into this table.
    pub table: String,
    /// So many items. Of those with the same key, the last one is there.
    pub items: u64,
}

/// Why an import ended before the end. What was imported before stays.
#[derive(Debug)]
pub struct ImportError {
    path: PathBuf,
    /// How many items were imported before, of this file.
    after: u64,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    /// The file could not be read.
    Read(io::Error),
    /// It is not DynamoDB JSON.
    Text(serde_json::Error),
    /// The folder has nothing to import.
    NothingInFolder,
    /// The table is not there, and nobody said what its key is.
    NoKey(String),
    /// A table has one or two key attributes.
    KeyLength(usize),
    /// The first item lacks a key attribute.
    KeyMissing(String),
    /// An item, or the table, is refused as DynamoDB would.
    Refused(String),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot import {}", self.path.display())?;
        if self.after > 0 {
            write!(f, ", after {} items", self.after)?;
        }
        f.write_str(": ")?;
        match &self.problem {
            Problem::Read(error) => error.fmt(f),
            Problem::Text(error) => write!(f, "it is no DynamoDB JSON: {error}"),
            Problem::NothingInFolder => f.write_str("the folder has no .json and no .json.gz"),
            Problem::NoKey(table) => {
                write!(
                    f,
                    "there is no table {table} yet; name its key attributes (--import-key) to have it made, \
                     or another table (--import-table)"
                )
            }
            Problem::KeyLength(length) => {
                write!(f, "a table has 1 or 2 key attributes, not {length}")
            }
            Problem::KeyMissing(name) => {
                write!(f, "the first item has no key attribute {name} of type S, N or B")
            }
            Problem::Refused(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ImportError {}

impl Import {
    /// The files, and how many bytes they are.
    ///
    /// # Errors
    ///
    /// [`ImportError`] when there is nothing to read.
    pub fn files(&self) -> Result<Vec<(PathBuf, u64)>, ImportError> {
        let fault = |problem| ImportError { path: self.path.clone(), after: 0, problem };
        let read = |error| fault(Problem::Read(error));
        let size = |path: PathBuf| Ok((path.clone(), fs::metadata(path)?.len()));
        if !fs::metadata(&self.path).map_err(read)?.is_dir() {
            return Ok(vec![size(self.path.clone()).map_err(read)?]);
        }
        let entries = fs::read_dir(&self.path).map_err(read)?;
        let paths =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
        let mut paths = paths.map_err(read)?;
        paths.retain(|path| {
            let name = path.to_string_lossy();
            name.ends_with(".json") || name.ends_with(".json.gz")
        });
        paths.sort();
        if paths.is_empty() {
            return Err(fault(Problem::NothingInFolder));
        }
        paths.into_iter().map(size).collect::<io::Result<_>>().map_err(read)
    }

    /// The name of the table that it is for.
    #[must_use]
    pub fn table_name(&self) -> String {
        let of_file = || {
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            name.split('.').next().unwrap_or_default().to_owned()
        };
        self.table.clone().unwrap_or_else(of_file)
    }
}

impl Emulator {
    /// Imports items. A table that is not there is made, and gets a stream of new and old images when its items
    /// are in. `progress` is told how many bytes of the files were read since it was told last.
    ///
    /// # Errors
    ///
    /// [`ImportError`]; then what was imported before is there, and a table that was made has no stream.
    ///
    /// # Progress
    ///
    /// Blocks; others may read and write meanwhile.
    pub fn import(
        &self,
        import: &Import,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported, ImportError> {
        let name = import.table_name();
        let known = self.tables.named(Some(&name)).ok();
        let is_new = known.is_none();
        let mut filling = Filling { emulator: self, import, name: &name, table: known, count: 0 };
        let mut items = 0;
        for (path, _) in import.files()? {
            filling.count = 0;
            let read = filling.read(&path, progress);
            let after = filling.count;
            read.map_err(|problem| ImportError { path, after, problem })?;
            items += after;
        }
        if is_new && items > 0 {
            let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" });
            let request = json!({ "TableName": name, "StreamSpecification": stream });
            self.update_table(request.to_string().as_bytes()).map_err(|error| {
                let problem = Problem::Refused(error.message().to_owned());
                ImportError { path: import.path.clone(), after: items, problem }
            })?;
        }
        Ok(Imported { table: name, items })
    }
}

/// A table that is being filled; `None` before the first item, which says of what types the key is.
struct Filling<'i> {
    emulator: &'i Emulator,
    import: &'i Import,
    name: &'i str,
    table: Option<std::sync::Arc<Table>>,
    count: u64,
}

impl Filling<'_> {
    fn read(&mut self, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), Problem> {
        let file = Watched { file: File::open(path).map_err(Problem::Read)?, progress };
        let read = if path.extension().is_some_and(|extension| extension == "gz") {
            // A writer may have put several streams one behind the other.
            let file = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file));
            read::items(&mut { file }, self)
        } else {
            read::items(&mut BufReader::with_capacity(BUFFER_BYTES, file), self)
        };
        read.map_err(|stopped| match stopped {
            Stopped::Read(error) => Problem::Read(error),
            // What could not be read is reported by the library as a fault of the text.
            Stopped::Text(error) if error.is_io() => Problem::Read(error.into()),
            Stopped::Text(error) => Problem::Text(error),
            Stopped::Sink(problem) => problem,
        })
    }

    /// Makes the table, whose key has the types that it has in `item`.
    fn create(&self, item: &Attributes) -> Result<std::sync::Arc<Table>, Problem> {
        let key = &self.import.key;
        if key.is_empty() {
            return Err(Problem::NoKey(self.name.to_owned()));
        }
        if key.len() > 2 {
            return Err(Problem::KeyLength(key.len()));
        }
        let (mut definitions, mut schema) = (Vec::new(), Vec::new());
        for (name, role) in key.iter().zip(["HASH", "RANGE"]) {
            let kind = match item.get(name) {
                Some(AttributeValue::S(_)) => "S",
                Some(AttributeValue::N(_)) => "N",
                Some(AttributeValue::B(_)) => "B",
                _ => return Err(Problem::KeyMissing(name.clone())),
            };
            definitions.push(json!({ "AttributeName": name, "AttributeType": kind }));
            schema.push(json!({ "AttributeName": name, "KeyType": role }));
        }
        let request = json!({
            "TableName": self.name,
            "AttributeDefinitions": definitions,
            "KeySchema": schema,
            "BillingMode": "PAY_PER_REQUEST",
        });
        let refused = |error: ApiError| Problem::Refused(error.message().to_owned());
        self.emulator.create_table(request.to_string().as_bytes()).map_err(refused)?;
        self.emulator.tables.named(Some(self.name)).map_err(refused)
    }
}

impl Sink for Filling<'_> {
    type Error = Problem;

    fn take(&mut self, item: Attributes) -> Result<(), Problem> {
        let table = match &self.table {
            Some(table) => table,
            None => self.table.insert(self.create(&item)?),
        };
        let refused = |error: ApiError| Problem::Refused(error.message().to_owned());
        let (key, image) = prepare(table, item).map_err(refused)?;
        // Nobody waits for these records; there are some only if the table was there, with a stream.
        let mut receipts = Receipts::default();
        table.change(key, &mut receipts, |_| Ok(Next::Put(image))).map_err(refused)?;
        self.count += 1;
        Ok(())
    }
}

/// A file that says how much of it was read.
struct Watched<'p> {
    file: File,
    progress: &'p mut dyn FnMut(u64),
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.progress)(read as u64);
        Ok(read)
    }
}
