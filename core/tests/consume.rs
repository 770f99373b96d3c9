//! Consumers of whole streams: order through rolls and splits, starting points, checkpoints, gaps,
//! waiting, and many of everything at once.

#[path = "consume/gaps.rs"]
mod gaps;
#[path = "consume/host.rs"]
mod host;
#[path = "consume/lineage.rs"]
mod lineage;
#[path = "consume/masses.rs"]
mod masses;
#[path = "consume/resume.rs"]
mod resume;
#[path = "consume/waiting.rs"]
mod waiting;
