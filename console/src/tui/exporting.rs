//! Exports an excerpt to a file, as `hourlog export` does.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use hourlog::ErrorKind;

use crate::{
    exit::Failure,
    export::{Contents, Destination, NewFile, Part, Target, Writer},
    output::counted,
    tui::{
        outlet::Outlet,
        work::{Export, Obstacle, Progress, Written},
    },
};

/// Writes the file, log by log, until `stop` is ready.
pub(super) async fn export(
    source: &impl Outlet,
    export: &Export,
    report: impl Fn(Progress) + Send + Sync,
    stop: impl Future<Output = ()>,
) -> Result<Written, Obstacle> {
    let events = AtomicU64::new(0);
    let observe = |contents: &Contents| {
        events.store(contents.checksum.events(), Relaxed);
        report(Progress { events: contents.checksum.events(), bytes: contents.bytes });
    };
    // An export that is stopped is dropped, which writes what is in memory to the unfinished file.
    tokio::select! {
        biased;
        () = stop => {}
        done = write(source, export, observe) => return done,
    }
    Err(Obstacle::Stopped(left(export, events.load(Relaxed))))
}

/// Returns a sentence on what is left of an export that was stopped.
fn left(export: &Export, events: u64) -> String {
    let written = counted(events, "event");
    match (events, export.excerpt.selection.is_all()) {
        (0, _) => "stopped: no event was written".to_owned(),
        (1, true) => format!("stopped: 1 event is in {}.part, and the command goes on after it", export.path),
        (_, true) => format!("stopped: {written} are in {}.part, and the command goes on after them", export.path),
        (_, false) => format!("stopped after {written}: no file is left, as an export with filters cannot go on"),
    }
}

async fn write(
    source: &impl Outlet,
    export: &Export,
    observe: impl FnMut(&Contents) + Send,
) -> Result<Written, Obstacle> {
    let Export { excerpt, path, replaces } = export;
    let scope = excerpt.scope();
    let Target::File(target) = Target::find(Some(Path::new(path)), *replaces).map_err(obstacle)? else {
        return Err(Obstacle::Failed(format!("{path} is not a plain file; the command writes to pipes and devices")));
    };
    let destination = if excerpt.selection.is_all() {
        let command = |_: &_| excerpt.command("export", "", &format!(" -O {path}"));
        let (mut part, found) = Part::open(target, &scope, command).map_err(obstacle)?;
        if let Some(found) = found {
            let events = counted(found.contents.checksum.events(), "event");
            return Err(Obstacle::InTheWay(format!(
                "{path}.part has {events} of this export, which was stopped; the command goes on after them"
            )));
        }
        part.start(&scope, 0).map_err(obstacle)?;
        Destination::Part(part)
    } else {
        Destination::File(NewFile::open(Target::File(target), false).await.map_err(obstacle)?)
    };
    let mut writer = Writer { destination, contents: Contents::default(), observe: Box::new(observe) };
    for log in excerpt.lanes.logs() {
        source.export(log, excerpt, &mut writer).await.map_err(obstacle)?;
    }
    let contents = writer.finish(&scope).map_err(obstacle)?;
    Ok(Written { events: contents.checksum.events(), bytes: contents.bytes })
}

/// Returns a failure as an obstacle.
fn obstacle(failure: Failure) -> Obstacle {
    match failure {
        // Only a file that the command replaces with --force may be replaced.
        Failure::Log(error) if error.kind() == ErrorKind::Refused && error.context().contains("--force") => {
            // Behind the reason stand options of the command, for which the dialog has keys.
            let reason = error.context().split("; ").next().unwrap_or_default();
            Obstacle::InTheWay(reason.to_owned())
        }
        failure => Obstacle::Failed(failure.sentence()),
    }
}
