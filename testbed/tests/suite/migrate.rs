//! The main job: migrations end with nothing lost and nothing misdirected.

use crate::common::cap_map;

/// Number in front of the capabilities in the last line.
fn restored(line: &str) -> u64 {
    let rest = line.strip_prefix("migrate: ").expect(line);
    let (number, rest) = rest.split_once(' ').expect(line);
    assert_eq!(rest, "capabilities restored, 0 lost, 0 misdirected");
    number.parse().expect(line)
}

#[test]
fn two_rounds() {
    let outcome = cap_map(&["migrate", "--objects=100", "--rounds=2"]).expect_success();
    // Besides the objects: factory, probe, two objects of each of three
    // entrypoints, parent, thread and protection domain.
    assert!(restored(outcome.last_line()) >= 2 * (100 + 2 + 6 + 3));
    assert_eq!(outcome.stderr, "", "no progress bar without a terminal");
}

#[test]
fn several_seeds() {
    for seed in 10..16 {
        let seed = seed.to_string();
        let outcome = cap_map(&["migrate", "--objects=40", "--rounds=1", "--seed", &seed]);
        assert!(restored(outcome.expect_success().last_line()) > 40);
    }
}

#[test]
fn one_object() {
    let outcome = cap_map(&["migrate", "--objects=1", "--rounds=1"]).expect_success();
    assert!(restored(outcome.last_line()) >= 12);
}

#[test]
fn result_as_json() {
    let outcome = cap_map(&["migrate", "--objects=30", "--rounds=1", "--seed=5", "--json"]);
    let outcome = outcome.expect_success();
    let result: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(outcome.stdout.lines().count(), 1);
    assert_eq!(result["command"], "migrate");
    assert_eq!((result["objects"].as_u64(), result["seed"].as_u64()), (Some(30), Some(5)));
    assert_eq!((result["lost"].as_u64(), result["misdirected"].as_u64()), (Some(0), Some(0)));
    assert!(result["restored"].as_u64() > Some(30));
    // Otherwise the new system would not be a challenge.
    assert!(result["overlapping"].as_u64() > Some(20), "{result}");
}
