//! Client request tokens: a transaction that is sent again with the same token is not carried out again.
//!
//! A token is remembered for ten minutes after its transaction succeeded, by the store's clock; one that
//! failed is forgotten. Source: AWS API reference, `TransactWriteItems`, `ClientRequestToken`.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use crate::error::{ApiError, ErrorKind};

/// How long a token is remembered.
const LIFE_MS: u64 = 10 * 60 * 1000;

/// The tokens of an emulator.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_token: HashMap<String, Entry>,
    /// The tokens whose transactions succeeded, in that order, with the time.
    succeeded: VecDeque<(u64, String)>,
}

struct Entry {
    /// Of the parameters.
    fingerprint: u128,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Running,
    Succeeded,
}

/// What to do with a transaction.
pub(crate) enum Begun<'t> {
    /// Carry it out.
    First(Attempt<'t>),
    /// Nothing: that was done before.
    Again,
}

/// A transaction that is being carried out. Unless it succeeds, its token is forgotten.
pub(crate) struct Attempt<'t> {
    tokens: &'t Tokens,
    token: String,
}

impl Tokens {
    /// A transaction with a token begins.
    pub(crate) fn begin(
        &self,
        token: String,
        fingerprint: u128,
        now_ms: u64,
    ) -> Result<Begun<'_>, ApiError> {
        let mut known = self.0.lock();
        known.forget(now_ms);
        match known.by_token.get(&token) {
            None => {}
            Some(entry) if entry.fingerprint != fingerprint => {
                return Err(ApiError::new(
                    ErrorKind::IdempotentParameterMismatch,
                    "The ClientRequestToken was used before, with other parameters",
                ));
            }
            Some(entry) if entry.state == State::Running => {
                return Err(ApiError::new(
                    ErrorKind::TransactionInProgress,
                    "The transaction with this ClientRequestToken is in progress",
                ));
            }
            Some(_) => return Ok(Begun::Again),
        }
        known.by_token.insert(token.clone(), Entry { fingerprint, state: State::Running });
        Ok(Begun::First(Attempt { tokens: self, token }))
    }
}

impl Known {
    fn forget(&mut self, now_ms: u64) {
        while let Some((_, token)) =
            self.succeeded.pop_front_if(|(at_ms, _)| now_ms.saturating_sub(*at_ms) >= LIFE_MS)
        {
            self.by_token.remove(&token);
        }
    }
}

impl Attempt<'_> {
    /// The transaction succeeded.
    pub(crate) fn succeed(self, now_ms: u64) {
        let mut known = self.tokens.0.lock();
        if let Some(entry) = known.by_token.get_mut(&self.token) {
            entry.state = State::Succeeded;
            known.succeeded.push_back((now_ms, self.token.clone()));
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut known = self.tokens.0.lock();
        if known.by_token.get(&self.token).is_some_and(|entry| entry.state == State::Running) {
            known.by_token.remove(&self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(begun: Result<Begun<'_>, ApiError>) -> String {
        match begun {
            Ok(Begun::First(_)) => "first".to_owned(),
            Ok(Begun::Again) => "again".to_owned(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn a_token_is_remembered_for_ten_minutes_after_a_success() {
        let tokens = Tokens::default();
        let begin = |fingerprint, now_ms| tokens.begin("t".to_owned(), fingerprint, now_ms);
        let Ok(Begun::First(attempt)) = begin(1, 0) else { panic!("the first") };
        assert_eq!(
            said(begin(1, 0)),
            "The transaction with this ClientRequestToken is in progress"
        );
        let other = "The ClientRequestToken was used before, with other parameters";
        assert_eq!(said(begin(2, 0)), other);
        attempt.succeed(1_000);
        assert_eq!(said(begin(1, 1_000)), "again");
        assert_eq!(said(begin(2, 600_999)), other);
        assert_eq!(said(begin(1, 600_999)), "again");
        assert_eq!(said(begin(2, 601_000)), "first");
    }

    #[test]
    fn a_token_is_forgotten_when_its_transaction_fails() {
        let tokens = Tokens::default();
        assert_eq!(said(tokens.begin("t".to_owned(), 1, 0)), "first");
        assert_eq!(said(tokens.begin("t".to_owned(), 2, 0)), "first");
        assert!(tokens.0.lock().by_token.is_empty());
    }
}
