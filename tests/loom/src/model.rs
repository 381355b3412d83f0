//! A model, and how loom explores it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Branch points that loom may record in one execution.
const MAX_BRANCHES: usize = 10_000;

/// One model.
pub(crate) struct Model {
    /// Unique name, with its module.
    pub(crate) name: &'static str,
    /// What it shows, as one sentence.
    pub(crate) claim: &'static str,
    /// Preemptions per execution that are explored (loom's bound).
    pub(crate) preemptions: usize,
    /// One execution.
    pub(crate) run: fn(),
}

impl Model {
    /// The bound in force. `LOOM_MAX_PREEMPTIONS` overrides that of the model.
    pub(crate) fn bound(&self) -> usize {
        let forced = std::env::var("LOOM_MAX_PREEMPTIONS").ok();
        forced.and_then(|bound| bound.parse().ok()).unwrap_or(self.preemptions)
    }

    /// Runs every execution within the bound and returns their number. The first execution
    /// that fails ends this process: unwinding through loom's threads would only add noise.
    pub(crate) fn explore(&'static self) -> usize {
        let executions = Arc::new(AtomicUsize::new(0));
        let failed_at = Arc::clone(&executions);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            eprintln!("in execution {}:", failed_at.load(Ordering::Relaxed));
            hook(panic);
            std::process::exit(1);
        }));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(self.bound());
        builder.max_branches = MAX_BRANCHES;
        let counter = Arc::clone(&executions);
        builder.check(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            (self.run)();
        });
        executions.load(Ordering::Relaxed)
    }
}
