//! Stored entries and their envelope.
