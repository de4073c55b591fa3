//! The names of tracks.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// The most parts a path may have.
pub const MAX_PARTS: usize = 32;
/// The most bytes all parts of a path may have together.
pub const MAX_BYTES: usize = 1023;
/// The most bytes a path may have as one string, with a slash between any two parts.
pub const MAX_TEXT_BYTES: usize = MAX_BYTES + MAX_PARTS - 1;

/// The name of a track, or a prefix of such names, in parts.
///
/// A clone shares its memory. Paths are ordered part by part, so that all paths below a prefix are
/// one contiguous range that begins with the prefix itself. The empty path is the prefix of all.
///
/// Draft-03: Path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Path(Arc<Inner>);

/// All empty paths share this one.
static EMPTY: LazyLock<Path> = LazyLock::new(|| Path(Arc::default()));

#[derive(PartialEq, Eq, Hash, Default)]
struct Inner {
    /// All parts, one after another.
    bytes: Box<str>,
    /// Where each part ends in `bytes`.
    ends: Box<[u16]>,
}

impl Path {
    /// Makes a path of parts; a part may be empty and may contain any text.
    ///
    /// # Errors
    ///
    /// If there are more than [`MAX_PARTS`] parts or [`MAX_BYTES`] bytes.
    pub fn new(parts: impl IntoIterator<Item: AsRef<str>>) -> Result<Self, PathError> {
        let mut bytes = String::new();
        let mut ends = Vec::new();
        for part in parts {
            let part = part.as_ref();
            if ends.len() == MAX_PARTS {
                return Err(PathError::TooManyParts);
            }
            if bytes.len() + part.len() > MAX_BYTES {
                return Err(PathError::TooLong);
            }
            bytes.push_str(part);
            ends.push(bytes.len() as u16);
        }
        Ok(Path(Arc::new(Inner {
            bytes: bytes.into(),
            ends: ends.into(),
        })))
    }

    /// Iterates over the parts, first to last.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator + Clone {
        let Inner { bytes, ends } = &*self.0;
        (0..ends.len()).map(move |index| {
            let start = if index == 0 { 0 } else { ends[index - 1] };
            &bytes[usize::from(start)..usize::from(ends[index])]
        })
    }

    /// Tells the number of parts.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether the path has no parts.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Whether the path begins with all parts of `prefix`, or equals it.
    pub fn has_prefix(&self, prefix: &Path) -> bool {
        self.0.ends.starts_with(&prefix.0.ends) && self.0.bytes.starts_with(&*prefix.0.bytes)
    }

    /// Makes the path of what follows `prefix`, or nothing if the path does not begin with it.
    pub fn strip_prefix(&self, prefix: &Path) -> Option<Path> {
        if !self.has_prefix(prefix) {
            return None;
        }
        let start = prefix.0.bytes.len();
        let ends = self.0.ends[prefix.len()..]
            .iter()
            .map(|end| end - start as u16);
        Some(Path(Arc::new(Inner {
            bytes: self.0.bytes[start..].into(),
            ends: ends.collect(),
        })))
    }

    /// Makes the path of these parts followed by the parts of `suffix`.
    ///
    /// # Errors
    ///
    /// If both together are beyond the limits of a path.
    pub fn join(&self, suffix: &Path) -> Result<Path, PathError> {
        if suffix.is_empty() {
            return Ok(self.clone());
        }
        Path::new(self.parts().chain(suffix.parts()))
    }

    /// Makes the one string that dialects without parts use, with slashes between the parts.
    ///
    /// Gives nothing if [`Path::from_str`] would not bring the same path back: if a part contains a
    /// slash, or if the only part is empty.
    pub fn to_text(&self) -> Option<String> {
        let ambiguous = self.0.bytes.contains('/') || (self.len() == 1 && self.0.bytes.is_empty());
        (!ambiguous).then(|| {
            let mut text = String::with_capacity(self.0.bytes.len() + self.len());
            for (index, part) in self.parts().enumerate() {
                if index > 0 {
                    text.push('/');
                }
                text.push_str(part);
            }
            text
        })
    }
}

impl FromStr for Path {
    type Err = PathError;

    /// Splits at every slash; the empty string is the empty path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Ok(Path::default())
        } else {
            Path::new(text.split('/'))
        }
    }
}

impl Ord for Path {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Path {
    fn default() -> Self {
        EMPTY.clone()
    }
}

impl fmt::Display for Path {
    /// Writes the parts with slashes between them, everything unprintable escaped: for people, not
    /// for the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;

        for (index, part) in self.parts().enumerate() {
            if index > 0 {
                f.write_char('/')?;
            }
            for char in part.chars() {
                match char {
                    '"' | '\'' => f.write_char(char)?,
                    _ => write!(f, "{}", char.escape_debug())?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}

/// Why something is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It has more than [`MAX_PARTS`] parts.
    #[error("path has more than {MAX_PARTS} parts")]
    TooManyParts,
    /// Its parts have more than [`MAX_BYTES`] bytes.
    #[error("path has more than {MAX_BYTES} bytes")]
    TooLong,
    /// It has no parts where a track's name is needed.
    #[error("path is empty")]
    Empty,
    /// It cannot be one string that reads back as the same path, see [`Path::to_text`].
    #[error("path cannot be written as one string")]
    Text,
}
