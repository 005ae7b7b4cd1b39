//! The cases that every log must pass, one topic per file. Each case opens an implementation of its
//! own.

#![expect(missing_docs, reason = "a case's name is the claim that it proves")]

pub mod edges;
pub mod follow;
pub mod handles;
pub mod read;
pub mod restart;
pub mod seek;
pub mod streams;
pub mod ties;
pub mod times;
pub mod write;
