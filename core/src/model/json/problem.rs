//! Why an item was not read, in DynamoDB's words where they are known.
//!
//! "AWS" marks texts that DynamoDB itself has been seen to answer; "own" marks ours, for what AWS
//! answers in words that are not known or that speak of its own insides.

use crate::model::number::NumberProblem;

/// AWS.
pub(super) const EMPTY: &str =
    "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
/// AWS.
pub(super) const SEVERAL: &str = "Supplied AttributeValue has more than one datatypes set, must \
                                  contain exactly one of the supported datatypes";
/// AWS.
pub(super) const NULL_FALSE: &str = "One or more parameter values were invalid: Null attribute \
                                     value types must have the value of true";
/// AWS; the two spaces are its own.
pub(super) const NO_STRINGS: &str =
    "One or more parameter values were invalid: An string set  may not be empty";
/// AWS; the two spaces are its own.
pub(super) const NO_NUMBERS: &str =
    "One or more parameter values were invalid: An number set  may not be empty";
/// AWS.
pub(super) const NO_BINARIES: &str =
    "One or more parameter values were invalid: Binary sets should not be empty";
/// AWS.
pub(super) const SAME_NUMBERS: &str = "Input collection contains duplicates";
/// AWS, without the path to the attribute that some of its answers end with.
pub(super) const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits: Attributes in \
                                   the item have nested levels beyond supported limit";
/// Own: AWS's parser would have its say.
pub(super) const SAME_NAMES: &str = "an item or map names an attribute twice";
/// Own.
pub(super) const NO_BASE64: &str = "a binary value is not Base64";

/// AWS.
pub(super) fn same_strings(all: &[String]) -> String {
    let all = all.join(", ");
    format!(
        "One or more parameter values were invalid: Input collection [{all}] contains duplicates."
    )
}

/// AWS, of the elements as Base64; the missing space is its own.
pub(super) fn same_binaries(all: &[String]) -> String {
    let all = all.join(", ");
    format!(
        "One or more parameter values were invalid: Input collection [{all}]of type BS contains \
         duplicates."
    )
}

/// AWS.
pub(super) fn number(text: &str, problem: NumberProblem) -> String {
    match problem {
        NumberProblem::NotANumber if text.is_empty() => {
            "The parameter cannot be converted to a numeric value".into()
        }
        NumberProblem::NotANumber => {
            format!("The parameter cannot be converted to a numeric value: {text}")
        }
        NumberProblem::TooManyDigits => {
            "Attempting to store more than 38 significant digits in a Number".into()
        }
        NumberProblem::TooLarge => "Number overflow. Attempting to store a number with magnitude \
                                    larger than supported range"
            .into(),
        NumberProblem::TooSmall => "Number underflow. Attempting to store a number with magnitude \
                                    smaller than supported range"
            .into(),
    }
}

/// The words of an error, without its place in the text unless the text is no JSON at all.
pub(super) fn words(error: &serde_json::Error) -> Box<str> {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if error.is_data() { text.trim_end_matches(&place).into() } else { text.into() }
}
