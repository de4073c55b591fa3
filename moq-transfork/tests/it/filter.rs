//! Filters, and what announcements say relative to them.

use moq_transfork::path::PathError;
use moq_transfork::{Dialect, Filter, Path};
use proptest::prelude::*;

use crate::path::{any_path, path};

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

/// What a filter captures of a path, all as text.
fn capture(text: &str, track: &str) -> Option<String> {
    filter(text)
        .capture(&path(track))
        .map(|capture| capture.to_text().unwrap())
}

#[test]
fn a_pattern_captures_what_its_star_stands_for() {
    assert_eq!(capture("", "a/b").as_deref(), Some("a/b"));
    assert_eq!(capture("*", "a/b").as_deref(), Some("a/b"));
    assert_eq!(
        capture("/demo/*", "/demo/bbb/video").as_deref(),
        Some("bbb/video")
    );
    assert_eq!(capture("/demo/*", "/demo/").as_deref(), Some(""));
    assert_eq!(capture("/demo/*", "/demo"), None);
    assert_eq!(
        capture("*.karp", "/demo/bbb.karp").as_deref(),
        Some("/demo/bbb")
    );
    assert_eq!(capture("*.karp", "/demo/bbb"), None);
    assert_eq!(capture("/d*a", "/demo/a").as_deref(), Some("emo/"));
    assert_eq!(capture("/demo/bbb", "/demo/bbb").as_deref(), Some(""));
    assert_eq!(capture("/demo/bbb", "/demo/bbb/x"), None);
}

#[test]
fn head_and_tail_do_not_overlap() {
    assert_eq!(capture("ab*ba", "aba"), None);
    assert_eq!(capture("ab*ba", "abba").as_deref(), Some(""));
}

#[test]
fn only_the_first_star_stands_for_text() {
    assert_eq!(capture("a*b*", "axb*").as_deref(), Some("x"));
    assert_eq!(capture("a*b*", "axbx"), None);
}

#[test]
fn the_prefix_of_a_pattern_is_its_complete_parts() {
    let prefix = |text: &str| filter(text).prefix();
    assert_eq!(prefix("*"), Path::default());
    assert_eq!(prefix("*.karp"), Path::default());
    assert_eq!(prefix("de*"), Path::default());
    assert_eq!(prefix("/de*"), Path::new([""]).unwrap());
    assert_eq!(prefix("/demo/*"), path("/demo"));
    assert_eq!(prefix("/demo/b*b"), path("/demo"));
    assert_eq!(prefix("/demo/bbb"), path("/demo/bbb"));
}

#[test]
fn a_prefix_becomes_a_pattern_where_paths_are_strings() {
    let prefix = Filter::Prefix(path("demo/bbb"));
    assert_eq!(
        prefix.in_dialect(Dialect::Fork04s).unwrap(),
        filter("demo/bbb/*")
    );
    assert_eq!(prefix.in_dialect(Dialect::Fork04).unwrap(), prefix);
    assert_eq!(
        Filter::any().in_dialect(Dialect::Fork04s).unwrap(),
        Filter::any()
    );
    for bad in [Path::new(["a*b"]), Path::new(["a/b"]), Path::new([""])] {
        assert!(
            Filter::Prefix(bad.unwrap())
                .in_dialect(Dialect::Fork04s)
                .is_err()
        );
    }
}

#[test]
fn a_pattern_becomes_a_prefix_where_paths_have_parts() {
    let pattern = filter("/demo/b*b");
    let prefix = Filter::Prefix(path("/demo"));
    assert_eq!(pattern.in_dialect(Dialect::Fork02).unwrap(), prefix);
    assert_eq!(pattern.in_dialect(Dialect::Fork04s).unwrap(), pattern);
}

#[test]
fn nothing_restores_to_no_track() {
    assert_eq!(
        Filter::any().restore(&Path::default()),
        Err(PathError::Empty)
    );
    let long = Path::new(["x".repeat(1000)]).unwrap();
    let prefix = Filter::Prefix(Path::new(["y".repeat(24)]).unwrap());
    assert_eq!(prefix.restore(&long), Err(PathError::TooLong));
}

#[test]
fn a_filter_beyond_any_path_matches_nothing_and_harms_nothing() {
    let long = filter(&format!("{}*", "x/".repeat(400)));
    assert_eq!(long.prefix(), Path::default());
    assert!(!long.matches(&path("x/x")));
    assert!("x".repeat(5000).parse::<Filter>().is_err());
}

proptest! {
    #[test]
    fn what_is_captured_is_restored(track in any_path(), text in "[a-c/]{0,3}[*]?[a-c/]{0,3}") {
        let filter = filter(&text);
        if let Some(capture) = filter.capture(&track) {
            prop_assert!(track.has_prefix(&filter.prefix()));
            prop_assert_eq!(filter.restore(&capture).ok(), (!track.is_empty()).then_some(track));
        }
    }

    #[test]
    fn strings_are_matched_as_the_published_crate_does(
        track in "[ab/]{1,6}", head in "[ab/]{0,3}", tail in "[ab/]{0,3}",
    ) {
        let text = format!("{head}*{tail}");
        let rest = track.strip_prefix(&head).and_then(|rest| rest.strip_suffix(&tail));
        let captured = capture(&text, &track);
        prop_assert_eq!(captured.as_deref(), rest);
    }
}
