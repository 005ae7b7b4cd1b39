//! The further cases that every [`Store`](hourlog::store::Store) must pass, one topic per file.

#![expect(missing_docs, reason = "a case's name is the claim that it proves")]

pub mod archive_properties;
pub mod arrivals;
pub mod counts;
pub mod cursors;
pub mod index;
pub mod pages;
pub mod reads;
pub mod records;
pub mod removal;
pub mod settings;
pub mod widths;
