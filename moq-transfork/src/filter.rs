//! Which tracks someone wants to hear of.

use std::str::FromStr;

use crate::coding::{DecodeError, EncodeError, Field, Input, Limit, Output};
use crate::dialect::Dialect;
use crate::path::{MAX_BYTES, MAX_PARTS, MAX_TEXT_BYTES, Path, PathError};

/// The most bytes a filter may have as one string.
pub const MAX_FILTER_BYTES: usize = MAX_TEXT_BYTES + 2;

/// Which tracks an announce stream is about.
///
/// Draft-03: ANNOUNCE_PLEASE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// All tracks whose path begins with these parts; all tracks, if there are none.
    Prefix(Path),
    /// All tracks whose path as one string matches. Only [`Dialect::Fork04s`] can ask for it.
    Pattern(Pattern),
}

impl Filter {
    /// The filter that every track matches.
    pub fn any() -> Self {
        Filter::Prefix(Path::default())
    }

    /// Tells the parts that the path of every match begins with; there may be none.
    pub fn prefix(&self) -> Path {
        match self {
            Filter::Prefix(prefix) => prefix.clone(),
            Filter::Pattern(pattern) => pattern.prefix(),
        }
    }

    /// Whether the filter is about this track.
    pub fn matches(&self, path: &Path) -> bool {
        self.capture(path).is_some()
    }

    /// Tells what an announcement of this track says: what follows the prefix, or what the `*`
    /// stands for. Nothing if the filter is not about this track.
    pub fn capture(&self, path: &Path) -> Option<Path> {
        match self {
            Filter::Prefix(prefix) => path.strip_prefix(prefix),
            Filter::Pattern(pattern) => pattern.capture(path),
        }
    }

    /// Makes the track's path of what an announcement says.
    ///
    /// # Errors
    ///
    /// If that is no path of a track.
    pub fn restore(&self, capture: &Path) -> Result<Path, PathError> {
        let path = match self {
            Filter::Prefix(prefix) => prefix.join(capture)?,
            Filter::Pattern(pattern) => pattern.restore(capture)?,
        };
        if path.is_empty() {
            Err(PathError::Empty)
        } else {
            Ok(path)
        }
    }

    /// Makes the narrowest filter the dialect can ask for that has all of this one's matches, except
    /// that one string cannot ask for a prefix together with the track of that very name.
    ///
    /// # Errors
    ///
    /// [`PathError::Text`] if a prefix has to be one string and cannot be.
    pub fn in_dialect(&self, dialect: Dialect) -> Result<Filter, EncodeError> {
        match self {
            Filter::Prefix(prefix) if dialect.has_text_paths() && !prefix.is_empty() => {
                let head = prefix.to_text().filter(|head| !head.contains('*'));
                let head = head.ok_or(PathError::Text)? + "/";
                Ok(Filter::Pattern(Pattern {
                    head: head.into(),
                    tail: Some("".into()),
                }))
            }
            Filter::Pattern(pattern) if !dialect.has_text_paths() => {
                Ok(Filter::Prefix(pattern.prefix()))
            }
            Filter::Prefix(_) | Filter::Pattern(_) => Ok(self.clone()),
        }
    }

    /// Tells the field that a filter is in a dialect.
    pub(crate) const fn field(dialect: Dialect) -> Field {
        if dialect.has_text_paths() {
            Field::Bytes(Limit {
                name: "filter",
                max: MAX_FILTER_BYTES,
            })
        } else {
            PARTS
        }
    }

    pub(crate) fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        match self.in_dialect(dialect)? {
            Filter::Prefix(prefix) => output.path(&prefix, dialect),
            Filter::Pattern(pattern) => output.bytes(pattern.to_text().as_bytes()),
        }
    }

    pub(crate) fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        if dialect.has_text_paths() {
            return Ok(Filter::from_str(input.text()?)?);
        }
        Ok(Filter::Prefix(input.path(dialect)?))
    }
}

/// The field of a path in parts.
pub(crate) const PARTS: Field = Field::List {
    items: Limit {
        name: "path parts",
        max: MAX_PARTS,
    },
    bytes: Limit {
        name: "path",
        max: MAX_BYTES,
    },
    of: &[Field::Bytes(Limit {
        name: "path",
        max: MAX_BYTES,
    })],
};

/// The field of a path as one string.
pub(crate) const TEXT: Field = Field::Bytes(Limit {
    name: "path",
    max: MAX_TEXT_BYTES,
});

impl FromStr for Filter {
    type Err = PathError;

    /// Reads `""` or `*` as any track, text without a `*` as that one track, and otherwise the first
    /// `*` as standing for any text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text == "*" {
            return Ok(Filter::any());
        }
        if text.len() > MAX_FILTER_BYTES {
            return Err(PathError::TooLong);
        }
        let (head, tail) = match text.split_once('*') {
            Some((head, tail)) => (head, Some(tail)),
            None => (text, None),
        };
        Ok(Filter::Pattern(Pattern {
            head: head.into(),
            tail: tail.map(Box::from),
        }))
    }
}

/// A path as one string, in which one `*` may stand for any text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// What stands before the `*`, or all if there is none.
    head: Box<str>,
    /// What stands after the `*`.
    tail: Option<Box<str>>,
}

impl Pattern {
    /// Makes the string that asks for the pattern.
    pub fn to_text(&self) -> String {
        match &self.tail {
            Some(tail) => format!("{}*{tail}", self.head),
            None => self.head.to_string(),
        }
    }

    /// Tells the parts that are complete before the `*`.
    fn prefix(&self) -> Path {
        let path = match self.tail {
            Some(_) => self
                .head
                .rsplit_once('/')
                .map(|(parts, _)| Path::new(parts.split('/'))),
            None => Some(Path::from_str(&self.head)),
        };
        // A head beyond the limits of a path matches nothing, whatever it is searched among.
        path.and_then(Result::ok).unwrap_or_default()
    }

    fn capture(&self, path: &Path) -> Option<Path> {
        let text = path.to_text()?;
        let rest = text.strip_prefix(&*self.head)?;
        let capture = match &self.tail {
            Some(tail) => rest.strip_suffix(&**tail)?,
            None if rest.is_empty() => "",
            None => return None,
        };
        Path::from_str(capture).ok()
    }

    fn restore(&self, capture: &Path) -> Result<Path, PathError> {
        let tail = self.tail.as_deref().unwrap_or_default();
        let capture = capture.to_text().ok_or(PathError::Text)?;
        Path::from_str(&format!("{}{capture}{tail}", self.head))
    }
}
