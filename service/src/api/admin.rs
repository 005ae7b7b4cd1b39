//! `admin`: creates, changes and removes logs. One file per verb; the log's actor does the work, in
//! order with its writes.

mod alter;
mod create;
mod delete;
mod purge;
mod requeue;

pub(super) use self::{
    alter::answer as alter, create::answer as create, delete::answer as delete, purge::answer as purge,
    requeue::answer as requeue,
};
