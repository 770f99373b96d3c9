//! TransactGetItems: up to a hundred items of several tables, as they are at one moment.

use std::collections::BTreeMap;

use serde::Deserialize;
use streamcore::model::{Attributes, Image};

use crate::at_most::AtMost;
use crate::calls::Emulator;
use crate::error::ApiError;
use crate::expr::Projection;
use crate::locked::{Locked, Place};
use crate::read::{projection, write_item};
use crate::transact::{
    MAX_ACTIONS, all_or_canceled, check_bytes, check_count, check_distinct, or_reason,
};
use crate::{item, request};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactGet {
    transact_items: Option<AtMost<TransactItem, MAX_ACTIONS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem {
    get: Option<Get>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    table_name: Option<String>,
    key: Option<Attributes>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
}

impl Emulator {
    pub(crate) fn transact_get_items(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: TransactGet = request::parse(body)?;
        let items = request.transact_items.ok_or_else(|| ApiError::required("transactItems"))?;
        check_count(items.given())?;
        let items = items.into_members();
        let mut places = Vec::with_capacity(items.len());
        let mut projections: Vec<Option<Projection>> = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let at = |member| format!("transactItems.{}.member.get{member}", index + 1);
            let get = item.get.ok_or_else(|| ApiError::required(&at("")))?;
            let mut key = get.key.ok_or_else(|| ApiError::required(&at(".key")))?;
            item::normalize(&mut key)?;
            let text = get.projection_expression.as_deref();
            projections.push(projection(text, None, get.expression_attribute_names)?);
            let table = self.tables.of_items(get.table_name.as_deref())?;
            let key = table.schema.key.of_request(&key);
            places.push(or_reason(key.map(|key| Place { table, key }))?);
        }
        let places = all_or_canceled(places)?;
        check_distinct(places.iter())?;
        let images: Vec<Option<Image>> = {
            let locked = Locked::of(places.iter());
            places.iter().map(|place| locked.get(place).cloned()).collect()
        };
        check_bytes(images.iter().flatten().map(Image::size_bytes).sum())?;

        let mut out = br#"{"Responses":["#.to_vec();
        for (index, (image, projection)) in images.iter().zip(&projections).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.push(b'{');
            if let Some(image) = image {
                out.extend_from_slice(br#""Item":"#);
                write_item(image, projection.as_ref(), &mut out);
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        Ok(out)
    }
}
