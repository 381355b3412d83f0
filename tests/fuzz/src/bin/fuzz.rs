//! A target under libFuzzer: the one that FUZZ_TARGET in the environment names.

#![no_main]

use std::sync::LazyLock;

use cap_map_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = TARGETS.into_iter().find(|(name, _)| *name == wanted) else {
        eprintln!("fuzz: FUZZ_TARGET names no target: {wanted:?}");
        std::process::exit(2);
    };
    target
});

libfuzzer_sys::fuzz_target!(init: LazyLock::force(&TARGET), |data: &[u8]| TARGET(data));
