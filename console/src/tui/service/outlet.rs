//! The service, and the server that it is connected to, as a way out.

use hourlog::LogId;

use crate::{
    connect::Denials,
    exit::Failure,
    export::{Writer, walk},
    replay::{Capture, Pacing, Sender, Step, Target, send_all},
    tui::{
        excerpt::Excerpt,
        outlet::{Outlet, Route},
    },
};

use super::Service;

impl Outlet for Service {
    async fn export(&self, log: &LogId, excerpt: &Excerpt, writer: &mut Writer<'_>) -> Result<(), Failure> {
        let remote = self.remote().await?;
        let walk = async {
            match excerpt.selection.is_all() {
                true => walk::whole(remote, log, &excerpt.scope(), writer).await,
                false => walk::selected(remote, log, &excerpt.request(), writer).await,
            }
        };
        self.denials.unless(Some(&remote.subjects().replay(log)), walk).await
    }

    async fn capture(&self, target: &Target, logs: &[LogId]) -> Result<(Capture, Option<String>), Failure> {
        let connection = self.connect.open(Denials::default()).await?;
        Capture::find(&self.connect, &connection, target, logs).await
    }

    async fn replay(
        &self,
        route: &Route,
        pacing: Pacing<'_>,
        report: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), Failure> {
        // A connection of its own: a denial ends the replay, and nothing else.
        let denials = Denials::default();
        let connection = self.connect.open(denials.clone()).await?;
        let mut sender = match &route.capture {
            Capture::Nothing => Sender::plain(&self.connect, denials.clone(), &connection).await?,
            Capture::Stream(_) | Capture::Logs(_) => {
                Sender::acknowledged(&self.connect, denials.clone(), &connection, route.is_into_log)
            }
        };
        let report = |step: Step<'_>| {
            report(step);
            Ok(())
        };
        denials.unless(None, send_all(pacing, &route.target, &mut sender, report)).await.map(drop)
    }
}
