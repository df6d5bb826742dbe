//! Who waits for which moment. A timer that was cancelled stays in the heap
//! and is passed over; its slot is used again under another number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

/// One timer that was set: its number, and where its waker is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    number: u64,
    slot: usize,
}

#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(u64, Timer)>>,
    wakers: Vec<(u64, Option<Waker>)>,
    free: Vec<usize>,
    set: u64,
}

impl Timers {
    /// Sets a timer, or gives one that is set another waker.
    pub(super) fn set(&mut self, timer: Option<Timer>, at: u64, waker: &Waker) -> Timer {
        if let Some(timer) = timer
            && let (number, Some(known)) = &mut self.wakers[timer.slot]
            && *number == timer.number
        {
            known.clone_from(waker);
            return timer;
        }
        self.set += 1;
        let slot = self.free.pop().unwrap_or(self.wakers.len());
        if slot == self.wakers.len() {
            self.wakers.push((0, None));
        }
        self.wakers[slot] = (self.set, Some(waker.clone()));
        let timer = Timer {
            number: self.set,
            slot,
        };
        self.heap.push(Reverse((at, timer)));
        timer
    }

    /// The waker of a timer that nobody waits for any more.
    pub(super) fn cancel(&mut self, timer: Timer) -> Option<Waker> {
        let (number, waker) = &mut self.wakers[timer.slot];
        if *number != timer.number {
            return None;
        }
        let waker = waker.take()?;
        self.free.push(timer.slot);
        Some(waker)
    }

    /// The next moment that somebody waits for.
    pub(super) fn next(&mut self) -> Option<u64> {
        while let Some(Reverse((at, timer))) = self.heap.peek() {
            let (number, waker) = &self.wakers[timer.slot];
            if *number == timer.number && waker.is_some() {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes all timers until `now`, in the order of their moments.
    pub(super) fn due(&mut self, now: u64) -> Vec<Waker> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            if let Some(Reverse((_, timer))) = self.heap.pop() {
                due.extend(self.cancel(timer));
            }
        }
        due
    }
}
