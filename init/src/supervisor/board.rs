//! How all services stand, for those that wait for one of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::watch;

use super::dependencies::{Gate, Need, Standing, gate};

/// The standings of all services; clones are the same board.
#[derive(Debug, Clone, Default)]
pub struct Board {
    standings: Rc<watch::Sender<BTreeMap<String, Standing>>>,
}

impl Board {
    /// Takes down how a service stands, and wakes those that look, if that is news.
    pub fn set(&self, name: &str, standing: Standing) {
        self.standings.send_if_modified(|standings| match standings.get_mut(name) {
            Some(known) => std::mem::replace(known, standing) != standing,
            None => standings.insert(name.to_owned(), standing).is_none(),
        });
    }

    /// Whether a service with these needs may start now.
    #[must_use]
    pub fn gate(&self, needs: &[Need]) -> Gate {
        gate(needs, |name| self.standing(name))
    }

    /// How a service stands; one that nobody has heard of is yet to come.
    #[must_use]
    pub fn standing(&self, name: &str) -> Standing {
        self.standings.borrow().get(name).copied().unwrap_or(Standing::Coming)
    }

    /// Tells when something changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BTreeMap<String, Standing>> {
        self.standings.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::dependencies::Bond;

    #[test]
    fn only_news_wakes_those_who_look() {
        let board = Board::default();
        let needs = [Need { name: "db".into(), bond: Bond::Requires }];
        assert_eq!(board.gate(&needs), Gate::Shut { by: "db".into(), standing: Standing::Coming });
        let mut watch = board.watch();
        for (standing, news) in [(Standing::Coming, true), (Standing::Coming, false), (Standing::Ready, true)]
        {
            board.set("db", standing);
            assert_eq!(watch.has_changed().unwrap(), news, "{standing:?}");
            watch.mark_unchanged();
        }
        assert_eq!(board.gate(&needs), Gate::Open);
    }
}
