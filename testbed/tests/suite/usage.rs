//! Mistakes on the command line.

use crate::common::cap_map;

#[test]
fn mistakes_show_the_usage_and_end_with_status_2() {
    let mistakes: [&[&str]; 9] = [
        &[],
        &["emigrate"],
        &["migrate", "--objects"],
        &["migrate", "--objects=0"],
        &["migrate", "--objects=3001"],
        &["migrate", "--rounds=many"],
        &["migrate", "extra"],
        &["restore"],
        &["inspect"],
    ];
    for arguments in mistakes {
        let outcome = cap_map(arguments);
        assert_eq!(outcome.status.code(), Some(2), "{arguments:?}");
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(outcome.stderr.contains("Usage: cap_map"), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn help_is_no_mistake_and_hides_the_roles() {
    let outcome = cap_map(&["--help"]).expect_success();
    for command in ["migrate", "restore", "inspect"] {
        assert!(outcome.stdout.contains(command), "{}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("--parent"));
    assert!(!outcome.stdout.contains("clients\n"));
}

#[test]
fn roles_do_not_run_on_their_own() {
    let outcome = cap_map(&["target", "--parent=1"]);
    // As when its parent dies while it starts: ended by a signal, without a word.
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (None, ""));
}
