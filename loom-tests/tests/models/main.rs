//! The loom models of streamcore: one file for each protocol, all in one binary.
//!
//! `harness` runs them and says how; `canary` and `checker` check the checker itself; `guard` makes
//! sure that everything is there. The mutants that the models must kill lie in `../../mutants`.

mod batch;
mod canary;
mod checker;
mod guard;
mod harness;
mod hollow;
mod install;
mod ledger;
mod poll;
mod prefix;
mod provision;
mod publish;
mod recycle;
mod retain;
mod seal;
mod steps;
mod topology;
mod trim;
mod wake;
mod wakers;
