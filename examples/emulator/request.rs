//! Reading requests, and the parameters that many of them share.

use serde::de::DeserializeOwned;

use crate::error::{ApiError, ErrorKind};

/// Reads a request's body.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde would read an array as a struct's fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::new(
            ErrorKind::Serialization,
            "the body of a request is a JSON object",
        ));
    }
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let message = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
        if VALUE_RULES.iter().any(|rule| message.starts_with(rule)) {
            ApiError::validation(message)
        } else {
            ApiError::new(ErrorKind::Serialization, text)
        }
    })
}

/// How the complaints begin that are about a value in a well-formed body.
const VALUE_RULES: [&str; 8] = [
    "Supplied AttributeValue",
    "One or more parameter values",
    "Input collection",
    "Nesting Levels",
    "The parameter cannot be converted",
    "Attempting to store",
    "Number overflow",
    "Number underflow",
];

/// The name in a `TableName` parameter, which may also be the table's ARN.
pub(crate) fn table_name(given: Option<&str>) -> Result<&str, ApiError> {
    let given = given.ok_or_else(|| ApiError::required("tableName"))?;
    let name = match given.strip_prefix("arn:") {
        Some(_) => given.split_once(":table/").map_or(given, |(_, name)| name),
        None => given,
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let constraint = if !name.bytes().all(allowed) {
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    } else if name.len() < 3 {
        "Member must have length greater than or equal to 3"
    } else if name.len() > 255 {
        "Member must have length less than or equal to 255"
    } else {
        return Ok(name);
    };
    Err(ApiError::constraint(&format!("'{given}'"), "tableName", constraint))
}

/// A `Limit` parameter: at least 1, and at most `max` if there is one.
pub(crate) fn limit(given: Option<i64>, max: Option<i64>) -> Result<Option<usize>, ApiError> {
    match given {
        None => Ok(None),
        Some(limit) if limit < 1 => Err(ApiError::constraint(
            &format!("'{limit}'"),
            "limit",
            "Member must have value greater than or equal to 1",
        )),
        Some(limit) => match max {
            Some(max) if limit > max => Err(ApiError::constraint(
                &format!("'{limit}'"),
                "limit",
                &format!("Member must have value less than or equal to {max}"),
            )),
            _ => Ok(usize::try_from(limit).ok()),
        },
    }
}

/// A parameter that takes one of a few words.
pub(crate) fn one_of<'w>(
    given: Option<&str>,
    at: &str,
    allowed: &[&'w str],
) -> Result<&'w str, ApiError> {
    let Some(given) = given else {
        return Ok(allowed[0]);
    };
    allowed.iter().find(|word| **word == given).copied().ok_or_else(|| {
        ApiError::constraint(
            &format!("'{given}'"),
            at,
            &format!("Member must satisfy enum value set: [{}]", allowed.join(", ")),
        )
    })
}

/// Refuses the parameters of the API's first years, which nothing here reads: ignoring a
/// condition would be worse than refusing it.
pub(crate) fn refuse_legacy(given: &[(&str, bool)]) -> Result<(), ApiError> {
    match given.iter().find(|(_, present)| *present) {
        None => Ok(()),
        Some((name, _)) => Err(ApiError::validation(format!(
            "The legacy parameter {name} is not supported by this emulator; use an expression"
        ))),
    }
}
