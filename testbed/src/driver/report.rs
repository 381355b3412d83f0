//! What a run says about itself.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::verify::{FINDINGS, Verdict};

/// Result of a command.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) command: &'static str,
    pub(crate) objects: u32,
    /// Migrations made.
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// How often the table has grown.
    pub(crate) growths: u32,
    /// Capabilities found as they should be, summed over the rounds.
    pub(crate) restored: u64,
    pub(crate) lost: u64,
    pub(crate) misdirected: u64,
    /// Slots of a restored table that were left out when the badges were rewritten.
    pub(crate) left_out: u64,
    /// Slots whose new badge belonged to another slot before.
    pub(crate) overlapping: u64,
    /// Calls that clients made while capabilities came and went.
    pub(crate) calls: u64,
    /// Snapshots of the table in use: of one instant, and others.
    pub(crate) snapshots: u64,
    pub(crate) other_snapshots: u64,
    pub(crate) seconds: f64,
    /// What was wrong, the first few.
    pub(crate) findings: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, verdict: Verdict) {
        self.restored += verdict.restored;
        self.lost += verdict.lost;
        self.misdirected += verdict.misdirected;
        self.overlapping += verdict.overlapping;
        self.findings.extend(verdict.findings);
    }

    /// Slots that the rewrite of a restored table left out. Nobody else writes that table, so
    /// there should be none, and the verification finds each of them, too.
    pub(crate) fn add_left_out(&mut self, slots: &[u32]) {
        self.left_out += slots.len() as u64;
        let text = |slot| format!("slot {slot} was left out when the badges were rewritten");
        self.findings.extend(slots.iter().take(FINDINGS).map(text));
    }

    /// Whether nothing was lost or misdirected.
    pub(crate) fn good(&self) -> bool {
        self.lost == 0 && self.misdirected == 0
    }

    /// The result as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// The result without the findings.
    pub(crate) fn text(&self) -> String {
        let facts = format!(
            "{} rounds, {} growths, {} calls, {} snapshots, {} new badges that other slots had \
             before, {:.1} s\n",
            self.rounds,
            self.growths,
            self.calls,
            self.snapshots + self.other_snapshots,
            self.overlapping,
            self.seconds
        );
        let verdict = format!(
            "{}: {} capabilities restored, {} lost, {} misdirected\n",
            self.command, self.restored, self.lost, self.misdirected
        );
        facts + &verdict
    }
}

/// A progress bar where somebody can see it.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    let visible = std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
