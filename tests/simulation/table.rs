//! The fault × operation table: a pair that never met was never tested.

use crate::faults::Fault;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    GetStrong,
    GetStaleOk,
    GetWithin,
    GetFrom,
    GetIfNoneMatch,
    BatchGet,
    Lease,
    BatchLease,
    Renew,
    Fill,
    Abandon,
    Set,
    CompareAndSet,
    InvalidateLocal,
    InvalidateLog,
    InvalidateFleet,
    InvalidateSoft,
    InvalidatePrefix,
    InvalidateText,
    InvalidateAll,
    InvalidateVersion,
    Watch,
    WatchFiltered,
}

impl Operation {
    pub(crate) const ALL: [Self; 24] = [
        Self::Get,
        Self::GetStrong,
        Self::GetStaleOk,
        Self::GetWithin,
        Self::GetFrom,
        Self::GetIfNoneMatch,
        Self::BatchGet,
        Self::Lease,
        Self::BatchLease,
        Self::Renew,
        Self::Fill,
        Self::Abandon,
        Self::Set,
        Self::CompareAndSet,
        Self::InvalidateLocal,
        Self::InvalidateLog,
        Self::InvalidateFleet,
        Self::InvalidateSoft,
        Self::InvalidatePrefix,
        Self::InvalidateText,
        Self::InvalidateAll,
        Self::InvalidateVersion,
        Self::Watch,
        Self::WatchFiltered,
    ];
}

/// Operations that began while a fault was active. The last row: while none was.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    counts: [[u64; Operation::ALL.len()]; Fault::ALL.len() + 1],
}

impl Default for Table {
    fn default() -> Self {
        Self {
            counts: [[0; Operation::ALL.len()]; Fault::ALL.len() + 1],
        }
    }
}

impl Table {
    /// Counts one operation that begins while `active` faults are.
    pub(crate) fn began(&mut self, operation: Operation, active: &[u32; Fault::ALL.len()]) {
        let mut none = true;
        for (row, count) in active.iter().enumerate() {
            if *count > 0 {
                none = false;
                self.counts[row][operation as usize] += 1;
            }
        }
        self.counts[Fault::ALL.len()][operation as usize] += u64::from(none);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let cells = self.counts.iter_mut().flatten();
        for (mine, theirs) in cells.zip(other.counts.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// Pairs that never met.
    pub(crate) fn empty(&self) -> Vec<String> {
        let mut empty = Vec::new();
        for (row, counts) in self.counts.iter().enumerate() {
            let holes = Operation::ALL.iter().zip(counts).filter(|(_, n)| **n == 0);
            empty.extend(holes.map(|(operation, _)| format!("{} × {operation:?}", name(row))));
        }
        empty
    }
}

fn name(row: usize) -> String {
    Fault::ALL
        .get(row)
        .map_or("none".into(), |fault| format!("{fault:?}"))
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "| fault |")?;
        for operation in Operation::ALL {
            write!(f, " {operation:?} |")?;
        }
        write!(f, "\n|{}", " --- |".repeat(Operation::ALL.len() + 1))?;
        for (row, counts) in self.counts.iter().enumerate() {
            write!(f, "\n| {} |", name(row))?;
            for count in counts {
                write!(f, " {count} |")?;
            }
        }
        Ok(())
    }
}
