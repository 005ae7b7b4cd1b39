//! Writing events to a file: what the command line and the console share.
//!
//! `scope` is what an export is of, `walk` reads one log of it. `destination` is where the lines go, as `target` names it,
//! `part` a file that is not complete yet, `file` one that is never continued. `contents` is what the lines hold, `trailer`
//! the last of them.

mod contents;
mod destination;
mod file;
mod part;
mod scope;
mod target;
mod trailer;
pub(crate) mod walk;
mod writer;

pub use self::writer::Writer;
pub(crate) use self::{
    contents::Contents,
    destination::{Destination, Stream},
    file::{NewFile, Output},
    part::{Found, Part},
    scope::Scope,
    target::{Target, refused},
    trailer::{Checksum, ChecksumBuilder},
    walk::{Continued, up_to_newest},
    writer::event_line,
};
