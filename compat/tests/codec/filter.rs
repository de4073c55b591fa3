//! Filters match and capture as the published crate's do.

use moq_transfork::{Dialect, Filter, Path};
use proptest::prelude::*;
use transfork12::message as theirs;

proptest! {
    #[test]
    fn captures_agree(track in "[ab/]{1,8}", pattern in "[ab/]{0,3}[*]?[ab/*]{0,3}") {
        let ours: Filter = pattern.parse().unwrap();
        let theirs = theirs::Filter::new(&pattern);
        let expected = theirs.matches(&track).map(|found| found.capture().to_owned());
        let path: Path = track.parse().unwrap();
        let captured = ours.capture(&path);
        prop_assert_eq!(captured.as_ref().map(|path| path.to_text().unwrap()), expected.clone());
        if let (Some(captured), Some(expected)) = (captured, expected) {
            prop_assert_eq!(theirs.reconstruct(&expected), track);
            prop_assert_eq!(ours.restore(&captured).unwrap(), path);
        }
    }

    #[test]
    fn a_prefix_asks_for_what_is_below_it(prefix in "[ab]{1,2}(/[ab]{0,2}){0,2}", rest in "[ab/]{0,4}") {
        let asked = Filter::Prefix(prefix.parse().unwrap()).in_dialect(Dialect::Fork04s).unwrap();
        let Filter::Pattern(pattern) = &asked else { panic!("not a pattern") };
        let theirs = theirs::Filter::new(&pattern.to_text());
        let track = format!("{prefix}/{rest}");
        let captured = theirs.matches(&track).map(|found| found.capture().to_owned());
        prop_assert_eq!(captured.as_deref(), Some(&rest[..]));
        prop_assert_eq!(asked.restore(&rest.parse().unwrap()).unwrap(), track.parse().unwrap());
    }
}
