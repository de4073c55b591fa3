//! Paths.

use std::collections::BTreeSet;

use moq_transfork::Path;
use moq_transfork::path::{MAX_BYTES, MAX_PARTS, PathError};
use proptest::prelude::*;

pub(crate) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// Any path; its parts may be empty and contain any text.
pub(crate) fn any_path() -> impl Strategy<Value = Path> {
    let part = prop_oneof!["[a-c/*]{0,3}", ".{0,8}", Just(String::new())];
    proptest::collection::vec(part, 0..6).prop_map(|parts| Path::new(parts).unwrap())
}

#[test]
fn a_path_has_parts_and_reads_back_from_its_text() {
    let demo = path("demo/bbb/video");
    assert_eq!(demo.parts().collect::<Vec<_>>(), ["demo", "bbb", "video"]);
    assert_eq!(demo.len(), 3);
    assert_eq!(demo.to_text().as_deref(), Some("demo/bbb/video"));
    assert_eq!(demo, Path::new(["demo", "bbb", "video"]).unwrap());
}

#[test]
fn a_leading_slash_is_an_empty_first_part() {
    assert_eq!(path("/demo/").parts().collect::<Vec<_>>(), ["", "demo", ""]);
    assert_eq!(path("/demo/").to_text().as_deref(), Some("/demo/"));
    assert_eq!(path("/").to_text().as_deref(), Some("/"));
    assert_eq!(path("").to_text().as_deref(), Some(""));
    assert!(path("").is_empty());
}

#[test]
fn what_one_string_cannot_say_has_no_text() {
    assert_eq!(Path::new([""]).unwrap().to_text(), None);
    assert_eq!(Path::new(["a/b"]).unwrap().to_text(), None);
}

#[test]
fn prefixes_match_part_by_part() {
    assert!(path("a/bc").has_prefix(&path("a")));
    assert!(path("a/bc").has_prefix(&path("a/bc")));
    assert!(path("a").has_prefix(&Path::default()));
    assert!(!path("a/bc").has_prefix(&path("a/b")));
    assert!(!path("a").has_prefix(&path("a/b")));
    assert!(
        !Path::new(["a", "b"])
            .unwrap()
            .has_prefix(&Path::new(["ab"]).unwrap())
    );
    assert_eq!(path("a/b/c").strip_prefix(&path("a")), Some(path("b/c")));
    assert_eq!(
        path("a/b").strip_prefix(&path("a/b")),
        Some(Path::default())
    );
    assert_eq!(path("a/b").strip_prefix(&path("b")), None);
}

#[test]
fn everything_below_a_prefix_is_one_range_that_begins_with_it() {
    let all = ["a", "a!/x", "a/b", "a/b/c", "ab", "a/b!", "b"].map(path);
    let sorted: Vec<Path> = BTreeSet::from(all).into_iter().collect();
    assert_eq!(
        sorted,
        ["a", "a/b", "a/b/c", "a/b!", "a!/x", "ab", "b"].map(path)
    );
}

#[test]
fn limits_hold_exactly() {
    assert!(Path::new(["x"; MAX_PARTS]).is_ok());
    assert_eq!(
        Path::new(["x"; MAX_PARTS + 1]),
        Err(PathError::TooManyParts)
    );
    assert!(Path::new(["x".repeat(MAX_BYTES)]).is_ok());
    assert_eq!(
        Path::new(["x".repeat(MAX_BYTES), "x".into()]),
        Err(PathError::TooLong)
    );
    let half = Path::new(["x"; MAX_PARTS / 2]).unwrap();
    let whole = half.join(&half).unwrap();
    assert_eq!(whole.join(&half), Err(PathError::TooManyParts));
}

#[test]
fn what_people_see_is_escaped() {
    let nasty = Path::new(["it's", "a\n\u{1b}[31m", "\u{202e}"]).unwrap();
    assert_eq!(nasty.to_string(), r"it's/a\n\u{1b}[31m/\u{202e}");
}

proptest! {
    #[test]
    fn the_order_is_that_of_the_parts(a in any_path(), b in any_path()) {
        let (left, right) = (a.parts().collect::<Vec<_>>(), b.parts().collect::<Vec<_>>());
        prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        prop_assert_eq!(a == b, left == right);
        prop_assert_eq!(a.has_prefix(&b), left.starts_with(&right));
    }

    #[test]
    fn what_is_joined_can_be_stripped(a in any_path(), b in any_path()) {
        let joined = a.join(&b).unwrap();
        prop_assert_eq!(joined.strip_prefix(&a), Some(b));
    }

    #[test]
    fn text_if_any_reads_back(a in any_path()) {
        if let Some(text) = a.to_text() {
            prop_assert_eq!(path(&text), a);
        }
    }
}
