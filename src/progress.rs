//! The events of work that takes long, and the request to end it: one trait for runs, audits and phantom folders.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Receives the events of work that takes long: `E` is the event type of that work, such as [`crate::run::Event`].
///
/// Events arrive in order on the thread that does the work, or on several threads where the event type says so. The work waits until
/// [`Observer::event`] returns. A closure `Fn(E)` is an observer too, and `()` is one that ignores every event.
///
/// An event type with a lifetime is observed for any lifetime: `impl Observer<Event<'_>> for Mine`, stored as
/// `dyn for<'a> Observer<Event<'a>>`.
pub trait Observer<E>: Send + Sync {
    /// Called once for each event.
    fn event(&self, event: E);
}

/// Ignores every event.
impl<E> Observer<E> for () {
    fn event(&self, _: E) {}
}

impl<E, F: Fn(E) + Send + Sync> Observer<E> for F {
    fn event(&self, event: E) {
        self(event);
    }
}

/// Each event goes to every observer, in their order.
impl<E: Copy, O: Observer<E> + ?Sized> Observer<E> for Vec<Arc<O>> {
    fn event(&self, event: E) {
        self.iter().for_each(|observer| observer.event(event));
    }
}

/// A request to end work before it is complete. Clones share the request, which cannot be withdrawn.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Request>);

#[derive(Debug, Default)]
struct Request {
    made: AtomicBool,
    /// When it counts as made.
    at: Option<Instant>,
    /// One that counts as this one too.
    above: Option<Cancel>,
}

impl Cancel {
    /// Requests the end.
    pub fn request(&self) {
        self.0.made.store(true, Ordering::Relaxed);
    }

    /// Whether the end was requested, through this value or a clone of it.
    pub fn is_requested(&self) -> bool {
        let Request { made, at, above } = &*self.0;
        made.load(Ordering::Relaxed)
            || at.is_some_and(|at| Instant::now() >= at)
            || above.as_ref().is_some_and(Self::is_requested)
    }

    /// A request of its own, which also counts as made where this one is.
    #[must_use]
    pub fn below(&self) -> Self {
        self.with(None)
    }

    /// The same, which also counts as made from `at` on.
    #[must_use]
    pub fn until(&self, at: Instant) -> Self {
        self.with(Some(at))
    }

    fn with(&self, at: Option<Instant>) -> Self {
        Self(Arc::new(Request {
            made: AtomicBool::new(false),
            at,
            above: Some(self.clone()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn closures_and_lists_of_them_observe() {
        let sum = Arc::new(AtomicU64::new(0));
        let adding = |factor: u64| {
            let sum = sum.clone();
            Arc::new(move |event: &u64| {
                sum.fetch_add(factor * event, Ordering::Relaxed);
            }) as Arc<dyn for<'a> Observer<&'a u64>>
        };
        vec![adding(1), adding(10)].event(&3);
        assert_eq!(sum.load(Ordering::Relaxed), 33);
        Observer::event(&(), &3);
    }

    #[test]
    fn clones_share_the_request() {
        let cancel = Cancel::default();
        let clone = cancel.clone();
        assert!(!clone.is_requested());
        cancel.request();
        assert!(clone.is_requested());
    }

    #[test]
    fn a_request_until_a_moment_leaves_the_one_above_alone() {
        let above = Cancel::default();
        let later = above.until(Instant::now() + std::time::Duration::from_secs(3600));
        assert!(!later.is_requested());
        assert!(above.until(Instant::now()).is_requested());
        later.request();
        assert!(later.is_requested() && !above.is_requested());
        let other = above.until(Instant::now() + std::time::Duration::from_secs(3600));
        above.request();
        assert!(other.is_requested());
    }
}
