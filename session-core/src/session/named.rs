use std::collections::HashMap;

use smallvec::SmallVec;

/// Values by name, in the order in which their names first came.
///
/// As many as a request usually sets are looked through, which costs less than to hash them. Since it may be visitors who
/// choose the names, more of them are found by a hash that nobody can foresee.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    list: SmallVec<[(Box<str>, T); 1]>,
    /// The places in the list; empty as long as it is short.
    places: HashMap<Box<str>, usize>,
}

const SHORT: usize = 8;

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            list: SmallVec::new(),
            places: HashMap::default(),
        }
    }
}

impl<T> Named<T> {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where in the order the name stands.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        if self.list.len() > SHORT {
            return self.places.get(name).copied();
        }
        self.list.iter().position(|(known, _)| **known == *name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.at(self.place_of(name)?)
    }

    pub(crate) fn at(&self, place: usize) -> Option<&T> {
        self.list.get(place).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let place = self.place_of(name)?;
        self.list.get_mut(place).map(|(_, value)| value)
    }

    /// Puts a value in the place of the one that has the name, or else behind all others.
    pub(crate) fn insert(&mut self, name: &str, value: T) {
        if let Some(known) = self.get_mut(name) {
            *known = value;
            return;
        }
        self.list.push((name.into(), value));
        if self.places.is_empty() {
            self.note_places();
        } else {
            self.places.insert(name.into(), self.list.len() - 1);
        }
    }

    fn note_places(&mut self) {
        self.places.clear();
        if self.list.len() > SHORT {
            let names = self.list.iter().map(|(name, _)| name.clone());
            self.places.extend(names.zip(0..));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.list.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut T)> {
        self.list.iter_mut().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.list.retain(|(_, value)| keep(&*value));
        self.note_places();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_order_in_which_they_came_however_many_there_are() {
        let mut named = Named::default();
        for number in 0..100 {
            let name = format!("k{number}");
            named.insert(&name, number);
            assert_eq!(named.place_of(&name), Some(number));
            assert_eq!(named.place_of("other"), None);
        }
        for number in (0..100).rev() {
            named.insert(&format!("k{number}"), 2 * number);
        }
        let values: Vec<_> = named.iter().map(|(_, value)| *value).collect();
        assert_eq!(
            values,
            (0..100).map(|number| 2 * number).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_not_kept_leaves_no_place_behind() {
        for count in [4, 40] {
            let mut named = Named::default();
            for number in 0..count {
                named.insert(&format!("k{number}"), number);
            }
            named.retain(|number| number % 2 == 1);
            assert_eq!(named.len(), count / 2);
            for number in 0..count {
                let kept = (number % 2 == 1).then_some(&number);
                assert_eq!(named.get(&format!("k{number}")), kept);
            }
        }
    }
}
