//! Carries out a survey of a window, page by page.

use std::future::ready;

use futures_util::{Stream, StreamExt, stream};
use hourlog::{Position, Result, wire::PAGE_EVENTS_MAX};

use crate::tui::{
    merging,
    scan::Direction,
    source::Source,
    survey::{NUMBERS_MAX, Survey, SurveyKind, Surveyed, take},
};

/// Reads a window, page by page.
pub fn survey(source: &impl Source, survey: &Survey) -> impl Stream<Item = Result<Surveyed>> {
    let (from, to) = survey.window;
    let pages = stream::try_unfold(Some((Position::at(from), 0)), move |state| async move {
        let Some((at, scanned)) = state else { return Ok(None) };
        let page =
            merging::page(source, &survey.lanes, at, Direction::Forward, PAGE_EVENTS_MAX, &survey.selection).await?;
        let inside =
            page.events.len() - page.events.iter().rev().take_while(|event| event.position.offset >= to).count();
        let mut surveyed = take(survey, page.events.into_iter().take(inside));
        // Events that a filter passes over are read, too.
        let scanned = scanned + page.scanned;
        let is_enough = survey.kind == SurveyKind::Numbers && scanned >= NUMBERS_MAX;
        let is_at_end = page.to >= Position::at(to);
        (surveyed.goes_on, surveyed.is_cut) = (!is_at_end && !is_enough, !is_at_end && is_enough);
        let next = surveyed.goes_on.then_some((page.to, scanned));
        Ok(Some((surveyed, next)))
    });
    // After an error nothing follows.
    pages.scan(false, |has_failed, page| {
        let is_after = std::mem::replace(has_failed, page.is_err());
        ready((!is_after).then_some(page))
    })
}
