//! A bounded list that is copied and hashed with the state it belongs to.
//!
//! Positions in it are counted from 1, as the log's sequences are.

use std::fmt;

/// At most `N` items.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row<T, const N: usize> {
    items: [Option<T>; N],
    length: u8,
}

impl<T: Copy, const N: usize> Row<T, N> {
    pub(crate) fn new() -> Self {
        let (items, length) = ([None; N], 0);
        Self { items, length }
    }

    /// The position of the last item; 0: there is none.
    pub(crate) fn last(&self) -> u8 {
        self.length
    }

    /// Appends an item and returns its position.
    pub(crate) fn push(&mut self, item: T) -> u8 {
        self.items[usize::from(self.length)] = Some(item);
        self.length += 1;
        self.length
    }

    /// Forgets what is after `position`.
    pub(crate) fn cut(&mut self, position: u8) {
        self.items[usize::from(position)..].fill(None);
        self.length = position;
    }

    pub(crate) fn at(&self, position: u8) -> Option<T> {
        let index = usize::from(position).checked_sub(1)?;
        self.items.get(index).copied().flatten()
    }

    /// Positions and items, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u8, T)> {
        let items = self.items[..usize::from(self.length)].iter().enumerate();
        items.filter_map(|(index, item)| Some((index as u8 + 1, (*item)?)))
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Row<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.items.iter().flatten()).finish()
    }
}
