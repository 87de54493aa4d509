//! The stream of one viewer.

use super::{
    message::{HELLO, LOG, Log, message},
    shared::{Counted, Shared},
    tally::{BIN, Cursor},
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Time after which a viewer is sent something though nothing happened, so that it knows that the program is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// A body that goes on until the viewer leaves or the output ends.
pub(super) fn stream(shared: &Arc<Shared>) -> Channel<Bytes, Infallible> {
    let (sender, body) = Channel::new(1);
    tokio::spawn(send(shared.viewer(), sender));
    body
}

/// Sends until the viewer has left: a send that fails means that its connection is gone.
async fn send(viewer: Counted, mut sender: Sender<Bytes, Infallible>) {
    let shared = &viewer.0;
    let (mut newest, mut news) = (shared.newest.subscribe(), shared.news.subscribe());
    let mut cursor = Cursor::default();
    let mut kind = HELLO;
    newest.mark_unchanged();
    loop {
        let log = log(shared, kind, &mut cursor);
        if sender.send_data(log).await.is_err() {
            return;
        }
        kind = LOG;
        // Frames until there is something else, or nothing for a while.
        loop {
            let waited = timeout(SIGN_OF_LIFE, async {
                tokio::select! {
                    changed = newest.changed() => changed.map(|()| true),
                    changed = news.changed() => changed.map(|()| false),
                }
            });
            match waited.await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) if *news.borrow_and_update() => return,
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(_)) => return,
            }
            let frame = newest.borrow_and_update().clone();
            if let Some(frame) = frame
                && sender.send_data(frame).await.is_err()
            {
                return;
            }
        }
    }
}

/// What the viewer at `cursor` has not been sent.
fn log(shared: &Shared, kind: u8, cursor: &mut Cursor) -> Bytes {
    let tally = shared.tally();
    let (bins, events, next) = tally.news(*cursor);
    let source = tally.source.clone();
    let now = tally.bin_at(Instant::now());
    drop(tally);
    *cursor = next;
    let log = Log {
        source: &source,
        version: env!("CARGO_PKG_VERSION"),
        bin: BIN.as_millis() as u64,
        now,
        bins,
        events,
    };
    message(kind, &log, &[])
}
