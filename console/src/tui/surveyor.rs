//! Carries out a survey of a window, page by page.

use futures_util::{Stream, StreamExt, stream};
use hourlog::{Position, Result, wire::PAGE_EVENTS_MAX};

use crate::tui::{
    merging,
    source::Source,
    survey::{NUMBERS_MAX, Survey, SurveyKind, Surveyed, take},
};

/// Reads a window, page by page. After an error nothing follows.
pub fn survey<'a>(source: &'a impl Source, survey: &'a Survey) -> impl Stream<Item = Result<Surveyed>> + Send + 'a {
    let (from, to) = (Position::at(survey.window.0), Position::at(survey.window.1));
    let pages = merging::stretch(source, &survey.lanes, (from, to), PAGE_EVENTS_MAX, &survey.selection).boxed();
    stream::unfold(Some((pages, 0)), move |state| async move {
        let (mut pages, scanned) = state?;
        let page = match pages.next().await? {
            Ok(page) => page,
            Err(error) => return Some((Err(error), None)),
        };
        // Events that a filter passes over are read, too.
        let scanned = scanned + page.scanned;
        let is_enough = survey.kind == SurveyKind::Numbers && scanned >= NUMBERS_MAX;
        let is_at_end = page.to >= to;
        let (goes_on, is_cut) = (!is_at_end && !is_enough, !is_at_end && is_enough);
        let surveyed = Surveyed { goes_on, is_cut, ..take(survey, page.events.into_iter()) };
        Some((Ok(surveyed), goes_on.then_some((pages, scanned))))
    })
}
