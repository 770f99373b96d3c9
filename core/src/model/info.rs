//! What is the same for every record of a stream: its ARN, its table's key, its view type.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::arn::StreamArn;
use super::kinds::StreamViewType;
use super::schema::KeySchema;
use super::serial::Serial;
use crate::error::Error;

/// What is fixed about a stream when it is enabled on a table.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    arn: StreamArn,
    view_type: StreamViewType,
    key_schema: KeySchema,
    /// What keys the ids of the stream's events: a hash of the ARN.
    event_key: (u64, u64),
    serial: Serial,
}

impl StreamInfo {
    /// Describes a stream of a table.
    ///
    /// Unless the builder is told otherwise, its region is `us-east-1`, its account
    /// `000000000000`, and it was created at the epoch.
    pub fn builder(
        table_name: impl Into<String>,
        key_schema: KeySchema,
        view_type: StreamViewType,
    ) -> StreamInfoBuilder {
        StreamInfoBuilder {
            table_name: table_name.into(),
            key_schema,
            view_type,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            created_ms: 0,
        }
    }

    /// Describes the stream that a host named itself: table, region, account and creation time are
    /// what the ARN says.
    #[must_use]
    pub fn with_arn(arn: StreamArn, key_schema: KeySchema, view_type: StreamViewType) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(arn.as_str().as_bytes());
        let hash = hasher.finish128();
        let event_key = (hash.h1, hash.h2);
        Self { arn, view_type, key_schema, event_key, serial: Serial::next() }
    }

    /// The stream's ARN.
    #[must_use]
    pub fn arn(&self) -> &StreamArn {
        &self.arn
    }

    /// The name of the table.
    #[must_use]
    pub fn table_name(&self) -> &str {
        self.arn.table_name()
    }

    /// The stream's label: when it was created, as in `2015-05-20T20:51:10.252`, in UTC.
    #[must_use]
    pub fn label(&self) -> &str {
        self.arn.label()
    }

    /// The region, as in `us-east-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        self.arn.region()
    }

    /// The account: twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        self.arn.account()
    }

    /// Which images the stream's records hold.
    #[must_use]
    pub fn view_type(&self) -> StreamViewType {
        self.view_type
    }

    /// The primary key of the table.
    #[must_use]
    pub fn key_schema(&self) -> &KeySchema {
        &self.key_schema
    }

    /// When the stream was created, in milliseconds since the epoch.
    #[must_use]
    pub fn created_ms(&self) -> u64 {
        self.arn.label_ms()
    }

    /// What tells its key schema from that of other streams.
    #[inline]
    pub(super) fn serial(&self) -> Serial {
        self.serial
    }

    pub(super) fn event_key(&self) -> (u64, u64) {
        self.event_key
    }
}

/// Makes a [`StreamInfo`].
#[derive(Debug, Clone)]
#[must_use = "`build` makes the description"]
pub struct StreamInfoBuilder {
    table_name: String,
    key_schema: KeySchema,
    view_type: StreamViewType,
    region: String,
    account: String,
    created_ms: u64,
}

impl StreamInfoBuilder {
    /// The region, as in `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The account: twelve digits.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// When the stream was created, in milliseconds since the epoch. Its label says so, which is
    /// what tells the streams of one table apart.
    pub fn created_ms(mut self, created_ms: u64) -> Self {
        self.created_ms = created_ms;
        self
    }

    /// Makes the description.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTableName`], or [`Error::InvalidArn`] if the region, the account or the time
    /// cannot stand in an ARN.
    pub fn build(self) -> Result<StreamInfo, Error> {
        let arn = StreamArn::new(&self.region, &self.account, &self.table_name, self.created_ms)?;
        Ok(StreamInfo::with_arn(arn, self.key_schema, self.view_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_stream_is_the_one_its_arn_names() {
        let schema = KeySchema::new("pk", None).unwrap();
        let built = StreamInfo::builder("Orders", schema.clone(), StreamViewType::NewImage)
            .region("eu-west-1")
            .account("123456789012")
            .created_ms(1_432_155_070_252)
            .build()
            .unwrap();
        assert_eq!(
            built.arn().as_str(),
            "arn:aws:dynamodb:eu-west-1:123456789012:table/Orders/stream/2015-05-20T20:51:10.252"
        );
        let named = StreamInfo::with_arn(built.arn().clone(), schema, StreamViewType::NewImage);
        assert_eq!(named.created_ms(), built.created_ms());
        assert_eq!(named.event_key(), built.event_key());
    }

    #[test]
    fn what_no_arn_can_name_is_refused() {
        let schema = KeySchema::new("pk", None).unwrap();
        let builder = StreamInfo::builder("Orders", schema, StreamViewType::KeysOnly);
        for bad in [
            builder.clone().region("US EAST"),
            builder.clone().account("me"),
            builder.created_ms(u64::MAX),
        ] {
            assert!(matches!(bad.build(), Err(Error::InvalidArn { .. })));
        }
    }
}
