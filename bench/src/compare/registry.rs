//! Who takes part.

use serde::{Deserialize, Serialize};

use crate::contender::{Ability, Contender, Lack, Refusal, abilities};
use crate::contenders::{
    AppendOnly, Boxcar, Channel, Combining, Disruptor, Lanes, Orx, ParkingMutex, ParkingRwLock,
    Queue, Replaced, StdMutex, StdRwLock, Streamcore, StreamcoreKept, StreamcoreProvisioned,
};
use crate::measure::floors::Floor;
use crate::measure::{Measurement, STORES, about_store, measure_log, measure_store, prepare_store};
use crate::scenario::{PayloadKind, Scenario, Work};

/// The contenders of a run.
pub struct Registry {
    logs: Vec<Entry>,
}

struct Entry {
    name: &'static str,
    about: &'static str,
    is_prototype: bool,
    abilities: fn() -> Vec<Ability>,
    measure: fn(&Scenario) -> Result<Measurement, Refusal>,
}

/// What a report says of a contender.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// What it can do; empty for a store.
    pub abilities: Vec<Ability>,
}

/// The contender that all others are compared with.
pub const BASE: &str = Streamcore::NAME;
/// The same for scenarios of a store.
pub const STORE_BASE: &str = STORES[1].0;

impl Registry {
    /// Nobody.
    #[must_use]
    pub fn empty() -> Self {
        Self { logs: Vec::new() }
    }

    /// All that come with the harness.
    // Inlined, so that only programs that use it compile all that code.
    #[inline]
    #[must_use]
    pub fn standard() -> Self {
        Self::empty()
            .with::<Streamcore>()
            .with::<StreamcoreKept>()
            .with::<StreamcoreProvisioned>()
            .with::<StdMutex>()
            .with::<StdRwLock>()
            .with::<ParkingMutex>()
            .with::<ParkingRwLock>()
            .with::<Boxcar>()
            .with::<AppendOnly>()
            .with::<Orx>()
            .with::<Queue>()
            .with::<Channel>()
            .with::<Disruptor>()
            .with::<Replaced>()
            .with_prototype::<Lanes>()
            .with_prototype::<Combining>()
    }

    /// And another one, which takes the place of one of the same name.
    #[must_use]
    pub fn with<C: Contender>(mut self) -> Self {
        self.logs.retain(|entry| entry.name != C::NAME);
        self.logs.push(Entry {
            name: C::NAME,
            about: C::ABOUT,
            is_prototype: false,
            abilities: abilities::<C>,
            measure: measure_log::<C>,
        });
        self
    }

    /// And another one, which is there to show what an arrangement would gain: it takes part where several
    /// writers append to one log and nothing else is going on, and elsewhere when it is named.
    #[must_use]
    pub fn with_prototype<C: Contender>(self) -> Self {
        let mut registry = self.with::<C>();
        if let Some(added) = registry.logs.last_mut() {
            added.is_prototype = true;
        }
        registry
    }

    /// Whether a contender takes part in a scenario only if it is named.
    #[must_use]
    pub fn must_be_named(&self, name: &str, scenario: &Scenario) -> bool {
        let is_prototype = self.logs.iter().any(|entry| entry.name == name && entry.is_prototype);
        let usual = Scenario::append(PayloadKind::B64).writers(scenario.writers);
        is_prototype && (scenario.writers == 1 || *scenario != usual)
    }

    /// Who can take part in a scenario; floors first.
    #[must_use]
    pub fn names(&self, scenario: &Scenario) -> Vec<&'static str> {
        let mut names: Vec<_> = Floor::of(scenario).into_iter().map(Floor::name).collect();
        match scenario.work {
            Work::Floors => {}
            work if work.is_of_store() => names.extend(STORES.map(|(name, _)| name)),
            _ => names.extend(self.logs.iter().map(|entry| entry.name)),
        }
        names
    }

    /// All contenders, and what they can do.
    #[must_use]
    pub fn about(&self) -> Vec<About> {
        let logs = self.logs.iter().map(|entry| About {
            name: entry.name.into(),
            about: entry.about.into(),
            abilities: (entry.abilities)(),
        });
        let stores = STORES.map(|store| About {
            name: store.0.into(),
            about: about_store(store),
            abilities: Vec::new(),
        });
        logs.chain(stores).collect()
    }

    /// Does what has to be done before anything is timed: what is not written in Rust is built.
    pub fn prepare(&self, name: &str) {
        prepare_store(name);
    }

    /// Measures one, in this process.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: it cannot do it, is not known, or does it wrong.
    pub fn measure(&self, name: &str, scenario: &Scenario) -> Result<Measurement, Refusal> {
        if let Some(floor) = Floor::named(name) {
            return floor.measure(scenario);
        }
        if STORES.iter().any(|(store, _)| *store == name) {
            return measure_store(name, scenario);
        }
        match self.logs.iter().find(|entry| entry.name == name) {
            Some(entry) => (entry.measure)(scenario),
            None => Err(Lack::of(format!("nobody here is called {name:?}")).into()),
        }
    }
}

impl Default for Registry {
    #[inline]
    fn default() -> Self {
        Self::standard()
    }
}
