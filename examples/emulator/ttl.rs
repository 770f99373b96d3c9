//! Time to live: UpdateTimeToLive, DescribeTimeToLive, and letting items expire.
//!
//! Turning it on and off takes effect at once, and as often as one likes (AWS: within an hour, and once in
//! an hour). Items expire when [`Emulator::expire`] is called: each second by [`serve`](crate::serve), and
//! when a manual clock is turned over HTTP.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::Emulator;
use crate::error::ApiError;
use crate::request;
use crate::service::Failure;
use crate::visible::Receipts;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTimeToLive {
    table_name: Option<String>,
    time_to_live_specification: Option<Specification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Specification {
    enabled: Option<bool>,
    attribute_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeTimeToLive {
    table_name: Option<String>,
}

impl Specification {
    fn check(self) -> Result<(bool, String), ApiError> {
        let at = "timeToLiveSpecification.attributeName";
        let name = self.attribute_name.ok_or_else(|| ApiError::required(at))?;
        let enabled =
            self.enabled.ok_or_else(|| ApiError::required("timeToLiveSpecification.enabled"))?;
        let rule = match name.chars().count() {
            0 => "Member must have length greater than or equal to 1",
            1..=255 => return Ok((enabled, name)),
            _ => "Member must have length less than or equal to 255",
        };
        Err(ApiError::constraint(&format!("'{name}'"), at, rule))
    }
}

impl Emulator {
    pub(crate) fn update_time_to_live(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: UpdateTimeToLive = request::parse(body)?;
        let given = request.time_to_live_specification;
        let given = given.ok_or_else(|| ApiError::required("timeToLiveSpecification"))?;
        let (enabled, name) = given.check()?;
        let table = self.tables.named(request.table_name.as_deref())?;
        let mut settings = table.settings.lock();
        match &settings.time_to_live {
            Some(current) if *current != name => {
                return Err(ApiError::validation(format!(
                    "TimeToLive is active on a different AttributeName: current AttributeName is \
                     {current}"
                )));
            }
            Some(_) if enabled => {
                return Err(ApiError::validation("TimeToLive is already enabled"));
            }
            None if !enabled => {
                return Err(ApiError::validation("TimeToLive is already disabled"));
            }
            _ => {}
        }
        settings.time_to_live = enabled.then(|| name.clone());
        table.set_expiry(settings.time_to_live.as_deref(), self.store.now_ms() / 1000);
        self.watch.say();
        Ok(bytes(&json!({
            "TimeToLiveSpecification": { "AttributeName": name, "Enabled": enabled },
        })))
    }

    pub(crate) fn describe_time_to_live(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: DescribeTimeToLive = request::parse(body)?;
        let table = self.tables.named(request.table_name.as_deref())?;
        let settings = table.settings.lock();
        let description = match &settings.time_to_live {
            Some(name) => json!({ "AttributeName": name, "TimeToLiveStatus": "ENABLED" }),
            None => json!({ "TimeToLiveStatus": "DISABLED" }),
        };
        Ok(bytes(&json!({ "TimeToLiveDescription": description })))
    }

    /// Deletes the items of all tables whose time to live has passed by the store's clock. Returns how
    /// many; readers of the streams see their records by then. A host that does not use
    /// [`serve`](crate::serve) calls this now and then.
    ///
    /// # Errors
    ///
    /// A fault of the emulator itself; some items may have expired by then.
    ///
    /// # Progress
    ///
    /// Blocks the writers of an item's neighbours for a moment, and waits for puts that are in flight.
    pub fn expire(&self) -> Result<usize, Failure> {
        let mut receipts = Receipts::default();
        let expired = self.expire_items(&mut receipts)?;
        receipts.wait();
        Ok(expired)
    }

    pub(crate) fn expire_items(&self, receipts: &mut Receipts) -> Result<usize, ApiError> {
        let now_s = self.store.now_ms() / 1000;
        let mut expired = 0;
        for table in self.tables.all() {
            // A statement of its own: item operations go on while items expire.
            let expires = table.settings.lock().time_to_live.is_some();
            if expires {
                expired += table.expire(now_s, receipts)?;
            }
        }
        Ok(expired)
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
