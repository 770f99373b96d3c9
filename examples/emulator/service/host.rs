//! What a host of tables is asked, and what it says.

use streamcore::wire::WireError;

/// An operation on tables or items, as a client sent it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'r> {
    /// Its name: `PutItem`, `CreateTable`, whatever stands behind the dot of `X-Amz-Target`.
    pub operation: &'r str,
    /// The body: JSON, as nobody has checked yet.
    pub body: &'r [u8],
    /// What the client calls this server: `127.0.0.1:8000`. `DescribeEndpoints` tells it back.
    pub authority: &'r str,
}

/// Who keeps tables, and writes their changes into streams.
///
/// The bodies of requests and answers are those of the Amazon DynamoDB API Reference.
///
/// ```
/// use streamcore_emulator::service::{Call, Failure, TableHost};
///
/// struct NoTables;
///
/// impl TableHost for NoTables {
///     async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
///         match call.operation {
///             "ListTables" => Ok(br#"{"TableNames":[]}"#.to_vec()),
///             other => Err(Failure::unknown_operation(other)),
///         }
///     }
/// }
/// ```
pub trait TableHost: Send + Sync + 'static {
    /// Carries out one operation, and returns the JSON of the answer.
    ///
    /// A change is put into the table's stream before others see the item, and the answer is given when readers
    /// see the record ([`Stream::wait_visible`](streamcore::Stream::wait_visible)): so a client that reads the
    /// stream after its write finds the record.
    ///
    /// # Errors
    ///
    /// Whatever the host refuses; [`Failure::unknown_operation`] for what it does not serve.
    fn call(&self, call: Call<'_>) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;
}

/// A refusal, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body, with `__type` and `message`.
    pub body: Vec<u8>,
}

impl Failure {
    /// A refusal of a name that SDKs know, such as `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`.
    /// SDKs read the part behind the `#`.
    pub fn new(status: u16, type_name: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": type_name, "message": message });
        Self { status, body: body.to_string().into_bytes() }
    }

    /// The operation is not one of this host's.
    pub fn unknown_operation(name: &str) -> Self {
        let message = format!("This endpoint does not serve the operation {name}");
        Self::new(400, "com.amazon.coral.service#UnknownOperationException", &message)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self { status: error.status, body: error.body() }
    }
}
