//! The errors of the table side, as an AWS SDK understands them: a name with
//! its namespace, a message, an HTTP status, and for a failed condition the item.

use streamcore::model::Image;

/// Which of the API's exceptions an [`ApiError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// A parameter or an item breaks a rule of DynamoDB.
    Validation,
    /// A key attribute is empty. That is a rule like the others, but the only one about keys that a
    /// transaction is refused for as a whole.
    EmptyKey,
    /// The body is no JSON, or JSON of the wrong shape.
    Serialization,
    /// A table, a stream or an index that does not exist.
    NotFound,
    /// A table that exists already.
    InUse,
    /// A condition that does not hold.
    ConditionFailed,
    /// A transaction of which an action failed.
    TransactionCanceled,
    /// A transaction whose token was used with other parameters.
    IdempotentParameterMismatch,
    /// A transaction whose token is one that is being carried out.
    TransactionInProgress,
    /// A fault of the emulator itself.
    Internal,
}

impl ErrorKind {
    /// What `__type` says. SDKs read the part behind the `#`; DynamoDB writes
    /// three different namespaces before it.
    fn type_name(self) -> &'static str {
        match self {
            Self::Validation | Self::EmptyKey => "com.amazon.coral.validate#ValidationException",
            Self::Serialization => "com.amazon.coral.service#SerializationException",
            Self::NotFound => "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
            Self::InUse => "com.amazonaws.dynamodb.v20120810#ResourceInUseException",
            Self::ConditionFailed => {
                "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            }
            Self::TransactionCanceled => {
                "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
            }
            Self::IdempotentParameterMismatch => {
                "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"
            }
            Self::TransactionInProgress => {
                "com.amazonaws.dynamodb.v20120810#TransactionInProgressException"
            }
            Self::Internal => "com.amazonaws.dynamodb.v20120810#InternalServerError",
        }
    }

    /// The member of the body that holds the message. The service model spells it in two ways.
    fn message_member(self) -> &'static str {
        match self {
            Self::TransactionCanceled
            | Self::IdempotentParameterMismatch
            | Self::TransactionInProgress => "Message",
            _ => "message",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Internal => 500,
            _ => 400,
        }
    }
}

/// An operation's refusal.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    kind: ErrorKind,
    message: String,
    item: Option<Image>,
    reasons: Vec<Option<Reason>>,
}

/// Why an action of a transaction failed.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    code: &'static str,
    message: String,
    item: Option<Image>,
}

impl Reason {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!(r#"{{"Code":"{}""#, self.code).as_bytes());
        if let Some(item) = &self.item {
            out.extend_from_slice(b",\"Item\":");
            out.extend_from_slice(item.json());
        }
        out.extend_from_slice(b",\"Message\":");
        out.extend_from_slice(&serde_json::to_vec(&self.message).unwrap_or_default());
        out.push(b'}');
    }
}

impl ApiError {
    /// An error of `kind` that says `message`.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), item: None, reasons: Vec::new() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Validation, message)
    }

    /// The form of most of DynamoDB's complaints about an item or a parameter.
    pub(crate) fn invalid(what: impl std::fmt::Display) -> Self {
        Self::validation(format!("One or more parameter values were invalid: {what}"))
    }

    /// The form in which AWS reports a constraint of the service model.
    pub(crate) fn constraint(value: &str, at: &str, constraint: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value {value} at '{at}' failed to satisfy constraint: \
             {constraint}"
        ))
    }

    pub(crate) fn required(at: &str) -> Self {
        Self::constraint("null", at, "Member must not be null")
    }

    pub(crate) fn condition_failed(item: Option<Image>) -> Self {
        let message = "The conditional request failed".to_owned();
        Self { item, ..Self::new(ErrorKind::ConditionFailed, message) }
    }

    /// This error as the reason why an action of a transaction fails, if it is none of the kind that the
    /// whole transaction is refused for.
    ///
    /// Source: AWS API reference, `TransactWriteItems`, on `TransactionCanceledException`.
    pub(crate) fn into_reason(self) -> Result<Reason, Self> {
        let code = match self.kind {
            ErrorKind::ConditionFailed => "ConditionalCheckFailed",
            ErrorKind::Validation => "ValidationError",
            _ => return Err(self),
        };
        Ok(Reason { code, message: self.message, item: self.item })
    }

    /// A transaction was cancelled: the reason of each of its actions that had one, in their order.
    pub(crate) fn canceled(reasons: Vec<Option<Reason>>) -> Self {
        let code = |reason: &Option<Reason>| reason.as_ref().map_or("None", |reason| reason.code);
        let codes: Vec<&str> = reasons.iter().map(code).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        Self { reasons, ..Self::new(ErrorKind::TransactionCanceled, message) }
    }

    /// An item operation on a table that is not there; DynamoDB does not repeat the name.
    pub(crate) fn no_table() -> Self {
        Self::new(ErrorKind::NotFound, "Requested resource not found")
    }

    /// A table operation on a table that is not there.
    pub(crate) fn no_table_named(name: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            format!("Requested resource not found: Table: {name} not found"),
        )
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status that goes with it.
    pub(crate) fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.message.len());
        out.extend_from_slice(b"{\"__type\":\"");
        out.extend_from_slice(self.kind.type_name().as_bytes());
        out.extend_from_slice(b"\",");
        if self.kind == ErrorKind::TransactionCanceled {
            out.extend_from_slice(b"\"CancellationReasons\":[");
            for (index, reason) in self.reasons.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                match reason {
                    Some(reason) => reason.write(&mut out),
                    None => out.extend_from_slice(br#"{"Code":"None"}"#),
                }
            }
            out.extend_from_slice(b"],");
        }
        out.extend_from_slice(format!("\"{}\":", self.kind.message_member()).as_bytes());
        out.extend_from_slice(&serde_json::to_vec(&self.message).unwrap_or_default());
        if let Some(item) = &self.item {
            out.extend_from_slice(b",\"Item\":");
            out.extend_from_slice(item.json());
        }
        out.push(b'}');
        out
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.type_name(), self.message)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_names_the_exception_and_escapes_the_message() {
        let body = ApiError::validation("say \"hi\"").body();
        assert_eq!(
            String::from_utf8(body).expect("JSON is UTF-8"),
            r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"say \"hi\""}"#
        );
    }
}
